/**
 * A loopback network of its own for what is measured, whose traffic nobody else adds to.
 *
 * On Linux with root it is a network namespace, and its interface counts every byte
 * with all headers. Elsewhere it is the machine's own, and nothing is counted.
 */
import { namespacesMissing } from "../../tests/harness/namespaces.ts";

/** What has passed so far. */
export interface Traffic {
  readonly packets: number;
  /** Headers of IP, UDP and TCP included. */
  readonly bytes: number;
}

/** A loopback network. Use with `await using`. */
export class Loopback implements AsyncDisposable {
  /** Why nothing is counted; undefined if it is. */
  readonly missing: string | undefined;
  readonly #name: string | undefined;

  private constructor(name: string | undefined, missing: string | undefined) {
    this.#name = name;
    this.missing = missing;
  }

  /** Makes one. */
  static async create(label: string): Promise<Loopback> {
    const missing = namespacesMissing();
    if (missing !== undefined) return new Loopback(undefined, missing);
    const name = `mycnet-${Deno.pid}-${label}`;
    const made = new Loopback(name, undefined);
    try {
      await run(["ip", "netns", "add", name]);
      await run(["ip", "-n", name, "link", "set", "lo", "up"]);
      return made;
    } catch (error) {
      await made[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The command line that runs a command on it. */
  inside(command: readonly string[]): readonly string[] {
    return this.#name === undefined ? command : ["ip", "netns", "exec", this.#name, ...command];
  }

  /** What has passed; undefined where nothing is counted. */
  async traffic(): Promise<Traffic | undefined> {
    if (this.#name === undefined) return undefined;
    const text = await run(this.inside(["cat", "/proc/net/dev"]));
    const [, bytes, packets] = /^\s*lo:\s*(\d+)\s+(\d+)/m.exec(text) ?? [];
    return { packets: Number(packets), bytes: Number(bytes) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#name !== undefined) await run(["ip", "netns", "del", this.#name]).catch(() => {});
  }
}

/** Runs a command to its end. Its output. @throws what it wrote to standard error if it fails. */
export async function run(
  [program, ...args]: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program!, { args, ...options })
    .output();
  if (success) return new TextDecoder().decode(stdout);
  throw new Error(`${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
}
