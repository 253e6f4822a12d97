/** What goes into a link machine and what comes out of it, as types and defaults. */
import type { MessageFields } from "../frame/fields.ts";
import type { NodeDescription, Principal } from "../identity/principal.ts";
import type { Hello, LinkCapabilities, ProfileOverrides } from "../negotiation/hello.ts";
import type { EncryptionLevel, NegotiatedProfile } from "../negotiation/profile.ts";
import type { TypeCounters } from "./type_counters.ts";

/** Why an exchange was given up. */
export type ResetCode =
  | "cancelled"
  | "deadline_exceeded"
  | "overloaded"
  | "unhandled"
  | "too_large"
  | "protocol"
  | "shutting_down"
  | "internal";

/** Why a link was refused before it was up. */
export type RefuseCode =
  | "version"
  | "cluster"
  | "identity"
  | "unauthenticated"
  | "node_type"
  | "self"
  | "wrong_node"
  | "duplicate"
  | "profile"
  | "transcript"
  | "full"
  | "shutting_down"
  | "not_admitted"
  | "protocol"
  | "timeout";

/** Why a link that was up ends. `protocol` and `unhealthy` are the machine's own. */
export type GoodbyeCode =
  | "leaving"
  | "restarting"
  | "idle"
  | "superseded"
  | "recycled"
  | "shutting_down"
  | "removed"
  | "protocol"
  | "unhealthy";

/** Where a link is in its life. */
export type LinkState = "handshake" | "up" | "draining" | "closed";

/** How a link does. `degraded`: slow, or it missed a check. */
export type LinkHealth = "healthy" | "degraded" | "unhealthy";

/** How a link came to its end. */
export interface LinkCloseReason {
  /**
   * `goodbye`: agreed. `refused`: in the handshake. `protocol`: somebody broke the rules.
   * `timeout`: the handshake took too long. `unhealthy`: nothing heard for too long, or nothing gets through.
   * `transport`: the connection broke.
   */
  readonly kind: "goodbye" | "refused" | "protocol" | "timeout" | "unhealthy" | "transport";
  /** A {@linkcode RefuseCode} or {@linkcode GoodbyeCode}; `transport` for a broken connection. A newer peer may say others. */
  readonly code: string;
  /** One sentence. */
  readonly message: string;
  /** Who ended it. */
  readonly by: "us" | "peer";
}

/** The bounds and times of a link. */
export interface LinkLimits {
  /** The largest frame accepted, without its header. Default 16 MiB. */
  readonly maxFrameBytes: number;
  /** The same until the handshake is done. Default 64 KiB. */
  readonly maxHandshakeFrameBytes: number;
  /** Exchanges under way, for each direction. Default 4096. */
  readonly maxExchanges: number;
  /** Streams under way, for each direction of opening: exchanges with items. Default 100. */
  readonly maxStreams: number;
  /** How much of a stream may be on its way unconsumed. Default 256 KiB. */
  readonly streamWindowBytes: number;
  /** Queued output at which the link calls itself full. Default 1 MiB. */
  readonly outputHighWaterBytes: number;
  /** Queued output at which commands fail and a peer that does not read is given up. Default 40 MiB; at least two frames and the high water. */
  readonly maxOutputBytes: number;
  /** What is written at a time, and so how long what is urgent waits at most. 1 KiB to 256 KiB, default 64 KiB. */
  readonly sliceBytes: number;
  /** Bodies of this size and more are compressed, where compression is in force. Default 1024. */
  readonly compressionThresholdBytes: number;
  /** From the first moment until up. Default 5000. */
  readonly handshakeTimeoutMs: number;
  /** Between checks of an idle link. Default 1000. */
  readonly pingIntervalMs: number;
  /** Between checks of a link that carried messages in the last second. Default 100. */
  readonly activePingIntervalMs: number;
  /** Silence after a ping that counts as a miss; longer where the measured round trip is. Default 500. */
  readonly pingTimeoutMs: number;
  /** Misses in a row that make a link unhealthy and close it. Default 3. */
  readonly failureThreshold: number;
  /** Smoothed round trip above which a link is degraded. Default 100. */
  readonly degradedRoundTripMs: number;
  /** How long a goodbye waits for what is under way. Default 5000. */
  readonly drainTimeoutMs: number;
}

