/** What goes into a SWIM machine and what comes out of it, as types. */
import type { CardStore } from "./cards.ts";
import type { SwimConfig } from "./config.ts";
import type { Versions } from "./versions.ts";

export type { Versions } from "./versions.ts";
import type { GossipKeyring } from "./wire/keyring.ts";

/** What this node believes of a member. `dead`: it failed. `left`: it said so itself. */
export type MemberState = "alive" | "suspect" | "dead" | "left";

/** A member as this node sees it. A snapshot: it does not change. */
export interface SwimMember {
  /** Unique in the cluster. At most 255 bytes. */
  readonly name: string;
  /** `host:port` of its gossip, `[host]:port` for IPv6. */
  readonly address: string;
  /** 4 or 16 bytes. Not to be written to. */
  readonly ip: Uint8Array;
  /** UDP and TCP. */
  readonly port: number;
  /** What it says of itself, at most 512 bytes. Not to be written to. */
  readonly meta: Uint8Array;
  /** What this node believes of it. */
  readonly state: MemberState;
  /** Counts what it said of itself; only the member raises it. */
  readonly incarnation: number;
  /** What it speaks. */
  readonly versions: Versions;
  /** When it became suspect, dead or left, in the clock of `nowMs`; absent while alive. */
  readonly sinceMs?: number;
}

/** This node. */
export interface SwimSelf {
  /** Unique in the cluster. 1 to 255 bytes. */
  readonly name: string;
  /** 4 or 16 bytes: where the others reach this node. */
  readonly ip: Uint8Array;
  /** UDP and TCP, 1 to 65535. */
  readonly port: number;
  /** At most 512 bytes. Default: empty. */
  readonly meta?: Uint8Array;
}

/** What a SWIM machine is made with. */
export interface SwimOptions {
  /** This node. */
  readonly self: SwimSelf;
  /** A preset, changed at will. */
  readonly config: SwimConfig;
  /** The first incarnation: one more than the last that was persisted. Default 1. */
  readonly incarnation?: number;
  /** Default 1,5,2,2,5,5: a Serf agent's. */
  readonly versions?: Versions;
  /** A number in [0, 1). Need not be fit for secrets. */
  random(): number;
  /** Encrypts what leaves and demands it of what arrives. Absent or empty: plain text. */
  readonly keyring?: GossipKeyring;
  /**
   * Shared by the machines of one process, to hold every name and address once. While
   * one of them runs (in the handler's calls, too) no other one may be entered. Default:
   * one of its own.
   */
  readonly cards?: CardStore;
  /** How many members to make room for. Default 16; it grows. */
  readonly expectedMembers?: number;
}

/**
 * The outside world of a machine. All synchronous; none may throw. Any of them
 * may call the machine's commands and getters; none may call `handlePacket`,
 * `handleTimer` or a stream's `handle*`.
 */
export interface SwimHandler {
  /** Send a datagram to `host:port`. The bytes are valid during the call only. */
  packet(to: string, bytes: Uint8Array): void;
  /** Open a connection to `stream.to` and drive the stream over it; see {@linkcode SwimStream}. */
  open(stream: SwimStream): void;
  /** Something changed. Absent: no events are made. */
  event?(event: SwimEvent): void;
}

/**
 * The layer above, with memberlist's names for its delegates. All synchronous,
 * all optional; none may throw. The same rules as for {@linkcode SwimHandler}.
 */
export interface SwimDelegate {
  /** A user message arrived, by packet or stream. The bytes are valid during the call only. */
  notifyMsg?(bytes: Uint8Array, nowMs: number): void;
  /** True if `getBroadcasts` would have something: keeps the gossip timer running. */
  hasBroadcasts?(): boolean;
  /**
   * User messages to send along, without any header, in total at most `limit` bytes
   * where each costs `overhead` more. They are copied at once.
   */
  getBroadcasts?(overhead: number, limit: number): readonly Uint8Array[];
  /** What a push/pull carries for the layer above; copied at once. `join`: the exchange is a join. */
  localState?(join: boolean): Uint8Array;
  /** The other side's `localState`; not called when that is empty. */
  mergeRemoteState?(bytes: Uint8Array, join: boolean, nowMs: number): void;
  /** What acks of ours carry; at most 512 bytes are sent. */
  ackPayload?(): Uint8Array;
  /** A direct probe was answered in time. */
  pingComplete?(member: SwimMember, rttMs: number, payload: Uint8Array, nowMs: number): void;
  /** An alive message is about to count: a reason to refuse it, or undefined. */
  notifyAlive?(member: SwimMember): string | undefined;
  /** A join is about to be merged: a reason to refuse it, or undefined. */
  notifyMerge?(members: readonly SwimMember[]): string | undefined;
}

