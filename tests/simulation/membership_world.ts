/**
 * A cluster of bare SWIM machines under faults, watched: what it may and may not do.
 *
 * The world does by itself what the membership plugin does around a machine: a
 * process that starts joins through others, and now and then each asks one that
 * it believes gone. It remembers when a fault last touched each member, and holds
 * every verdict against that.
 */
import assert from "node:assert/strict";
import { suspicionMaxMs, type SwimConfig, type SwimEvent } from "@mycnet/protocols/swim";
import { SwimCluster, type SwimClusterOptions } from "../harness/swim/cluster.ts";
import type { Site } from "../harness/swim/site.ts";

/** What is done to members. */
export type Fault =
  | "crash"
  | "power"
  | "stop"
  | "cut"
  | "cut_one_way"
  | "jump"
  | "restart"
  | "leave"
  | "meta";

const reconnectMs = 5000;
/** News needs at most so long to get around, ms. */
const spreadMs = 10_000;

/** A watched cluster. */
export class MembershipWorld {
  readonly cluster: SwimCluster;
  readonly config: SwimConfig;
  /** What each member says of itself. */
  readonly meta: Map<Site, Uint8Array> = new Map();
  readonly log: string[] = [];
  /** Members that left or were switched off for good. */
  readonly gone: Set<Site> = new Set();
  /** When a fault last touched a member. */
  readonly #touchedMs: Map<Site, number> = new Map();
  /** Faults that go on, by member. */
  readonly #under: Map<Site, number> = new Map();
  /** The highest incarnation of each member that each process has told of. */
  readonly #told: Map<string, number> = new Map();
  /** Verdicts that no fault justifies. */
  readonly unjustified: string[] = [];
  deaths = 0;

  /** Starts `members` members, who join through the first. */
  constructor(
    members: number,
    options: Pick<SwimClusterOptions, "seed" | "config" | "conditions">,
  ) {
    this.config = options.config;
    this.cluster = new SwimCluster({
      ...options,
      onEvent: (site, event) => this.#watch(site, event),
    });
    for (let i = 0; i < members; i++) this.cluster.add(`m${i}`);
    const [first, ...others] = this.cluster.sites;
    for (const site of others) this.cluster.join(site, first!);
    for (const site of this.cluster.sites) this.#reconnect(site);
  }

  /** Members whose process is there and runs. */
  get running(): Site[] {
    return this.cluster.sites.filter((it) => it.state === "running" && !this.gone.has(it));
  }

  /** Does something to somebody, for up to `maxMs`. */
  inflict(fault: Fault, maxMs: number): void {
    const { cluster } = this;
    const { random, scheduler } = cluster;
    const candidates = this.running;
    if (candidates.length < 2) return;
    const site = random.pick(candidates);
    const ms = random.float() * maxMs;
    this.log.push(`${cluster.now.toFixed(0)} ${fault} ${site.name} ${ms.toFixed(0)}`);
    switch (fault) {
      case "crash":
      case "power": {
        const end = this.#begin([site]);
        cluster.crash(site, fault === "power");
        scheduler.after(ms, () => {
          end();
          this.#restart(site);
        });
        return;
      }
      case "restart":
        this.#begin([site])();
        cluster.crash(site);
        return this.#restart(site);
      case "stop": {
        const end = this.#begin([site]);
        cluster.halt(site, "stopped");
        return void scheduler.after(ms, () => {
          cluster.resume(site);
          end();
        });
      }
      case "cut":
      case "cut_one_way": {
        const near = candidates.filter((it) => it === site || random.chance(0.3));
        const far = cluster.sites.filter((it) => !near.includes(it));
        if (far.length === 0) return;
        // Whoever is cut off from somebody may be misjudged, by the one or through the other.
        const end = this.#begin([...near, ...far]);
        const names = [near, far].map((group) => group.map((it) => it.name));
        const cut = fault === "cut"
          ? cluster.network.partition(names)
          : cluster.network.partitionOneWay(names[0]!, names[1]!);
        return void scheduler.after(ms, () => {
          cut[Symbol.dispose]();
          end();
        });
      }
      case "jump":
        this.#begin([site])();
        return cluster.jump(site, ms);
      case "leave":
        if (candidates.length < 4) return;
        this.#begin([site]);
        this.gone.add(site);
        site.machine.leave(cluster.clock(site));
        cluster.settle(site);
        return void scheduler.after(spreadMs, () => cluster.crash(site));
      case "meta": {
        const meta = random.bytes(random.below(64));
        this.meta.set(site, meta);
        site.machine.updateMeta(meta, cluster.clock(site));
        return cluster.settle(site);
      }
    }
  }