/** The defaults of {@linkcode LinkLimits}. */
export const defaultLimits: LinkLimits = Object.freeze({
  maxFrameBytes: 16 * 1024 * 1024,
  maxHandshakeFrameBytes: 64 * 1024,
  maxExchanges: 4096,
  maxStreams: 100,
  streamWindowBytes: 256 * 1024,
  outputHighWaterBytes: 1024 * 1024,
  maxOutputBytes: 40 * 1024 * 1024,
  sliceBytes: 64 * 1024,
  compressionThresholdBytes: 1024,
  handshakeTimeoutMs: 5000,
  pingIntervalMs: 1000,
  activePingIntervalMs: 100,
  pingTimeoutMs: 500,
  failureThreshold: 3,
  degradedRoundTripMs: 100,
  drainTimeoutMs: 5000,
});

/** How bodies are made smaller on one link. Both work at once, on pieces of at most 256 KiB as the machine sends them. */
export interface LinkCompression {
  /**
   * The compressed bytes, or undefined if that is not worth it. They are read before the next call, and may be overwritten by it.
   * @param type of the message that the bytes are of: bodies of one type are mostly of one kind.
   */
  compress(bytes: Uint8Array, type: number): Uint8Array | undefined;
  /**
   * What was compressed: exactly `size` bytes. It must stop as soon as there would be more, and may
   * throw; anything but `size` bytes ends the link, as the peer's fault. They are read before the next call.
   */
  decompress(bytes: Uint8Array, size: number): Uint8Array;
}

/** What the transport knows of the peer. */
export type LinkAuthentication =
  | { readonly kind: "fiat" }
  | { readonly kind: "verified"; readonly principal: Principal }
  | { readonly kind: "rejected"; readonly reason: string };

/** What a refusal says. */
export interface Refusal {
  /** What kind of refusal it is. */
  readonly code: RefuseCode;
  /** One sentence for the person at the other end. */
  readonly message: string;
}

/** What a link machine is made with. */
export interface LinkOptions {
  /** Who connected to whom. */
  readonly role: "dialer" | "acceptor";
  /** What this node says of itself. */
  readonly self: NodeDescription;
  /** Against which the hello is checked. */
  readonly authentication: LinkAuthentication;
  /** What the connection below provides. */
  readonly encryption: EncryptionLevel | "none";
  /** The id of the node that was dialled, where it is known. */
  readonly expected?: string;
  /** Which of the links between the two nodes this is, 0 to 63; the dialler's counts. Default 0. */
  readonly slot?: number;
  /** What hello announces. Only what works in this build. */
  readonly capabilities: LinkCapabilities;
  /** `mycnet.profiles`. */
  readonly profiles: ProfileOverrides;
  /** Where this node listens, `scheme://host:port`; announced in hello. */
  readonly addresses: readonly string[];
  /** Where this node gossips, `host:port`; announced in hello. Absent: it does not, or not yet. */
  readonly gossip?: string | undefined;
  /** 16 random bytes, new for each link. */
  readonly nonce: Uint8Array;
  /** SHA-256. */
  digest(bytes: Uint8Array): Uint8Array;
  /** Overrides of {@linkcode defaultLimits}. */
  readonly limits?: Partial<LinkLimits>;
  /** Where messages are counted by type, for all links of a node together. Default: for this link alone. */
  readonly typeCounters?: TypeCounters;
  /**
   * Makes the compressor of this link, once it is up, where its profile has compression in force.
   * Without one the link sends nothing compressed, and takes nothing compressed either.
   */
  compression?(profile: NegotiatedProfile): LinkCompression | undefined;
  /** The node's own say once a hello has passed every other check: a refusal, or undefined to admit. */
  admit?(hello: Hello): Refusal | undefined;
}

