/**
 * Byte streams between nodes: for files, snapshots and whatever is too large for a message.
 *
 * A stream goes over a link apart from the others where there are several, in the low lane, with
 * credit of its own, so that it takes what bandwidth is left and delays nothing else by more than a
 * slice. It is resumable: the receiver says from which byte on it wants it. What was sent is
 * checked on both sides, by CRC-32 always and by SHA-256 if asked.
 */
import { type Capability, capability } from "../kernel/plugin.ts";
import type { Principal } from "@mycnet/protocols/identity";
import type { Priority } from "@mycnet/protocols/frame";

/** How far a transfer is. */
export interface BulkProgress {
  /**
   * Bytes that went out, the offset it began at included. The receiver is behind by at most its
   * window (1.5 MiB) until the end, when it has taken all.
   */
  readonly bytes: number;
  /** All there are, where the sender knows. */
  readonly total: number | undefined;
}

/** Labels of a transfer. */
export type BulkMetadata = Readonly<Record<string, string | number | boolean>>;

/** What is sent. */
export interface BulkOptions {
  /** All the bytes there are, so that the receiver can refuse what it has no room for. A source that ends elsewhere fails the transfer with `invalid_argument`. */
  readonly total?: number;
  /** Labels for the receiver: at most 4 KiB as MessagePack. */
  readonly metadata?: BulkMetadata;
  /** Default `low`. */
  readonly priority?: Priority;
  /**
   * Computes SHA-256 on both sides, besides the CRC-32 that is always there. It costs both about a
   * second per GB. Default false.
   */
  readonly sha256?: boolean;
  /** Aborting it gives the transfer up on both sides. */
  readonly signal?: AbortSignal;
  /** Told as bytes go out, at most 10 times a second, and at the end. What it throws is logged. */
  readonly progress?: (progress: BulkProgress) => void;
}

/** What a sender learns when all bytes were taken. */
export interface BulkResult {
  /** The offset that the receiver asked to begin at. */
  readonly resumedAt: number;
  /** Bytes sent, without those before `resumedAt`. */
  readonly bytes: number;
  /** SHA-256 over the bytes sent, hexadecimal, the same on both sides; undefined unless asked for. */
  readonly sha256: string | undefined;
}

/** A transfer that arrives. */
export interface IncomingBulk {
  /** Who sends, from the handshake. */
  readonly from: Principal;
  /** The name it is sent to. */
  readonly name: string;
  /** All the bytes there are, where the sender knows. */
  readonly total: number | undefined;
  /** The sender's labels. */
  readonly metadata: BulkMetadata;
  /** Aborts when the sender gives up, the link is lost or this node stops. */
  readonly signal: AbortSignal;
  /**
   * Takes the transfer from byte `offset` on (default 0) and reads it, as a byte stream; the chunks,
   * of at most 64 KiB, are the reader's to keep. A reader with a buffer of its own
   * (`getReader({ mode: "byob" })`) gets as much at a time as that holds, is twice as fast, and
   * leaves the collector nothing to do. Not reading holds the sender back; cancelling ends the transfer. The stream closes
   * once everything has arrived and was checked, and errors otherwise.
   * @throws `invalid_argument` when called twice, or for an offset that is no byte of it.
   */
  accept(offset?: number): ReadableStream<Uint8Array<ArrayBuffer>>;
}

/** Takes a transfer. Resolving says that all of it was taken; throwing refuses or fails it, with the error's code. */
export type BulkHandler = (transfer: IncomingBulk) => Promise<void>;

/** Makes the stream from a byte on: called once, with the offset that the receiver asks for. Its chunks must stay as they are until the transfer is over. */
export type BulkSource = (
  offset: number,
) => ReadableStream<Uint8Array> | Promise<ReadableStream<Uint8Array>>;

/** Byte streams between nodes. */
export interface Bulk {
  /**
   * Sends a stream to the handler of `name` on a node. Resolves when the receiver's handler did.
   * @param name 1 to 255 bytes of UTF-8.
   * @throws with a `code`: `unhandled`; `unavailable` (the link broke: call again, and it resumes
   * where the receiver says); `deadline_exceeded` (nothing moved for `plugins.bulk.idleTimeout`);
   * `corrupted`; `overloaded`; `aborted` by the signal; those of a dial; the handler's own.
   */
  send(node: string, name: string, source: BulkSource, options?: BulkOptions): Promise<BulkResult>;
  /**
   * Registers the handler of a name until disposed; transfers under way go on.
   * @throws `duplicate_handler`: one a name; `invalid_argument` for a name too long.
   */
  handle(name: string, handler: BulkHandler): Disposable;
}

/** The capability token of {@linkcode Bulk}. */
export const bulk: Capability<Bulk> = capability("bulk");