  /** Everything heals; what is gone for good stays so. */
  heal(): void {
    const { cluster } = this;
    this.log.push(`${cluster.now.toFixed(0)} heal`);
    cluster.network.heal();
    cluster.network.setDefault({ loss: 0, duplicate: 0 });
    for (const site of cluster.sites) {
      if (this.gone.has(site)) continue;
      cluster.resume(site);
      if (site.state === "down") this.#restart(site);
    }
  }

  /** What live members believe that is not so; empty if they agree on the truth. */
  disagreements(): string[] {
    const wrong: string[] = [];
    for (const site of this.running) {
      for (const other of this.cluster.sites) {
        const seen = site.machine.member(other.name);
        if (this.gone.has(other)) {
          if (seen?.state === "alive" || seen?.state === "suspect") {
            wrong.push(`${site.name} believes ${other.name}, which is gone, ${seen.state}`);
          }
          continue;
        }
        const self = other.machine.self;
        if (seen?.state !== "alive" || seen.incarnation !== self.incarnation) {
          wrong.push(
            `${site.name} believes ${other.name} ${seen?.state ?? "unknown"} at ` +
              `${seen?.incarnation}, and it is alive at ${self.incarnation}`,
          );
        } else if (String(seen.meta) !== String(self.meta)) {
          wrong.push(`${site.name} has other metadata of ${other.name} than it has itself`);
        }
      }
    }
    return wrong;
  }

  /** Runs until all agree. @throws if they do not in time. */
  agree(withinMs: number): void {
    const endMs = this.cluster.now + withinMs;
    let wrong = this.disagreements();
    while (wrong.length > 0 && this.cluster.now < endMs) {
      this.cluster.run(1000);
      wrong = this.disagreements();
    }
    assert.deepEqual(wrong, [], this.story());
  }

  /** What was done, for the message of a failure. */
  story(): string {
    return `what was done:\n${this.log.join("\n")}`;
  }

  /** A fault touches members from now until the result is called. */
  #begin(sites: readonly Site[]): () => void {
    for (const site of sites) this.#under.set(site, (this.#under.get(site) ?? 0) + 1);
    return () => {
      for (const site of sites) {
        this.#under.set(site, this.#under.get(site)! - 1);
        this.#touchedMs.set(site, this.cluster.now);
      }
    };
  }

  /** True while a fault touches a member, and for as long after as a verdict may take. */
  #touched(site: Site): boolean {
    if ((this.#under.get(site) ?? 0) > 0) return true;
    const patienceMs = suspicionMaxMs(this.config, this.cluster.sites.length) + spreadMs;
    return this.cluster.now - (this.#touchedMs.get(site) ?? -Infinity) <= patienceMs;
  }

  #restart(site: Site): void {
    if (this.gone.has(site)) return;
    const meta = this.meta.get(site);
    this.cluster.restart(site, {
      ...(meta !== undefined && {
        self: { name: site.name, ip: site.ip, port: 7946, meta },
      }),
    });
    this.cluster.join(site, ...this.cluster.sites.filter((it) => it !== site).slice(0, 4));
  }

  /** Now and then one that is believed gone, or was never met, is asked. */
  #reconnect(site: Site): void {
    const { cluster } = this;
    cluster.scheduler.after(reconnectMs * (0.5 + site.random.float()), () => {
      const lost = cluster.sites.filter((it) => {
        const state = it === site ? "alive" : site.machine.member(it.name)?.state;
        return state !== "alive" && state !== "left";
      });
      if (site.state === "running" && !this.gone.has(site) && lost.length > 0) {
        cluster.join(site, site.random.pick(lost));
      }
      this.#reconnect(site);
    });
  }

  #watch(site: Site, event: SwimEvent): void {
    if (!("member" in event) || event.type === "conflict") return;
    const { name, incarnation } = event.member;
    const key = `${site.name}#${site.process} ${name}`;
    if (event.type === "reaped") return void this.#told.delete(key);
    const told = this.#told.get(key) ?? 0;
    if (incarnation < told) {
      this.unjustified.push(`${site.name} fell back on ${name} from ${told} to ${incarnation}`);
    }
    this.#told.set(key, incarnation);
    if (event.type !== "failed") return;
    this.deaths++;
    const about = this.cluster.site(name);
    if (this.#touched(about) || this.gone.has(about)) return;
    // Whoever stood still reads old news first; its own verdicts must hold all the same.
    if (event.by !== site.name && this.#touched(site)) return;
    this.unjustified.push(
      `${site.name} declared ${name} dead at ${this.cluster.now.toFixed(0)}, by ${event.by}`,
    );
  }
}
