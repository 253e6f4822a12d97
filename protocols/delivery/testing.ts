/**
 * A sender, a receiver and links between them, as little as they can be, for the
 * properties of delivery: each link is a queue each way; one that was cut may still
 * deliver a part of what is in it, later than it should; frames may be lost or come
 * twice even on a link that lives, which no link does. Either side may start anew.
 * What comes of it is written down as it would be seen from above.
 */
import { type ReceiveLane, Senders, SendLane } from "./mod.ts";

/** A message, by its number. */
export interface Item {
  readonly id: number;
  transmitted: boolean;
}

interface Frame {
  readonly announce?: number;
  readonly sequence?: number;
  readonly redelivered?: boolean;
  readonly id?: number;
  readonly epoch: bigint;
}

interface Ack {
  readonly epoch: bigint;
  readonly next: number;
}

class Wire {
  readonly frames: Frame[] = [];
  readonly acks: Ack[] = [];
  /** What the receiver knows of it. */
  lanes: ReturnType<Senders["announced"]>;
  durable: ReceiveLane | undefined;
  constructor(readonly generation: number, readonly receiver: number) {}
}

/** How it is set up. */
export interface WorldOptions {
  /** Sequences outlive both sides, and what was taken is handled a while later. */
  readonly durable: boolean;
  readonly retries: number;
}

/** See the head of this file. */
export class World {
  /** What was handed up, by start of the receiver. */
  readonly received: { id: number; sender: number; receiver: number; redelivered: boolean }[] = [];
  readonly acknowledged: Set<number> = new Set();
  readonly gaveUp: Map<number, string> = new Map();
  readonly items: Map<number, Item & { readonly sender: number }> = new Map();
  nowMs = 0;
  generation = 1;
  receiver = 1;
  /** The receiver takes nothing while it is true. */
  busy = false;
  readonly #options: WorldOptions;
  #send: SendLane<Item>;
  #senders = new Senders(4, () => true);
  /** On the receiver's disk. */
  #kept: { epoch: bigint; next: number } | undefined;
  /** The receiver's durable lane: in memory, from the disk. */
  #lane: ReceiveLane | undefined;
  /** Taken and not handled. */
  #taken: { id: number; sender: number; redelivered: boolean }[] = [];
  /** On the sender's disk: what is not acknowledged. */
  #outbox: Item[] = [];
  #base = 1;
  /** How many of it were acknowledged, of which a crash knows nothing. */
  #unnoted = 0;
  #wire: Wire | undefined;
  #known: number | undefined;
  readonly #stale: Wire[] = [];
  #ids = 0;
  readonly #makeLane: (first: number) => ReceiveLane;

  constructor(options: WorldOptions, makeLane: (first: number) => ReceiveLane) {
    this.#options = options;
    this.#makeLane = makeLane;
    this.#send = this.#newSendLane(1);
  }

