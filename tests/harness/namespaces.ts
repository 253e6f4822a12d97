/**
 * Networks of their own for processes under test, on one machine: a network
 * namespace each (ip-netns(8)), all joined by a router in between that can cut
 * any two of them apart without either being told. Takes root on Linux and `ip`
 * of iproute2.
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
    for (const rule of this.#rules(a, b)) await this.#router("rule", "add", ...rule);
  }

  /** Undoes {@linkcode cut}. */
  async heal(a: string, b: string): Promise<void> {
    for (const rule of this.#rules(a, b)) await this.#router("rule", "del", ...rule);
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

  #router(...args: string[]): Promise<void> {
    return ip("-n", this.#space("router"), ...args);
  }

  #rules(a: string, b: string): string[][] {
    const [one, other] = [this.address(a), this.address(b)];
    return [[one, other], [other, one]].map((
      [from, to],
    ) => ["from", from, "to", to, "priority", "100", "blackhole"]);
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

function ip(...args: string[]): Promise<void> {
  return run("ip", ...args);
}

async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args, stderr: "piped" }).output();
  if (success) return;
  throw new Error(`${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
}
