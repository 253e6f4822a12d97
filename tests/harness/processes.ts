/**
 * Real child processes for tests: started, listened to, stopped, frozen, killed,
 * and gone when the test ends, whatever happened in between.
 *
 * A child's standard input is a pipe held by the test. Programs of this project
 * exit when it ends, so not even a test runner that is killed leaves one behind.
 * Output is kept (the last 2,000 lines of each stream) and shown when a test
 * waits in vain.
 */
import { fileURLToPath } from "node:url";

/** How long to wait for a line or an exit before giving up, in milliseconds. */
export const patienceMs = 30_000;
const keptLines = 2000;

/** What to run and how. */
export interface ChildOptions {
  readonly cwd?: string;
  /** Added to the environment of the test. */
  readonly env?: Readonly<Record<string, string>>;
  /** Replaces {@linkcode patienceMs}. */
  readonly patienceMs?: number;
}

/** The last lines of a stream. */
class Lines {
  readonly kept: string[] = [];
  /** How many came before the first of those. */
  dropped = 0;

  add(lines: readonly string[]): void {
    this.kept.push(...lines);
    const excess = Math.max(0, this.kept.length - keptLines);
    this.kept.splice(0, excess);
    this.dropped += excess;
  }
}

/** Has `match` see the lines that are JSON objects. */
function inJson<T>(match: (value: Record<string, unknown>) => T | undefined) {
  return (line: string): T | undefined => {
    if (!line.startsWith("{")) return undefined;
    let value: Record<string, unknown>;
    try {
      value = JSON.parse(line);
    } catch {
      return undefined;
    }
    return match(value);
  };
}

/** A child process. Use with `await using`. */
export class Child implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #name: string;
  readonly #patienceMs: number;
  readonly #stdout = new Lines();
  readonly #stderr = new Lines();
  readonly #waiting = new Set<() => void>();
  readonly #reading: Promise<unknown>;
  #stdin: WritableStreamDefaultWriter<Uint8Array> | undefined;
  #status: Deno.CommandStatus | undefined;
  #ended = false;

  /** Starts `program` with `args`. */
  constructor(program: string, args: readonly string[], options: ChildOptions = {}) {
    this.#name = args.find((it) => /\.[jt]s$/.test(it)) ?? program;
    this.#patienceMs = options.patienceMs ?? patienceMs;
    this.#process = new Deno.Command(program, {
      args: [...args],
      cwd: options.cwd,
      env: { NO_COLOR: "1", ...options.env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#stdin = this.#process.stdin.getWriter();
    this.#stdin.closed.catch(() => {}); // The child may exit first: a broken pipe is no news.
    this.#reading = Promise.all([
      this.#read(this.#process.stdout, this.#stdout),
      this.#read(this.#process.stderr, this.#stderr),
      this.#process.status.then((status) => this.#status = status),
    ]).finally(() => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** The operating system's number of it. */
  get pid(): number {
    return this.#process.pid;
  }

  /** The last lines of its standard output. */
  get stdout(): readonly string[] {
    return this.#stdout.kept;
  }

  /** The last lines of its standard error. */
  get stderr(): readonly string[] {
    return this.#stderr.kept;
  }

  /**
   * Waits for the first line of standard output, past or future, for which
   * `match` returns something.
   * @throws if the child ends or patience runs out first; the message shows what it printed.
   */
  line<T>(what: string, match: (line: string) => T | undefined): Promise<T> {
    return this.#find(this.#stdout, what, match);
  }

  /** Waits for a line of JSON, as {@linkcode line} does; other lines are passed over. */
  json<T>(what: string, match: (value: Record<string, unknown>) => T | undefined): Promise<T> {
    return this.#find(this.#stdout, what, inJson(match));
  }

  /** Waits for the line of JSON whose `event` is this one, and gives it as what its program wrote it from. */
  event<T extends object>(event: string): Promise<T> {
    return this.json(
      `the event "${event}"`,
      // A cast, since the line is what a program of this project was told to say.
      (line) => line.event === event ? line as T : undefined,
    );
  }

  /** Waits for a line of JSON on standard error, where nodes log, as {@linkcode line} does. */
  log<T>(what: string, match: (value: Record<string, unknown>) => T | undefined): Promise<T> {
    return this.#find(this.#stderr, what, inJson(match));
  }

  /** Writes a line to its standard input. */
  async type(line: string): Promise<void> {
    await this.#stdin?.write(new TextEncoder().encode(`${line}\n`));
  }

  /** Sends a signal. Nothing happens when the child has ended already. */
  signal(signal: Deno.Signal): void {
    if (this.#status) return;
    try {
      this.#process.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** Freezes it, as a stalled machine would, until {@linkcode thaw}. Resolves once it stands still. */
  async freeze(): Promise<void> {
    this.signal("SIGSTOP");
    if (Deno.build.os !== "linux") return;
    // The signal is delivered a moment later, and nothing announces it: look until it shows.
    const stat = `/proc/${this.pid}/stat`;
    while (!this.#ended && !/\) [TtZ] /.test(await Deno.readTextFile(stat).catch(() => ") T "))) {
      await new Promise((resume) => setTimeout(resume, 1));
    }
  }

  /** Undoes {@linkcode freeze}. */
  thaw(): void {
    this.signal("SIGCONT");
  }

  /** Waits until it has ended and all its output is read. */
  async ended(): Promise<Deno.CommandStatus> {
    const deadline = performance.now() + this.#patienceMs;
    while (!this.#ended) {
      if (!await this.#change(deadline)) throw new Error(this.#report("did not end"));
    }
    return this.#status!;
  }

  /** Kills it without warning (SIGKILL) and waits for its end. */
  kill(): Promise<Deno.CommandStatus> {
    this.signal("SIGKILL");
    return this.ended();
  }

  /** Ends its standard input, upon which programs of this project exit, and waits for that. */
  async stop(): Promise<Deno.CommandStatus> {
    await this.#endInput();
    return await this.ended();
  }

  /** Ends it, by force if need be. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.signal("SIGKILL");
    await this.#endInput();
    await this.#reading;
  }

  async #find<T>(
    lines: Lines,
    what: string,
    match: (line: string) => T | undefined,
  ): Promise<T> {
    let seen = 0; // Lines looked at, those dropped since included.
    const deadline = performance.now() + this.#patienceMs;
    while (true) {
      for (seen = Math.max(seen, lines.dropped); seen < lines.dropped + lines.kept.length;) {
        const found = match(lines.kept[seen++ - lines.dropped]);
        if (found !== undefined) return found;
      }
      if (this.#ended) throw new Error(this.#report(`ended before ${what}`));
      if (!await this.#change(deadline)) throw new Error(this.#report(`did not show ${what}`));
    }
  }

  async #endInput(): Promise<void> {
    const stdin = this.#stdin;
    this.#stdin = undefined;
    await stdin?.close().catch(() => {});
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>, lines: Lines): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const whole = (rest + text).split("\n");
      rest = whole.pop()!;
      lines.add(whole);
      this.#wake();
    }
    if (rest !== "") lines.add([rest]);
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  /** Resolves true when something happened, false at the deadline. */
  #change(deadline: number): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (happened: boolean) => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve(happened);
      };
      const wake = () => settle(true);
      const timer = setTimeout(() => settle(false), Math.max(0, deadline - performance.now()));
      this.#waiting.add(wake);
    });
  }

  #report(what: string): string {
    const tail = (lines: readonly string[]) => lines.slice(-40).join("\n") || "(nothing)";
    const exit = this.#status ? `, exit code ${this.#status.code}` : "";
    return `${this.#name} (pid ${this.pid}) ${what}${exit}\n--- stdout\n${tail(this.stdout)}\n` +
      `--- stderr\n${tail(this.stderr)}`;
  }
}

