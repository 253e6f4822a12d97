/**
 * Calls per second and their latency, over memory, tcp and tls, beside a bare
 * echo on the same kind of socket.
 *
 *     deno run -A bench/calls.ts [--seconds 3] [--rounds 10] [--inflight 1,256]
 *                                [--transports memory,tcp,tls]
 *                                [--placement apart] [--json]
 *
 * Two processes on loopback a side (over memory: one), the sides taking turns.
 * `request` is `node.request` with 64 bytes; `typed call` is a service's method
 * with zod schemas and MessagePack both ways; `bare + MessagePack` is the bare
 * echo with the same values encoded and decoded on both sides, and nothing else.
 * Where the two processes run makes a factor of two (lib/cores.ts), so they are
 * placed; the processor time of a call, both processes together, hardly depends on
 * that, nor on what else the machine does.
 */
import { startBare } from "./bare.ts";
import type { BenchCluster } from "./lib/cluster.ts";
import { placed } from "./lib/cores.ts";
import { cpuOf } from "./lib/cpu.ts";
import type { LoadOptions, Round } from "./lib/load.ts";
import type { BenchOptions, BenchTransport } from "./lib/options.ts";
import { rowsOver, socketOf, startPair } from "./lib/pair.ts";
import type { Program } from "./lib/program.ts";
import type { Report } from "./lib/report.ts";
import { alternate, median, medianRatio } from "./lib/rounds.ts";
import { runBenches } from "./lib/run.ts";

/** What is compared with the bare echo, by the names of the columns. */
const subjects = { message: "request", typed: "typed call", coded: "bare + MessagePack" } as const;

/** Measures calls. */
export async function benchCalls(options: BenchOptions): Promise<Report> {
  const rows = await rowsOver(
    options.transports,
    (transport, cluster) => measure(transport, cluster, options),
  );
  return {
    bench: "calls",
    what: `calls between two processes beside a bare echo of 80-byte frames; ` +
      `${
        placed(options.placement)
      }; medians of ${options.rounds} rounds, ${options.seconds} s in ` +
      `all for each side`,
    columns: [
      { key: "transport", title: "over" },
      { key: "inFlight", title: "in flight" },
      { key: "what", title: "what" },
      { key: "ratio", title: "ours/bare" },
      { key: "perSecond", title: "calls/s" },
      { key: "barePerSecond", title: "bare calls/s" },
      { key: "cpu", title: "CPU ns/call" },
      { key: "bareCpu", title: "bare CPU ns" },
      { key: "p50", title: "p50 µs" },
      { key: "bareP50", title: "bare p50" },
      { key: "p99", title: "p99 µs" },
      { key: "bareP99", title: "bare p99" },
    ],
    rows,
  };
}

async function measure(
  transport: BenchTransport,
  cluster: BenchCluster,
  { seconds, rounds, inFlight: levels, placement }: BenchOptions,
): Promise<Report["rows"]> {
  await using bare = await startBare(socketOf[transport], cluster, placement);
  await using ours = await startPair({ transport, cluster, placement });
  const side =
    (pair: typeof ours | typeof bare, what: string, inFlight: number, ms: number) => () =>
      loaded(pair, { what, inFlight, ms });
  const sides = (inFlight: number, ms: number) => ({
    bare: side(bare, "message", inFlight, ms),
    message: side(ours, "message", inFlight, ms),
    typed: side(ours, "typed", inFlight, ms),
    coded: side(bare, "coded", inFlight, ms),
  });
  await alternate(2, sides(256, seconds * 200)); // Warms up: compilers have their fill before it counts.
  const rows: Report["rows"][number][] = [];
  for (const inFlight of levels) {
    const results = await alternate(rounds, sides(inFlight, seconds * 1000 / rounds));
    const of = (name: keyof typeof results, key: keyof CpuRound) =>
      results[name].map((it) => it[key]);
    for (const [name, what] of Object.entries(subjects)) {
      const key = name as keyof typeof subjects;
      rows.push({
        transport,
        inFlight,
        what,
        ratio: medianRatio(of(key, "perSecond"), of("bare", "perSecond")),
        perSecond: Math.round(median(of(key, "perSecond"))),
        barePerSecond: Math.round(median(of("bare", "perSecond"))),
        cpu: median(of(key, "cpuNs")),
        bareCpu: median(of("bare", "cpuNs")),
        p50: median(of(key, "p50Us")),
        bareP50: median(of("bare", "p50Us")),
        p99: median(of(key, "p99Us")),
        bareP99: median(of("bare", "p99Us")),
      });
    }
  }
  return rows;
}

/** A round, and the processor time of both sides for each of its calls. */
interface CpuRound extends Round {
  readonly cpuNs: number;
}

async function loaded(
  { server, caller }: { readonly server: Program; readonly caller: Program },
  options: LoadOptions,
): Promise<CpuRound> {
  const programs = server === caller ? [caller] : [server, caller];
  const { result, us } = await cpuOf(programs, () => caller.ask<Round>("load", options));
  const total = us.reduce((a, b) => a + b, 0);
  return { ...result, cpuNs: 1000 * total / result.calls };
}

if (import.meta.main) await runBenches([benchCalls]);
