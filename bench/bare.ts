/**
 * The raw limits of this machine, alone: the echo of bench/bare over each kind
 * of socket. What the other benches divide by.
 *
 *     deno run -A bench/bare.ts [--seconds 3] [--inflight 1,256] [--json]
 */
import type { LoadOptions, Round } from "./lib/load.ts";
import { makeCluster } from "./lib/cluster.ts";
import type { BenchOptions } from "./lib/options.ts";
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
  /** The side that calls. */
  readonly caller: Program;
}

/** Starts an echo and its caller, each in a process of its own; over memory, in one. */
export async function startBare(
  kind: SocketKind | "memory",
  cluster: Awaited<ReturnType<typeof makeCluster>>,
): Promise<BarePair> {
  await using stack = new AsyncDisposableStack();
  const argument = (id: string, address?: string): BareArgument => ({
    kind,
    ...(kind === "tls" && { files: cluster.files(id) }),
    ...(address !== undefined && { address }),
  });
  let address: string | undefined;
  if (kind !== "memory") {
    const server = stack.use(await Program.start<string>(bareProgram, argument("server")));
    address = server.ready;
  }
  const caller = stack.use(await Program.start(bareProgram, argument("client", address)));
  const owned = stack.move();
  return { caller, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Measures them. */
export async function benchBare(options: BenchOptions): Promise<Report> {
  await using cluster = await makeCluster([
    { id: "server", type: "sclerotia" },
    { id: "client", type: "sclerotia" },
  ]);
  const { seconds, rounds } = options;
  const ms = seconds * 1000 / rounds;
  const rows: Report["rows"][number][] = [];
  for (const kind of ["memory", ...socketKinds] as const) {
    await using pair = await startBare(kind, cluster);
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
    what: `coalesced framed echo and nothing else; medians of ${rounds} rounds, ` +
      `${seconds} s in all for each row`,
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
