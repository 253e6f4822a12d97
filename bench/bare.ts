/**
 * The raw limits of this machine, alone: the echo of bench/bare over each kind
 * of socket. What the other benches divide by.
 *
 *     deno run -A bench/bare.ts [--seconds 3] [--inflight 1,256] [--placement apart]
 *                               [--json]
 */
import type { LoadOptions, Round } from "./lib/load.ts";
import type { BenchCluster } from "./lib/cluster.ts";
import { coresOf, placed, type Placement } from "./lib/cores.ts";
import type { BenchOptions } from "./lib/options.ts";
import { makePairCluster } from "./lib/pair.ts";
import { Program } from "./lib/program.ts";
import type { Report } from "./lib/report.ts";
import { alternate, median } from "./lib/rounds.ts";
import { runBenches } from "./lib/run.ts";
import type { BareArgument } from "./programs/bare.ts";
import { type SocketKind, socketKinds } from "./bare/sockets.ts";

/** The file of the bare program. */
export const bareProgram: URL = new URL("./programs/bare.ts", import.meta.url);

/** Both sides of an echo; disposing ends them. */
export interface BarePair extends AsyncDisposable {
  /** The side that serves; over memory, the same program as the caller's. */
  readonly server: Program<string>;
  /** The side that calls. */
  readonly caller: Program<string>;
}

/** Starts an echo and its caller (with `copies`, one that takes bytes and one that sends them), each in a process of its own; over memory, in one. */
export async function startBare(
  kind: SocketKind | "memory",
  cluster: BenchCluster,
  placement: Placement = "free",
  copies = false,
): Promise<BarePair> {
  await using stack = new AsyncDisposableStack();
  const argument = (id: string, address?: string): BareArgument => ({
    kind,
    copies,
    ...(kind === "tls" && { files: cluster.files(id) }),
    ...(address !== undefined && { address }),
  });
  const cores = coresOf(placement);
  const start = async (id: string, core?: number, address?: string) =>
    stack.use(await Program.start<string>(bareProgram, argument(id, address), [], core));
  const server = kind === "memory" ? undefined : await start("server", cores.server);
  const caller = await start("client", cores.caller, server?.ready);
  const owned = stack.move();
  return { server: server ?? caller, caller, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Measures them. */
export async function benchBare(options: BenchOptions): Promise<Report> {
  await using cluster = await makePairCluster();
  const { seconds, rounds, placement } = options;
  const ms = seconds * 1000 / rounds;
  const rows: Report["rows"][number][] = [];
  for (const kind of ["memory", ...socketKinds] as const) {
    await using pair = await startBare(kind, cluster, placement);
    const side = (what: string, inFlight: number, forMs = ms) => () =>
      pair.caller.ask<Round>("load", { what, inFlight, ms: forMs } satisfies LoadOptions);
    for (const what of ["message", "coded"]) await side(what, 256, seconds * 150)();
    for (const inFlight of options.inFlight) {
      const sides = { message: side("message", inFlight), coded: side("coded", inFlight) };
      const results = await alternate(rounds, sides);
      for (const what of ["message", "coded"] as const) {
        rows.push({
          socket: kind === "deno" ? "Deno TCP" : kind === "memory" ? "memory" : `node:${kind}`,
          inFlight,
          body: what === "message" ? "64 bytes" : "MessagePack",
          perSecond: Math.round(median(results[what].map((it) => it.perSecond))),
          p50: median(results[what].map((it) => it.p50Us)),
          p99: median(results[what].map((it) => it.p99Us)),
        });
      }
    }
  }
  return {
    bench: "bare",
    what: `coalesced framed echo and nothing else, ${placed(placement)}; medians of ${rounds} ` +
      `rounds, ${seconds} s in all for each row`,
    columns: [
      { key: "socket", title: "socket" },
      { key: "inFlight", title: "in flight" },
      { key: "body", title: "body" },
      { key: "perSecond", title: "calls/s" },
      { key: "p50", title: "p50 µs" },
      { key: "p99", title: "p99 µs" },
    ],
    rows,
  };
}

if (import.meta.main) await runBenches([benchBare]);
