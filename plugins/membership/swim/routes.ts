/**
 * What membership hangs on the admin endpoint:
 *
 *     GET  /api/v1/network/members              every member
 *     GET  /api/v1/network/members/{id}         one
 *     GET  /api/v1/network/gossip               this node's own gossip: address, health, counters
 *     POST /api/v1/network/gossip/join          {"addresses": ["host:port"]}
 *     POST /api/v1/network/gossip/leave         {}: leaves the cluster; the node runs on
 *     POST /api/v1/network/gossip/force-leave   {"id", "prune"?}
 *     POST /api/v1/network/gossip/event         {"name", "payload"?, "coalesce"?}
 *     POST /api/v1/network/gossip/query         {"name", "payload"?, "nodes"?, "tags"?, "ack"?, "timeout"?}: server-sent events
 *     GET  /api/v1/network/gossip/keyring       which keys the members hold
 *     POST /api/v1/network/gossip/keyring       {"operation": "install" | "use" | "remove", "key"}
 *     GET  /api/v1/network/gossip/rtt           ?from=a&to=b: estimated round trip
 *
 * Payloads are text, or base64 under `payloadBase64`.
 */
import { z } from "zod";
import { eventStream, json, problem, problemOf, problemResponse } from "../../../core/admin/mod.ts";
import { readChecked } from "../../../core/admin/mod.ts";
import type { AdminRoutes } from "../../../core/contracts/admin.ts";
import type { Membership, QueryReply } from "../../../core/contracts/membership.ts";
import { requiredDuration } from "../../../core/kernel/config.ts";
import { MycnetError } from "../../../core/kernel/errors.ts";
import type { Host } from "../../../core/kernel/host.ts";

/** Where these routes hang. */
const root = "/api/v1/network";

const name = z.string().min(1).max(255);
const payload = {
  payload: z.string().max(4096).optional(),
  payloadBase64: z.base64().max(4096).optional(),
};
const bodies = {
  join: z.strictObject({ addresses: z.array(z.string().min(1).max(300)).min(1).max(64) }),
  leave: z.strictObject({}),
  forceLeave: z.strictObject({ id: name, prune: z.boolean().default(false) }),
  event: z.strictObject({ name, ...payload, coalesce: z.boolean().default(true) }),
  query: z.strictObject({
    name,
    ...payload,
    nodes: z.array(name).max(1000).optional(),
    tags: z.record(z.string(), z.string().max(255)).optional(),
    ack: z.boolean().default(false),
    timeout: requiredDuration({ minMs: 1, maxMs: 600_000 }).optional(),
  }),
  keyring: z.strictObject({
    operation: z.enum(["install", "use", "remove"]),
    key: z.string().min(1).max(64),
  }),
};

/** What the routes ask. */
export interface RouteParts {
  readonly host: Host;
  readonly membership: Membership;
  /** This node's own gossip, for people. */
  readonly own: () => Record<string, unknown>;
  /** Aborts when the plugin stops. */
  readonly signal: AbortSignal;
}

function bytesOf(
  body: { payload?: string | undefined; payloadBase64?: string | undefined },
): Uint8Array {
  if (body.payload !== undefined && body.payloadBase64 !== undefined) {
    throw new MycnetError(
      "invalid_argument",
      "payload: stands beside payloadBase64; send one of them",
    );
  }
  return body.payloadBase64 === undefined
    ? new TextEncoder().encode(body.payload ?? "")
    : Uint8Array.fromBase64(body.payloadBase64);
}

/** Bytes as JSON has them: base64, and as text where they are text. */
function shownPayload(bytes: Uint8Array): { payload?: string; payloadBase64: string } {
  const payloadBase64 = Uint8Array.from(bytes).toBase64();
  try {
    return { payload: new TextDecoder("utf-8", { fatal: true }).decode(bytes), payloadBase64 };
  } catch {
    return { payloadBase64 };
  }
}

/** A reply as JSON has it. */
export function shownReply(reply: QueryReply): Record<string, unknown> {
  return reply.kind === "ack"
    ? { kind: "ack", from: reply.from }
    : { kind: "response", from: reply.from, ...shownPayload(reply.payload) };
}

