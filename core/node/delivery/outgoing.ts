/**
 * What this node sends to one other, acknowledged.
 *
 * All lanes go over one link, the one in which messages stay in order, for as long as
 * it is usable; when it is not, another is looked for or dialled, the lanes tell the
 * receiver where they begin, and what is unacknowledged goes first (protocols/delivery).
 * Nothing is sent while the link is full: it waits in its lane. One timer serves all
 * lanes; it is set at most once a turn of the event loop.
 *
 * A dial that fails fails what was never sent, with its reason, and counts as an attempt
 * for what was; guaranteed messages are tried again for ever, ever more seldom.
 */
import type { PeerLink, Peers } from "../../contracts/peers.ts";
import { codeOf, MycnetError } from "../../kernel/errors.ts";
import type { Timer } from "../../kernel/host.ts";
import { encodeNotices, type Notice } from "@mycnet/protocols/delivery";
import { LazyTimer } from "../links/timer.ts";
import {
  DurableLane,
  fail,
  type LaneSetup,
  type Outgoing,
  type OutgoingLane,
  VolatileLane,
} from "./outgoing_lane.ts";
import type { DeliveryStore } from "./store.ts";

/** What it is made with. */
export interface OutgoingSetup extends LaneSetup {
  readonly peers: Peers;
  /** Aborts when delivery stops. */
  readonly signal: AbortSignal;
  /** The time, read once a turn. */
  turnMs(): number;
}

/** The messages to one node. */
export class OutgoingPeer implements Disposable {
  readonly #setup: OutgoingSetup;
  readonly #epoch: bigint;
  /** By number; the volatile lane of a priority before the durable one. */
  readonly #lanes: (OutgoingLane | undefined)[] = new Array(8).fill(undefined);
  readonly #timer: LazyTimer;
  #link: PeerLink | undefined;
  #generation: number | undefined;
  #turnScheduled = false;
  #pumpDue = false;
  #awaitingRoom: PeerLink | undefined;
  #dialling = false;
  #failures = 0;
  #redial: Timer | undefined;
  #closed = false;
  #warnedUnable = false;
  readonly #turnEnds = () => this.#endTurn();

  /** Holds nothing at first. */
  constructor(setup: OutgoingSetup) {
    this.#setup = setup;
    const { host } = setup;
    this.#epoch = new DataView(host.randomBytes(8).buffer).getBigUint64(0);
    this.#timer = new LazyTimer(host, () => this.#tick());
  }

  /** The lanes there are. */
  get lanes(): readonly OutgoingLane[] {
    return this.#lanes.filter((lane) => lane !== undefined);
  }

  /** True while it holds nothing and does nothing. */
  get idle(): boolean {
    return !this.#dialling && this.#redial === undefined && !this.#holdsAny();
  }

  /** The lane of level high of a priority. */
  volatile(index: number): VolatileLane {
    const lane = this.#lanes[index * 2];
    if (lane !== undefined) return lane as VolatileLane;
    return this.#add(new VolatileLane(this.#setup, index, this.#epoch), index * 2);
  }

