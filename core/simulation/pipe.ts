/**
 * One direction of a simulated stream: ordered and exact, like TCP's.
 *
 * Segments arrive one after the other. When the first in line meets a cut or is
 * lost, it is sent again: after a round trip if at least three follow it (fast
 * retransmit), else after a time-out of 200 ms or two round trips, doubled at
 * every failure up to 120 s (RFC 6298; Linux's bounds). So bytes flow again
 * some time after a partition heals, not at once. After 924.6 s without success
 * (Linux's 15 retransmissions) the sender gives up. The receiver is told
 * nothing in all that time: silence is how it finds out.
 *
 * What has been sent but not consumed is bounded by a window; the receiver's
 * consuming opens it, one transit later, if the way back is not cut. A segment
 * counts at least 256 bytes, so a flood of tiny writes is bounded as well. A
 * sender whose bytes arrive while the way back is cut waits, and never gives up.
 */
import type { Timer } from "../kernel/host.ts";
import type { Machine } from "./machine.ts";
import type { Network } from "./network.ts";

/** Sent and not yet consumed, at most. */
export const windowBytes = 262_144;
/** What the smallest segment counts. */
const minCost = 256;
const packetBytes = 1460;
const minRetransmitMs = 200;
const maxRetransmitMs = 120_000;
/** How long the sender tries before it calls the connection broken. */
export const giveUpMs = 924_600;
/** How often a sender without room asks whether the receiver still exists. */
const probeMs = 5000;
/** Acknowledgements under way; more are merged. */
const maxAcks = 64;

/** Bytes, or `undefined` for the end of the stream. */
type Segment = { readonly bytes: Uint8Array | undefined; readonly at: number; tries: number };

/** The two ends of a pipe, as the pipe sees them. */
export interface PipeEnds {
  /** A segment has arrived; `undefined` is the end of the stream. */
  arrived(bytes: Uint8Array | undefined): void;
  /** True if the receiving end no longer exists, though its machine does. */
  receiverGone(): boolean;
  /** The receiving machine answers "no such connection". */
  refuse(): void;
  /** The sender has given up. */
  gaveUp(): void;
}

/** One direction of a stream. */
export class Pipe {
  readonly #network: Network;
  readonly #from: Machine;
  readonly #to: Machine;
  readonly #ends: PipeEnds;
  #segments: Segment[] = [];
  #arrival: Timer | undefined;
  #lastAt: number;
  #stalledSince: number | undefined;
  #retransmitMs = 0;
  #unconsumed = 0;
  #acks: { at: number; cost: number }[] = [];
  #waiting: (() => void) | undefined;
  #check: Timer | undefined;
  #checkMs = minRetransmitMs;
  #dead = false;

  /** @param openAt nothing arrives before this time. */
  constructor(network: Network, from: Machine, to: Machine, openAt: number, ends: PipeEnds) {
    this.#network = network;
    this.#from = from;
    this.#to = to;
    this.#ends = ends;
    this.#lastAt = openAt;
  }

  /** How many bytes may be sent now; 0 while the window is full. */
  get room(): number {
    this.#takeAcks();
    const room = windowBytes - this.#unconsumed;
    return room < minCost ? 0 : room;
  }

