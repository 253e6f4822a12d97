/**
 * Networks of their own for processes under test, on one machine: a network
 * namespace each (ip-netns(8)), all joined by a router in between that can cut
 * any two of them apart without either being told, or lose a share of all packets.
 * Takes root on Linux and `ip` of iproute2; losing takes `nft` of nftables.
 */
/** What is wanted and missing here, or undefined if nothing is. */
export function namespacesMissing(): string | undefined {
  if (Deno.build.os !== "linux") return "network namespaces are Linux's";
  if (Deno.uid() !== 0) return "making network namespaces takes root";
  const trial = `mycnet-${Deno.pid}-trial`;
  try {
    const { success, stderr } = new Deno.Command("ip", { args: ["netns", "add", trial] })
      .outputSync();
    if (!success) return new TextDecoder().decode(stderr).trim();
  } catch {
    return "there is no `ip`: install iproute2";
  }
  new Deno.Command("ip", { args: ["netns", "del", trial] }).outputSync();
  return undefined;
}

/** The same for {@linkcode Namespaces.lose}. */
export function lossMissing(): string | undefined {
  const missing = namespacesMissing();
  if (missing !== undefined) return missing;
  try {
    const { success } = new Deno.Command("nft", { args: ["--version"] }).outputSync();
    return success ? undefined : "`nft --version` fails";
  } catch {
    return "there is no `nft`: apt-get install nftables";
  }
}

/** Namespaces around a router. Use with `await using`. */
export class Namespaces implements AsyncDisposable {
  readonly #prefix = `mycnet-${Deno.pid}-${Math.random().toString(36).slice(2, 6)}`;
  readonly #names: readonly string[];

  private constructor(names: readonly string[]) {
    this.#names = names;
  }

  /** Makes one for each name. At most 250. */
  static async create(names: readonly string[]): Promise<Namespaces> {
    const made = new Namespaces(names);
    try {
      await made.#build();
    } catch (error) {
      await made[Symbol.asyncDispose]();
      throw error;
    }
    return made;
  }

  /** The address of one. */
  address(name: string): string {
    return `10.77.${this.#number(name)}.2`;
  }

  /** The command line that runs a command inside one. */
  inside(name: string, command: readonly string[]): readonly [string, readonly string[]] {
    return ["ip", ["netns", "exec", this.#space(name), ...command]];
  }

  /** Drops every packet between two, without a word to either. */
  async cut(a: string, b: string): Promise<void> {
    await this.mute(a, b);
    await this.mute(b, a);
  }

  /** Undoes {@linkcode cut}. */
  async heal(a: string, b: string): Promise<void> {
    await this.unmute(a, b);
    await this.unmute(b, a);
  }

  /** Drops every packet from one to another; the way back is as it was. */
  async mute(from: string, to: string): Promise<void> {
    await this.#router("rule", "add", ...this.#rule(from, to));
  }

  /** Undoes {@linkcode mute}. */
  async unmute(from: string, to: string): Promise<void> {
    await this.#router("rule", "del", ...this.#rule(from, to));
  }

  /** From now on loses packets of all kinds between any two, each with a chance of so many in a hundred. */
  async lose(percent: number): Promise<void> {
    await this.keepAll();
    if (percent === 0) return;
    await this.#nft("add", "table", "ip", "mycnet");
    const hook = ["{", "type", "filter", "hook", "forward", "priority", "0", ";", "}"];
    await this.#nft("add", "chain", "ip", "mycnet", "loss", ...hook);
    const chance = ["numgen", "random", "mod", "100", "<", String(percent)];
    await this.#nft("add", "rule", "ip", "mycnet", "loss", ...chance, "counter", "drop");
  }

  /** Undoes {@linkcode lose}. Resolves with how many packets were lost. */
  async keepAll(): Promise<number> {
    const listed = await this.#nft("list", "ruleset");
    if (!listed.includes("mycnet")) return 0;
    await this.#nft("delete", "table", "ip", "mycnet");
    return Number(/counter packets (\d+)/.exec(listed)?.[1] ?? 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const space of [this.#space("router"), ...this.#names.map((it) => this.#space(it))]) {
      await ip("netns", "del", space).catch(() => {}); // Perhaps it was never made.
    }
  }

  async #build(): Promise<void> {
    const router = this.#space("router");
    await ip("netns", "add", router);
    await run("ip", "netns", "exec", router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward");
    for (const name of this.#names) {
      const space = this.#space(name);
      const number = this.#number(name);
      const inSpace = (...args: string[]) => ip("-n", space, ...args);
      await ip("netns", "add", space);
      await ip(
        "link",
        "add",
        `to${number}`,
        "netns",
        router,
        "type",
        "veth",
        "peer",
        "name",
        "eth0",
        "netns",
        space,
      );
      await this.#router("addr", "add", `10.77.${number}.1/24`, "dev", `to${number}`);
      await this.#router("link", "set", `to${number}`, "up");
      await inSpace("addr", "add", `${this.address(name)}/24`, "dev", "eth0");
      await inSpace("link", "set", "lo", "up");
      await inSpace("link", "set", "eth0", "up");
      await inSpace("route", "add", "default", "via", `10.77.${number}.1`);
    }
  }

  async #router(...args: string[]): Promise<void> {
    await ip("-n", this.#space("router"), ...args);
  }

  #nft(...args: string[]): Promise<string> {
    return ip("netns", "exec", this.#space("router"), "nft", ...args);
  }

  #rule(from: string, to: string): string[] {
    return ["from", this.address(from), "to", this.address(to), "priority", "100", "blackhole"];
  }

  #space(name: string): string {
    return `${this.#prefix}-${name}`;
  }

  #number(name: string): number {
    const at = this.#names.indexOf(name);
    if (at < 0) throw new RangeError(`there is no namespace "${name}"`);
    return at + 1;
  }
}

function ip(...args: string[]): Promise<string> {
  return run("ip", ...args);
}

async function run(program: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args }).output();
  if (success) return new TextDecoder().decode(stdout);
  throw new Error(`${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
}
