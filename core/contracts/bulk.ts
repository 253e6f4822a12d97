/**
 * Byte streams between nodes: for files, snapshots and whatever is too large for a message.
 *
 * A stream goes over a link apart from the others where there are several, in the low lane, with
 * credit of its own, so that it takes what bandwidth is left and delays nothing else by more than a
 * slice. It is resumable: the receiver says from which byte on it wants it.
 */
import { type Capability, capability } from "../kernel/plugin.ts";
import type { Principal } from "@mycnet/protocols/identity";
import type { Priority } from "@mycnet/protocols/frame";

/** How far a transfer is. */
export interface BulkProgress {
  /** Bytes that the receiver has taken, the offset it began at included. */
  readonly bytes: number;
  /** All there are, where the sender knows. */
  readonly total: number | undefined;
}

/** What is sent. */
export interface BulkOptions {
  /** All the bytes there are, so that the receiver can refuse what it has no room for and tell the end from a loss. */
  readonly total?: number;
  /** Labels for the receiver: at most 4 KiB as MessagePack. */
  readonly metadata?: Readonly<Record<string, string | number | boolean>>;
  /** Default `low`. */
  readonly priority?: Priority;
  /** Aborting it gives the transfer up on both sides. */
  readonly signal?: AbortSignal;
  /** Told as the receiver takes bytes, at most 10 times a second, and at the end. */
  readonly progress?: (progress: BulkProgress) => void;
}

/** What a sender learns when all bytes were taken. */
export interface BulkResult {
  /** The offset that the receiver asked to begin at. */
  readonly resumedAt: number;
  /** Bytes sent, without those before `resumedAt`. */
  readonly bytes: number;
  /** SHA-256 of the whole, as both sides computed it over what was sent; hexadecimal. */
  readonly sha256: string;
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
  readonly metadata: Readonly<Record<string, string | number | boolean>>;
  /** Aborts when the sender gives up, the link is lost or this node stops. */
  readonly signal: AbortSignal;
  /**
   * Takes the transfer from byte `offset` on (default 0) and reads it; the chunks are the reader's
   * to keep. Not reading holds the sender back; cancelling ends the transfer.
   */
  accept(offset?: number): ReadableStream<Uint8Array<ArrayBuffer>>;
}

/** Takes a transfer. Resolving says that all of it was taken; throwing refuses or fails it, with the error's code. */
export type BulkHandler = (transfer: IncomingBulk) => Promise<void>;

/** Byte streams between nodes. */
export interface Bulk {
  /**
   * Sends a stream to the handler of `name` on a node. Resolves when the receiver's handler did.
   * @param source makes the stream from a byte on: called once, with the offset that the receiver asks for.
   * @throws with a `code`: `unhandled`, `unavailable` (the link broke: call again, and it resumes where the receiver says), `cancelled`, the handler's own.
   */
  send(
    node: string,
    name: string,
    source: (offset: number) => ReadableStream<Uint8Array> | Promise<ReadableStream<Uint8Array>>,
    options?: BulkOptions,
  ): Promise<BulkResult>;
  /** Registers the handler of a name; one a name. */
  handle(name: string, handler: BulkHandler): Disposable;
}

/** The capability token of {@linkcode Bulk}. */
export const bulk: Capability<Bulk> = capability("bulk");
