/**
 * A live cluster: its processes, what they say, and what is done to them.
 *
 * Some members are alone in their process, so that it can be stopped and killed
 * without harm to others; the rest share a few. Each process is ended by its own
 * number, whatever happened.
 */
import type { Child } from "../../tests/harness/processes.ts";
import type { Heard, MemberAddress, MemberProcess, MemberStarter } from "./live_members.ts";

const mostVictims = 8;
const hostProcesses = 2;
/** Linux counts CPU time in these, in its usual configuration. */
const msPerTick = 10;

/** Times from a deed until the others declared the member dead, ms; means over the members. */
export interface Declared {
  readonly first: number;
  readonly last: number;
}

/** See the head of this file. Use with `await using`. */
export class LiveCluster implements AsyncDisposable {
  /** Members that may be stopped and killed. */
  readonly victims: readonly string[];
  readonly #processes: MemberProcess[] = [];
  readonly #heard: Heard[] = [];
  readonly #gone = new Set<string>();
  readonly #waiting = new Set<() => void>();

  private constructor(victims: readonly string[]) {
    this.victims = victims;
  }

  /** Starts all members and waits until each has met every other. */
  static async start(
    starter: MemberStarter,
    members: readonly MemberAddress[],
    patienceMs: number,
  ): Promise<LiveCluster> {
    // The seed and at least half of them stay; a quarter of the rest is stopped shortly, one for long.
    const victims = members.slice(-Math.min(mostVictims, (members.length >> 3) * 4));
    const others = members.slice(0, members.length - victims.length);
    const cluster = new LiveCluster(victims.map((it) => it.name));
    const perProcess = Math.min(starter.perProcess, Math.ceil(others.length / hostProcesses));
    const groups = victims.map((it) => [it]);
    for (let i = 0; i < others.length; i += perProcess) {
      groups.unshift(others.slice(i, i + perProcess));
    }
    // The process of the seed first, and it must listen before the others ask it.
    groups.sort((a, b) => Number(b.includes(members[0]!)) - Number(a.includes(members[0]!)));
    try {
      for (const group of groups) {
        cluster.#processes.push(starter.start(group, members[0]!, (it) => cluster.#hear(it)));
        if (cluster.#processes.length === 1) await cluster.wait(seedHeadStartMs);
      }
      await cluster.#until(
        "everybody has met everybody",
        () => cluster.#met() === members.length * (members.length - 1),
        patienceMs,
        () => `${cluster.#met()} acquaintances of ${members.length * (members.length - 1)}`,
      );
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Real time passes. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  /** CPU time of all processes so far, ms; NaN where the system does not tell. */
  async cpuMs(): Promise<number> {
    let ticks = 0;
    for (const { child } of this.#processes) {
      try {
        const stat = await Deno.readTextFile(`/proc/${child.pid}/stat`);
        const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        ticks += Number(fields[11]) + Number(fields[12]);
      } catch {
        if (Deno.build.os !== "linux") return NaN;
      }
    }
    return ticks * msPerTick;
  }

  /** Stops processes. When, ms. */
  async stop(names: readonly string[]): Promise<number> {
    for (const name of names) this.#gone.add(name);
    const atMs = performance.now();
    await Promise.all(this.#of(names).map((it) => it.freeze()));
    return atMs;
  }

  /** Lets them go on. When, ms. */
  go(names: readonly string[]): number {
    for (const child of this.#of(names)) child.thaw();
    return performance.now();
  }

  /** Kills processes. When, ms. */
  async kill(names: readonly string[]): Promise<number> {
    for (const name of names) this.#gone.add(name);
    const atMs = performance.now();
    await Promise.all(this.#of(names).map((it) => it.kill()));
    return atMs;
  }

  /** Waits until all others have declared them dead since a time. @throws if they do not in time. */
  async dead(names: readonly string[], sinceMs: number, patienceMs: number): Promise<Declared> {
    const times = (name: string) =>
      this.#first("failed", name, sinceMs).map((atMs) => atMs - sinceMs);
    const enough = (name: string) => times(name).length >= this.#witnesses().length;
    await this.#until(
      `${names} are dead to all`,
      () => names.every(enough),
      patienceMs,
      () => names.map((it) => `${it}: ${times(it).length}`).join(", "),
    );
    return {
      first: mean(names.map((it) => Math.min(...times(it)))),
      last: mean(names.map((it) => Math.max(...times(it)))),
    };
  }

  /** Waits until all others have taken them back since a time. How long the last one took, ms, on average. */
  async back(names: readonly string[], sinceMs: number, patienceMs: number): Promise<number> {
    const times = (name: string) => this.#first("joined", name, sinceMs);
    await this.#until(
      `${names} are back`,
      () => names.every((it) => times(it).length >= this.#witnesses().length),
      patienceMs,
      () => names.map((it) => `${it}: ${times(it).length}`).join(", "),
    );
    return mean(names.map((it) => Math.max(...times(it)) - sinceMs));
  }

  /** How many of these somebody declared dead. */
  deaths(names: readonly string[]): number {
    return names.filter((name) =>
      this.#heard.some((it) => it.type === "failed" && it.about === name)
    ).length;
  }

  /** Declarations of death of members that nothing was done to. */
  falseDeaths(): number {
    return this.#heard.filter((it) => it.type === "failed" && !this.#gone.has(it.about)).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#processes.map((it) => it.child[Symbol.asyncDispose]()));
  }

  #of(names: readonly string[]): Child[] {
    return this.#processes.filter((it) => it.members.some((name) => names.includes(name)))
      .map((it) => it.child);
  }

  /** Members that nothing was done to. */
  #witnesses(): string[] {
    return this.#processes.flatMap((it) => it.members).filter((name) => !this.#gone.has(name));
  }

  /** When each witness first said this about somebody, since a time. */
  #first(type: Heard["type"], about: string, sinceMs: number): number[] {
    return this.#witnesses().flatMap((by) => {
      const it = this.#heard.find((it) =>
        it.by === by && it.type === type && it.about === about && it.atMs >= sinceMs
      );
      return it === undefined ? [] : [it.atMs];
    });
  }

  #met(): number {
    const pairs = this.#heard.filter((it) => it.type === "joined" && it.by !== it.about);
    return new Set(pairs.map((it) => `${it.by} ${it.about}`)).size;
  }

  #hear(it: Heard): void {
    this.#heard.push(it);
    for (const wake of [...this.#waiting]) wake();
  }

  async #until(
    what: string,
    holds: () => boolean,
    patienceMs: number,
    soFar: () => string,
  ): Promise<void> {
    const endsAt = performance.now() + patienceMs;
    while (!holds()) {
      const leftMs = endsAt - performance.now();
      if (leftMs <= 0) throw new Error(`not in ${patienceMs} ms: ${what} (${soFar()})`);
      await new Promise<void>((resolve) => {
        const wake = () => {
          clearTimeout(timer);
          this.#waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, leftMs);
        this.#waiting.add(wake);
      });
    }
  }
}

/** The process of the seed is given so long before the others start, ms. */
const seedHeadStartMs = 2000;

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
