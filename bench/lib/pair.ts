/** Two linked nodes, each in a process of its own; over memory, in one. */
import type { SocketKind } from "../bare/sockets.ts";
import { type BenchCluster, makeCluster } from "./cluster.ts";
import { coresOf, type Placement } from "./cores.ts";
import type { BenchNode } from "./nodes.ts";
import type { BenchTransport } from "./options.ts";
import { Program } from "./program.ts";
import type { Report } from "./report.ts";

/** The file of a node that serves or makes calls. */
export const nodeProgram: URL = new URL("../programs/node.ts", import.meta.url);
/** The file of a node that sends or receives messages and streams. */
export const trafficProgram: URL = new URL("../programs/traffic.ts", import.meta.url);

/** A transport that reaches another process. */
export type SocketTransport = Exclude<BenchTransport, "memory">;

/** The socket that each transport stands on, which is what it is compared with. */
export const socketOf: Readonly<Record<BenchTransport, SocketKind | "memory">> = {
  memory: "memory",
  tcp: "deno",
  tls: "tls",
};

/** The transports that reach another process. */
export function socketsAmong(transports: readonly BenchTransport[]): SocketTransport[] {
  return transports.filter((it) => it !== "memory");
}

/** An identity for the two of a pair, `server` and `client`. */
export function makePairCluster(): Promise<BenchCluster> {
  return makeCluster([
    { id: "server", type: "sclerotia" },
    { id: "client", type: "sclerotia" },
  ]);
}

/** The rows of one transport after the other, all pairs under one identity. */
export async function rowsOver<T extends BenchTransport>(
  transports: readonly T[],
  measure: (transport: T, cluster: BenchCluster) => Promise<Report["rows"]>,
): Promise<Report["rows"]> {
  await using cluster = await makePairCluster();
  const rows: Report["rows"][number][] = [];
  for (const transport of transports) rows.push(...await measure(transport, cluster));
  return rows;
}

/** Both nodes; disposing ends them. */
export interface NodePair extends AsyncDisposable {
  /** The one that serves; over memory, the same program as the caller's. */
  readonly server: Program<string>;
  /** The one that calls. */
  readonly caller: Program<string>;
}

/** How a pair differs from the next one. */
export interface PairOptions {
  readonly transport: BenchTransport;
  /** Whose certificates they have, for `tls`; in whose folder they keep what they keep. */
  readonly cluster?: BenchCluster;
  /** Default `free`. */
  readonly placement?: Placement;
  /** Default {@linkcode nodeProgram}. */
  readonly program?: URL;
  /** Keep the link to one that does not answer. Default false. */
  readonly patient?: boolean;
  /** Flags of Deno for both. */
  readonly flags?: readonly string[];
}

/** Starts them. The caller is linked to the server when it resolves. */
export async function startPair(options: PairOptions): Promise<NodePair> {
  const { transport, cluster, placement = "free", program = nodeProgram, patient, flags } = options;
  await using stack = new AsyncDisposableStack();
  const cores = coresOf(placement);
  const argument = (id: string, seed?: string): BenchNode => ({
    id,
    type: "sclerotia",
    transport,
    ...(patient && { patient }),
    ...(cluster !== undefined && { stateDir: cluster.stateDir }),
    ...(seed !== undefined && { seed }),
  });
  const start = async (id: string, core?: number, seed?: string) =>
    stack.use(await Program.start<string>(program, argument(id, seed), flags, core));
  const server = transport === "memory" ? undefined : await start("server", cores.server);
  const seed = server?.ready ?? "memory://server";
  const caller = await start("client", cores.caller, seed);
  const owned = stack.move();
  return { server: server ?? caller, caller, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