/** What a machine tells. `member` is as it is after the change. */
export type SwimEvent =
  /** A member that was unknown, dead or had left is there. */
  | { readonly type: "joined"; readonly member: SwimMember }
  /** Its metadata, address or versions changed. */
  | { readonly type: "updated"; readonly member: SwimMember }
  /** It is under suspicion. `by`: who said so first. */
  | { readonly type: "suspected"; readonly member: SwimMember; readonly by: string }
  /** A suspicion was refuted. */
  | { readonly type: "recovered"; readonly member: SwimMember }
  /** Suspicion ended in failure, or others say so. `by`: who declared it. */
  | { readonly type: "failed"; readonly member: SwimMember; readonly by: string }
  /** It left in order. May follow `failed`, when the word that it left came later. */
  | { readonly type: "left"; readonly member: SwimMember }
  /** A dead or left member is forgotten. */
  | { readonly type: "reaped"; readonly member: SwimMember }
  /** Somebody uses a member's name (perhaps our own) at another address. */
  | { readonly type: "conflict"; readonly member: SwimMember; readonly other: SwimMember }
  /** Our incarnation rose: persist it. `refuting`: because somebody doubted us. */
  | { readonly type: "incarnation"; readonly incarnation: number; readonly refuting: boolean }
  /** A push/pull that we began is over. `error`: why it failed. */
  | {
    readonly type: "synced";
    readonly address: string;
    readonly join: boolean;
    readonly error?: string;
  }
  /** A push/pull that somebody else began was refused as a whole, e.g. because it is of another kind of cluster. */
  | { readonly type: "refused"; readonly address: string; readonly reason: string }
  /** The word that we leave has been sent as often as it should, or nobody is there to hear it. */
  | { readonly type: "leave_sent" }
  /** A `sendReliable` is over. */
  | { readonly type: "sent"; readonly address: string; readonly error?: string }
  /** A `ping` command is over. `rttMs` is absent if there was no answer in time. */
  | { readonly type: "pinged"; readonly name: string; readonly rttMs?: number }
  /** Local health changed: 0 is healthy, larger is worse. */
  | { readonly type: "health"; readonly score: number }
  /** This process stood still for about so long. */
  | { readonly type: "paused"; readonly ms: number };

/** What a machine has counted since it was made. */
export interface SwimCounters {
  /** Direct probes sent. */
  pingCount: number;
  /** Acks that answered a probe of ours, indirect ones included. */
  ackCount: number;
  /** Suspicions that started here, whoever raised them. */
  suspectCount: number;
  /** Probes without any answer. */
  failedPingCount: number;
  /** Rumours (own and user's) sent. */
  gossipMessagesSent: number;
  /** Rumours received. */
  gossipMessagesReceived: number;
  /** Members that joined, failed or left. */
  topologyChanges: number;
  /** Datagrams handed to the driver. */
  packetsSent: number;
  /** Datagrams that came in. */
  packetsReceived: number;
  /** Of datagrams, as handed over. */
  bytesSent: number;
  /** Of datagrams, as they came in. */
  bytesReceived: number;
  /** Push/pulls completed, in either direction. */
  syncs: number;
  /** Indirect probes made for others. */
  relays: number;
  /** Times that this process was found to have stood still. */
  pauses: number;
  /** Times that we had to refute a rumour about ourselves. */
  refutations: number;
  /** Packets, messages or streams that could not be read. */
  malformed: number;
  /** Packets and streams under no key that we hold, or plain where they must not be. */
  undecryptable: number;
  /** Incarnations that jumped by more than 2^16. */
  incarnationJumps: number;
  /** Rumours refused for another reason: metadata over 512 bytes, versions, the layer above. */
  refused: number;
  /** Requests to ping somebody who is not a member. */
  strangers: number;
  /** Requests beyond the rates and bounds of the configuration. */
  limited: number;
  /** Acks that match no probe, or come from somebody else. */
  unmatchedAcks: number;
}

