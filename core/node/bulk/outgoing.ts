/**
 * The sending side of one transfer.
 *
 *   open -> the receiver's offset -> source(offset) -> pump -> trailer, end -> receipt
 *
 * The pump reads a chunk of the source, sends it in slices, and reads the next one when the link
 * takes it: without credit the source is not pulled, so nothing gathers here. Slices are parts of
 * the source's chunk, not copies. Whatever ends the transfer (receipt, failure, reset, lost link,
 * the caller's signal, a source that fails, idleness) settles the promise once and lets the source
 * go. The source may take its time; the receiver may not: see `idle`.
 */
import type { BulkOptions, BulkResult, BulkSource } from "../../contracts/bulk.ts";
import type { Exchange, ExchangeHandlers } from "../../contracts/peers.ts";
import { MycnetError } from "../../kernel/errors.ts";
import type { Host } from "../../kernel/host.ts";
import type { MessageFields } from "@mycnet/protocols/frame";
import type { ResetCode } from "@mycnet/protocols/link";
import { Digest } from "./digest.ts";
import { closedError, decodeFailure, decodeOffset, decodeTrailer, encodeTrailer } from "./wire.ts";

/**
 * The largest item, in bytes: a slice of the link's writer. Many fit the window of a transfer
 * (incoming.ts), so that sender and receiver do not take turns.
 */
const sliceBytes = 64 * 1024;
/** How often progress is told at most, in ms. */
const tellMs = 100;
const empty = new Uint8Array(0);

/** What a transfer is sent with. */
export interface OutgoingSetup {
  readonly host: Host;
  readonly node: string;
  readonly name: string;
  readonly source: BulkSource;
  readonly options: BulkOptions;
  /** Counts bytes that go out. */
  sent(bytes: number): void;
  /** It is over, whichever way. */
  done(transfer: OutgoingTransfer): void;
}

/** One transfer on its way out. */
export class OutgoingTransfer implements ExchangeHandlers {
  /** How it ends. */
  readonly result: Promise<BulkResult>;
  readonly #setup: OutgoingSetup;
  readonly #resolve: (result: BulkResult) => void;
  readonly #reject: (error: unknown) => void;
  readonly #digest: Digest;
  #exchange: Exchange | undefined;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #offset: number | undefined;
  #trailer: ReturnType<Digest["finish"]> | undefined;
  #room: (() => void) | undefined;
  /** True while it is the source's turn. */
  #sourcing = false;
  #moved = true;
  #idleTicks = 0;
  #toldMs = -Infinity;
  #over = false;
  #aborted: (() => void) | undefined;

  /** Nothing happens before {@linkcode begin}. */
  constructor(setup: OutgoingSetup) {
    this.#setup = setup;
    this.#digest = new Digest(setup.options.sha256 === true);
    const { promise, resolve, reject } = Promise.withResolvers<BulkResult>();
    this.result = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get #what(): string {
    return `"${this.#setup.name}" to node "${this.#setup.node}"`;
  }

