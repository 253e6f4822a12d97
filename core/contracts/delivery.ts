/**
 * Delivery: messages that are acknowledged. It numbers what one node sends to
 * another, sends it again, and hands up each message once and in order; names and
 * handlers are the messenger's.
 *
 * The order promised is that of the messages of one priority and one level from one
 * node to another. A message that a handler keeps failing on holds back those behind
 * it if it is `guaranteed`, and nothing if it is `high`.
 */
import { type Capability, capability } from "../kernel/plugin.ts";
import type { SendOptions } from "./messenger.ts";
import type { MessageFields, Priority } from "@mycnet/protocols/frame";
import type { NodeDescription } from "@mycnet/protocols/identity";
import type { SqlDatabase } from "./databases.ts";

/** The levels that are acknowledged. */
export type AcknowledgedLevel = "high" | "guaranteed";

/** The fields of a message that its sender sets; delivery sets the others. A trace is not kept on disk. */
export type DeliveredFields = Pick<MessageFields, "route" | "metadata" | "trace">;

/** The most bytes that a guaranteed message may have. */
export const maxGuaranteedBytes: number = 1024 * 1024;

/** A message that arrived and is to be handled now. */
export interface ArrivedMessage {
  /** Who sent it, from the handshake. */
  readonly from: NodeDescription;
  /** The type in its header. */
  readonly type: number;
  /** Its fields. */
  readonly fields: MessageFields;
  /** `high`: valid during the call only. `guaranteed`: the receiver's to keep. */
  readonly body: Uint8Array;
  /** What it was promised. */
  readonly level: AcknowledgedLevel;
  /** It was sent before, or handled in vain before. */
  readonly redelivered: boolean;
  /** See `MessageContext.transaction`; undefined for `high`. */
  readonly transaction: (<T>(work: (database: SqlDatabase) => T) => T) | undefined;
}

/**
 * What became of an arrived message. `taken`: its handler was called (`high`), or is
 * done (`guaranteed`). `unhandled`: nobody handles its name. `busy`: too many are being
 * handled. A promise, for `guaranteed` alone: resolves when the handler is done,
 * rejects with what it failed with.
 */
export type Taken = "taken" | "unhandled" | "busy" | Promise<void>;

/** How much waits for a node. */
export interface WaitingMessages {
  /** For whom. */
  readonly node: string;
  /** What was promised. */
  readonly level: AcknowledgedLevel;
  /** In whose place of the queue. */
  readonly priority: Priority;
  /** Messages that are not acknowledged. */
  readonly messages: number;
}

/** The delivery of one node. */
export interface Delivery {
  /** Sends a message as `SendOptions.reliability` promises. The bytes must not change until the promise settles. */
  send(
    node: string,
    level: AcknowledgedLevel,
    type: number,
    fields: DeliveredFields,
    body: Uint8Array,
    options: SendOptions,
  ): Promise<void>;
  /** Registers who handles what arrives; it must not throw. One at a time: without one, everything waits. */
  receive(receiver: (message: ArrivedMessage) => Taken): Disposable;
  /** A handler was registered: guaranteed messages that found none are handled now. */
  retryUnhandled(): void;
  /** What is not acknowledged yet. */
  waiting(): readonly WaitingMessages[];
}

/** The capability token of {@linkcode Delivery}. */
export const delivery: Capability<Delivery> = capability("delivery");
