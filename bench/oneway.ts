/**
 * One-way messages of 100 bytes from one node to another, beside bare frames of
 * the same bodies, coalesced and not answered.
 *
 *     deno run -A bench/oneway.ts [--seconds 3] [--rounds 10] [--transports tcp,tls]
 *                                 [--placement apart] [--json]
 *
 * `best-effort` is `node.send`, the sender waiting for room; `high`
 * has 1024 messages at a time whose acknowledgement is awaited; `guaranteed` as
 * many that are on their way to the disk. What counts is what had arrived when the
 * last one had.
 */
import { startBare } from "./bare.ts";
import type { BenchCluster } from "./lib/cluster.ts";
import { placed } from "./lib/cores.ts";
import type { BenchOptions } from "./lib/options.ts";
import {
  rowsOver,
  socketOf,
  socketsAmong,
  type SocketTransport,
  startPair,
  trafficProgram,
} from "./lib/pair.ts";
import type { Report } from "./lib/report.ts";
import { alternate, median, medianRatio } from "./lib/rounds.ts";
import { runBenches } from "./lib/run.ts";
import type { FloodOptions, Promised } from "./programs/traffic.ts";

/** What is promised, and how many messages a second there should be. */
const subjects: readonly (readonly [Promised, number | undefined])[] = [
  ["best-effort", 3_000_000],
  ["high", undefined],
  ["guaranteed", undefined],
];

/** Measures messages without an answer. */
export async function benchOneWay(options: BenchOptions): Promise<Report> {
  const rows = await rowsOver(
    socketsAmong(options.transports),
    (transport, cluster) => measure(transport, cluster, options),
  );
  return {
    bench: "oneway",
    what: `messages of 100 bytes without an answer, ${placed(options.placement)}; medians of ` +
      `${options.rounds} rounds, ${options.seconds} s in all for each side`,
    columns: [
      { key: "transport", title: "over" },
      { key: "promised", title: "promised" },
      { key: "perSecond", title: "messages/s" },
      { key: "target", title: "target" },
      { key: "ratio", title: "ours/bare" },
      { key: "barePerSecond", title: "bare messages/s" },
    ],
    rows,
  };
}

async function measure(
  transport: SocketTransport,
  cluster: BenchCluster,
  { seconds, rounds, placement }: BenchOptions,
): Promise<Report["rows"]> {
  await using bare = await startBare(socketOf[transport], cluster, placement);
  await using ours = await startPair({ transport, cluster, placement, program: trafficProgram });
  const rows: Report["rows"][number][] = [];
  for (const [promised, target] of subjects) {
    const sides = (ms: number) => ({
      bare: () => bare.caller.ask<number>("flood", ms),
      ours: () => ours.caller.ask<number>("flood", { promised, ms } satisfies FloodOptions),
    });
    await alternate(1, sides(seconds * 300));
    const results = await alternate(rounds, sides(seconds * 1000 / rounds));
    rows.push({
      transport,
      promised,
      perSecond: Math.round(median(results.ours)),
      target,
      ratio: medianRatio(results.ours, results.bare),
      barePerSecond: Math.round(median(results.bare)),
    });
  }
  return rows;
}

if (import.meta.main) await runBenches([benchOneWay]);