  /** Sends a segment (at most {@linkcode Pipe.room} bytes, and then owned by the pipe), or the end. */
  push(bytes: Uint8Array | undefined): void {
    if (this.#dead) return;
    const network = this.#network;
    this.#unconsumed += costOf(bytes);
    const depart = network.departMs(this.#from, this.#to, bytes?.length ?? 0);
    const arriveAt = network.scheduler.now + depart + network.transitMs(this.#from, this.#to);
    const at = Math.max(this.#lastAt, arriveAt);
    this.#lastAt = at;
    this.#segments.push({ bytes, at, tries: 0 });
    if (this.#segments.length === 1) this.#expect(at);
  }

  /** The receiver has consumed a segment: room for the sender, one transit later. */
  consumed(bytes: Uint8Array | undefined): void {
    const at = this.#network.scheduler.now + this.#network.transitMs(this.#to, this.#from);
    const cost = costOf(bytes);
    const last = this.#acks.at(-1);
    if (last !== undefined && this.#acks.length >= maxAcks) {
      last.at = Math.max(last.at, at);
      last.cost += cost;
    } else {
      this.#acks.push({ at, cost });
    }
    if (this.#waiting !== undefined) this.#checkRoom();
  }

  /** Runs `run` once there is room. One waits at a time. */
  awaitRoom(run: () => void): void {
    this.#waiting = run;
    this.#checkMs = minRetransmitMs;
    this.#checkRoom();
  }

  /** Nothing more happens here. */
  kill(): void {
    this.#dead = true;
    this.#segments = [];
    this.#acks = [];
    this.#waiting = undefined;
    this.#arrival?.[Symbol.dispose]();
    this.#check?.[Symbol.dispose]();
  }

  #expect(at: number): void {
    this.#arrival = this.#network.scheduler.at(at, arrive, this);
  }

  /** The first segment in line should be there by now. */
  arrive(): void {
    const segment = this.#segments[0];
    if (segment === undefined) return;
    const network = this.#network;
    const now = network.scheduler.now;
    const blocked = network.blocked(this.#from, this.#to);
    const packets = segment.tries > 0 ? 1 : packetsOf(segment.bytes);
    if (blocked || network.lost(this.#from, this.#to, packets)) {
      return this.#retransmit(segment, now, blocked);
    }
    this.#stalledSince = undefined;
    this.#segments.shift();
    const next = this.#segments[0];
    if (next !== undefined) this.#expect(Math.max(now, next.at));
    if (!this.#ends.receiverGone()) this.#ends.arrived(segment.bytes);
    else if (segment.bytes !== undefined) this.#ends.refuse();
  }

  #retransmit(segment: Segment, now: number, blocked: boolean): void {
    this.#stalledSince ??= now;
    if (now - this.#stalledSince >= giveUpMs) return this.#ends.gaveUp();
    const roundTripMs = this.#network.roundTripMs(this.#from, this.#to);
    const timeoutMs = Math.max(minRetransmitMs, 2 * roundTripMs);
    const fast = !blocked && segment.tries === 0 && this.#segments.length > 3;
    if (segment.tries === 0) this.#retransmitMs = timeoutMs;
    segment.tries++;
    this.#expect(now + (fast ? roundTripMs : this.#retransmitMs));
    if (!fast) this.#retransmitMs = Math.min(maxRetransmitMs, this.#retransmitMs * 2);
  }

  #takeAcks(): void {
    if (this.#acks.length === 0 || this.#network.blocked(this.#to, this.#from)) return;
    const now = this.#network.scheduler.now;
    let taken = 0;
    while (taken < this.#acks.length && this.#acks[taken]!.at <= now) {
      this.#unconsumed -= this.#acks[taken]!.cost;
      taken++;
    }
    if (taken > 0) this.#acks.splice(0, taken);
  }

  #checkRoom(): void {
    const run = this.#waiting;
    if (run === undefined || this.#dead) return;
    this.#check?.[Symbol.dispose]();
    if (this.room > 0) {
      this.#waiting = undefined;
      return run();
    }
    const { scheduler } = this.#network;
    const ack = this.#acks[0];
    if (ack === undefined) {
      this.#check = scheduler.after(probeMs, probe, this);
    } else if (ack.at > scheduler.now) {
      this.#check = scheduler.at(ack.at, checkRoom, this);
    } else { // The way back is cut.
      this.#check = scheduler.after(this.#checkMs, checkRoom, this);
      this.#checkMs = Math.min(maxRetransmitMs, this.#checkMs * 2);
    }
  }

  /** Looks again whether the sender may go on. */
  look(): void {
    this.#checkRoom();
  }

  /** Asks whether the receiver is still there. */
  probe(): void {
    const reached = !this.#network.blocked(this.#from, this.#to);
    if (reached && this.#ends.receiverGone()) this.#ends.refuse();
    else this.#checkRoom();
  }
}

// Functions of one argument, so that scheduling an arrival needs no closure.
const arrive = (pipe: Pipe) => pipe.arrive();
const checkRoom = (pipe: Pipe) => pipe.look();
const probe = (pipe: Pipe) => pipe.probe();

function costOf(bytes: Uint8Array | undefined): number {
  return Math.max(minCost, bytes?.length ?? 0);
}

function packetsOf(bytes: Uint8Array | undefined): number {
  return Math.max(1, Math.ceil((bytes?.length ?? 0) / packetBytes));
}
