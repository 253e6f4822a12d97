/**
 * False positives with slow members: plain SWIM beside SWIM with Lifeguard.
 *
 *     deno run -A bench/false_positives.ts [--slow 1,2,4,8,16,32] [--runs 10] [--json]
 *
 * 100 members in the simulator for two minutes a run, `lan` bounds; some are slow
 * as in the experiment of the Lifeguard paper (lib/slow_members.ts), and four
 * healthy ones crash. Both sides meet the same slow members, blocks and crashes.
 */
import type { BenchOptions } from "./lib/options.ts";
import type { Report } from "./lib/report.ts";
import { runBenches } from "./lib/run.ts";
import { type Detector, runSlow, type SlowRun } from "./lib/slow_members.ts";

/** Counts false positives. */
export function benchFalsePositives({ slow, runs }: BenchOptions): Promise<Report> {
  const rows = slow.map((count) => {
    const side = (detector: Detector) =>
      sum(Array.from({ length: runs }, (_, seed) => runSlow(count, detector, seed + 1)));
    const [plain, lifeguard] = [side("plain"), side("lifeguard")];
    return {
      slow: count,
      plain: plain.falseDeaths / runs,
      lifeguard: lifeguard.falseDeaths / runs,
      // None at all counts as one, so that the ratio says "at least".
      ratio: plain.falseDeaths / Math.max(1, lifeguard.falseDeaths),
      plainVictims: plain.victims / runs,
      victims: lifeguard.victims / runs,
      plainSuspect: mean(plain.suspectMs) / 1000,
      suspect: mean(lifeguard.suspectMs) / 1000,
      plainDead: mean(plain.deadMs) / 1000,
      dead: mean(lifeguard.deadMs) / 1000,
    };
  });
  return Promise.resolve({
    bench: "false_positives",
    what: `healthy members declared dead in two minutes with some of 100 members slow, plain ` +
      `SWIM beside Lifeguard; means of ${runs} runs, times from a crash in seconds`,
    columns: [
      { key: "slow", title: "slow" },
      { key: "plain", title: "declared dead, plain" },
      { key: "lifeguard", title: "Lifeguard" },
      { key: "ratio", title: "times fewer" },
      { key: "plainVictims", title: "victims, plain" },
      { key: "victims", title: "Lifeguard" },
      { key: "plainSuspect", title: "suspect s, plain" },
      { key: "suspect", title: "Lifeguard" },
      { key: "plainDead", title: "dead s, plain" },
      { key: "dead", title: "Lifeguard" },
    ],
    rows,
  });
}

function sum(runs: readonly SlowRun[]): SlowRun {
  return {
    falseDeaths: runs.reduce((all, it) => all + it.falseDeaths, 0),
    victims: runs.reduce((all, it) => all + it.victims, 0),
    suspectMs: runs.flatMap((it) => it.suspectMs),
    deadMs: runs.flatMap((it) => it.deadMs),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0) / values.length;
}

if (import.meta.main) await runBenches([benchFalsePositives]);
