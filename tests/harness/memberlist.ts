/**
 * Real members of HashiCorp's memberlist for tests, on loopback: a small program
 * of our own around their library, built when it is first needed.
 */
import { freePort } from "./ports.ts";
import { Child, rootPath } from "./processes.ts";

/** Where Debian keeps Go's sources. */
const goPath = "/usr/share/gocode";

/** Why there can be no such members here; undefined if there can. */
export function memberlistMissing(): string | undefined {
  const remedy = "apt-get install golang-go golang-github-hashicorp-memberlist-dev";
  try {
    if (!new Deno.Command("go", { args: ["version"] }).outputSync().success) {
      return "`go version` fails";
    }
  } catch {
    return `there is no \`go\`: ${remedy}`;
  }
  try {
    Deno.statSync(`${goPath}/src/github.com/hashicorp/memberlist`);
  } catch {
    return `memberlist's source is not there: ${remedy}`;
  }
  return undefined;
}

/** The program, built once for a test file. */
export class MemberlistProgram implements AsyncDisposable {
  readonly path: string;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.path = `${folder}/memberlist_peer`;
  }

  /** Builds it into a folder of its own. */
  static async build(): Promise<MemberlistProgram> {
    const built = new MemberlistProgram(await Deno.makeTempDir({ prefix: "mycnet-test-" }));
    const { success, stderr } = await new Deno.Command("go", {
      args: ["build", "-o", built.path, `${rootPath}tests/interop/memberlist_peer/main.go`],
      env: {
        GO111MODULE: "off",
        GOPATH: goPath,
        GOFLAGS: "",
        ...(Deno.env.has("HOME") ? {} : { GOCACHE: `${built.#folder}/cache` }),
      },
      stdin: "null",
      stdout: "null",
    }).output();
    if (success) return built;
    await built[Symbol.asyncDispose]();
    throw new Error(`go build: ${new TextDecoder().decode(stderr)}`);
  }

  /** Starts a member, and resolves once it runs. */
  start(options: MemberlistOptions): Promise<MemberlistPeer> {
    return MemberlistPeer.start(this.path, options);
  }

  /** Removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** How a member is started. */
export interface MemberlistOptions {
  readonly name: string;
  /** `host:port` of its gossip. Default: any free port. */
  readonly address?: string;
  /** The gossip key, base64. */
  readonly key?: string;
  readonly meta?: string;
  /** Joined at once; it must succeed. */
  readonly join?: readonly string[];
}

/** A member as another one sees it. Only those alive or suspect are seen. */
export interface MemberlistListed {
  readonly name: string;
  readonly address: string;
  readonly meta: Uint8Array;
}

/** What a member tells. */
export type MemberlistEvent =
  | { readonly event: "joined" | "gone" | "updated"; readonly member: MemberlistListed }
  | { readonly event: "message"; readonly text: string };

type Line = Readonly<Record<string, unknown>>;

function listed(it: unknown): MemberlistListed {
  const { name, address, meta } = it as { name: string; address: string; meta: string | null };
  return { name, address, meta: Uint8Array.fromBase64(meta ?? "") };
}

function eventOf(line: Line): MemberlistEvent | undefined {
  switch (line.event) {
    case "joined":
    case "gone":
    case "updated":
      return { event: line.event, member: listed(line.member) };
    case "message":
      return {
        event: "message",
        text: new TextDecoder().decode(Uint8Array.fromBase64(line.data as string)),
      };
  }
  return undefined;
}

/** A running member. */
export class MemberlistPeer implements AsyncDisposable {
  readonly name: string;
  readonly address: string;
  readonly child: Child;
  #commands = 0;

  private constructor(name: string, address: string, child: Child) {
    this.name = name;
    this.address = address;
    this.child = child;
  }

  /** See {@linkcode MemberlistProgram.start}. */
  static async start(program: string, options: MemberlistOptions): Promise<MemberlistPeer> {
    const { name, key, meta, join = [] } = options;
    const address = options.address ?? `127.0.0.1:${freePort()}`;
    const child = new Child(program, [
      `-name=${name}`,
      `-bind=${address}`,
      ...(key === undefined ? [] : [`-key=${key}`]),
      ...(meta === undefined ? [] : [`-meta=${meta}`]),
    ]);
    const peer = new MemberlistPeer(name, address, child);
    try {
      await child.json("that it has started", ({ event }) => event === "started" || undefined);
      if (join.length > 0) await peer.join(...join);
    } catch (error) {
      await child[Symbol.asyncDispose]();
      throw error;
    }
    return peer;
  }

  /** Joins; resolves with how many answered. @throws what memberlist says when none did. */
  async join(...addresses: readonly string[]): Promise<number> {
    return (await this.#command("join", { addresses })).contacted as number;
  }

  /** Who is alive as it sees it, itself included, by name. */
  async members(): Promise<Readonly<Record<string, MemberlistListed>>> {
    const { members } = await this.#command("members");
    return Object.fromEntries((members as unknown[]).map(listed).map((it) => [it.name, it]));
  }

  /** New metadata for it. */
  async setMeta(text: string): Promise<void> {
    await this.#command("meta", { data: base64(text) });
  }

  /** A user message to one member: a packet, or over a stream. */
  async send(to: string, text: string, how: "packet" | "stream"): Promise<void> {
    await this.#command("send", { to, data: base64(text), reliable: how === "stream" });
  }

  /** A user message to whomever its gossip reaches. */
  async broadcast(text: string): Promise<void> {
    await this.#command("broadcast", { data: base64(text) });
  }

  /** Changes its own keyring. @throws what memberlist says. */
  async key(operation: "install" | "use" | "remove", key: string): Promise<void> {
    await this.#command(operation, { data: key });
  }

  /** Leaves the cluster; the process goes on. */
  async leave(): Promise<void> {
    await this.#command("leave");
  }

  /** Waits for something that it tells, past or future. */
  async told(
    what: string,
    wanted: (event: MemberlistEvent) => boolean,
  ): Promise<MemberlistEvent> {
    return await this.child.json(what, (line) => {
      const event = eventOf(line);
      return event !== undefined && wanted(event) ? event : undefined;
    });
  }

  /** Waits until its members are as wanted, looking again at each event that it tells. */
  async until(
    what: string,
    wanted: (members: Readonly<Record<string, MemberlistListed>>) => boolean,
  ): Promise<void> {
    const events = (lines: readonly string[]) =>
      lines.filter((it) => it.startsWith('{"event"')).length;
    while (true) {
      const seen = events(this.child.stdout);
      if (wanted(await this.members())) return;
      let at = 0;
      await this.child.line(`an event until ${what}`, (line) => {
        at += events([line]);
        return at > seen || undefined;
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

  async #command(command: string, fields: Line = {}): Promise<Line> {
    const id = ++this.#commands;
    await this.child.type(JSON.stringify({ id, do: command, ...fields }));
    const reply = await this.child.json(
      `its answer to ${command}`,
      (line) => line.reply === id ? line : undefined,
    );
    if (reply.error !== undefined) throw new Error(`${this.name}, ${command}: ${reply.error}`);
    return reply;
  }
}

function base64(text: string): string {
  return new TextEncoder().encode(text).toBase64();
}
