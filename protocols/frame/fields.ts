/** The fields that stand first in the payload of every message frame. */

/** Message priorities, the most urgent first. */
export type Priority = "critical" | "high" | "normal" | "low";

/** What a message frame is to its exchange. */
export type MessageKind = "message" | "request" | "response" | "failure" | "item" | "end";

/** A node and the start of it that is meant. */
export interface NodeRef {
  /** The node id. */
  readonly id: string;
  /** Which start of it. */
  readonly generation: number;
}

/** W3C Trace Context, binary: 16-byte trace id, 8-byte span id, flags. */
export interface TraceContext {
  /** 16 bytes. */
  readonly traceId: Uint8Array;
  /** 8 bytes. */
  readonly spanId: Uint8Array;
  /** One byte; bit 0 says that the trace is sampled. */
  readonly flags: number;
}

/** The optional fields of a message; each is announced by a flag. Absent fields cost nothing. */
export interface MessageFields {
  /** Default `normal`. */
  readonly priority?: Priority;
  /** What the type alone does not say: `service/method`, or the rest of a `custom.` name. At most 255 bytes of UTF-8. */
  readonly route?: string;
  /** Time left, in milliseconds, 1 to 2^32-1. Relative, since clocks differ. */
  readonly deadlineMs?: number;
  /** Attempts that may still be made further down; retries never multiply. 0 to 255. */
  readonly retryBudget?: number;
  /** The sender's sequence towards this receiver, counted for each priority (protocols/delivery), 0 to 2^53-1. */
  readonly sequence?: number;
  /** With `sequence`: it counts messages that the sender keeps on disk, and outlives its process. */
  readonly durable?: boolean;
  /** With `sequence`: the sender has sent this message before, so the receiver may have seen it. */
  readonly redelivered?: boolean;
  /** At most 64 bytes of UTF-8. */
  readonly idempotencyKey?: string;
  /** At most 64 bytes of UTF-8. */
  readonly affinityKey?: string;
  /** Who sent it first, when relayed. */
  readonly source?: NodeRef;
  /** For whom it is, when relayed. */
  readonly target?: NodeRef;
  /** Relays it may still pass. 0 to 255. */
  readonly hopLimit?: number;
  /** The epoch of a lease; an older one is refused. 0 to 2^53-1. */
  readonly fencingEpoch?: number;
  /** How loaded the sender is, 0 (idle) to 65535 (full). */
  readonly loadHint?: number;
  /** The span that caused the message. */
  readonly trace?: TraceContext;
  /** Opaque to the link: metadata encoded by whoever handles the type. At most 8 KiB. */
  readonly metadata?: Uint8Array;
}

/** No fields at all. */
export const noFields: MessageFields = Object.freeze({});
