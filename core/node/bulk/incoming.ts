/**
 * The receiving side of one transfer.
 *
 * The handler runs at once and decides: it throws, and the sender hears why; or it accepts from an
 * offset and reads. Items are digested as they arrive and go to the reader (inflow.ts); credit goes
 * back as the reader takes them, so that at most a window and an item wait here. The trailer is
 * compared before the reader's stream closes: whoever read to the end knows that what it has is
 * what was sent. The receipt goes out when both the bytes have ended and the handler has resolved.
 */
import type { BulkHandler, IncomingBulk } from "../../contracts/bulk.ts";
import type { IncomingExchange, IncomingHandlers } from "../../contracts/peers.ts";
import { codeOf, errorCodes, MycnetError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/host.ts";
import type { Principal } from "@mycnet/protocols/identity";
import type { ResetCode } from "@mycnet/protocols/link";
import { difference, Digest } from "./digest.ts";
import { Inflow } from "./inflow.ts";
import {
  closedError,
  decodeTrailer,
  encodeFailure,
  encodeOffset,
  encodeTrailer,
  type Head,
  type Trailer,
} from "./wire.ts";

/**
 * What may be on its way beyond the link's window of 256 KiB. Each return of credit wakes the sender
 * for a quarter of the whole: with 64 KiB a time both ends spend more on that than on the bytes, and
 * with 192 KiB each still waits for the other now and then. Beyond this nothing is gained on a
 * loopback; 60 MB/s still fit it at a round trip of 25 ms.
 */
const widenedBytes = 1280 * 1024;

/** What a transfer is received with. */
export interface IncomingSetup {
  readonly log: Logger;
  readonly exchange: IncomingExchange;
  readonly name: string;
  readonly head: Head;
  /** Resolves in the next turn of the event loop. */
  turn(): Promise<void>;
  /** Counts bytes that arrive. */
  received(bytes: number): void;
  /** It is over; `error` says why if not well. */
  done(transfer: IncomingTransfer, error: unknown): void;
}

/** One transfer on its way in. */
export class IncomingTransfer implements IncomingBulk, IncomingHandlers {
  readonly from: Principal;
  readonly #setup: IncomingSetup;
  readonly #abort = new AbortController();
  readonly #digest: Digest;
  #inflow: Inflow | undefined;
  #offset: number | undefined;
  #trailing = false;
  #trailer: Trailer | undefined;
  /** What was taken, once all of it has arrived and was checked. */
  #receipt: Trailer | undefined;
  #resolved = false;
  #cancelledByReader = false;
  #moved = true;
  #idleTicks = 0;
  #over = false;

  /** Nothing happens before {@linkcode run}. */
  constructor(setup: IncomingSetup) {
    this.#setup = setup;
    this.from = setup.exchange.link.peer;
    this.#digest = new Digest(setup.head.sha256);
  }

  get name(): string {
    return this.#setup.name;
  }

  get total(): number | undefined {
    return this.#setup.head.total;
  }

  get metadata(): IncomingBulk["metadata"] {
    return this.#setup.head.metadata;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** True once it is over. */
  get over(): boolean {
    return this.#over;
  }

  /** Runs the handler. Never throws. */
  run(handler: BulkHandler): void {
    let result: Promise<void>;
    try {
      result = Promise.resolve(handler(this));
    } catch (error) {
      result = Promise.reject(error);
    }
    result.then(() => this.#handled(), (error) => this.#refused(error));
  }

  accept(offset: number = 0): ReadableStream<Uint8Array<ArrayBuffer>> {
    const { head: { total }, exchange } = this.#setup;
    if (this.#offset !== undefined) {
      throw new MycnetError("invalid_argument", "a transfer is accepted once");
    }
    if (!Number.isSafeInteger(offset) || offset < 0 || (total !== undefined && offset > total)) {
      const most = total === undefined ? "" : ` to ${total}`;
      throw new MycnetError("invalid_argument", `offset: ${offset} is not one of 0${most}`);
    }
    this.#offset = offset;
    const inflow = this.#inflow = new Inflow({
      read: (bytes) => exchange.grant(bytes),
      asked: () => void (this.#moved = true),
      // How the transfer ends is the handler's to say; until then the sender gets no credit.
      cancelled: () => void (this.#cancelledByReader = true),
      turn: this.#setup.turn,
    });
    if (this.#over) inflow.fail(this.#abort.signal.reason);
    else {
      exchange.widen(widenedBytes);
      exchange.item(encodeOffset(offset));
    }
    return inflow.stream;
  }

  /** Called at intervals: fails once nothing has moved for `ticks` of them. */
  idle(ticks: number): void {
    this.#idleTicks = this.#moved ? 0 : this.#idleTicks + 1;
    this.#moved = false;
    if (this.#idleTicks < ticks) return;
    const who = this.#inflow?.waits || this.#offset === undefined || this.#receipt !== undefined
      ? "the receiver's handler did not go on"
      : "nothing came from the sender";
    this.#fail(new MycnetError("deadline_exceeded", `${who} within the idle timeout`));
  }

  /** This node stops. */
  stop(): void {
    if (this.#over) return;
    this.#setup.exchange.reset("shutting_down", "the receiving node is stopping or reloading");
    this.#finish(new MycnetError("closed", "this node is stopping or reloading"));
  }

  item(body: Uint8Array): void {
    this.#moved = true;
    const { exchange, received, head } = this.#setup;
    if (this.#cancelledByReader) return;
    if (this.#offset === undefined || this.#trailer !== undefined) {
      this.#corrupted("bytes came where none were asked for");
      return;
    }
    if (this.#trailing) {
      this.#trailer = decodeTrailer(body);
      if (this.#trailer === undefined) this.#corrupted("its trailer cannot be read");
      return;
    }
    if (body.length === 0) {
      this.#trailing = true;
      exchange.grant(0);
      return;
    }
    if (this.#resolved) {
      this.#fail(stoppedReading());
      return;
    }
    this.#digest.update(body);
    received(body.length);
    if (head.total !== undefined && this.#offset + this.#digest.bytes > head.total) {
      this.#corrupted(`more than the ${head.total} bytes that were announced`);
      return;
    }
    this.#inflow!.push(body);
  }

  end(): void {
    if (this.#over || this.#cancelledByReader) return;
    if (this.#trailer === undefined) {
      this.#corrupted("it ended without a trailer");
      return;
    }
    const ours = this.#digest.finish();
    const differs = difference(this.#trailer, ours);
    if (differs !== undefined) {
      this.#corrupted(differs);
      return;
    }
    this.#receipt = ours;
    this.#inflow!.end();
    if (this.#resolved) this.#succeed(ours);
  }

  writable(): void {}

  closed(reason: { readonly code: ResetCode | "link_lost"; readonly message: string }): void {
    this.#finish(closedError(reason, `the transfer of "${this.name}" from "${this.from.id}"`));
  }

  #handled(): void {
    if (this.#over) return;
    if (this.#offset === undefined) {
      this.#refused(new Error("the handler resolved and had not accepted the transfer"));
    } else if (this.#inflow!.waits || this.#cancelledByReader) {
      this.#fail(stoppedReading());
    } else if (this.#receipt !== undefined) {
      this.#succeed(this.#receipt);
    } else {
      // It counted and knows that it has everything; the trailer is still to come.
      this.#resolved = true;
    }
  }

  #refused(error: unknown): void {
    if (this.#over) return;
    const code = codeOf(error);
    if (code === undefined || !Object.hasOwn(errorCodes, code)) {
      this.#setup.log.error("A handler of transfers failed.", {
        name: this.name,
        from: this.from.id,
        error: error instanceof Error ? error.stack ?? error.message : String(error),
      });
    }
    this.#fail(error);
  }

  #corrupted(why: string): void {
    this.#fail(new MycnetError("corrupted", `the transfer is not what was sent: ${why}`));
  }

  #succeed(receipt: Trailer): void {
    this.#setup.exchange.respond(encodeTrailer(receipt));
    this.#finish(undefined);
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.#setup.exchange.fail(encodeFailure(error, this.name));
    this.#finish(error);
  }

  #finish(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    const { done } = this.#setup;
    if (error === undefined) return done(this, undefined);
    // What has arrived and been checked stays readable; anything else must not look complete.
    if (this.#receipt === undefined) this.#inflow?.fail(error);
    this.#abort.abort(error);
    done(this, error);
  }
}

function stoppedReading(): MycnetError {
  return new MycnetError("cancelled", "the receiver stopped reading before the end");
}
