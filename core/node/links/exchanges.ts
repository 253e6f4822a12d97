/**
 * The exchanges of one link: from the machine's events to objects.
 *
 * The machine carries the object of each exchange and hands it back with every
 * event; this tells its handlers, and sees to three promises: an exchange is told
 * of its end exactly once, what a handler throws goes no further than a log line
 * and a reset, and an exchange that is lost with the link knows whether a byte of
 * it can have left. How many there are is bounded by the machine (`maxExchanges`,
 * `maxStreams`, each way).
 */
import type { ExchangeHandlers, MessageHandler, PeerLink } from "../../contracts/peers.ts";
import { codeOf, MycnetError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/host.ts";
import type { MessageFields } from "@mycnet/protocols/frame";
import type { LinkMachine, ResetCode } from "@mycnet/protocols/link";
import { type ExchangeOwner, kept, LinkExchange } from "./exchange.ts";

type EndReason = Parameters<ExchangeHandlers["closed"]>[0];

/** What the exchanges of a link work with. */
export interface ExchangesSetup {
  readonly link: PeerLink;
  readonly machine: Pick<
    LinkMachine<LinkExchange>,
    "open" | "item" | "end" | "grant" | "widen" | "respond" | "fail" | "reset" | "referencedBytes"
  >;
  /** Who handles which frame type; read at each request. */
  readonly handlers: ReadonlyMap<number, MessageHandler>;
  /** Made when there is something to tell: of most links there never is. */
  log(): Logger;
  /** Sends what was queued. False: the link is full. */
  wrote(): boolean;
  /** The answers to so many requests of this side arrived, which were asked in the same turn. */
  answered(type: number, askedMs: number, times: number): void;
}

/** The exchanges of one link. */
export class Exchanges implements ExchangeOwner {
  readonly link: PeerLink;
  readonly #setup: ExchangesSetup;
  /** The request whose handler is at work: the machine does not have its object yet. */
  #serving: LinkExchange | undefined;
  /** How that one ended meanwhile. */
  #servingEnded: EndReason | undefined;
  // Answers of this read that have not been told: nearly all are to one turn's requests of one type.
  #answers = 0;
  #answersType = 0;
  #answersAskedMs = 0;

  /** None at first. */
  constructor(setup: ExchangesSetup) {
    this.link = setup.link;
    this.#setup = setup;
  }

  /** Opens one. @throws {MycnetError} what the machine says. See {@linkcode LinkExchange.askedMs}. */
  open(
    type: number,
    fields: MessageFields,
    body: Uint8Array,
    upload: boolean,
    handlers: ExchangeHandlers,
    nowMs: number,
  ): LinkExchange {
    const exchange = new LinkExchange(this, 0, type, upload ? -1 : nowMs);
    exchange.handlers = handlers;
    try {
      const { machine } = this.#setup;
      const own = kept(body, false, machine.referencedBytes);
      exchange.stream = machine.open(type, fields, own, upload, nowMs, exchange);
    } catch (error) {
      throw translate(error);
    }
    return exchange;
  }

  /** The peer opened one. */
  request(
    stream: number,
    type: number,
    fields: MessageFields,
    body: Uint8Array,
    upload: boolean,
  ): LinkExchange | undefined {
    const handler = this.#setup.handlers.get(type);
    if (handler?.request === undefined) {
      this.reset(stream, "unhandled", `nothing handles requests of type ${type} here`);
      return undefined;
    }
    const exchange = new LinkExchange(this, stream);
    this.#serving = exchange;
    this.#servingEnded = undefined;
    try {
      exchange.handlers = handler.request(exchange, fields, body, upload);
      if (this.#servingEnded !== undefined) this.#closed(exchange, this.#servingEnded);
      // Most are answered by now, and there is nothing to be told any more.
      if (exchange.over) return undefined;
      if (exchange.handlers === undefined) {
        throw new Error("the handler neither answered nor promised to");
      }
      return exchange;
    } catch (error) {
      this.handlerThrew(type, error);
      exchange.reset("internal", "the handler failed; the serving node's log says how");
      return undefined;
    } finally {
      this.#serving = undefined;
    }
  }

  // What the peer says. Written out, since a closure for each would be garbage for each message.

  /** The answer arrived. */
  response(exchange: LinkExchange, fields: MessageFields, body: Uint8Array): void {
    this.#answered(exchange);
    try {
      asker(exchange).response(fields, body);
    } catch (error) {
      this.#threw(exchange, error);
    }
  }

  /** The refusal arrived. */
  failure(exchange: LinkExchange, fields: MessageFields, body: Uint8Array): void {
    this.#answered(exchange);
    try {
      asker(exchange).failure(fields, body);
    } catch (error) {
      this.#threw(exchange, error);
    }
  }

  /** An item of the peer's stream arrived. */
  peerItem(exchange: LinkExchange, body: Uint8Array): void {
    try {
      exchange.askedMs = -1; // A stream lasts as long as it likes.
      exchange.handlers?.item(body);
    } catch (error) {
      this.#threw(exchange, error);
    }
  }

  /** The peer's stream ended. */
  peerEnd(exchange: LinkExchange): void {
    try {
      exchange.handlers?.end();
    } catch (error) {
      this.#threw(exchange, error);
    }
  }

  /** There is credit, or room, again. */
  writable(exchange: LinkExchange): void {
    try {
      exchange.handlers?.writable();
    } catch (error) {
      this.#threw(exchange, error);
    }
  }

  /** One was given up, by the peer or by the machine. */
  peerReset(exchange: LinkExchange | undefined, code: ResetCode, message: string): void {
    this.#over(exchange, { code, message, sent: true });
  }

  /** One is lost with the link. */
  lost(exchange: LinkExchange | undefined, sent: boolean, why: string): void {
    this.#over(exchange, { code: "link_lost", message: `the link closed: ${why}`, sent });
  }

  /** Logs what a handler threw. */
  handlerThrew(type: number | undefined, error: unknown): void {
    this.#setup.log().error("A message handler threw.", { type, error: describe(error) });
  }

  /** All that was read is handled. */
  tellAnswers(): void {
    if (this.#answers === 0) return;
    this.#setup.answered(this.#answersType, this.#answersAskedMs, this.#answers);
    this.#answers = 0;
  }

  // What exchanges ask.

  item(stream: number, body: Uint8Array, given: boolean): boolean {
    let credit: boolean;
    try {
      const { machine } = this.#setup;
      credit = machine.item(stream, kept(body, given, machine.referencedBytes));
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

  widen(stream: number, bytes: number): void {
    this.quietly(() => this.#setup.machine.widen(stream, bytes));
  }

  respond(stream: number, fields: MessageFields, body: Uint8Array): boolean {
    try {
      const { machine } = this.#setup;
      machine.respond(stream, fields, kept(body, false, machine.referencedBytes));
    } catch (error) {
      this.#cannotAnswer(stream, error);
    }
    return this.#setup.wrote();
  }

  fail(stream: number, fields: MessageFields, body: Uint8Array): void {
    try {
      const { machine } = this.#setup;
      machine.fail(stream, fields, kept(body, false, machine.referencedBytes));
    } catch (error) {
      this.#cannotAnswer(stream, error);
    }
    this.#setup.wrote();
  }

  reset(stream: number, code: ResetCode, message: string): void {
    this.quietly(() => this.#setup.machine.reset(stream, code, message));
  }

  #answered(exchange: LinkExchange): void {
    exchange.over = true;
    const { type, askedMs } = exchange;
    if (askedMs < 0) return;
    if (type !== this.#answersType || askedMs !== this.#answersAskedMs) {
      this.tellAnswers();
      this.#answersType = type;
      this.#answersAskedMs = askedMs;
    }
    this.#answers++;
  }

  /** @param exchange undefined for the one whose handler is at work, which is told afterwards. */
  #over(exchange: LinkExchange | undefined, reason: EndReason): void {
    if (exchange !== undefined) {
      exchange.over = true;
      this.#closed(exchange, reason);
    } else if (this.#serving !== undefined && !this.#serving.over) {
      this.#serving.over = true;
      this.#servingEnded = reason;
    }
  }

  #closed(exchange: LinkExchange, reason: EndReason): void {
    try {
      exchange.handlers?.closed(reason);
    } catch (error) {
      this.#threw(exchange, error);
    }
  }

  #threw(exchange: LinkExchange, error: unknown): void {
    this.handlerThrew(undefined, error);
    exchange.reset("internal", "the handler failed; its node's log says how");
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
      this.#setup.log().debug("A link did not take a command.", { code, message });
    }
    this.#setup.wrote();
  }
}

/** The handlers of an exchange that this side opened: the machine reports answers for those alone. */
function asker(exchange: LinkExchange): ExchangeHandlers {
  return exchange.handlers as ExchangeHandlers;
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
