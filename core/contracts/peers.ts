/**
 * Peers and links: who is connected, and the way to send to them.
 *
 * A *link* is one transport connection (one handshake, one frame stream). A
 * *peer* (a node id and its generation) owns a set of links. Above this,
 * the messenger and the services neither know transports nor bytes on a wire.
 */
import { type Capability, capability, type Slot, slot } from "../kernel/plugin.ts";
import { type Topic, topic } from "../kernel/host.ts";
import type { HealthStatus } from "./health.ts";
import type { NodeDescription } from "@mycnet/protocols/identity";
import type { ResetCode } from "@mycnet/protocols/link";
import type { NegotiatedProfile } from "@mycnet/protocols/negotiation";
import type { MessageFields } from "@mycnet/protocols/frame";

/** A member's state. Without a membership plugin: alive while linked or configured, dead after losing the last link. */
export type NodeState = "alive" | "suspect" | "dead" | "left" | "joining";

/** Who knows better than links do whether a node is a member. */
export interface MemberStates {
  /** What it says of a node; undefined for one that it does not know. */
  stateOf(id: string): NodeState | undefined;
}

/** Where a membership plugin contributes the states that it decides. */
export const memberStates: Slot<MemberStates> = slot("peers.member_states");

/** Where this node gossips. */
export interface GossipAddress {
  /** `host:port` as other nodes should reach it; never a wildcard. */
  readonly address: string;
}

/**
 * Where a membership plugin contributes at which address it gossips. The hello of each link made
 * from then on tells it to the peer: {@linkcode PeerInfo.gossipAddress}. The first one counts.
 */
export const announcedGossip: Slot<GossipAddress> = slot("peers.announced_gossip");

/** One link as shown to people and programs. */
export interface LinkInfo {
  /** Unique within the process. */
  readonly id: string;
  /** The transport's instance id. */
  readonly transport: string;
  /** This end of the connection. */
  readonly localAddress: string;
  /** The other end. */
  readonly remoteAddress: string;
  /** Who dialled. */
  readonly direction: "dialled" | "accepted";
  /** `draining`: finishes what is under way and takes nothing new. */
  readonly state: "opening" | "up" | "draining" | "closed";
  /** By its pings. */
  readonly health: HealthStatus;
  /** Smoothed round-trip time in milliseconds (RFC 6298's estimator); undefined before the first pong. */
  readonly roundTripMs: number | undefined;
  /** What the table asks for and what this build and pair can do. */
  readonly profile: NegotiatedProfile;
  /** What compression has come to on this side; absent where none is in force. */
  readonly compression?: {
    /** zstd's level now. */
    readonly level: number;
    /** Bytes of bodies that were compressed, before. */
    readonly bytesBefore: number;
    /** The same after: what went out in their place. */
    readonly bytesAfter: number;
  };
  /** Wall-clock time in ms at which it came up. */
  readonly since: number;
  /** Since the link was opened, frames and handshake together. */
  readonly bytesSent: number;
  /** Since the link was opened. */
  readonly bytesReceived: number;
  /** Since the link was opened. */
  readonly messagesSent: number;
  /** Since the link was opened. */
  readonly messagesReceived: number;
  /** Requests and streams under way. */
  readonly exchanges: number;
}

/** One peer as shown to people and programs. */
export interface PeerInfo extends NodeDescription {
  /** Whether it is a member. */
  readonly state: NodeState;
  /** The best of its links. */
  readonly health: HealthStatus;
  /** `scheme://host:port`, the most promising first. */
  readonly addresses: readonly string[];
  /** Where its last hello said that it gossips, `host:port`. Absent: it does not, or did not yet. */
  readonly gossipAddress?: string;
  /** Open and opening ones. */
  readonly links: readonly LinkInfo[];
  /** Wall-clock time in ms at which something was last heard from it. */
  readonly lastSeen: number;
}

