/** Two linked nodes, each in a process of its own; over memory, in one. */
import type { BenchCluster } from "./cluster.ts";
import { coresOf, type Placement } from "./cores.ts";
import type { BenchNode } from "./nodes.ts";
import type { BenchTransport } from "./options.ts";
import { Program } from "./program.ts";

/** The file of a node that serves or makes calls. */
export const nodeProgram: URL = new URL("../programs/node.ts", import.meta.url);
/** The file of a node that sends or receives messages and streams. */
export const trafficProgram: URL = new URL("../programs/traffic.ts", import.meta.url);

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
export async function startPair(
  options: PairOptions,
): Promise<NodePair> {
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
