/**
 * What the plugin drives: SWIM, and above it Serf's messages or nothing.
 *
 * `interop: "serf"` puts Serf's machine above SWIM's, with its intents, events,
 * queries and coordinates. `interop: "memberlist"` keeps to what programs on bare
 * memberlist understand: members and their metadata. Both look the same from
 * here; what the second cannot do fails with `unavailable`.
 */
import type { Swim, SwimStream } from "@mycnet/protocols/swim";
import type { SerfQueryHandle, SerfQueryListener, SerfQueryRequest } from "@mycnet/protocols/serf";
import type { KeyringReply, MemberEvent } from "../../../core/contracts/membership.ts";
import { MycnetError } from "../../../core/kernel/errors.ts";
import type { Clocks } from "./memory.ts";
import type { Tags } from "./tags.ts";

/** A member as the machines see it. */
export interface LayerMember {
  readonly name: string;
  readonly address: string;
  readonly tags: Tags;
  readonly state: "alive" | "suspect" | "dead" | "left";
  readonly incarnation: number;
  /** When its state changed last, in the host's monotonic time; undefined: not known. */
  readonly sinceMs: number | undefined;
}

/** How a join went. */
export interface JoinReply {
  /** Addresses that answered. */
  readonly contacted: number;
  /** Those that did not, and why. */
  readonly errors: Readonly<Record<string, string>>;
}

/** A query that asks this node. */
export interface LayerQuery {
  readonly name: string;
  readonly payload: Uint8Array;
  readonly time: number;
  /** Answers, once. What became of it. */
  respond(payload: Uint8Array, nowMs: number): string;
}

/** What a layer tells. None may throw. */
export interface LayerHandler {
  /** A datagram to send; the bytes are valid during the call only. */
  packet(to: string, bytes: Uint8Array): void;
  /** A stream to open. */
  open(stream: SwimStream): void;
  /** Something happened to a member. */
  member(type: MemberEvent["type"], member: LayerMember): void;
  /** A direct probe was answered. */
  answered(name: string, nowMs: number): void;
  /** The process stood still. */
  paused(ms: number): void;
  /** Our incarnation rose. */
  incarnation(incarnation: number): void;
  /** A user event arrived; the bytes are the receiver's to keep. */
  userEvent(name: string, payload: Uint8Array, time: number): void;
  /** A query arrived. */
  query(query: LayerQuery): void;
  /** The keys were changed. */
  keyring(): void;
  /** Somebody's state was refused as a whole: it is of another kind of cluster, or of another one. */
  refused(address: string, reason: string): void;
  /** Somebody uses our name at this address. */
  conflict(address: string): void;
  /** The vote about our name went to the other. */
  nameLost(): void;
  /** Why somebody may not be a member, or undefined. */
  admit(name: string, tags: Tags): string | undefined;
}

/** The machines as the plugin drives them. All times in the host's monotonic time. */
export interface Layer {
  /** The machine below. */
  readonly swim: Swim;
  /** When `handleTimer` wants to be called. */
  readonly nextTimerMs: number | undefined;
  /** For persisting. */
  readonly clocks: Clocks;
  /** The time, before each call into the machine below, whose events do not carry it. */
  tick(nowMs: number): void;
  handleTimer(nowMs: number): void;
  members(): readonly LayerMember[];
  member(name: string): LayerMember | undefined;
  /** Joins by push/pull; `done` runs once, when all have answered or failed. */
  join(addresses: readonly string[], nowMs: number, done: (reply: JoinReply) => void): void;
  /** Leaves; `done` runs once the word has spread, or cannot. */
  leave(nowMs: number, done: () => void): void;
  /** False: no such member. */
  forceLeave(name: string, prune: boolean, nowMs: number): boolean;
  /** @throws with code `too_large`. */
  setTags(tags: Tags, nowMs: number): void;
  event(name: string, payload: Uint8Array, coalesce: boolean, nowMs: number): void;
  query(request: SerfQueryRequest, listener: SerfQueryListener, nowMs: number): SerfQueryHandle;
  keyring(
    operation: "list" | "install" | "use" | "remove",
    key: Uint8Array | undefined,
    nowMs: number,
    done: (reply: KeyringReply) => void,
  ): void;
  distanceMs(a: string, b: string): number | undefined;
  /** What only this layer counts. */
  readonly counters: Readonly<Record<string, number>>;
  stop(): void;
}

/** The error of what a layer has not. */
export function notOffered(what: string): MycnetError {
  return new MycnetError(
    "unavailable",
    `${what} need Serf's messages, and this cluster speaks bare memberlist (interop: "memberlist")`,
  );
}