  /** The guaranteed lane of a priority. */
  durable(index: number, store: DeliveryStore, first?: number, next?: number): DurableLane {
    const lane = this.#lanes[index * 2 + 1];
    if (lane !== undefined) return lane as DurableLane;
    const end = next ?? store.next(this.#setup.node, index);
    return this.#add(
      new DurableLane(this.#setup, store, index, first ?? end, end),
      index * 2 + 1,
    );
  }

  /** A lane has got something to send. */
  send(lane: OutgoingLane): void {
    const link = this.#usable();
    if (link === undefined) this.#dial();
    else this.#pumpLane(lane, link);
    this.#schedule();
  }

  /** Lanes may have got something to send; at the end of this turn is soon enough. */
  sendSoon(): void {
    this.#pumpDue = true;
    this.#schedule();
  }

  /** A link to the node came up. */
  linkUp(): void {
    if (this.#holdsAny()) this.sendSoon();
  }

  /** A link to the node is gone. */
  linkDown(link: PeerLink): void {
    if (link !== this.#link) return;
    this.#unlink();
    if (this.#holdsAny()) this.sendSoon();
  }

  /** The node says something of what was sent to it. */
  handleNotice(link: PeerLink, { kind, space, epoch, sequence }: Notice, index: number): void {
    const lane = this.#lanes[index * 2 + (space === "durable" ? 1 : 0)];
    if (lane === undefined || lane.epoch !== epoch) {
      this.#setup.counters.refused++;
      return;
    }
    if (kind === "ack") {
      this.#failures = 0;
      lane.acknowledged(sequence, this.#setup.turnMs(), link === this.#link);
      this.sendSoon();
    } else if (kind === "unhandled" && lane instanceof VolatileLane) {
      lane.unhandled(sequence);
    } else if (kind === "unable" && !this.#warnedUnable) {
      this.#warnedUnable = true;
      this.#setup.host.log.warn(
        "A node takes no guaranteed messages: it keeps nothing on disk. They wait here",
        { node: this.#setup.node },
      );
    }
  }

  /** Fails what is not guaranteed. */
  close(error: MycnetError): void {
    this.#closed = true;
    for (const lane of this.lanes) lane.close(error);
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#timer[Symbol.dispose]();
    this.#redial?.[Symbol.dispose]();
  }

  #add<L extends OutgoingLane>(lane: L, at: number): L {
    this.#lanes[at] = lane;
    if (this.#link !== undefined) lane.window.linked(this.#setup.turnMs());
    return lane;
  }

  #holdsAny(): boolean {
    return this.#lanes.some((lane) => lane !== undefined && lane.size > 0);
  }

  /** The link in use, or the one to use from now on. */
  #usable(dialled?: PeerLink): PeerLink | undefined {
    const link = this.#link;
    if (link?.usable) return link;
    const other = this.#setup.peers.link(this.#setup.node) ?? dialled;
    if (other === undefined || !other.usable) {
      this.#unlink();
      return undefined;
    }
    const { generation } = other.peer;
    const restarted = this.#generation !== undefined && this.#generation !== generation;
    this.#generation = generation;
    this.#link = other;
    for (const lane of this.lanes) {
      if (restarted && lane instanceof VolatileLane) lane.window.restarted();
      lane.window.linked(this.#setup.turnMs());
      lane.refill();
    }
    this.#pumpDue = true;
    this.#schedule();
    return other;
  }

  #unlink(): void {
    if (this.#link === undefined) return;
    this.#link = undefined;
    for (const lane of this.lanes) lane.window.unlinked();
  }

  #pump(): void {
    this.#pumpDue = false;
    if (this.#closed || !this.#holdsAny()) return;
    const link = this.#usable();
    if (link === undefined) {
      this.#dial();
      return;
    }
    this.#announce(link);
    for (const lane of this.#lanes) if (lane !== undefined) this.#pumpLane(lane, link);
  }

  #pumpLane(lane: OutgoingLane, link: PeerLink): void {
    const { window } = lane;
    if (window.announceDue && window.size > 0) this.#announce(link);
    const nowMs = this.#setup.turnMs();
    while (!link.full) {
      const message = window.poll(nowMs);
      if (message === undefined) return;
      if (!this.#transmit(link, lane, message)) return;
    }
    if (window.size > 0) this.#awaitRoom(link);
  }

  /** False: the link takes no more. */
  #transmit(link: PeerLink, { window, space, priority }: OutgoingLane, message: Outgoing): boolean {
    const { sequence } = window;
    const redelivered = window.redelivered || message.redelivered;
    const { type, route, metadata, trace, body } = message;
    try {
      link.send(
        type,
        {
          priority,
          route,
          metadata,
          trace,
          sequence,
          durable: space === "durable",
          redelivered,
        },
        body,
        space === "durable",
      );
    } catch (error) {
      const code = codeOf(error);
      if (code === "overloaded" || code === "unavailable") {
        window.unpoll(false);
        if (code === "overloaded") this.#awaitRoom(link);
        else this.#unlink();
        return false;
      }
      // The peer takes no message like this one, over whichever link.
      if (space === "volatile" && window.unpoll(true)) {
        fail(message, error as MycnetError, this.#setup.counters);
      }
      return true;
    }
    if (window.redelivered) this.#setup.counters.retransmitted++;
    return true;
  }

  /** Tells the receiver where lanes begin, where that is not clear to it. */
  #announce(link: PeerLink): void {
    const notices: Notice[] = [];
    for (const lane of this.#lanes) {
      if (lane === undefined || !lane.window.announceDue || lane.window.size === 0) continue;
      const { space, priority, epoch, window } = lane;
      notices.push({ kind: "announce", space, lane: priority, epoch, sequence: window.base });
      window.announced(this.#setup.turnMs());
    }
    if (notices.length > 0) link.ack(encodeNotices(notices));
  }

  #awaitRoom(link: PeerLink): void {
    if (this.#awaitingRoom === link) return;
    this.#awaitingRoom = link;
    const done = () => {
      if (this.#awaitingRoom === link) this.#awaitingRoom = undefined;
      this.sendSoon();
    };
    link.writable(this.#setup.signal).then(done, done);
  }

  #dial(): void {
    if (this.#dialling || this.#redial !== undefined || this.#closed) return;
    this.#dialling = true;
    const { peers, node, signal } = this.#setup;
    peers.connect(node, { signal }).then((link) => {
      this.#dialling = false;
      this.#usable(link);
      this.sendSoon();
    }, (error) => {
      this.#dialling = false;
      if (!this.#closed) this.#dialFailed(error);
    });
  }

  #dialFailed(error: unknown): void {
    const { host, config, peers, node } = this.#setup;
    if (peers.link(node) !== undefined) {
      this.sendSoon();
      return;
    }
    const failure = codeOf(error) === undefined
      ? new MycnetError("unreachable", `node "${node}" cannot be reached`, { cause: error })
      : error as MycnetError;
    for (const lane of this.lanes) {
      if (!(lane instanceof VolatileLane)) continue;
      lane.failUnsent(failure);
      lane.window.missed();
    }
    if (!this.#holdsAny()) return;
    const { ackTimeout, maxBackoff } = config;
    const most = Math.min(maxBackoff, ackTimeout * 2 ** this.#failures++);
    this.#redial = host.after(most * (0.5 + host.random() / 2), () => {
      this.#redial = undefined;
      this.#pump();
      this.#schedule();
    });
  }

  #tick(): void {
    const nowMs = this.#setup.turnMs();
    for (const lane of this.lanes) {
      if (this.#link?.full) lane.window.postpone(nowMs);
      else lane.window.handleTimer(nowMs);
      lane.refill();
    }
    this.#pump();
    this.#schedule();
  }

  #schedule(): void {
    if (this.#turnScheduled) return;
    this.#turnScheduled = true;
    queueMicrotask(this.#turnEnds);
  }

  #endTurn(): void {
    this.#turnScheduled = false;
    if (this.#closed) return;
    if (this.#pumpDue) this.#pump();
    for (const lane of this.#lanes) if (lane !== undefined) this.#timer.by(lane.nextTimerMs);
  }
}
