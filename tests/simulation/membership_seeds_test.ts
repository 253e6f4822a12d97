// Membership under faults drawn from seeds. How many: `--seeds 500`, or as many as
// fit into `--minutes 10`; `--from 1000` begins elsewhere. The number is printed.
import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import { swimPresets } from "@mycnet/protocols/swim";
import { Random } from "../../simulation.ts";
import { type Fault, MembershipWorld } from "./membership_world.ts";

const { values: given } = parseArgs({
  args: Deno.args,
  strict: false,
  options: { seeds: { type: "string" }, minutes: { type: "string" }, from: { type: "string" } },
});

/** A property under many seeds; the one that breaks it is named. */
function underSeeds(sentence: string, usual: number, run: (seed: number) => void): void {
  Deno.test(sentence, () => {
    const from = Number(given.from ?? 1);
    const endsAt = performance.now() + Number(given.minutes ?? Infinity) * 60_000;
    const most = given.minutes === undefined ? Number(given.seeds ?? usual) : Infinity;
    let seed = from;
    for (; seed < from + most && performance.now() < endsAt; seed++) {
      try {
        run(seed);
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
      }
    }
    console.log(`${seed - from} seeds from ${from}`);
  });
}

/** A world whose size, network and presets the seed determines. */
function worldOf(seed: number, maxLoss: number): { world: MembershipWorld; random: Random } {
  const random = new Random(`membership ${seed}`);
  const loss = random.pick([0, maxLoss / 4, maxLoss]);
  // The preset for one machine spares on repetition, since little is lost there.
  const { default: usual, lan, local } = swimPresets;
  const config = random.pick(loss <= 0.05 ? [usual, lan, local] : [usual, lan]);
  const world = new MembershipWorld(3 + random.below(10), {
    seed,
    config: { ...config, pushPullIntervalMs: 10_000 },
    conditions: {
      delay: random.pick([
        { kind: "exponential", minMs: 0.2, meanMs: 0.5 },
        { kind: "lognormal", medianMs: 10, sigma: 0.6 },
      ]),
      loss,
      duplicate: random.pick([0, 0.1]),
    },
  });
  world.cluster.run(10_000);
  return { world, random };
}

const everyFault: readonly Fault[] = [
  "crash",
  "power",
  "stop",
  "cut",
  "cut_one_way",
  "jump",
  "restart",
  "leave",
  "meta",
];

underSeeds(
  "after any faults, members that live and are connected agree on the truth once it is quiet",
  40,
  (seed) => {
    const { world, random } = worldOf(seed, 0.2);
    world.agree(60_000);
    for (let faults = 3 + random.below(12); faults > 0; faults--) {
      world.inflict(random.pick(everyFault), random.pick([1000, 10_000, 60_000]));
      world.cluster.run(random.float() * 10_000);
    }
    world.cluster.run(60_000);
    world.heal();
    world.agree(180_000);
    // Nothing moves any more, and nobody who is gone returns.
    const changes = () =>
      world.running.map((it) =>
        it.machine.counters.topologyChanges + it.machine.counters.refutations
      );
    world.cluster.run(60_000);
    const before = changes();
    world.cluster.run(60_000);
    assert.deepEqual(world.disagreements(), [], world.story());
    assert.deepEqual(changes(), before, world.story());
  },
);

underSeeds(
  "nobody is declared dead without a fault that justifies it, and no incarnation falls back",
  40,
  (seed) => {
    const { world, random } = worldOf(seed, 0.05);
    world.agree(60_000);
    // A cut touches everybody; without cuts, those that no fault has met stand out.
    const faults = random.chance(0.3) ? everyFault : everyFault.filter((it) => !/^cut/.test(it));
    for (let left = 3 + random.below(8); left > 0; left--) {
      world.inflict(random.pick(faults), random.pick([1000, 10_000, 40_000]));
      world.cluster.run(random.float() * 60_000);
    }
    world.cluster.run(60_000);
    assert.deepEqual(world.unjustified, [], world.story());
  },
);

underSeeds(
  "no suspicion ends in death where packets are lost and clocks jump, and nothing fails",
  10,
  (seed) => {
    const { world, random } = worldOf(seed, 0.1);
    world.agree(60_000);
    for (let jumps = 5; jumps > 0; jumps--) {
      world.inflict(random.pick(["jump", "meta"]), 30_000);
      world.cluster.run(random.float() * 60_000);
    }
    assert.equal(world.deaths, 0, world.story());
    world.agree(60_000);
  },
);
