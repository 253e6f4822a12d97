/**
 * The way in: which names this node handles, and what is being handled.
 *
 * Handlers are found by frame type and route, as they stand in the frame, so
 * that no name is put together for each message. Requests are bounded by the
 * link (exchanges); messages without an answer by a count of those being handled.
 */
import type { NamedHandler } from "../../contracts/messenger.ts";
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
import { copyOf } from "../slab.ts";
import { Serving, type ServingSetup } from "./serving.ts";

/** Messages without an answer that may be in their handlers at once; more are dropped and counted. */
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
  #messagesHandled = 0;

  /** Handles nothing at first. */
  constructor(peers: Peers, log: Logger, deadlines: Deadlines) {
    this.#peers = peers;
    const done = (serving: Serving) => this.#serving.delete(serving);
    this.#requests = { log, deadlines, done };
    this.#messages = {
      log,
      deadlines,
      done: (serving) => {
        this.#messagesHandled--;
        done(serving);
      },
    };
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
    const serving = new Serving(this.#messages, link, known.name, fields, undefined);
    this.#serving.add(serving);
    serving.run(known.handler, copyOf(body));
  }

  #request(
    { name, handler }: Registered,
    exchange: IncomingExchange,
    fields: MessageFields,
    body: Uint8Array,
  ): IncomingHandlers | undefined {
    const serving = new Serving(this.#requests, exchange.link, name, fields, exchange);
    this.#serving.add(serving);
    serving.run(handler, copyOf(body));
    return serving.over ? undefined : serving;
  }
}

function keyOf(type: number, route: string | undefined): string {
  return type === messageTypes.custom && route !== undefined ? route : "";
}