/**
 * What a link machine tells its driver. All synchronous; none may throw. Bytes
 * are views that are valid during the call only. Any of them may call the
 * machine's commands; none may call `handleBytes`.
 *
 * `Owner` is what the driver keeps for an exchange: the machine carries it from
 * `open`, or from what `request` returns, and hands it back with each event of the
 * exchange, so that nobody has to look an exchange up a second time.
 */
export interface LinkHandler<Owner = undefined> {
  /** The handshake is done. */
  up(peer: NodeDescription, profile: NegotiatedProfile, hello: Hello): void;
  /** A message that wants no answer. */
  message(type: number, fields: MessageFields, body: Uint8Array): void;
  /** A request; returns its owner, which an exchange that is over by then does not need. With `upload`, items follow until `end`. */
  request(
    stream: number,
    type: number,
    fields: MessageFields,
    body: Uint8Array,
    upload: boolean,
  ): Owner | undefined;
  /** The answer to our request; the exchange is over. */
  response(stream: number, fields: MessageFields, body: Uint8Array, owner: Owner): void;
  /** The refusal of our request; the exchange is over. */
  failure(stream: number, fields: MessageFields, body: Uint8Array, owner: Owner): void;
  /** An item of the other side's stream. It takes credit until granted back. */
  item(stream: number, body: Uint8Array, owner: Owner): void;
  /** No more items. The exchange itself is over with `response`, `failure` or `reset` only. */
  end(stream: number, owner: Owner): void;
  /** The exchange was given up, by the peer or because a rule or a bound of it was broken; it is over. */
  reset(stream: number, code: ResetCode, message: string, owner: Owner): void;
  /** There is room again after `item` returned false. */
  writable(stream: number, owner: Owner): void;
  /** What the peer's delivery says of sequences (protocols/delivery). Opaque to the link. */
  ack(payload: Uint8Array): void;
  /** The health changed. */
  health(status: LinkHealth, reason?: string): void;
  /** A round trip was measured: the smoothed time in milliseconds. */
  roundTrip(ms: number): void;
  /** The peer said goodbye. The link is draining: finish what is under way, open nothing. */
  goodbye(code: string, message: string): void;
  /**
   * The link is closed and this exchange was under way; once for each, before `closed`.
   * @param sent false if nothing of the request can have left: it was still queued.
   */
  lost(stream: number, sent: boolean, reason: LinkCloseReason, owner: Owner): void;
  /** The end, once. Flush the output, then close the connection. */
  closed(reason: LinkCloseReason): void;
}

/** Why a command failed. */
export type LinkErrorCode = "overloaded" | "closed" | "too_large" | "invalid";

/** A command that the machine did not carry out. Its state is as before. */
export class LinkError extends Error {
  /** `overloaded`: a bound is reached. `closed`: not up. `too_large`: more than the peer takes. `invalid`: a field out of range. */
  readonly code: LinkErrorCode;

  /** Makes one. */
  constructor(code: LinkErrorCode, message: string) {
    super(message);
    this.name = "LinkError";
    this.code = code;
  }
}

/** What a link has carried. Bytes include headers. */
export interface LinkCounters {
  /** Frames that carry messages: requests, answers and items too. */
  messagesSent: number;
  /** The same, arrived. */
  messagesReceived: number;
  /** Both by type; usually shared with other links. */
  readonly types: TypeCounters;
  /** Taken for writing, with control frames. */
  bytesSent: number;
  /** Arrived, with control frames. */
  bytesReceived: number;
  /** Answers and items for exchanges that were over. */
  late: number;
  /** Checks without an answer in time. */
  missedPings: number;
}