  get #epoch(): bigint {
    return this.#options.durable ? 7n : BigInt(this.generation);
  }

  /** Hands a message to the sender. */
  offer(): void {
    const item = { id: ++this.#ids, transmitted: false, sender: this.generation };
    this.items.set(item.id, item);
    if (this.#options.durable) this.#outbox.push(item);
    this.#send.offer(item, 10);
    this.pump();
  }

  /** A new link; the one before, if any, is left with what is in it. */
  link(): void {
    this.cut();
    this.#wire = new Wire(this.generation, this.receiver);
    // Only a receiver that kept nothing makes a difference: what is durable is there still.
    if (!this.#options.durable && this.#known !== undefined && this.#known !== this.receiver) {
      this.#send.restarted();
    }
    this.#known = this.receiver;
    this.#send.linked(this.nowMs);
    this.pump();
  }

  /** The link breaks. */
  cut(): void {
    if (this.#wire === undefined) return;
    this.#stale.push(this.#wire);
    if (this.#stale.length > 3) this.#stale.shift();
    this.#wire = undefined;
    this.#send.unlinked();
  }

  /** The sender sends what it may. */
  pump(): void {
    if (this.#wire === undefined) return;
    const { frames } = this.#wire;
    if (this.#send.announceDue && this.#send.size > 0) {
      frames.push({ announce: this.#send.base, epoch: this.#epoch });
      this.#send.announced(this.nowMs);
    }
    for (let item = this.#send.poll(this.nowMs); item; item = this.#send.poll(this.nowMs)) {
      const { sequence, redelivered } = this.#send;
      item.transmitted = true;
      frames.push({ sequence, redelivered, id: item.id, epoch: this.#epoch });
    }
  }

  /** The next frame of a link arrives; 0 is the present link, others are older ones. */
  deliver(which: number, twice = false): void {
    const wire = this.#wireAt(which);
    const frame = wire?.frames.shift();
    if (frame === undefined || wire!.receiver !== this.receiver) return;
    this.#arrive(wire!, frame);
    if (twice) this.#arrive(wire!, frame);
  }

  /** The next frame of the present link is lost. */
  lose(): void {
    this.#wire?.frames.shift();
  }

  /** The next acknowledgement of a link arrives, or is lost. */
  ack(which: number, lost = false): void {
    const wire = this.#wireAt(which);
    const ack = wire?.acks.shift();
    if (ack === undefined || lost || wire!.generation !== this.generation) return;
    if (ack.epoch !== this.#epoch) return;
    this.#send.handleAck(ack.next, this.nowMs, wire === this.#wire);
    this.pump();
  }

  /** Durable: the handlers of what was taken finish, up to `count` of them. */
  handle(count: number): void {
    for (const { id, sender, redelivered } of this.#taken.splice(0, count)) {
      this.received.push({ id, sender, receiver: this.receiver, redelivered });
      this.#lane!.finish();
      this.#kept = { epoch: 7n, next: this.#lane!.done };
    }
    const wire = this.#wire;
    if (wire?.durable === this.#lane && wire !== undefined && this.#lane !== undefined) {
      wire.acks.push({ epoch: 7n, next: this.#lane.done });
    }
  }

  /** Durable: the sender notes on its disk what was acknowledged. */
  note(): void {
    this.#outbox.splice(0, this.#unnoted);
    this.#base += this.#unnoted;
    this.#unnoted = 0;
  }

  /** Time passes. */
  pass(ms: number): void {
    this.nowMs += ms;
    this.#send.handleTimer(this.nowMs);
    this.pump();
  }

  /** A dial fails. */
  miss(): void {
    if (this.#wire === undefined) this.#send.missed();
  }

  /** The sender's process dies, and another takes its place. */
  restartSender(): void {
    this.cut();
    this.generation++;
    this.#known = undefined;
    this.#send = this.#newSendLane(this.#options.durable ? this.#base : 1);
    for (const item of this.#outbox) this.#send.offer(item, 10);
    this.#unnoted = 0;
  }

  /** The receiver's process dies, and another takes its place. */
  restartReceiver(): void {
    this.cut();
    this.receiver++;
    this.#senders = new Senders(4, () => true);
    this.#lane = undefined;
    this.#taken = [];
  }

  /** Everything works from now on, until nothing happens any more; with `relink`, over a new link. */
  settle(relink = true): void {
    this.busy = false;
    if (relink) this.link();
    for (let round = 0; round < 60; round++) {
      for (let at = 0; at < 400; at++) {
        this.deliver(0);
        this.handle(1);
        this.ack(0);
      }
      if (this.#send.size === 0) return;
      this.pass(20_000);
    }
  }

  /** What the sender still holds. */
  get held(): number {
    return this.#send.size;
  }

  #wireAt(which: number): Wire | undefined {
    return which === 0 ? this.#wire : this.#stale[(which - 1) % 3];
  }

  #arrive(wire: Wire, frame: Frame): void {
    if (frame.announce !== undefined) {
      if (this.#options.durable) {
        this.#lane ??= this.#makeLane(Math.max(frame.announce, this.#kept?.next ?? 0));
        this.#lane.announced(frame.announce);
        wire.durable = this.#lane;
      } else {
        wire.lanes = this.#senders.announced("s", wire.generation, frame.epoch, 2, frame.announce);
      }
    }
    const lanes = wire.lanes?.retired ? undefined : wire.lanes;
    const lane = this.#options.durable ? wire.durable : lanes?.lanes[2];
    if (lane === undefined) return;
    if (frame.sequence !== undefined) {
      const judged = lane.judge(frame.sequence);
      if (judged === "gap" || judged === "next" && this.busy) return;
      if (judged === "next") {
        lane.take();
        const redelivered = frame.redelivered!;
        if (this.#options.durable) {
          this.#taken.push({ id: frame.id!, sender: wire.generation, redelivered });
        } else {
          lane.finish();
          const { generation: sender } = wire;
          this.received.push({ id: frame.id!, sender, receiver: this.receiver, redelivered });
        }
      }
    }
    wire.acks.push({ epoch: frame.epoch, next: lane.done });
  }

  #newSendLane(first: number): SendLane<Item> {
    const { durable, retries } = this.#options;
    return new SendLane<Item>({
      first,
      retries: durable ? Infinity : retries,
      maxMessages: 1000,
      maxBytes: 1e9,
      minRetryMs: 200,
      maxRetryMs: 10_000,
      cautious: durable,
      sentBefore: durable ? first + this.#outbox.length : first,
      random: () => 0.5,
    }, {
      acknowledged: ({ id }) => {
        // A sender that had not noted it hears it again.
        if (this.acknowledged.has(id) && !durable) throw new Error(`${id} was acknowledged twice`);
        this.acknowledged.add(id);
        if (durable) this.#unnoted++;
      },
      gaveUp: ({ id }, reason) => {
        if (this.gaveUp.has(id) || this.acknowledged.has(id)) throw new Error(`${id} ended twice`);
        this.gaveUp.set(id, reason);
      },
    });
  }
}
