/**
 * One stream of bytes over one link, beside a bare copy over a socket of its kind.
 *
 *     deno run -A bench/bulk.ts [--seconds 3] [--rounds 10] [--transports tcp,tls]
 *                               [--placement apart] [--json]
 *
 * Ours is `node.bulk.send` of chunks of 64 KiB, checksums included, until the
 * receiver has read all; the copy is chunks of 64 KiB written to a socket until
 * its reader has read all. Both readers use one buffer again and again, where the
 * socket lets them: node:tls does not.
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
import type { Mixed, MixedOptions } from "./programs/traffic.ts";

/** How much of the bare copy there should be. */
const target = 0.85;

/** Measures streams of bytes. */
export async function benchBulk(options: BenchOptions): Promise<Report> {
  const rows = await rowsOver(
    socketsAmong(options.transports),
    async (transport, cluster) => [await measure(transport, cluster, options)],
  );
  return {
    bench: "bulk",
    what: `a stream of bytes over one link beside a bare copy, ${placed(options.placement)}; ` +
      `medians of ${options.rounds} rounds, ${options.seconds} s in all for each side`,
    columns: [
      { key: "transport", title: "over" },
      { key: "ratio", title: "ours/bare" },
      { key: "target", title: "target" },
      { key: "rate", title: "MB/s" },
      { key: "bareRate", title: "bare MB/s" },
    ],
    rows,
  };
}

async function measure(
  transport: SocketTransport,
  cluster: BenchCluster,
  { seconds, rounds, placement }: BenchOptions,
): Promise<Report["rows"][number]> {
  await using bare = await startBare(socketOf[transport], cluster, placement, true);
  await using ours = await startPair({ transport, cluster, placement, program: trafficProgram });
  const sides = (ms: number) => ({
    bare: () => bare.caller.ask<number>("copy", ms),
    ours: async () => {
      const options: MixedOptions = { bulk: true, ms };
      return (await ours.caller.ask<Mixed>("mixed", options)).bytesPerSecond!;
    },
  });
  await alternate(1, sides(seconds * 300));
  const results = await alternate(rounds, sides(seconds * 1000 / rounds));
  return {
    transport,
    ratio: medianRatio(results.ours, results.bare),
    target,
    rate: median(results.ours) / 1e6,
    bareRate: median(results.bare) / 1e6,
  };
}

if (import.meta.main) await runBenches([benchBulk]);
