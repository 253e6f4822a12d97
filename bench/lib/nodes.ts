/**
 * Nodes as the benches run them: the defaults, a port of the system's choosing, and over
 * which transport. They do not gossip unless they are told to: where gossip is not what
 * is measured, its timers and probes would be noise.
 */
import { createNode, defineService, type Node, type NodeOptions } from "../../mod.ts";
import { z } from "zod";
import type { BenchTransport } from "./options.ts";

/** How a bench's node differs from the next one. */
export interface BenchNode {
  readonly id: string;
  readonly type: "sclerotia" | "hyphae";
  readonly transport: BenchTransport;
  /** The state folder; for `tls`. */
  readonly stateDir?: string;
  /** Whom to link to before it is ready. */
  readonly seed?: string;
  /** Run the admin endpoint and the HTTP gateway, as a node does by default. Default false. */
  readonly admin?: boolean;
  /** Gossip, as a node with keys does by default; over `tls`. Default false. */
  readonly gossip?: boolean;
  /** `host:port` where it listens. Default: a port of the system's choosing on loopback. */
  readonly bind?: string;
  /** `host:port` at which others reach it. Default: where it listens. */
  readonly advertise?: string;
  /** Keep a link to a peer that does not answer pings, so that a bench can stall it. Default false. */
  readonly patient?: boolean;
}

const anyPort = "127.0.0.1:0";

/** Starts one. Its link is up when it resolves. */
export async function startNode(
  argument: BenchNode,
): Promise<Node> {
  const { id, type, transport, stateDir, seed, admin, gossip, bind = anyPort } = argument;
  const { advertise, patient } = argument;
  const secure = transport === "tls";
  const plugins: NodeOptions["plugins"] = {
    identity: { insecure: !secure },
    tls: secure ? {} : false,
    ...(transport === "tcp" && { tcp: { insecure: true } }),
    ...(transport === "memory" && { memory: {} }),
    admin: admin ? { bindAddress: anyPort } : false,
    ...(!admin && { "http-gateway": false }),
    ...(!gossip && { swim: false }),
    ...(patient && { peers: { healthCheck: { timeout: "5m" } } }),
  };
  const node = await createNode({
    config: false,
    node: {
      id,
      type,
      cluster: "bench",
      bindAddress: type === "hyphae" ? false : bind,
      ...(advertise !== undefined && { advertiseAddress: advertise }),
      ...(stateDir !== undefined && { stateDir }),
    },
    plugins,
  });
  if (seed !== undefined) await node.cluster.join([seed]);
  return node;
}

/** What a typed call sends and gets back. */
export const order = z.object({
  id: z.int(),
  symbol: z.string(),
  quantity: z.int().positive(),
  price: z.number().positive(),
  tags: z.array(z.string()),
});

/** The typed echo: input and output are parsed, encoded and decoded on their way. */
export const orders = defineService("orders", {
  version: 1,
  methods: { echo: { input: order, output: order, idempotent: true } },
});

/** The name of the echo of bare messages. */
export const echoMessage = "custom.echo";

/** Serves both echoes until the node stops. */
export function serveEchoes(node: Node): void {
  node.handle(echoMessage, (bytes) => bytes);
  node.serve(orders, { echo: (it) => it });
}
