/**
 * Calls per second and their latency, over memory, tcp and tls, beside a bare
 * echo on the same kind of socket.
 *
 *     deno run -A bench/calls.ts [--seconds 3] [--rounds 10] [--inflight 1,256]
 *                                [--transports memory,tcp,tls] [--json]
 *
 * Two processes on loopback a side (over memory: one), the sides taking turns.
 * `request` is `node.request` with 64 bytes; `typed call` is a service's method
 * with zod schemas and MessagePack both ways; `bare + MessagePack` is the bare
 * echo with the same values encoded and decoded on both sides, and nothing else.
 */
import { startBare } from "./bare.ts";
import type { SocketKind } from "./bare/sockets.ts";
import { type BenchCluster, makeCluster } from "./lib/cluster.ts";
import type { LoadOptions, Round } from "./lib/load.ts";
import type { BenchNode } from "./lib/nodes.ts";
import type { BenchOptions, BenchTransport } from "./lib/options.ts";
import { Program } from "./lib/program.ts";
import type { Report } from "./lib/report.ts";
import { alternate, median, medianRatio } from "./lib/rounds.ts";
import { runBenches } from "./lib/run.ts";

const nodeProgram = new URL("./programs/node.ts", import.meta.url);

/** The socket that each transport stands on. */
const socketOf: Readonly<Record<BenchTransport, SocketKind | "memory">> = {
  memory: "memory",
  tcp: "deno",
  tls: "tls",
};

/** What is compared with the bare echo, by the names of the columns. */
const subjects = { message: "request", typed: "typed call", coded: "bare + MessagePack" } as const;

/** Measures calls. */
export async function benchCalls(options: BenchOptions): Promise<Report> {
  await using cluster = await makeCluster([
    { id: "server", type: "sclerotia" },
    { id: "client", type: "sclerotia" },
  ]);
  const rows: Report["rows"][number][] = [];
  for (const transport of options.transports) {
    rows.push(...await measure(transport, cluster, options));
  }
  return {
    bench: "calls",
    what: `calls between two processes beside a bare echo of 80-byte frames; medians of ` +
      `${options.rounds} rounds, ${options.seconds} s in all for each side`,
    columns: [
      { key: "transport", title: "over" },
      { key: "inFlight", title: "in flight" },
      { key: "what", title: "what" },
      { key: "ratio", title: "ours/bare" },
      { key: "perSecond", title: "calls/s" },
      { key: "barePerSecond", title: "bare calls/s" },
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
  { seconds, rounds, inFlight: levels }: BenchOptions,
): Promise<Report["rows"]> {
  await using bare = await startBare(socketOf[transport], cluster);
  await using ours = await startPair(transport, cluster);
  const side = (program: Program, what: string, inFlight: number, ms: number) => () =>
    program.ask<Round>("load", { what, inFlight, ms } satisfies LoadOptions);
  const sides = (inFlight: number, ms: number) => ({
    bare: side(bare.caller, "message", inFlight, ms),
    message: side(ours.caller, "message", inFlight, ms),
    typed: side(ours.caller, "typed", inFlight, ms),
    coded: side(bare.caller, "coded", inFlight, ms),
  });
  await alternate(2, sides(256, seconds * 200)); // Warms up: compilers have their fill before it counts.
  const rows: Report["rows"][number][] = [];
  for (const inFlight of levels) {
    const results = await alternate(rounds, sides(inFlight, seconds * 1000 / rounds));
    const of = (name: keyof typeof results, key: keyof Round) => results[name].map((it) => it[key]);
    for (const [name, what] of Object.entries(subjects)) {
      const key = name as keyof typeof subjects;
      rows.push({
        transport,
        inFlight,
        what,
        ratio: medianRatio(of(key, "perSecond"), of("bare", "perSecond")),
        perSecond: Math.round(median(of(key, "perSecond"))),
        barePerSecond: Math.round(median(of("bare", "perSecond"))),
        p50: median(of(key, "p50Us")),
        bareP50: median(of("bare", "p50Us")),
        p99: median(of(key, "p99Us")),
        bareP99: median(of("bare", "p99Us")),
      });
    }
  }
  return rows;
}

/** Two linked nodes, each in a process of its own; over memory, in one. */
async function startPair(
  transport: BenchTransport,
  cluster: BenchCluster,
): Promise<AsyncDisposable & { readonly caller: Program }> {
  await using stack = new AsyncDisposableStack();
  const argument = (id: string, seed?: string): BenchNode => ({
    id,
    type: "sclerotia",
    transport,
    ...(transport === "tls" && { stateDir: cluster.stateDir }),
    ...(seed !== undefined && { seed }),
  });
  let seed = "memory://server";
  if (transport !== "memory") {
    seed = stack.use(await Program.start<string>(nodeProgram, argument("server"))).ready;
  }
  const caller = stack.use(await Program.start(nodeProgram, argument("client", seed)));
  const owned = stack.move();
  return { caller, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

if (import.meta.main) await runBenches([benchCalls]);
