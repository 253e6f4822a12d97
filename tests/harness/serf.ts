/**
 * Real Serf agents for tests, on loopback.
 *
 * An agent does not end with its standard input as programs of this project do, so
 * a watcher beside it waits for that and kills it: not even a test runner that is
 * killed leaves an agent behind.
 */
import { freePort } from "./ports.ts";
import { Child } from "./processes.ts";

/** Why there can be no agents here; undefined if there can. */
export function serfMissing(): string | undefined {
  try {
    const { success } = new Deno.Command("serf", { args: ["version"] }).outputSync();
    return success ? undefined : "`serf version` fails";
  } catch {
    return "there is no `serf`: apt-get install serf";
  }
}

/** How an agent is started. */
export interface SerfOptions {
  readonly name: string;
  /** `host:port` of its gossip. Default: any free port. */
  readonly address?: string;
  readonly tags?: Readonly<Record<string, string>>;
  /** The gossip key, base64. */
  readonly key?: string;
  /** A keyring file instead. */
  readonly keyringFile?: string;
  readonly join?: readonly string[];
}

/** A member as `serf members` shows it. */
export interface SerfListed {
  readonly name: string;
  readonly addr: string;
  readonly status: "alive" | "leaving" | "left" | "failed";
  readonly tags: Readonly<Record<string, string>>;
}

/** The shell keeps a watcher on its standard input and becomes the agent. */
export const watched: string =
  'exec 3<&0; { cat <&3; kill -KILL $$; } >/dev/null 2>&1 & exec 3<&-; exec "$@"';

/** A running agent. */
export class SerfAgent implements AsyncDisposable {
  readonly name: string;
  readonly address: string;
  readonly child: Child;
  readonly #rpc: string;
  /** Lines of its log that were waited for, so that the next wait looks after them. */
  #seen = 0;

  private constructor(name: string, address: string, rpc: string, child: Child) {
    this.name = name;
    this.address = address;
    this.#rpc = rpc;
    this.child = child;
  }

  /** Starts one, and resolves once it answers. */
  static async start(options: SerfOptions): Promise<SerfAgent> {
    const { name, tags = {}, key, keyringFile, join = [] } = options;
    const address = options.address ?? `127.0.0.1:${freePort()}`;
    const rpc = `127.0.0.1:${freePort()}`;
    const child = new Child("sh", [
      "-c",
      watched,
      "sh",
      "serf",
      "agent",
      `-node=${name}`,
      `-bind=${address}`,
      `-rpc-addr=${rpc}`,
      "-profile=local",
      "-log-level=info",
      ...Object.entries(tags).map(([tag, value]) => `-tag=${tag}=${value}`),
      ...(key === undefined ? [] : [`-encrypt=${key}`]),
      ...(keyringFile === undefined ? [] : [`-keyring-file=${keyringFile}`]),
      ...join.map((it) => `-join=${it}`),
    ]);
    const agent = new SerfAgent(name, address, rpc, child);
    try {
      await child.line("its own joining", (line) => /EventMemberJoin/.test(line) || undefined);
      await child.line("that it runs", (line) => /Serf agent running/.test(line) || undefined);
    } catch (error) {
      await child[Symbol.asyncDispose]();
      throw error;
    }
    return agent;
  }

  /** Runs `serf <command>` against it. @throws what it complains about. */
  async run(command: string, ...args: readonly string[]): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command("serf", {
      args: [command, `-rpc-addr=${this.#rpc}`, ...args],
      stdin: "null",
    }).output();
    const text = new TextDecoder().decode(stdout);
    if (success) return text;
    throw new Error(`serf ${command}: ${text}${new TextDecoder().decode(stderr)}`);
  }

  /** Its members by name. */
  async members(): Promise<Readonly<Record<string, SerfListed>>> {
    const { members } = JSON.parse(await this.run("members", "-format=json"));
    return Object.fromEntries((members as SerfListed[]).map((it) => [it.name, it]));
  }

  /** Waits until its log says something that it had not said at the last wait. */
  async logs(pattern: RegExp): Promise<string> {
    let at = 0;
    return await this.child.line(String(pattern), (line) => {
      if (at++ < this.#seen || !pattern.test(line)) return undefined;
      this.#seen = at;
      return line;
    });
  }

  /** Waits until its members are as wanted, looking again at each change that it logs. */
  async until(
    what: string,
    wanted: (members: Readonly<Record<string, SerfListed>>) => boolean,
  ): Promise<void> {
    let at = 0;
    const seen = () => this.child.stdout.filter((it) => /EventMember/.test(it)).length;
    while (true) {
      const changes = seen();
      if (wanted(await this.members())) return;
      at = 0;
      await this.child.line(`a change until ${what}`, (line) => {
        if (/EventMember/.test(line)) at++;
        return at > changes || undefined;
      });
    }
  }

  /** kill -9. */
  async kill(): Promise<void> {
    await this.child.kill();
  }

  /** Ends it, by force. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.child[Symbol.asyncDispose]();
  }
}
