/** Clusters of bare SWIM machines: what holds for all of them together. */
import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import {
  type SwimConfig,
  type SwimEvent,
  type SwimMember,
  swimPresets,
} from "@mycnet/protocols/swim";
import { SwimCluster, type SwimClusterOptions } from "../harness/swim/cluster.ts";
import type { Site } from "../harness/swim/site.ts";

/** How a cluster is made. */
interface ClusterOptions extends Pick<SwimClusterOptions, "conditions"> {
  readonly members: number;
  readonly seed: number;
  /** Overrides of the default preset. */
  readonly config?: Partial<SwimConfig>;
  /** The share of packets that are lost, while streams lose nothing. Default 0. */
  readonly packetLoss?: number;
  /** Everybody knows everybody at the start. Default true. */
  readonly formed?: boolean;
}

/** An event with its time and the member that it was told to. */
type Told = SwimEvent & { readonly atMs: number; readonly at: string };

/** A cluster of members by number that remembers what they tell. */
class Cluster extends SwimCluster {
  readonly events: Told[] = [];

  constructor({ members, config, formed = true, packetLoss = 0, ...options }: ClusterOptions) {
    super({
      ...options,
      onPacket: () => !this.random.chance(packetLoss),
      config: { ...swimPresets.default, ...config },
      shareCards: true,
      onEvent: (site, event) => this.events.push({ ...event, atMs: this.now, at: site.name }),
    });
    for (let i = 0; i < members; i++) this.add(nameOf(i));
    if (formed) this.form();
  }

  /** A member by its number. */
  nth(index: number): Site {
    return this.sites[index]!;
  }

  /** What one member believes of another: its state, or undefined if it does not know it. */
  view(of: number, about: number): SwimMember["state"] | undefined {
    return this.nth(of).machine.member(nameOf(about))?.state;
  }

  /** Those that are up and believe something else of `about`. */
  disagree(about: number, state: SwimMember["state"] | undefined): number[] {
    return [...this.sites.keys()].filter((index) =>
      index !== about && this.nth(index).state !== "down" && this.view(index, about) !== state
    );
  }

  told(type: SwimEvent["type"]): Told[] {
    return this.events.filter((event) => event.type === type);
  }

  /** Nothing passes between the members for whom `apart` is true and the others, until disposed. */
  cut(apart: (index: number) => boolean): Disposable {
    const names = [true, false].map((side) =>
      [...this.sites.keys()].filter((index) => apart(index) === side).map(nameOf)
    );
    return this.network.partition(names);
  }

  sum(of: (site: Site) => number): number {
    return this.sites.reduce((all, site) => all + of(site), 0);
  }
}

function nameOf(index: number): string {
  return `n${index}`;
}

/** As in harness.ts: `--seeds 500` runs fifty times as many, `--from 1000` others. */
const { values: given } = parseArgs({
  args: Deno.args,
  strict: false,
  options: { seeds: { type: "string" }, from: { type: "string" } },
});
const from = Number(given.from ?? 1);
const seeds = Array.from({ length: Math.ceil(Number(given.seeds ?? 10) / 2) }, (_, i) => from + i);

function forSeeds(
  sentence: string,
  options: Omit<ClusterOptions, "seed">,
  script: (cluster: Cluster) => void,
): void {
  Deno.test(`${sentence} (${seeds.length} seeds from ${from})`, () => {
    for (const seed of seeds) {
      const cluster = new Cluster({ ...options, seed });
      try {
        script(cluster);
      } catch (error) {
        throw new Error(`seed ${seed}, after ${cluster.now} ms`, { cause: error });
      }
    }
  });
}

/** Runs until `done`, checked every 100 ms; fails after `maxMs`. Returns how long it took. */
function until(cluster: Cluster, what: string, maxMs: number, done: () => boolean): number {
  const began = cluster.now;
  while (!done()) {
    assert.ok(cluster.now - began < maxMs, `${what} within ${maxMs} ms`);
    cluster.run(100);
  }
  return cluster.now - began;
}

/** Members that are up and were declared dead by somebody. */
function wronged(cluster: Cluster): string[] {
  return cluster.told("failed").flatMap((event) => {
    if (event.type !== "failed") return [];
    const { name } = event.member;
    return cluster.site(name).state === "down" ? [] : [`${name} by ${event.by}`];
  });
}

const everybody = (cluster: Cluster, state: "alive") =>
  cluster.sites.every((site, index) =>
    site.state === "down" || cluster.disagree(index, state).length === 0
  );

