/**
 * The way in: which names this node handles, and what is being handled.
 *
 * Handlers are found by frame type and route, as they stand in the frame, so
 * that no name is put together for each message. Requests are bounded by the
 * link (exchanges); messages without an answer by a count of those being handled.
 */
import type { NamedHandler } from "../../contracts/messenger.ts";
import type { ArrivedMessage, Delivery, Taken } from "../../contracts/delivery.ts";
import type { IncomingExchange, IncomingHandlers, PeerLink, Peers } from "../../contracts/peers.ts";
import { MycnetError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/host.ts";
import {
  type MessageFields,
  messageTypeName,
  messageTypes,
  type ResolvedType,
} from "@mycnet/protocols/frame";
import { Bag } from "../bag.ts";
import type { Deadlines } from "../deadlines.ts";
import { handleKeyed, type KeyedRequests } from "../keyed/mod.ts";
import { ownOf } from "../slab.ts";
import type { Tracing } from "../tracing/mod.ts";
import { Serving, type ServingSetup } from "./serving.ts";

/**
 * Messages without an answer that may be in their handlers at once; more are dropped and counted,
 * or not taken, where they are acknowledged, so that they come again.
 */
const maxHandled = 10_000;

interface Registered {
  readonly name: string;
  readonly handler: NamedHandler;
}

/** The handlers of one frame type by route; only `custom` has routes. */
interface TypeHandlers {
  readonly byRoute: Map<string, Registered>;
  readonly registration: Disposable;
}

/** The handlers of one node. */
export class Incoming implements Disposable {
  /** Messages without an answer that nobody handled, or that were too many. */
  dropped = 0;
  readonly #peers: Peers;
  readonly #types = new Map<number, TypeHandlers>();
  readonly #serving = new Bag<Serving>();
  readonly #requests: ServingSetup;
  readonly #messages: ServingSetup;
  readonly #delivery: Delivery;
  readonly #keyed: KeyedRequests;
  readonly #receiving: Disposable;
  #messagesHandled = 0;
  #disposed = false;

  /** Handles nothing at first. */
  constructor(
    peers: Peers,
    delivery: Delivery,
    log: Logger,
    deadlines: Deadlines,
    tracing: Tracing,
    keyed: KeyedRequests,
  ) {
    this.#peers = peers;
    this.#keyed = keyed;
    this.#delivery = delivery;
    const done = (serving: Serving) => this.#serving.delete(serving);
    this.#requests = { log, deadlines, tracing, done };
    this.#messages = {
      log,
      deadlines,
      tracing,
      done: (serving) => {
        this.#messagesHandled--;
        done(serving);
      },
    };
    this.#receiving = delivery.receive((message) => this.#acknowledged(message));
  }

  /** Registers the handler of a type and route. @throws `duplicate_handler`. */
  handle({ type, route }: ResolvedType, handler: NamedHandler): Disposable {
    const name = messageTypeName(type, route);
    const key = keyOf(type, route);
    if (this.#types.get(type)?.byRoute.has(key)) {
      throw new MycnetError("duplicate_handler", `"${name}" has a handler already`);
    }
    const handlers = this.#types.get(type) ?? this.#register(type);
    handlers.byRoute.set(key, { name, handler });
    this.#delivery.retryUnhandled();
    let registered = true;
    return {
      [Symbol.dispose]: () => {
        if (!registered) return;
        registered = false;
        handlers.byRoute.delete(key);
        if (handlers.byRoute.size > 0 || this.#types.get(type) !== handlers) return;
        this.#types.delete(type);
        handlers.registration[Symbol.dispose]();
      },
    };
  }

  /** Aborts what is being handled, handles no more. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#receiving[Symbol.dispose]();
    for (const serving of this.#serving) serving.stop();
    for (const { registration } of this.#types.values()) registration[Symbol.dispose]();
    this.#types.clear();
  }

  #register(type: number): TypeHandlers {
    const byRoute = new Map<string, Registered>();
    const registration = this.#peers.handle(type, {
      message: (link, fields, body) =>
        this.#message(byRoute.get(keyOf(type, fields.route)), link, fields, body),
      request: (exchange, fields, body, upload) => {
        const known = byRoute.get(keyOf(type, fields.route));
        if (known !== undefined && !upload) return this.#request(known, exchange, fields, body);
        const name = messageTypeName(type, fields.route);
        const why = known === undefined
          ? `nothing handles "${name}" here`
          : `"${name}" takes no items`;
        exchange.reset("unhandled", why);
      },
    });
    const handlers = { byRoute, registration };
    this.#types.set(type, handlers);
    return handlers;
  }

  #message(
    known: Registered | undefined,
    link: PeerLink,
    fields: MessageFields,
    body: Uint8Array,
  ): void {
    if (known === undefined || this.#messagesHandled >= maxHandled) {
      this.dropped++;
      return;
    }
    this.#messagesHandled++;
    const serving = new Serving(this.#messages, link.peer, known.name, fields, undefined);
    serving.run(known.handler, ownOf(body));
    if (!serving.over) this.#keep(serving);
  }

  /** Keeps what its handler is not done with: those that answer at once never get here. */
  #keep(serving: Serving): void {
    if (this.#disposed) return serving.stop();
    this.#serving.add(serving);
    serving.kept();
  }

  /** A message that is acknowledged. */
  #acknowledged(message: ArrivedMessage): Taken {
    const { type, fields, from, level, body } = message;
    const known = this.#types.get(type)?.byRoute.get(keyOf(type, fields.route));
    if (known === undefined) {
      this.dropped++;
      return "unhandled";
    }
    if (this.#messagesHandled >= maxHandled) return "busy";
    this.#messagesHandled++;
    const serving = new Serving(this.#messages, from, known.name, fields, undefined, message);
    serving.run(known.handler, ownOf(body));
    if (!serving.over) this.#keep(serving);
    if (level === "high") return "taken";
    if (!serving.over) return serving.finished();
    return serving.failure === undefined ? "taken" : Promise.reject(serving.failure);
  }

  #request(
    { name, handler }: Registered,
    exchange: IncomingExchange,
    fields: MessageFields,
    body: Uint8Array,
  ): IncomingHandlers | undefined {
    const serving = new Serving(this.#requests, exchange.link.peer, name, fields, exchange);
    const { idempotencyKey: key } = fields;
    const keyed = key === undefined
      ? undefined
      : handleKeyed(this.#keyed, exchange.link.peer.id, name, key, body, handler);
    serving.run(keyed?.handler ?? handler, ownOf(body));
    if (serving.over) return undefined;
    this.#keep(serving);
    return keyed === undefined ? serving : keyed.handlers(serving);
  }
}

function keyOf(type: number, route: string | undefined): string {
  return type === messageTypes.custom && route !== undefined ? route : "";
}
