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
import type { LinkMachine, ResetCode } from "@mycnet/protocols/link";
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
  readonly #byStream = new Map<number, LinkExchange>();

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
    this.#byStream.set(stream, exchange);
    try {
      exchange.handlers = handler.request(exchange, fields, body, upload);
      if (exchange.handlers === undefined && !exchange.over) {
        throw new Error("the handler neither answered nor promised to");
      }
    } catch (error) {
      this.handlerThrew(type, error);
      exchange.reset("internal", "the handler failed; the serving node's log says how");
    }
  }

  /** The answer arrived. */
  response(stream: number, fields: MessageFields, body: Uint8Array): void {
    this.#tell(this.#finish(stream), (handlers) => handlers.response(fields, body));
  }

  /** The refusal arrived. */
  failure(stream: number, fields: MessageFields, body: Uint8Array): void {
    this.#tell(this.#finish(stream), (handlers) => handlers.failure(fields, body));
  }

  /** The peer gave one up. */
  peerReset(stream: number, code: ResetCode, message: string): void {
    this.#tell(this.#finish(stream), (handlers) => handlers.closed({ code, message, sent: true }));
  }

  /** Tells one of something that does not end it. */
  tell(stream: number, run: (handlers: ExchangeHandlers) => void): void {
    this.#tell(this.#byStream.get(stream), run);
  }

  /** Tells all that the link is lost. `taken` is the writer's count now. */
  lost(why: string, taken: number): void {
    const exchanges = [...this.#byStream.values()];
    this.#byStream.clear();
    for (const exchange of exchanges) {
      exchange.over = true;
      const sent = exchange.queuedAt < taken;
      const reason = { code: "link_lost", message: `the link closed: ${why}`, sent } as const;
      this.#tell(exchange, (handlers) => handlers.closed(reason));
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
    this.#quietly(() => this.#setup.machine.end(stream));
  }

  grant(stream: number, bytes: number): void {
    this.#quietly(() => this.#setup.machine.grant(stream, bytes));
  }

  respond(stream: number, fields: MessageFields, body: Uint8Array): boolean {
    return this.#answer(stream, () => this.#setup.machine.respond(stream, fields, body));
  }

  fail(stream: number, fields: MessageFields, body: Uint8Array): void {
    this.#answer(stream, () => this.#setup.machine.fail(stream, fields, body));
  }

  reset(stream: number, code: ResetCode, message: string): void {
    this.#byStream.delete(stream);
    this.#quietly(() => this.#setup.machine.reset(stream, code, message));
  }

  #finish(stream: number): LinkExchange | undefined {
    const exchange = this.#byStream.get(stream);
    if (exchange === undefined) return undefined;
    this.#byStream.delete(stream);
    exchange.over = true;
    return exchange;
  }

  #tell(exchange: LinkExchange | undefined, run: (handlers: ExchangeHandlers) => void): void {
    if (exchange?.handlers === undefined) return;
    try {
      // One that the peer opened is never told of a response or a failure: the machine sees to it.
      run(exchange.handlers as ExchangeHandlers);
    } catch (error) {
      this.handlerThrew(undefined, error);
      exchange.reset("internal", "the handler failed; its node's log says how");
    }
  }

  /** Sends the end of an exchange. What the link cannot carry becomes a reset that says so. */
  #answer(stream: number, send: () => void): boolean {
    this.#byStream.delete(stream);
    try {
      send();
    } catch (error) {
      const { code, message } = translate(error);
      const reset = code === "too_large" || code === "overloaded" ? code : "internal";
      this.#quietly(() => this.#setup.machine.reset(stream, reset, message));
    }
    return this.#setup.wrote();
  }

  /** Runs a command whose failure means only that the link is closing, of which its users hear anyway. */
  #quietly(command: () => void): void {
    try {
      command();
    } catch (error) {
      const { code, message } = translate(error);
      this.#setup.log.debug("A link did not take a command.", { code, message });
    }
    this.#setup.wrote();
  }
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