forSeeds(
  "a hundred that join one after the other all know each other",
  { members: 100, formed: false },
  (cluster) => {
    for (let i = 1; i < 100; i++) {
      cluster.join(cluster.nth(i), cluster.nth(cluster.random.below(i)));
      cluster.run(20);
    }
    cluster.run(3000);
    const known = cluster.sum(({ machine }) => machine.size);
    assert.ok(known > 0.99 * 100 * 100, `${known} of 10000`);
    // What gossip missed, by chance, comes with the next push/pull.
    until(cluster, "all know all", 100_000, () => everybody(cluster, "alive"));
    assert.deepEqual(cluster.told("suspected"), []);
  },
);

forSeeds("without faults nobody is suspected", { members: 100 }, (cluster) => {
  cluster.run(60_000);
  assert.deepEqual(cluster.told("suspected"), []);
  assert.deepEqual(cluster.told("paused"), []);
  assert.ok(cluster.sites.every(({ machine }) => machine.counters.pingCount >= 59));
});

forSeeds("all agree that the one that crashed is dead, and on nothing else", {
  members: 100,
}, (cluster) => {
  cluster.run(3000);
  cluster.crash(cluster.nth(42));
  // A period until somebody probes it on average, one for the probe, 8 s of suspicion, gossip.
  until(cluster, "all agree", 15_000, () => cluster.disagree(42, "dead").length === 0);
  assert.deepEqual(wronged(cluster), []);
  const failed = cluster.told("failed");
  assert.equal(failed.length, 99, "each is told once");
  assert.ok(failed.at(-1)!.atMs - failed[0]!.atMs < 2000, "the word takes less than 2 s");
});

forSeeds("in a small cluster death is certain within 7 s", { members: 5 }, (cluster) => {
  cluster.run(2000);
  cluster.crash(cluster.nth(3));
  const tookMs = until(cluster, "all agree", 8500, () => cluster.disagree(3, "dead").length === 0);
  assert.ok(tookMs > 1000);
  assert.deepEqual(wronged(cluster), []);
});

forSeeds("at 30% loss nobody who lives is declared dead, and the crashed one is", {
  members: 50,
  packetLoss: 0.3,
}, (cluster) => {
  cluster.run(60_000);
  cluster.crash(cluster.nth(7));
  until(cluster, "all agree", 60_000, () => cluster.disagree(7, "dead").length === 0);
  assert.deepEqual(wronged(cluster), []);
});

forSeeds("who leaves has left, for everybody, and is not suspected", { members: 30 }, (cluster) => {
  cluster.run(2000);
  const node = cluster.nth(9);
  node.machine.leave(cluster.now);
  cluster.settle(node);
  until(cluster, "leave sent", 5000, () => node.machine.status === "left");
  cluster.crash(node);
  until(cluster, "all agree", 40_000, () => cluster.disagree(9, "left").length === 0);
  assert.deepEqual(cluster.told("suspected"), []);
  assert.deepEqual(cluster.told("failed"), []);
});

forSeeds("a process stopped for less than the suspicion lives on, and blames nobody", {
  members: 30,
}, (cluster) => {
  cluster.run(2000);
  cluster.halt(cluster.nth(4), "stopped");
  cluster.run(3500);
  cluster.resume(cluster.nth(4));
  cluster.run(20_000);
  assert.deepEqual(wronged(cluster), []);
  assert.ok(everybody(cluster, "alive"));
  assert.equal(cluster.told("paused").filter(({ at }) => at === nameOf(4)).length, 1);
  const blamed = cluster.told("suspected").filter((event) =>
    event.type === "suspected" && event.by === nameOf(4)
  );
  assert.deepEqual(blamed, []);
});

forSeeds("a process stopped for longer is dead, comes back, and all agree that it lives", {
  members: 30,
}, (cluster) => {
  cluster.run(2000);
  cluster.halt(cluster.nth(4), "stopped");
  until(cluster, "declared dead", 20_000, () => cluster.disagree(4, "dead").length === 0);
  cluster.run(5000);
  cluster.resume(cluster.nth(4));
  // Mostly at once; who missed the refutation by chance has it with the next push/pull.
  until(cluster, "back", 40_000, () => cluster.disagree(4, "alive").length === 0);
  cluster.run(20_000);
  assert.ok(everybody(cluster, "alive"));
  const dead = new Set(wronged(cluster).map((text) => text.split(" ")[0]));
  assert.deepEqual([...dead], ["n4"]);
});

