/**
 * A call to oneself: an exchange without a link.
 *
 * The node that calls may serve as well. Such a call goes through the same
 * encoding, checks, limits and credit as any other, so that a service behaves
 * the same wherever it runs; only the socket is missing. What one end does the
 * other learns in a later microtask and in order, as over a link, so neither
 * end is ever called back from inside its own call.
 */
import type { Exchange, ExchangeHandlers, IncomingHandlers } from "../../contracts/peers.ts";
import type { MessageFields } from "@mycnet/protocols/frame";
import { noFields } from "@mycnet/protocols/frame";
import type { ResetCode } from "@mycnet/protocols/link";
import type { ServerExchange } from "./serving.ts";

/** An opened exchange as a caller uses it. */
export type CallExchange = Pick<Exchange, "item" | "end" | "grant" | "reset">;

/** Takes a call, as {@linkcode ServiceServer.accept} does for this node. */
export type AcceptCall = (
  exchange: ServerExchange,
  fields: MessageFields,
  body: Uint8Array,
  upload: boolean,
) => IncomingHandlers | undefined;

/** Items of one direction that may be under way unconsumed, in bytes. */
const windowBytes = 256 * 1024;

/** The way to oneself. */
export class Loopback {
  readonly #accept: AcceptCall;
  /** What is to happen next, one microtask for all that is due. */
  #due: (() => void)[] = [];

  constructor(accept: AcceptCall) {
    this.#accept = accept;
  }

  /** Opens an exchange, like a link's `open`. */
  open(
    fields: MessageFields,
    body: Uint8Array,
    upload: boolean,
    handlers: ExchangeHandlers,
  ): CallExchange {
    const near = new CallerEnd(this, handlers);
    this.later(() => {
      if (near.handlers === undefined) return; // Reset before it arrived.
      const far = near.far = new ServerEnd(this, near);
      far.handlers = this.#accept(far, fields, body, upload);
    });
    return near;
  }

  /** Does something in a later microtask, after what was asked for before. */
  later(run: () => void): void {
    if (this.#due.push(run) === 1) queueMicrotask(() => this.#run());
  }

  #run(): void {
    const due = this.#due;
    this.#due = [];
    for (const run of due) run();
  }
}

/** One end of an exchange: the credit for what it sends, and who listens to it. */
abstract class End<Handlers extends IncomingHandlers> {
  /** Undefined once this end is over. */
  handlers: Handlers | undefined;
  protected readonly way: Loopback;
  #credit = windowBytes;
  #wanting = false;

  constructor(way: Loopback) {
    this.way = way;
  }

  protected spend(bytes: number): boolean {
    this.#credit -= bytes;
    this.#wanting ||= this.#credit <= 0;
    return this.#credit > 0;
  }

  /** The other end consumed what this one sent. */
  refill(bytes: number): void {
    this.#credit += bytes;
    if (!this.#wanting || this.#credit <= 0) return;
    this.#wanting = false;
    this.handlers?.writable();
  }
}

class CallerEnd extends End<ExchangeHandlers> implements CallExchange {
  /** The server's end, once the call has arrived. */
  far: ServerEnd | undefined;

  constructor(way: Loopback, handlers: ExchangeHandlers) {
    super(way);
    this.handlers = handlers;
  }

  item(body: Uint8Array): boolean {
    if (this.handlers === undefined) return false;
    this.way.later(() => this.far?.handlers?.item(body));
    return this.spend(body.length);
  }

  end(): void {
    this.way.later(() => this.far?.handlers?.end());
  }

  grant(bytes: number): void {
    this.way.later(() => this.far?.refill(bytes));
  }

  reset(code: ResetCode, message = ""): void {
    if (this.handlers === undefined) return;
    this.handlers = undefined;
    this.way.later(() => {
      const server = this.far?.handlers;
      if (this.far !== undefined) this.far.handlers = undefined;
      server?.closed({ code, message, sent: true });
    });
  }
}

class ServerEnd extends End<IncomingHandlers> implements ServerExchange {
  readonly #near: CallerEnd;

  constructor(way: Loopback, near: CallerEnd) {
    super(way);
    this.#near = near;
  }

  respond(body: Uint8Array, fields: MessageFields = noFields): boolean {
    this.way.later(() => this.#finish()?.response(fields, body));
    return true;
  }

  fail(body: Uint8Array, fields: MessageFields = noFields): void {
    this.way.later(() => this.#finish()?.failure(fields, body));
  }

  item(body: Uint8Array): boolean {
    this.way.later(() => this.#near.handlers?.item(body));
    return this.spend(body.length);
  }

  grant(bytes: number): void {
    this.way.later(() => this.#near.refill(bytes));
  }

  #finish(): ExchangeHandlers | undefined {
    const caller = this.#near.handlers;
    this.#near.handlers = this.handlers = undefined;
    return caller;
  }
}