/** What answers to an exchange that this side opened. None of these may throw. Bytes are valid during the call only. */
export interface ExchangeHandlers {
  /** An item of the other side's stream. It takes credit until `grant`ed back. */
  item(body: Uint8Array): void;
  /** The other side's stream has ended; no more items. */
  end(): void;
  /** There is credit again after `item` returned false. */
  writable(): void;
  /** The answer to a request. The exchange is over. */
  response(fields: MessageFields, body: Uint8Array): void;
  /** The other side's refusal or failure, encoded by whoever handles the type. The exchange is over. */
  failure(fields: MessageFields, body: Uint8Array): void;
  /**
   * The exchange is over without an answer: the peer reset it, or the link was lost.
   * `sent` tells whether any of its bytes may have left this process.
   */
  closed(
    reason: {
      readonly code: ResetCode | "link_lost";
      readonly message: string;
      readonly sent: boolean;
    },
  ): void;
}

/** A request or a stream under way. Methods on one that is over do nothing. */
export interface Exchange {
  /** The link that carries it. */
  readonly link: PeerLink;
  /**
   * Sends an item. False: out of credit or the link is full; wait for `writable`. It was sent nevertheless.
   * @param given see {@linkcode PeerLink.send}.
   * @throws with code `overloaded` without credit, `too_large`.
   */
  item(body: Uint8Array, given?: boolean): boolean;
  /** Ends this side's stream. */
  end(): void;
  /** Gives credit back: `bytes` of items have been consumed. An empty item counts as 1, so grant(0) gives 1 back. */
  grant(bytes: number): void;
  /** Gives up. The other side's `closed` runs with this code. */
  reset(code: ResetCode, message?: string): void;
}

/** An exchange that the peer opened. */
export interface IncomingExchange extends Exchange {
  /** Answers and is over. False: the link is full (the answer is queued nevertheless). */
  respond(body: Uint8Array, fields?: MessageFields): boolean;
  /** Fails and is over. */
  fail(body: Uint8Array, fields?: MessageFields): void;
  /**
   * Lets `bytes` more be on their way to this side at once than the link's window, for as long as
   * the exchange lasts: for streams whose reader is worth the memory.
   */
  widen(bytes: number): void;
}

/** What a peer's exchange tells its server. */
export type IncomingHandlers = Pick<ExchangeHandlers, "item" | "end" | "writable" | "closed">;

/** A link as the messenger and the services use it. */
export interface PeerLink {
  /** Unique within this node. */
  readonly id: string;
  /** Who is at the other end, confirmed by the handshake. */
  readonly peer: NodeDescription;
  /** The link as shown to people and programs. */
  readonly info: LinkInfo;
  /** True while it takes new messages: up, not draining, not unhealthy. */
  readonly usable: boolean;
  /** True while there is no room: whoever can wait awaits `writable` before queuing more. */
  readonly full: boolean;
  /**
   * Sends a message without an answer. False: the link is full; await `writable` before the next. It was queued nevertheless.
   * @param given true if the body is the link's from now on, and never changed again: then a large one
   * (16 KiB or more) is not copied. Default false: the caller may do with its bytes what it likes.
   */
  send(type: number, fields: MessageFields, body: Uint8Array, given?: boolean): boolean;
  /**
   * Opens an exchange: a request, or with `upload` a request followed by items.
   * @throws with code `overloaded` when the link has its bound of exchanges, `unavailable` when it is closed.
   */
  open(
    type: number,
    fields: MessageFields,
    body: Uint8Array,
    upload: boolean,
    handlers: ExchangeHandlers,
  ): Exchange;
  /**
   * Resolves when the link has room; at once if it has; rejects if it closes or the signal aborts.
   * @param heldBytes what the waiter holds meanwhile, an answer for one: what all hold together is
   * bounded by the link's `maxOutputBytes`, past which this rejects with `overloaded`. Default 0.
   */
  writable(signal?: AbortSignal, heldBytes?: number): Promise<void>;
  /** Sends what the delivery says of sequences. Dropped if the link is closed: whoever counts says it again. */
  ack(payload: Uint8Array): void;
  /** Says goodbye, finishes what is under way (at most `drainTimeoutMs`), then closes. */
  drain(reason: string): Promise<void>;
}

