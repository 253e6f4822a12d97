/**
 * A measured process, both ends. The bench asks it things over its standard
 * input, a line of JSON each, and it answers on its standard output. It ends
 * when its standard input does, so that it outlives nobody.
 */
import { TextLineStream } from "../../core/cli/demo/lines.ts";
import { Child, type ChildOptions } from "../../tests/harness/processes.ts";
import { fileURLToPath } from "node:url";
import { onCore } from "./cores.ts";

/** What a program can be asked. */
export type Commands = Readonly<Record<string, (argument: unknown) => unknown>>;

/** The argument that the program was started with. */
export function programArgument<T>(): T {
  return JSON.parse(Deno.args[0]) as T;
}

/** In the program: says that it is ready, then answers until standard input ends. */
export async function serveCommands(ready: unknown, commands: Commands): Promise<void> {
  console.log(JSON.stringify({ ready }));
  for await (const line of Deno.stdin.readable.pipeThrough(new TextLineStream())) {
    const { id, command, argument } = JSON.parse(line);
    try {
      console.log(JSON.stringify({ id, result: await commands[command](argument) }));
    } catch (error) {
      console.log(JSON.stringify({ id, error: (error as Error).stack ?? String(error) }));
    }
  }
}

/** The bench's hold on a program. */
export class Program<R = unknown> implements AsyncDisposable {
  /** What it said when it was ready. */
  readonly ready: R;
  readonly #child: Child;
  #asked = 0;

  private constructor(child: Child, ready: R) {
    this.#child = child;
    this.ready = ready;
  }

  /**
   * Starts a program of ours and waits until it is ready.
   * @param url of its file.
   * @param flags of Deno.
   * @param core the one it is to run on. Default: any.
   */
  static start<R>(
    url: URL,
    argument: unknown = {},
    flags: readonly string[] = [],
    core?: number,
  ): Promise<Program<R>> {
    const run = [Deno.execPath(), "run", "--allow-all", ...flags, fileURLToPath(url)];
    return Program.command(onCore(core, [...run, JSON.stringify(argument)]));
  }

  /** Starts any program that speaks as ours do, and waits until it is ready. */
  static async command<R>(
    [program, ...args]: readonly string[],
    options: ChildOptions = {},
  ): Promise<Program<R>> {
    const child = new Child(program, args, { patienceMs: 120_000, ...options });
    try {
      const ready = await child.json("that it is ready", (it) => "ready" in it ? it : undefined);
      return new Program(child, ready.ready as R);
    } catch (error) {
      await child[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The operating system's number of it. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Asks and waits for the answer. @throws what the program threw, or that it ended. */
  async ask<T>(command: string, argument?: unknown): Promise<T> {
    const id = ++this.#asked;
    await this.#child.type(JSON.stringify({ id, command, argument }));
    const answer = await this.#child.json(
      `an answer to "${command}"`,
      (it) => it.id === id ? it : undefined,
    );
    if (answer.error !== undefined) throw new Error(`${command}: ${answer.error}`);
    return answer.result as T;
  }

  /** Freezes it, as a stalled machine would. Resolves once it stands still. */
  freeze(): Promise<void> {
    return this.#child.freeze();
  }

  /** Undoes {@linkcode freeze}. */
  thaw(): void {
    this.#child.thaw();
  }

  /** Ends it and waits for its end, by force if it does not come to one. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#child.stop();
    } finally {
      await this.#child[Symbol.asyncDispose]();
    }
  }
}
