/**
 * The exchanges of one link: from the machine's stream numbers to objects.
 *
 * The machine reports by number; this finds the exchange, tells its handlers,
 * and sees to three promises: an exchange is told of its end exactly once, what
 * a handler throws goes no further than a log line and a reset, and an exchange
 * that is lost with the link knows whether a byte of it can have left. How many
 * there are is bounded by the machine (`maxExchanges`, each way).
 */
import type { ExchangeHandlers, MessageHandler, PeerLink } from "../../contracts/peers.ts";
import { codeOf, MycnetError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/host.ts";
import type { MessageFields } from "@mycnet/protocols/frame";
import { type LinkMachine, type ResetCode, StreamMap } from "@mycnet/protocols/link";
import { type ExchangeOwner, LinkExchange, openedByPeer } from "./exchange.ts";

/** What the exchanges of a link work with. */
export interface ExchangesSetup {
  readonly link: PeerLink;
  readonly machine: Pick<
    LinkMachine,
    "item" | "end" | "grant" | "respond" | "fail" | "reset"
  >;
  /** Who handles which frame type; read at each request. */
  readonly handlers: ReadonlyMap<number, MessageHandler>;
  readonly log: Logger;
  /** Sends what was queued. False: the link is full. */
  wrote(): boolean;
}

/** The exchanges of one link. */
export class Exchanges implements ExchangeOwner {
  readonly link: PeerLink;
  readonly #setup: ExchangesSetup;
  readonly #byStream = new StreamMap<LinkExchange>();
  /** What exchanges that the peer opened are told, once the link is lost. */
  #lost: Parameters<ExchangeHandlers["closed"]>[0] | undefined;

  /** None at first. */
  constructor(setup: ExchangesSetup) {
    this.link = setup.link;
    this.#setup = setup;
  }

  /** How many are under way. */
  get size(): number {
    return this.#byStream.size;
  }

  /** Takes in one that this side opened, with the writer's count at that moment. */
  opened(stream: number, handlers: ExchangeHandlers, taken: number): LinkExchange {
    const exchange = new LinkExchange(this, stream, taken);
    exchange.handlers = handlers;
    this.#byStream.set(stream, exchange);
    return exchange;
  }

  /** The peer opened one. */
  request(
    stream: number,
    type: number,
    fields: MessageFields,
    body: Uint8Array,
    upload: boolean,
  ): void {
    const handler = this.#setup.handlers.get(type);
    if (handler?.request === undefined) {
      this.reset(stream, "unhandled", `nothing handles requests of type ${type} here`);
      return;
    }
    const exchange = new LinkExchange(this, stream, openedByPeer);
    try {
      exchange.handlers = handler.request(exchange, fields, body, upload);
      // Most are answered by now and never need to be found again.
      if (exchange.over) return;
      if (exchange.handlers === undefined) {
        throw new Error("the handler neither answered nor promised to");
      }
    } catch (error) {
      this.handlerThrew(type, error);
      exchange.reset("internal", "the handler failed; the serving node's log says how");
      return;
    }
    if (this.#lost === undefined) this.#byStream.set(stream, exchange);
    else {
      exchange.over = true;
      this.#closed(exchange, this.#lost);
    }
  }

  // What the peer says. Written out, since a closure for each would be garbage for each message.

  /** The answer arrived. */
  response(stream: number, fields: MessageFields, body: Uint8Array): void {
    const exchange = this.#finish(stream);
    try {
      asker(exchange)?.response(fields, body);
    } catch (error) {
      this.#threw(exchange, error);
    }
  }

  /** The refusal arrived. */
  failure(stream: number, fields: MessageFields, body: Uint8Array): void {
    const exchange = this.#finish(stream);
    try {
      asker(exchange)?.failure(fields, body);
    } catch (error) {
      this.#threw(exchange, error);
    }
  }

  /** An item of the peer's stream arrived. */
  peerItem(stream: number, body: Uint8Array): void {
    const exchange = this.#byStream.get(stream);
    try {
      exchange?.handlers?.item(body);
    } catch (error) {
      this.#threw(exchange, error);
    }
  }

  /** The peer's stream ended. */
  peerEnd(stream: number): void {
    const exchange = this.#byStream.get(stream);
    try {
      exchange?.handlers?.end();
    } catch (error) {
      this.#threw(exchange, error);
    }
  }

  /** There is credit, or room, again. */
  writable(stream: number): void {
    const exchange = this.#byStream.get(stream);
    try {
      exchange?.handlers?.writable();
    } catch (error) {
      this.#threw(exchange, error);
    }
  }

  /** The peer gave one up. */
  peerReset(stream: number, code: ResetCode, message: string): void {
    this.#closed(this.#finish(stream), { code, message, sent: true });
  }

  /** Tells all that the link is lost. `taken` is the writer's count now. */
  lost(why: string, taken: number): void {
    const message = `the link closed: ${why}`;
    this.#lost = { code: "link_lost", message, sent: true };
    const exchanges = this.#byStream.values();
    this.#byStream.clear();
    for (const exchange of exchanges) {
      exchange.over = true;
      const sent = exchange.queuedAt < taken;
      this.#closed(exchange, { code: "link_lost", message, sent });
    }
  }

  /** Logs what a handler threw. */
  handlerThrew(type: number | undefined, error: unknown): void {
    this.#setup.log.error("A message handler threw.", { type, error: describe(error) });
  }

  // What exchanges ask.

  item(stream: number, body: Uint8Array): boolean {
    let credit: boolean;
    try {
      credit = this.#setup.machine.item(stream, body);
    } catch (error) {
      throw translate(error);
    }
    return this.#setup.wrote() && credit;
  }

  end(stream: number): void {
    this.quietly(() => this.#setup.machine.end(stream));
  }

  grant(stream: number, bytes: number): void {
    this.quietly(() => this.#setup.machine.grant(stream, bytes));
  }

  respond(stream: number, fields: MessageFields, body: Uint8Array): boolean {
    this.#byStream.take(stream);
    try {
      this.#setup.machine.respond(stream, fields, body);
    } catch (error) {
      this.#cannotAnswer(stream, error);
    }
    return this.#setup.wrote();
  }

  fail(stream: number, fields: MessageFields, body: Uint8Array): void {
    this.#byStream.take(stream);
    try {
      this.#setup.machine.fail(stream, fields, body);
    } catch (error) {
      this.#cannotAnswer(stream, error);
    }
    this.#setup.wrote();
  }

  reset(stream: number, code: ResetCode, message: string): void {
    this.#byStream.take(stream);
    this.quietly(() => this.#setup.machine.reset(stream, code, message));
  }

  #finish(stream: number): LinkExchange | undefined {
    const exchange = this.#byStream.take(stream);
    if (exchange === undefined) return undefined;
    exchange.over = true;
    return exchange;
  }

  #closed(
    exchange: LinkExchange | undefined,
    reason: Parameters<ExchangeHandlers["closed"]>[0],
  ): void {
    try {
      exchange?.handlers?.closed(reason);
    } catch (error) {
      this.#threw(exchange, error);
    }
  }

  #threw(exchange: LinkExchange | undefined, error: unknown): void {
    this.handlerThrew(undefined, error);
    exchange?.reset("internal", "the handler failed; its node's log says how");
  }

  /** What the link cannot carry becomes a reset that says so. */
  #cannotAnswer(stream: number, error: unknown): void {
    const { code, message } = translate(error);
    const reset = code === "too_large" || code === "overloaded" ? code : "internal";
    this.quietly(() => this.#setup.machine.reset(stream, reset, message));
  }

  /** Runs a command whose failure means only that the link is closing, of which its users hear anyway. */
  quietly(command: () => void): void {
    try {
      command();
    } catch (error) {
      const { code, message } = translate(error);
      this.#setup.log.debug("A link did not take a command.", { code, message });
    }
    this.#setup.wrote();
  }
}

/** The handlers of an exchange that this side opened: the machine reports answers for those alone. */
function asker(exchange: LinkExchange | undefined): ExchangeHandlers | undefined {
  return exchange?.handlers as ExchangeHandlers | undefined;
}

/** The machine's errors under the codes of the runtime. */
export function translate(error: unknown): MycnetError {
  const message = error instanceof Error ? error.message : String(error);
  switch (codeOf(error)) {
    case "overloaded":
      return new MycnetError("overloaded", message);
    case "closed":
      return new MycnetError("unavailable", message);
    case "too_large":
      return new MycnetError("too_large", message);
    case "invalid":
      return new MycnetError("invalid_argument", message);
    default:
      return new MycnetError("internal", message, { cause: error });
  }
}

/** An error for the log: its stack, if it has one. */
export function describe(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}