forSeeds("who starts anew under its name, knowing nothing, is soon alive to all", {
  members: 20,
}, (cluster) => {
  cluster.run(2000);
  cluster.crash(cluster.nth(5));
  until(cluster, "dead", 20_000, () => cluster.disagree(5, "dead").length === 0);
  cluster.restart(cluster.nth(5), { incarnation: 1 });
  cluster.join(cluster.nth(5), cluster.nth(0));
  until(cluster, "alive again", 40_000, () => everybody(cluster, "alive"));
  assert.equal(cluster.nth(5).machine.size, 20);
  assert.ok(cluster.nth(5).machine.self.incarnation > 1, "it refuted its own death");
  cluster.run(20_000);
  assert.ok(everybody(cluster, "alive"));
});

forSeeds("two halves that could not hear each other agree soon after they can", {
  members: 30,
}, (cluster) => {
  cluster.run(2000);
  const half = (index: number) => index < 15;
  const cut = cluster.cut(half);
  until(
    cluster,
    "each half buries the other",
    40_000,
    () =>
      cluster.sites.every((_, index) =>
        cluster.sites.every((_, other) => {
          const state = cluster.view(index, other);
          return half(index) === half(other)
            ? state === "alive"
            : state === "dead" || state === undefined;
        })
      ),
  );
  cluster.run(60_000);
  cut[Symbol.dispose]();
  // What the node's plugin does with peers that it knows of. Gossip may miss one by chance;
  // the next push/pull brings it the rest.
  until(cluster, "one cluster again", 45_000, () => {
    const node = cluster.nth(3);
    if (cluster.now % 5000 < 100) node.machine.sync(cluster.nth(20).address, cluster.now);
    cluster.settle(node);
    return everybody(cluster, "alive");
  });
});

forSeeds("a short cut heals by itself", { members: 30 }, (cluster) => {
  cluster.run(2000);
  {
    using _cut = cluster.cut((index) => index < 5);
    cluster.run(3500);
  }
  until(cluster, "all agree", 60_000, () => everybody(cluster, "alive"));
});

forSeeds("push/pull alone spreads what gossip lost", {
  members: 20,
  packetLoss: 1,
  config: { pushPullIntervalMs: 2000, probeIntervalMs: 1_000_000 },
}, (cluster) => {
  const node = cluster.nth(0);
  node.machine.updateMeta(Uint8Array.of(1), cluster.now);
  cluster.settle(node);
  until(
    cluster,
    "all have heard",
    60_000,
    () => cluster.sites.every(({ machine }) => machine.member(nameOf(0))!.meta.length === 1),
  );
});

forSeeds("half of all crash at once, and the others still agree", { members: 60 }, (cluster) => {
  cluster.run(2000);
  for (let i = 0; i < 60; i += 2) cluster.crash(cluster.nth(i));
  until(cluster, "all agree", 120_000, () => {
    for (let i = 0; i < 60; i += 2) {
      if (
        !cluster.sites.every((site, index) => {
          const state = cluster.view(index, i);
          return site.state === "down" || state === "dead" || state === undefined;
        })
      ) return false;
    }
    return true;
  });
  cluster.run(10_000);
  assert.deepEqual(wronged(cluster), []);
  assert.ok(everybody(cluster, "alive"));
});

Deno.test("a seed repeats a run to the last packet", () => {
  const run = () => {
    const cluster = new Cluster({ members: 40, seed: 77, conditions: { loss: 0.1 } });
    cluster.run(3000);
    cluster.crash(cluster.nth(3));
    cluster.run(20_000);
    return [
      cluster.sum(({ machine }) => machine.counters.packetsSent),
      cluster.sum(({ machine }) => machine.counters.bytesSent),
      cluster.events.length,
      JSON.stringify(cluster.events.at(-1)),
    ];
  };
  assert.deepEqual(run(), run());
});

Deno.test("the load of a member does not grow with the cluster, but for the news it passes on", () => {
  const rate = (members: number) => {
    const cluster = new Cluster({ members, seed: 5 });
    cluster.run(20_000);
    return cluster.sum(({ machine }) => machine.counters.packetsSent) / members / 20;
  };
  const [small, large] = [rate(20), rate(400)];
  // A ping out and an ack out each second.
  assert.ok(small > 1.9 && small < 2.3, `${small}`);
  assert.ok(large > 1.9 && large < 2.3, `${large}`);
});
