/**
 * Critical calls of 64 bytes while a stream of bytes runs between the same two
 * nodes: what each leaves the other.
 *
 *     deno run -A bench/priorities.ts [--seconds 3] [--rounds 10] [--transports tcp,tls]
 *                                     [--placement apart] [--json]
 *
 * The stream alone, the calls alone and both at once take turns. Calls are one at
 * a time: 3 ms after the last one was answered, or at once.
 */
import type { BenchCluster } from "./lib/cluster.ts";
import { placed } from "./lib/cores.ts";
import type { BenchOptions } from "./lib/options.ts";
import {
  rowsOver,
  socketsAmong,
  type SocketTransport,
  startPair,
  trafficProgram,
} from "./lib/pair.ts";
import type { Report } from "./lib/report.ts";
import { alternate, median, medianRatio } from "./lib/rounds.ts";
import { runBenches } from "./lib/run.ts";
import type { Mixed, MixedOptions } from "./programs/traffic.ts";

/** The pauses between calls, in ms, by their names. */
const pauses = { "every 3 ms": 3, "back to back": 0 } as const;
/** What the stream should keep of its rate, and the calls' 99th percentile at the same time, in µs. */
const targets = { kept: 0.85, p99: 3000 } as const;

/** Measures calls beside a stream. */
export async function benchPriorities(options: BenchOptions): Promise<Report> {
  const rows = await rowsOver(
    socketsAmong(options.transports),
    (transport, cluster) => measure(transport, cluster, options),
  );
  return {
    bench: "priorities",
    what:
      `critical calls beside a stream of bytes (targets: ${targets.kept} of its rate kept, p99 ` +
      `${targets.p99} µs), ${placed(options.placement)}; medians of ${options.rounds} rounds, ` +
      `${options.seconds} s in all for each side`,
    columns: [
      { key: "transport", title: "over" },
      { key: "calls", title: "calls" },
      { key: "kept", title: "of the stream's rate" },
      { key: "p50", title: "p50 µs" },
      { key: "p99", title: "p99 µs" },
      { key: "rate", title: "MB/s" },
      { key: "aloneRate", title: "MB/s alone" },
      { key: "perSecond", title: "calls/s" },
      { key: "aloneP50", title: "p50 alone" },
      { key: "aloneP99", title: "p99 alone" },
    ],
    rows,
  };
}

async function measure(
  transport: SocketTransport,
  cluster: BenchCluster,
  { seconds, rounds, placement }: BenchOptions,
): Promise<Report["rows"]> {
  await using pair = await startPair({ transport, cluster, placement, program: trafficProgram });
  const side = (options: MixedOptions) => () => pair.caller.ask<Mixed>("mixed", options);
  const rows: Report["rows"][number][] = [];
  for (const [name, pauseMs] of Object.entries(pauses)) {
    const sides = (ms: number) => ({
      stream: side({ bulk: true, ms }),
      calls: side({ bulk: false, pauseMs, ms }),
      both: side({ bulk: true, pauseMs, ms }),
    });
    await alternate(1, sides(seconds * 300));
    const { stream, calls, both } = await alternate(rounds, sides(seconds * 1000 / rounds));
    const rate = (results: readonly Mixed[]) => results.map((it) => it.bytesPerSecond!);
    const of = (results: readonly Mixed[], key: "perSecond" | "p50Us" | "p99Us") =>
      median(results.map((it) => it.calls![key]));
    rows.push({
      transport,
      calls: name,
      kept: medianRatio(rate(both), rate(stream)),
      p50: of(both, "p50Us"),
      p99: of(both, "p99Us"),
      rate: median(rate(both)) / 1e6,
      aloneRate: median(rate(stream)) / 1e6,
      perSecond: Math.round(of(both, "perSecond")),
      aloneP50: of(calls, "p50Us"),
      aloneP99: of(calls, "p99Us"),
    });
  }
  return rows;
}

if (import.meta.main) await runBenches([benchPriorities]);
