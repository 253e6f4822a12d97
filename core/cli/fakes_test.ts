/** A terminal, and a runtime, for the tests of the command line. */
import type { CliIo, CliSignal, CliWriter } from "./io.ts";
import type { CliRuntime, RunningNode, StartOptions } from "./runtime.ts";
import { createHost } from "../kernel/mod.ts";
import { runCli } from "./mod.ts";

/** A writer that keeps what is written. */
export class FakeWriter implements CliWriter {
  text = "";
  broken = false;
  isTerminal = false;

  write(text: string): void {
    this.text += text;
  }
}

/** The outside, in memory. */
export class FakeIo implements CliIo {
  readonly stdout = new FakeWriter();
  readonly stderr = new FakeWriter();
  readonly variables: Record<string, string> = {};
  readonly #handlers = new Set<(signal: CliSignal) => void>();
  stdin: ReadableStream<Uint8Array> = input("");
  cwd = "/nonexistent";
  /** Told of each handler that comes. */
  onHandler: () => void = () => {};

  env(name: string): string | undefined {
    return this.variables[name];
  }

  onSignal(handler: (signal: CliSignal) => void): Disposable {
    this.#handlers.add(handler);
    this.onHandler();
    return { [Symbol.dispose]: () => void this.#handlers.delete(handler) };
  }

  /** Sends a signal; tells whether anybody listened. */
  signal(signal: CliSignal): boolean {
    for (const handler of [...this.#handlers]) handler(signal);
    return this.#handlers.size > 0;
  }
}

/** Standard input that holds a text. */
export function input(text: string): ReadableStream<Uint8Array> {
  return new Blob([text]).stream();
}

/** A node that only remembers. */
export class FakeRunningNode implements RunningNode {
  readonly id = "a";
  readonly addresses = ["tls://127.0.0.1:7000"];
  readonly adminAddress = "http://127.0.0.1:7080";
  readonly gossipAddress = "127.0.0.1:7946";
  readonly stops: string[] = [];
  readonly #closed = Promise.withResolvers<void>();
  /** What stopping waits for. */
  drain: Promise<void> = Promise.resolve();

  plugins() {
    return [{ id: "tls", plugin: "tls", provides: "transport", startMs: 1.25 }];
  }

  async stop(reason: string): Promise<void> {
    this.stops.push(reason);
    await this.drain;
    this.#closed.resolve();
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }
}

/** A runtime that starts what it is given. */
export class FakeRuntime implements CliRuntime {
  readonly version = "0.1.0";
  readonly host = createHost();
  readonly starts: StartOptions[] = [];
  start: () => Promise<RunningNode> = () => Promise.resolve(new FakeRunningNode());

  startNode(options: StartOptions): Promise<RunningNode> {
    this.starts.push(options);
    return this.start();
  }

  schema(): Promise<Record<string, unknown>> {
    return Promise.resolve({ type: "object" });
  }

  permissions(config: string | undefined): Promise<Record<string, unknown>> {
    return Promise.resolve({ read: [config ?? "none"] });
  }
}

/** What a command line did. */
export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line to its end. */
export async function cli(
  args: readonly string[],
  io: FakeIo = new FakeIo(),
  runtime: CliRuntime = new FakeRuntime(),
): Promise<Ran> {
  io.stdout.text = io.stderr.text = "";
  const code = await runCli(args, io, runtime);
  return { code, out: io.stdout.text, err: io.stderr.text };
}

/** Runs a test in a folder of its own. */
export async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