/** The root of the repository as a path of this system. */
export const rootPath: string = fileURLToPath(new URL("../../", import.meta.url));

/** Starts this Deno with `args`. */
export function startDeno(args: readonly string[], options?: ChildOptions): Child {
  return new Child(Deno.execPath(), args, options);
}

/** What deno.json says that tests rely on. */
interface RootConfig {
  readonly tasks: Readonly<Record<string, { readonly command: string }>>;
  readonly unstable: readonly string[];
}
const rootConfig: RootConfig = JSON.parse(Deno.readTextFileSync(`${rootPath}deno.json`));

/** The words of a task's command. */
export function taskWords(task: string): string[] {
  return rootConfig.tasks[task].command.split(" ");
}

/** The permissions of a task, so that tests run programs with those that users give them. */
export function taskPermissions(task: string): string[] {
  return taskWords(task).filter((it) => it.startsWith("--allow-"));
}

/** The unstable features of deno.json as flags, for programs that run outside of its reach. */
export const unstableFlags: readonly string[] = rootConfig.unstable.map((it) => `--unstable-${it}`);

/** Starts the command line, with the permissions of its demo, which may start programs. */
export function startMycnet(args: readonly string[], options: ChildOptions = {}): Child {
  return startDeno(["run", ...taskPermissions("demo"), `${rootPath}mod.ts`, ...args], options);
}

/** What a node says of itself when it has started. */
export interface Started {
  readonly id: string;
  /** `scheme://host:port`. */
  readonly addresses: readonly string[];
  /** `http://host:port`. */
  readonly admin: string;
  /** `host:port`; absent where it does not gossip. */
  readonly gossip?: string;
}

/** What a node is run with so that {@linkcode started} understands it and nothing orphans it. */
export const nodeArguments: readonly string[] = [
  "node",
  "--json",
  "--log-format",
  "json",
  "--exit-with-stdin",
];

/** Waits until a node started with {@linkcode nodeArguments} is up. */
export function started(child: Child): Promise<Started> {
  return child.event<Started>("started");
}

/** A folder that is gone when the test ends. */
export interface TempFolder extends AsyncDisposable {
  /** Absolute, without a slash at its end. */
  readonly path: string;
}

/** Makes an empty folder outside the repository. */
export async function tempFolder(): Promise<TempFolder> {
  const path = await Deno.makeTempDir({ prefix: "mycnet-test-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
