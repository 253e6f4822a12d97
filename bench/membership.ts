/**
 * Membership in the simulator, from a formed view with 1% of crashes: how soon it
 * is noticed, how the word spreads, what it costs.
 *
 *     deno run -A bench/membership.ts [--members 10,100,1000,10000] [--crashes 2000] [--json]
 *
 * Bare SWIM machines with the default configuration on a simulated local network
 * (0.2 ms and on average 0.3 more); every packet is encoded and decoded, streams are
 * not compressed. The first probe that meets a crashed member is set beside its
 * analytic expectation for members that probe unsynchronised; lib/detection.ts
 * derives it. Everything else is of runs of 60 virtual seconds, the first ten of
 * them quiet: a process for each size, so that its time and memory are the size's own.
 */
import { crashesOf, expectedProbeMs, periodMs, type RunFindings } from "./lib/detection.ts";
import type { BenchOptions } from "./lib/options.ts";
import { Program } from "./lib/program.ts";
import type { Cell, Report } from "./lib/report.ts";
import { median } from "./lib/rounds.ts";
import { runBenches } from "./lib/run.ts";

const program = new URL("./programs/swim.ts", import.meta.url);
const quietMs = 10_000;
const runMs = 60_000;
/** So many crashes are followed to their end, where runs are cheap. */
const storiesWanted = 100;
const linkBytesPerSecond = 1e9 / 8;
/**
 * The heap may exceed by 60% what lives in it, for ten thousand views leave less room
 * for garbage than is usual; and what lives for a moment has 32 MiB in which to die.
 */
const flags = [
  "--v8-flags=--heap-growing-percent=60,--min-semi-space-size=32,--max-semi-space-size=32",
];

/** Measures membership. */
export async function benchMembership(options: BenchOptions): Promise<Report> {
  const sizes = [];
  for (const members of options.members) sizes.push(await measure(members, options.crashes));
  return {
    bench: "membership",
    what:
      `SWIM in the simulator with 1% of crashes, ${periodMs} ms a period; times in seconds of ` +
      `virtual time, means. Expected for the first probe: T(n-1)/(n-k+1), as n-k members probe ` +
      `unsynchronised. ${fitOf(sizes)}`,
    columns: [
      { key: "members", title: "members" },
      { key: "crashes", title: "crashes" },
      { key: "probe", title: "first probe" },
      { key: "expected", title: "expected" },
      { key: "ratio", title: "ratio" },
      { key: "suspect", title: "suspect" },
      { key: "dead", title: "dead" },
      { key: "half", title: "half heard" },
      { key: "all", title: "all heard" },
      { key: "packets", title: "packets/member/s" },
      { key: "bytes", title: "B/member/s" },
      { key: "crashBytes", title: "with crashes" },
      { key: "syncBytes", title: "push/pull B/member/s" },
      { key: "share", title: "% of 1 Gbit/s" },
      { key: "wall", title: "real s for 60" },
      { key: "peak", title: "peak MiB" },
      { key: "falseDeaths", title: "false deaths" },
    ],
    rows: sizes,
  };
}

type Row = Record<"members" | "all", number> & Record<string, Cell>;

async function measure(members: number, crashes: number): Promise<Row> {
  await using process = await Program.start(program, { members }, flags);
  const runs: RunFindings[] = [];
  const wall: number[] = [];
  // First, for the peak of memory is to be theirs.
  while (runs.length * crashesOf(members) < Math.min(crashes, storiesWanted)) {
    await process.ask("begin", { seed: runs.length + 1, quietMs });
    let tookMs = 0;
    for (let ms = 0; ms < runMs; ms += 1000) tookMs += await process.ask<number>("advance", 1000);
    wall.push(tookMs / 1000);
    runs.push(await process.ask<RunFindings>("findings"));
  }
  const peak = await process.ask<number>("peak");
  const suspectedMs: number[] = [];
  for (let seed = 1; suspectedMs.length < crashes; seed++) {
    suspectedMs.push(...await process.ask<number[]>("detect", seed));
  }
  const stories = runs.flatMap((it) => it.stories);
  const seconds = (of: (story: RunFindings["stories"][number]) => number) =>
    mean(stories.map(of)) / 1000;
  const cost = (of: (run: RunFindings) => number) => mean(runs.map(of));
  // The verdict falls one period after the probe was sent.
  const probe = (mean(suspectedMs) - periodMs) / 1000;
  const expected = expectedProbeMs(members, crashesOf(members)) / 1000;
  const whole = cost((it) => it.whole.bytes + it.whole.streamBytes);
  return {
    members,
    crashes: suspectedMs.length,
    probe,
    expected,
    ratio: probe / expected,
    suspect: mean(suspectedMs) / 1000,
    dead: seconds((it) => it.deadMs),
    half: seconds((it) => it.halfHeardMs),
    all: seconds((it) => it.allHeardMs),
    packets: cost((it) => it.quiet.packets),
    bytes: cost((it) => it.quiet.bytes),
    crashBytes: cost((it) => it.whole.bytes),
    syncBytes: cost((it) => it.whole.streamBytes),
    share: whole / linkBytesPerSecond * 100,
    wall: median(wall),
    peak: peak / 1024 / 1024,
    falseDeaths: cost((it) => it.falseDeaths) * runs.length,
  };
}

/** The line through dissemination times over the logarithm of the size, by least squares. */
function fitOf(rows: readonly Row[]): string {
  if (rows.length < 2) return "";
  const xs = rows.map((it) => Math.log10(it.members));
  const ys = rows.map((it) => it.all);
  const [x, y] = [mean(xs), mean(ys)];
  const sum = (of: (i: number) => number) => xs.reduce((all, _, i) => all + of(i), 0);
  const slope = sum((i) => (xs[i] - x) * (ys[i] - y)) / sum((i) => (xs[i] - x) ** 2);
  const rest = sum((i) => (ys[i] - y - slope * (xs[i] - x)) ** 2);
  const r2 = 1 - rest / sum((i) => (ys[i] - y) ** 2);
  return `All had heard after ${(y - slope * x).toFixed(2)} + ${slope.toFixed(2)} log10(n) s ` +
    `(R² ${r2.toFixed(3)}).`;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

if (import.meta.main) await runBenches([benchMembership]);
