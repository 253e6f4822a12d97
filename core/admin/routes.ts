/**
 * The node's own routes, as one table: GET reads a view, POST acts.
 * Paths under /api/v1/network tell of the network and act on it.
 */
import type { Context } from "hono";
import { z } from "zod";
import type { Peers } from "../contracts/peers.ts";
import type { Services } from "../contracts/services.ts";
import { MycnetError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/host.ts";
import { addressField } from "../node/net/field.ts";
import { readChecked } from "./body.ts";
import { json, problem, problemResponse } from "./problem.ts";
import { networkHealth, nodeHealth, type NodeView, peerNamed, stats, topology } from "./views.ts";

/** One route of the node's own. */
export interface Route {
  readonly method: "GET" | "POST";
  /** A Hono path, `:id` being a parameter. */
  readonly path: string;
  answer(context: Context): Response | Promise<Response>;
}

const joinBody: z.ZodType<{ readonly seed_nodes: readonly string[] }> = z.strictObject({
  seed_nodes: z.array(addressField()).min(1, "name at least one seed").max(
    64,
    "at most 64 seeds at once",
  ),
});
const leaveBody: z.ZodType<{ readonly reason: string }> = z.strictObject({
  reason: z.string().max(200).default("asked to leave by admin"),
});

/** A path parameter; the router has decoded it. */
function parameter(context: Context, name: string): string {
  return context.req.param(name) ?? "";
}

function thePeers(view: NodeView): Peers {
  const peers = view.peers();
  if (peers === undefined) {
    throw new MycnetError("unavailable", "this node has no network running");
  }
  return peers;
}

function theServices(view: NodeView): Services {
  const services = view.services();
  if (services === undefined) {
    throw new MycnetError("unavailable", "this node has no service directory running");
  }
  return services;
}

async function join(view: NodeView, request: Request): Promise<Response> {
  const { seed_nodes } = await readChecked(request, joinBody);
  const peers = thePeers(view);
  const outcomes = (await view.control.join(seed_nodes))
    .map((it) => it.ok ? { ...it, node: it.node.id } : it);
  const success = outcomes.some((it) => it.ok);
  const result = { success, seeds: outcomes, clusterSize: peers.links().length + 1 };
  if (success) return json(result);
  const reasons = outcomes.flatMap((it) => it.ok ? [] : `${it.address}: ${it.message}`);
  return problemResponse({
    ...problem("unreachable", `no seed could be joined; ${reasons.slice(0, 5).join("; ")}`),
    data: result,
  });
}

async function leave(view: NodeView, log: Logger, request: Request): Promise<Response> {
  const { reason } = await readChecked(request, leaveBody);
  // Not awaited: leaving stops this endpoint, which waits for this very answer.
  view.control.leave(reason).catch((error) => log.error("Leaving failed", { error: `${error}` }));
  return json({ leaving: true, reason }, 202);
}

/** The table. */
export function routes(view: NodeView, log: Logger): readonly Route[] {
  const network = "/api/v1/network";
  return [
    {
      method: "GET",
      path: `${network}/health`,
      answer: () => json(networkHealth(view)),
    },
    {
      method: "GET",
      path: `${network}/node/:id/health`,
      answer: (context) => json(nodeHealth(view, parameter(context, "id"))),
    },
    {
      method: "GET",
      path: `${network}/peers`,
      answer: () => json({ peers: view.peers()?.list() ?? [] }),
    },
    {
      method: "GET",
      path: `${network}/peers/:id`,
      answer: (context) => json(peerNamed(view, parameter(context, "id"))),
    },
    { method: "GET", path: `${network}/topology`, answer: () => json(topology(view)) },
    { method: "GET", path: `${network}/stats`, answer: () => json(stats(view)) },
    {
      method: "GET",
      path: `${network}/plugins`,
      answer: () => json({ plugins: view.control.plugins() }),
    },
    {
      method: "POST",
      path: `${network}/join`,
      answer: (context) => join(view, context.req.raw),
    },
    {
      method: "POST",
      path: `${network}/leave`,
      answer: (context) => leave(view, log, context.req.raw),
    },
    {
      method: "GET",
      path: "/api/v1/services",
      answer: () => json({ services: theServices(view).list() }),
    },
  ];
}