/**
 * One connection of memberlist's stream protocol, of either side: bytes in, bytes out.
 *
 * The driver connects to `to` (an inbound stream is connected already), calls
 * `handleConnected`, writes what `takeOutput` gives after each call, feeds what
 * arrives, and closes the connection once `done` and everything is written, or at
 * `deadlineMs` after `handleClosed("timed out")`.
 */
export interface SwimStream {
  /** What it is for. `inbound` until its first byte tells. */
  readonly kind: "push_pull" | "ping" | "user" | "inbound";
  /** Where to connect to, or who connected: `host:port`. */
  readonly to: string;
  /** When to give up, in the clock of `nowMs`. */
  readonly deadlineMs: number;
  /** True once nothing more is expected: flush, then close. */
  readonly done: boolean;
  /** An outbound stream is connected: there is output now. */
  handleConnected(nowMs: number): void;
  /** Bytes arrived, in order; they may be reused after the call. */
  handleBytes(bytes: Uint8Array, nowMs: number): void;
  /** The connection failed, ended or timed out; without `error` it ended cleanly. Harmless once `done`. */
  handleClosed(error: string | undefined, nowMs: number): void;
  /** What waits to be written, in order; the caller's to keep. Undefined if nothing does. */
  takeOutput(): Uint8Array | undefined;
}

/** A member of the cluster as a pure machine; {@linkcode SwimMachine} is the one implementation. */
export interface Swim {
  /** What has been counted. */
  readonly counters: Readonly<SwimCounters>;
  /** This node. */
  readonly self: SwimMember;
  /** Members that are alive or suspect, this node included. */
  readonly liveCount: number;
  /** Members known in any state, this node included. */
  readonly size: number;
  /** 0 is healthy; `awarenessMax - 1` is the worst. */
  readonly healthScore: number;
  /** `active`, then `leaving` once told to leave, then `left` once that has been spread; `stopped` at the end. */
  readonly status: "active" | "leaving" | "left" | "stopped";
  /** When `handleTimer` wants to be called; undefined once stopped. Read it after each call. */
  readonly nextTimerMs: number | undefined;
  /** Everybody known, dead and left included, this node too; in no order. */
  members(): SwimMember[];
  /** One of them. */
  member(name: string): SwimMember | undefined;
  /** Who has this gossip address, alive or suspect. */
  memberAt(address: string): SwimMember | undefined;
  /** A datagram arrived; the bytes may be reused after the call. */
  handlePacket(bytes: Uint8Array, from: string, nowMs: number): void;
  /** The time that `nextTimerMs` named has come, or any other time has. */
  handleTimer(nowMs: number): void;
  /** Somebody connected. Undefined: too many streams; close it. */
  accept(from: string, nowMs: number): SwimStream | undefined;
  /** Opens a joining push/pull to each address (`host:port`); a `synced` event tells how each went. */
  join(addresses: readonly string[], nowMs: number): void;
  /** A push/pull with one address that is not a join. */
  sync(address: string, nowMs: number): void;
  /** Tells everybody that this node leaves; `leave_sent` follows. */
  leave(nowMs: number): void;
  /** Ends everything: no timer, no answers. */
  stop(): void;
  /** New metadata for this node, at most 512 bytes: a new incarnation. */
  updateMeta(meta: Uint8Array, nowMs: number): void;
  /** Probes a member once, outside the round; a `pinged` event tells. False if it is unknown or dead. */
  ping(name: string, nowMs: number): boolean;
  /** Raises a suspicion, as a failed probe would: for other detectors. False if it is not alive. */
  suspect(name: string, nowMs: number): boolean;
  /** Forgets a member that is dead or left, before its time. */
  forget(name: string): boolean;
  /** One user message to one address, in a packet. False if it does not fit. */
  sendBestEffort(to: string, message: Uint8Array, nowMs: number): boolean;
  /** One user message to one address, over a stream; `sent` tells. False above the bound. */
  sendReliable(to: string, message: Uint8Array, nowMs: number): boolean;
  /** The layer above has something to broadcast: keeps the gossip timer running. */
  wake(nowMs: number): void;
  /** The event loop was late by so much: local health takes it into account. */
  noteLag(ms: number, nowMs: number): void;
}
