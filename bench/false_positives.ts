/**
 * False positives with slow members: plain SWIM beside SWIM with Lifeguard.
 *
 *     deno run -A bench/false_positives.ts [--slow 1,2,4,8,16,32] [--runs 10] [--json]
 *
 * 100 members in the simulator for two minutes a run, `lan` bounds; some are slow as
 * in the experiment of the Lifeguard paper (lib/slow_members.ts), and eight healthy
 * ones crash. All sides meet the same slow members, blocks and crashes.
 *
 * Counted twice: events of failure about healthy members, at any member and at healthy
 * ones (the paper's FP and FP-), and distinct members that met that. Detection is the
 * time from a crash to the first event of failure at a healthy member, of crashes of
 * which none suspected the member before, on either side. It flatters who accuses
 * everybody: a member that a slow one happened to accuse shortly before it crashed is
 * declared dead sooner than any probe could tell. Hence the last columns leave out
 * the crashes that either side declared too early for a probe that began after them.
 */
import { suspicionMinMs, swimPresets } from "@mycnet/protocols/swim";
import type { BenchOptions } from "./lib/options.ts";
import type { Report } from "./lib/report.ts";
import { median, quantile } from "./lib/rounds.ts";
import { runBenches } from "./lib/run.ts";
import { type CrashStory, members, runSlow, type SlowRun } from "./lib/slow_members.ts";

const { lan } = swimPresets;
/** The period of a probe that began after the crash, and the shortest suspicion. */
const soonestMs = lan.probeIntervalMs + suspicionMinMs(lan, members);

/** Counts false positives. */
export function benchFalsePositives({ slow, runs }: BenchOptions): Promise<Report> {
  const rows = slow.map((count) => {
    const seeds = Array.from({ length: runs }, (_, i) => i + 1);
    const plain = seeds.map((seed) => runSlow(count, "plain", seed));
    const paper = seeds.map((seed) => runSlow(count, "paper", seed));
    const lifeguard = seeds.map((seed) => runSlow(count, "lifeguard", seed));
    const [before, after] = [crashesOf(plain), crashesOf(lifeguard)];
    const clean = before.map((it, i) => !it.accused && !after[i]!.accused);
    const late = (it: CrashStory) => (it.deadMs ?? Infinity) >= soonestMs;
    const proven = clean.map((is, i) => is && late(before[i]!) && late(after[i]!));
    return {
      slow: count,
      plain: each(plain, "falseDeaths"),
      paper: each(paper, "falseDeaths"),
      lifeguard: each(lifeguard, "falseDeaths"),
      // None at all counts as one, so that the ratio says "at least".
      ratio: sum(plain, "falseDeaths") / Math.max(1, sum(lifeguard, "falseDeaths")),
      plainHealthy: each(plain, "falseDeathsAtHealthy"),
      healthy: each(lifeguard, "falseDeathsAtHealthy"),
      plainVictims: each(plain, "victims"),
      paperVictims: each(paper, "victims"),
      victims: each(lifeguard, "victims"),
      victimRatio: sum(plain, "victims") / Math.max(1, sum(lifeguard, "victims")),
      plainDead: times(before, clean),
      dead: times(after, clean),
      early: before.filter((it) => !late(it)).length,
      plainProven: times(before, proven),
      proven: times(after, proven),
    };
  });
  return Promise.resolve({
    bench: "false_positives",
    what: `healthy members declared dead in two minutes with some of ${members} members slow, ` +
      `plain SWIM, SWIM with what the Lifeguard paper adds, and with our deafness rule as well; ` +
      `means of ${runs} runs; detection as median/99th percentile, in seconds`,
    columns: [
      { key: "slow", title: "slow" },
      { key: "plain", title: "declared dead, plain" },
      { key: "paper", title: "paper" },
      { key: "lifeguard", title: "ours" },
      { key: "ratio", title: "times fewer" },
      { key: "plainHealthy", title: "at healthy, plain" },
      { key: "healthy", title: "ours" },
      { key: "plainVictims", title: "victims, plain" },
      { key: "paperVictims", title: "paper" },
      { key: "victims", title: "ours" },
      { key: "victimRatio", title: "times fewer" },
      { key: "plainDead", title: "detection, plain" },
      { key: "dead", title: "ours" },
      { key: "early", title: "plain too early" },
      { key: "plainProven", title: "without those, plain" },
      { key: "proven", title: "ours" },
    ],
    rows,
  });
}

type Count = "falseDeaths" | "falseDeathsAtHealthy" | "victims";

function sum(runs: readonly SlowRun[], key: Count): number {
  return runs.reduce((all, it) => all + it[key], 0);
}

function each(runs: readonly SlowRun[], key: Count): number {
  return sum(runs, key) / runs.length;
}

function crashesOf(runs: readonly SlowRun[]): CrashStory[] {
  return runs.flatMap((it) => it.crashes);
}

function times(stories: readonly CrashStory[], counted: readonly boolean[]): string {
  const ms = stories.filter((_, i) => counted[i]).flatMap((it) => it.deadMs ?? []);
  return `${(median(ms) / 1000).toFixed(2)}/${(quantile(ms, 0.99) / 1000).toFixed(2)}`;
}

if (import.meta.main) await runBenches([benchFalsePositives]);
