/**
 * What happens to the node, as server-sent events: GET /api/v1/network/events.
 * Each `item` is one NodeEvent; a client that reads too slowly misses the oldest
 * and is told so by one of type `lagged`.
 */
import type { NodeState } from "../contracts/peers.ts";
import { MycnetError } from "../kernel/errors.ts";
import type { Host } from "../kernel/host.ts";
import { NodeEvents } from "../node/events.ts";
import { eventStream } from "./event_stream.ts";
import { problemOf } from "./problem.ts";
import type { Route } from "./routes.ts";

/** Clients that listen at a time. */
export const maxListeners = 64;

/** What the route needs. */
export interface EventsRouteParts {
  readonly host: Host;
  /** What membership says of a node. */
  readonly stateOf: (id: string) => NodeState | undefined;
  /** Aborts when the endpoint stops. */
  readonly signal: AbortSignal;
}

/** The route. */
export function eventsRoute({ host, stateOf, signal }: EventsRouteParts): Route {
  let listeners = 0;
  return {
    method: "GET",
    path: "/api/v1/network/events",
    answer: ({ req }) => {
      if (listeners >= maxListeners) {
        throw new MycnetError("overloaded", `${maxListeners} clients listen to events already`);
      }
      listeners++;
      const events = new NodeEvents(host, stateOf);
      const ended = AbortSignal.any([req.raw.signal, signal]);
      const items = events.subscribe({ signal: ended });
      const stream = eventStream(host, {
        next: async () => {
          const { done, value } = await items.next();
          return done ? { done: true } : { done: false, value };
        },
        problem: problemOf,
        finished: () => {
          listeners--;
          events[Symbol.dispose]();
        },
      });
      return new Response(stream, {
        headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
      });
    },
  };
}