  /** The exchange is open. */
  begin(exchange: Exchange): void {
    this.#exchange = exchange;
    const { signal } = this.#setup.options;
    if (signal === undefined || this.#over) return;
    this.#aborted = () =>
      this.#giveUp(
        "cancelled",
        new MycnetError("aborted", `${this.#what} was aborted`, { cause: signal.reason }),
      );
    // It may have aborted between the finding of the link and this.
    if (signal.aborted) this.#aborted();
    else signal.addEventListener("abort", this.#aborted, { once: true });
  }

  /** Called at intervals: true once nothing has moved for `ticks` of them because of the receiver. */
  idle(ticks: number): void {
    if (this.#moved || this.#sourcing) this.#idleTicks = 0;
    else this.#idleTicks++;
    this.#moved = false;
    if (this.#idleTicks < ticks) return;
    const doing = this.#offset === undefined
      ? "did not take it"
      : this.#trailer === undefined
      ? "stopped reading"
      : "did not finish with it";
    const message = `${this.#what}: the receiver ${doing} within the idle timeout`;
    this.#giveUp("deadline_exceeded", new MycnetError("deadline_exceeded", message));
  }

  /** This node stops. */
  stop(): void {
    this.#giveUp("shutting_down", new MycnetError("closed", "this node is stopping or reloading"));
  }

  item(body: Uint8Array): void {
    this.#moved = true;
    this.#exchange?.grant(body.length);
    const offset = this.#offset === undefined ? decodeOffset(body) : undefined;
    const { total } = this.#setup.options;
    if (offset === undefined || (total !== undefined && offset > total)) {
      this.#breach("the receiver asks for no offset that there is");
      return;
    }
    this.#offset = offset;
    this.#pump(offset).catch((error) => this.#sourceFailed(error));
  }

  end(): void {
    this.#breach("the receiver ended a stream that is not its own");
  }

  writable(): void {
    this.#moved = true;
    this.#wake();
  }

  response(_fields: MessageFields, body: Uint8Array): void {
    const receipt = decodeTrailer(body);
    const trailer = this.#trailer;
    if (!this.#settle()) return;
    if (trailer === undefined || receipt?.bytes !== trailer.bytes) {
      this.#reject(new MycnetError("corrupted", `${this.#what}: the receipt is of something else`));
      return;
    }
    this.#tell();
    this.#resolve({
      resumedAt: this.#offset!,
      bytes: trailer.bytes,
      sha256: trailer.sha256,
    });
  }

  failure(_fields: MessageFields, body: Uint8Array): void {
    if (this.#settle()) this.#reject(decodeFailure(body, this.#what));
  }

  closed(reason: { readonly code: ResetCode | "link_lost"; readonly message: string }): void {
    if (this.#settle()) this.#reject(closedError(reason, this.#what));
  }

  async #pump(offset: number): Promise<void> {
    const { source, sent } = this.#setup;
    this.#sourcing = true;
    const stream = await source(offset);
    const reader = stream.getReader();
    this.#reader = reader;
    if (this.#over) return this.#letGo();
    while (true) {
      this.#sourcing = true;
      const { done, value } = await reader.read();
      this.#sourcing = false;
      this.#moved = true;
      if (this.#over) return;
      if (done) break;
      if (!(value instanceof Uint8Array)) {
        throw new MycnetError("invalid_argument", "source: its chunks must be Uint8Arrays");
      }
      this.#checkTotal(offset + this.#digest.bytes + value.length, false);
      // Of equal length: a chunk a little too large must not become a slice and a crumb.
      const length = Math.ceil(value.length / Math.ceil(value.length / sliceBytes));
      for (let at = 0; at < value.length; at += length) {
        const slice = value.length <= sliceBytes ? value : value.subarray(at, at + length);
        this.#digest.update(slice);
        sent(slice.length);
        await this.#send(slice);
        if (this.#over) return;
      }
      this.#tellNowAndThen();
    }
    this.#checkTotal(offset + this.#digest.bytes, true);
    this.#reader = undefined;
    this.#trailer = this.#digest.finish();
    await this.#send(empty);
    if (!this.#over) await this.#send(encodeTrailer(this.#trailer));
    this.#exchange!.end();
  }

  /** Sends an item; returns a promise only when there is something to wait for. */
  #send(item: Uint8Array): Promise<void> | undefined {
    if (this.#exchange!.item(item, true) || this.#over) return undefined;
    return new Promise((resolve) => this.#room = resolve);
  }

  #checkTotal(bytes: number, ended: boolean): void {
    const { total } = this.#setup.options;
    if (total === undefined || (ended ? bytes === total : bytes <= total)) return;
    throw new MycnetError(
      "invalid_argument",
      `total: ${total} bytes were announced, and the source ${
        ended ? "ended at" : "gave"
      } ${bytes}`,
    );
  }

  #tellNowAndThen(): void {
    if (this.#setup.options.progress === undefined) return;
    const now = this.#setup.host.now();
    if (now - this.#toldMs < tellMs) return;
    this.#toldMs = now;
    this.#tell();
  }

  #tell(): void {
    const { options: { progress, total }, host } = this.#setup;
    try {
      progress?.({ bytes: this.#offset! + this.#digest.bytes, total });
    } catch (error) {
      host.log.error("A listener to a transfer's progress threw.", { error: `${error}` });
    }
  }

  #sourceFailed(error: unknown): void {
    this.#giveUp("cancelled", error, "the sender's source failed");
  }

  #breach(message: string): void {
    this.#giveUp(
      "protocol",
      new MycnetError("internal", `${this.#what} failed: ${message}`),
      message,
    );
  }

  #giveUp(code: ResetCode, error: unknown, message?: string): void {
    if (!this.#settle()) return;
    this.#exchange?.reset(code, message);
    this.#reject(error);
  }

  #settle(): boolean {
    if (this.#over) return false;
    this.#over = true;
    if (this.#aborted !== undefined) {
      this.#setup.options.signal?.removeEventListener("abort", this.#aborted);
    }
    this.#letGo();
    this.#wake();
    this.#setup.done(this);
    return true;
  }

  /** The source may stop: nobody reads it any more. */
  #letGo(): void {
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.cancel("the transfer is over").catch(() => {});
  }

  #wake(): void {
    const room = this.#room;
    this.#room = undefined;
    room?.();
  }
}