type Answer = (request: Request, url: URL) => Promise<Response> | Response;

/** The groups of routes. */
export function membershipRoutes(parts: RouteParts): readonly AdminRoutes[] {
  const { host, membership, own, signal } = parts;

  const query: Answer = async (request) => {
    const body = await readChecked(request, bodies.query);
    const ended = AbortSignal.any([request.signal, signal]);
    const replies = membership.query(body.name, bytesOf(body), {
      ack: body.ack,
      signal: ended,
      ...(body.nodes === undefined ? {} : { nodes: body.nodes }),
      ...(body.tags === undefined ? {} : { tags: body.tags }),
      ...(body.timeout === undefined ? {} : { timeoutMs: body.timeout }),
    })[Symbol.asyncIterator]();
    const stream = eventStream(host, {
      async next() {
        const { done, value } = await replies.next();
        return done ? { done: true } : { done: false, value: shownReply(value) };
      },
      problem: problemOf,
      finished: () => void replies.return?.(),
    });
    return new Response(stream, {
      headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
    });
  };

  const rtt: Answer = (_request, url) => {
    const from = url.searchParams.get("from") ?? "";
    const to = url.searchParams.get("to") ?? "";
    for (const [field, id] of [["from", from], ["to", to]] as const) {
      if (membership.member(id) === undefined) {
        throw new MycnetError("not_found", `${field}: no member is called ${JSON.stringify(id)}`);
      }
    }
    const distanceMs = membership.distanceMs(from, to);
    if (distanceMs === undefined) {
      throw new MycnetError(
        "unavailable",
        `${from} and ${to} have no coordinates yet; probes make them`,
      );
    }
    return json({ from, to, distanceMs });
  };

  const gossip: Readonly<Record<string, Answer>> = {
    "GET ": () => json(own()),
    "POST join": async (request) => {
      const { addresses } = await readChecked(request, bodies.join);
      return json({
        joined: await membership.join(addresses),
        members: membership.members().length,
      });
    },
    "POST leave": async (request) => {
      await readChecked(request, bodies.leave);
      await membership.leave();
      return json({ left: true });
    },
    "POST force-leave": async (request) => {
      const { id, prune } = await readChecked(request, bodies.forceLeave);
      await membership.forceLeave(id, prune);
      return json({ id, left: true });
    },
    "POST event": async (request) => {
      const body = await readChecked(request, bodies.event);
      membership.event(body.name, bytesOf(body), body.coalesce);
      return json({ sent: true }, 202);
    },
    "POST query": query,
    "GET keyring": async () => json(await membership.keyring("list")),
    "POST keyring": async (request) => {
      const { operation, key } = await readChecked(request, bodies.keyring);
      return json(await membership.keyring(operation, key));
    },
    "GET rtt": rtt,
  };

  const notFound = (path: string) =>
    problemResponse(problem("not_found", `nothing is served at ${path}`));

  return [
    {
      path: `${root}/members`,
      fetch(request) {
        const { pathname } = new URL(request.url);
        if (request.method !== "GET") return notAllowed("GET");
        const id = decodeURIComponent(pathname.slice(`${root}/members`.length + 1));
        if (id === "") return json({ members: membership.members() });
        const member = membership.member(id);
        return member === undefined
          ? problemResponse(problem("not_found", `no member is called ${JSON.stringify(id)}`))
          : json(member);
      },
    },
    {
      path: `${root}/gossip`,
      async fetch(request) {
        const url = new URL(request.url);
        const what = url.pathname.slice(`${root}/gossip`.length).replace(/^\//, "");
        const answer = gossip[`${request.method} ${what}`];
        if (answer !== undefined) return await answer(request, url);
        const allowed = Object.keys(gossip).filter((it) => it.endsWith(` ${what}`))
          .map((it) => it.split(" ")[0]!);
        return allowed.length > 0 ? notAllowed(allowed.join(", ")) : notFound(url.pathname);
      },
    },
  ];
}

function notAllowed(allow: string): Response {
  return problemResponse(problem("method_not_allowed", `only ${allow} is answered here`), {
    allow,
  });
}
