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
import type { ServerExchange } from "./served_call.ts";

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

/** Does things later, in order, one microtask for all that is due. */
class Turn {
  #due: (() => void)[] = [];

  later(run: () => void): void {
    if (this.#due.push(run) === 1) queueMicrotask(() => this.#run());
  }

  #run(): void {
    const due = this.#due;
    this.#due = [];
    for (const run of due) run();
  }
}

/** The way to oneself. */
export class Loopback {
  readonly #accept: AcceptCall;
  readonly #turn = new Turn();

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
    return new Pair(this.#accept, this.#turn, fields, body, upload, handlers);
  }
}

/** Both ends of one exchange; this object is the caller's. */
class Pair implements CallExchange {
  readonly #turn: Turn;
  #caller: ExchangeHandlers | undefined;
  #server: IncomingHandlers | undefined;
  /** For the server's items. */
  readonly #homeward: Credit;
  /** For the caller's items. */
  readonly #outward: Credit;

  constructor(
    accept: AcceptCall,
    turn: Turn,
    fields: MessageFields,
    body: Uint8Array,
    upload: boolean,
    handlers: ExchangeHandlers,
  ) {
    this.#turn = turn;
    this.#caller = handlers;
    this.#homeward = new Credit(() => this.#server?.writable());
    this.#outward = new Credit(() => this.#caller?.writable());
    turn.later(() => {
      if (this.#caller === undefined) return; // Reset before it arrived.
      this.#server = accept(this.#serverEnd(), fields, body, upload);
    });
  }

  item(body: Uint8Array): boolean {
    if (this.#caller === undefined) return false;
    this.#turn.later(() => this.#server?.item(body));
    return this.#outward.take(body.length);
  }

  end(): void {
    this.#turn.later(() => this.#server?.end());
  }

  grant(bytes: number): void {
    this.#turn.later(() => this.#homeward.give(bytes));
  }

  reset(code: ResetCode, message = ""): void {
    if (this.#caller === undefined) return;
    this.#caller = undefined;
    this.#turn.later(() => {
      const server = this.#server;
      this.#server = undefined;
      server?.closed({ code, message, sent: true });
    });
  }

  #serverEnd(): ServerExchange {
    const finish = (tell: (caller: ExchangeHandlers) => void) => {
      this.#turn.later(() => {
        const caller = this.#caller;
        this.#caller = this.#server = undefined;
        if (caller !== undefined) tell(caller);
      });
    };
    return {
      respond: (body, fields = noFields) => {
        finish((caller) => caller.response(fields, body));
        return true;
      },
      fail: (body, fields = noFields) => finish((caller) => caller.failure(fields, body)),
      item: (body) => {
        this.#turn.later(() => this.#caller?.item(body));
        return this.#homeward.take(body.length);
      },
      grant: (bytes) => this.#turn.later(() => this.#outward.give(bytes)),
    };
  }
}

/** The credit of one direction. */
class Credit {
  #left = windowBytes;
  #wanted = false;
  readonly #writable: () => void;

  constructor(writable: () => void) {
    this.#writable = writable;
  }

  take(bytes: number): boolean {
    this.#left -= bytes;
    if (this.#left > 0) return true;
    this.#wanted = true;
    return false;
  }

  give(bytes: number): void {
    this.#left += bytes;
    if (!this.#wanted || this.#left <= 0) return;
    this.#wanted = false;
    this.#writable();
  }
}