/** What handles one frame type. None of these may throw. Bytes are valid during the call only. */
export interface MessageHandler {
  /** A message that wants no answer. */
  message?(link: PeerLink, fields: MessageFields, body: Uint8Array, type: number): void;
  /** A request. Returning undefined means it was answered or failed at once. */
  request?(
    exchange: IncomingExchange,
    fields: MessageFields,
    body: Uint8Array,
    upload: boolean,
  ): IncomingHandlers | undefined;
}

/**
 * In place of a frame type: whoever handles this gets every message that carries a sequence,
 * whatever its type, and nobody else does.
 */
export const sequencedMessages = 0;

/** What may be known of a node before it is linked. */
export interface PeerHint {
  /** `scheme://host:port` or `host:port`. */
  readonly addresses: readonly string[];
  /** Its id, where known. Without one, the handshake tells. */
  readonly id?: string;
  /** What the source says of the node, shown until a handshake tells. */
  readonly about?: Partial<
    Pick<NodeDescription, "type" | "datacenter" | "rack" | "capacity" | "version">
  >;
  /** Who says so, e.g. `"static"`; a hint stays until its source withdraws it. */
  readonly source: string;
  /** Keep a link to it at all times (a static seed). Otherwise links are dialled on demand. */
  readonly keep: boolean;
}

/**
 * What a link is wanted for. `ordered`: messages whose order counts; the same link for as long as
 * it is usable. `spread`: a request; the link with the least under way. `bulk`: a stream of bytes;
 * a link apart from the others where there are several.
 */
export type LinkUse = "ordered" | "spread" | "bulk";

/** The peers of this node. */
export interface Peers {
  /** Every known peer but this node, by id. */
  list(): readonly PeerInfo[];
  /** One peer. */
  get(id: string): PeerInfo | undefined;
  /**
   * The best usable link to a peer now, or undefined.
   * @param use what it is wanted for. Default `ordered`.
   */
  link(id: string, use?: LinkUse): PeerLink | undefined;
  /** Every usable link, one a peer. */
  links(): readonly PeerLink[];
  /**
   * A usable link, dialled if there is none.
   * @param target a node id, or an address. With `use` `bulk`, a link apart from the others is dialled where there can be one.
   * @throws with `code` `unknown_peer`, `unreachable`, `refused` (naming the reason) or `timeout`.
   */
  connect(
    target: string,
    options?: { signal?: AbortSignal; timeoutMs?: number; use?: LinkUse },
  ): Promise<PeerLink>;
  /** Learns where a node may be. Withdrawn on dispose. */
  learn(hint: PeerHint): Disposable;
  /** Registers what handles a frame type. One handler a type: a second throws. */
  handle(type: number, handler: MessageHandler): Disposable;
  /** Registers what hears the acknowledgements of all links; it must not throw. The bytes are valid during the call only. A second throws. */
  acks(handler: (link: PeerLink, payload: Uint8Array) => void): Disposable;
  /** Says goodbye to one peer on all links. */
  disconnect(id: string, reason: string): Promise<void>;
}

/** The capability token of {@linkcode Peers}. */
export const peers: Capability<Peers> = capability("peers");

/** A link came up. */
export const linkUp: Topic<PeerLink> = topic("peers.link_up");
/** A link that was up is gone. */
export const linkDown: Topic<{ readonly link: PeerLink; readonly reason: string }> = topic(
  "peers.link_down",
);
/** A peer got its first usable link. */
export const peerUp: Topic<NodeDescription> = topic("peers.peer_up");
/** A peer lost its last usable link. `left`: it said goodbye as a leaving node. */
export const peerDown: Topic<
  { readonly peer: NodeDescription; readonly reason: string; readonly left: boolean }
> = topic("peers.peer_down");
/** A handshake was refused, by us or by them. */
export const linkRefused: Topic<{
  readonly address: string;
  readonly code: string;
  readonly message: string;
  readonly by: "us" | "peer";
}> = topic("peers.link_refused");
