/**
 * A lane of messages to one node, and who waits for them.
 *
 * The window (protocols/delivery) holds what may be under way. Behind it, messages of
 * level high wait here with their senders, who are as many as they like to be;
 * guaranteed ones wait on disk and are loaded as the window empties.
 */
import type { Priority, TraceContext } from "@mycnet/protocols/frame";
import { type GiveUpReason, lanes, SendLane, type SequenceSpace } from "@mycnet/protocols/delivery";
import { MycnetError } from "../../kernel/errors.ts";
import type { Host } from "../../kernel/host.ts";
import { copyOf } from "../slab.ts";
import type { DeliveryConfig } from "./config.ts";
import type { Counters } from "./counters.ts";
import { aborted } from "./outbox_room.ts";
import type { DeliveryStore } from "./store.ts";
import { WaitingLine } from "./waiting_line.ts";

/** What a message costs beside its bytes: a bound for many small ones. */
const overheadBytes = 64;
/** Guaranteed messages that are under way at once. */
const durableMessages = 1024;
const durableBytes = 4 * 1024 * 1024;
/** After how long what could not be read from the disk is asked for again, in ms. */
const rereadMs = 1000;

/** A message on its way. */
export interface Outgoing {
  readonly type: number;
  readonly route: string | undefined;
  readonly metadata: Uint8Array | undefined;
  readonly trace: TraceContext | undefined;
  body: Uint8Array;
  /** Sent by an earlier start of this node, perhaps. */
  readonly redelivered: boolean;
  /** What becomes of it; absent for a guaranteed one. */
  readonly resolve: (() => void) | undefined;
  readonly reject: ((error: MycnetError) => void) | undefined;
  /** Undoes the listening to its sender's signal. */
  unlisten: (() => void) | undefined;
}

/** What a lane works with. */
export interface LaneSetup {
  readonly node: string;
  readonly host: Host;
  readonly config: DeliveryConfig;
  readonly counters: Counters;
}

/** Tells the sender of a message that it arrived. */
function succeed(message: Outgoing): void {
  message.unlisten?.();
  message.unlisten = undefined;
  message.resolve?.();
}

/** Tells the sender of a message that it did not. */
export function fail(message: Outgoing, error: MycnetError, counters: Counters): void {
  counters.failed++;
  message.unlisten?.();
  message.unlisten = undefined;
  message.reject?.(error);
}

/** Gives a message up when its sender does. */
export function listen(
  signal: AbortSignal,
  lane: VolatileLane,
  message: Outgoing,
  counters: Counters,
): void {
  const abort = () => {
    // Once it has left it may be sent again; its sender may change the bytes from now on.
    if (!lane.withdraw(message)) message.body = copyOf(message.body);
    fail(message, aborted(signal), counters);
  };
  signal.addEventListener("abort", abort, { once: true });
  message.unlisten = () => signal.removeEventListener("abort", abort);
}

/** What the volatile and the durable lane have in common. */
export interface OutgoingLane {
  readonly space: SequenceSpace;
  /** The number of the priority. */
  readonly index: number;
  readonly priority: Priority;
  readonly epoch: bigint;
  readonly window: SendLane<Outgoing>;
  /** Messages that are not acknowledged; those of level high that have no room yet are not counted. */
  readonly size: number;
  /** When to see to it again, in the clock of the host; undefined while nothing is due. */
  readonly nextTimerMs: number | undefined;
  /** Moves what waits behind the window into it. */
  refill(): void;
  /** Everything below is acknowledged. */
  acknowledged(next: number, nowMs: number, current: boolean): void;
  /** Fails everything. */
  close(error: MycnetError): void;
}

/** Messages of level high. */
export class VolatileLane implements OutgoingLane {
  readonly space = "volatile";
  readonly priority: Priority;
  readonly window: SendLane<Outgoing>;
  readonly #setup: LaneSetup;
  readonly #line: WaitingLine<Outgoing>;

  /** @param epoch names this count of sequences. */
  constructor(setup: LaneSetup, readonly index: number, readonly epoch: bigint) {
    this.#setup = setup;
    this.priority = lanes[index];
    const { host, config, counters, node } = setup;
    this.#line = new WaitingLine(config.waitingBytes);
    this.window = new SendLane({
      // Not 1: what an earlier count left on a link must not look like this one's.
      first: 1 + Math.floor(host.random() * 2 ** 40),
      retries: config.retries,
      maxMessages: config.window.messages,
      maxBytes: config.window.bytes,
      minRetryMs: config.ackTimeout,
      maxRetryMs: config.maxBackoff,
      cautious: false,
      sentBefore: 0,
      random: () => host.random(),
    }, {
      acknowledged: (message) => {
        counters.acknowledged++;
        succeed(message);
      },
      gaveUp: (message, reason) => {
        counters.undelivered++;
        fail(message, undelivered(node, reason), counters);
      },
    });
  }

  get size(): number {
    return this.window.size;
  }

  get nextTimerMs(): number | undefined {
    return this.window.nextTimerMs;
  }

  /** True if a message would have to wait. */
  full(bytes: number): boolean {
    return !this.#line.empty || !this.window.fits(bytes + overheadBytes);
  }

  /** True if a message may wait, should it have to. */
  mayWait(bytes: number): boolean {
    return this.#line.takes(bytes);
  }

  /** Takes a message, to wait if there is no room. */
  offer(message: Outgoing): void {
    const { length } = message.body;
    if (this.full(length)) this.#line.push(message);
    else this.window.offer(message, length + overheadBytes);
  }

  refill(): void {
    for (let next; (next = this.#line.first) !== undefined;) {
      const bytes = next.body.length + overheadBytes;
      if (!this.window.fits(bytes)) return;
      this.#line.shift();
      this.window.offer(next, bytes);
    }
  }

  acknowledged(next: number, nowMs: number, current: boolean): void {
    if (!this.window.handleAck(next, nowMs, current)) this.#setup.counters.refused++;
    this.refill();
  }

  /** The receiver has nobody for a message. */
  unhandled(sequence: number): void {
    const message = this.window.sent(sequence);
    if (message === undefined) return;
    const { node, counters } = this.#setup;
    fail(
      message,
      new MycnetError("unhandled", `node "${node}" has no handler for the message`),
      counters,
    );
  }

  /** Gives a message up. Returns false if it may have left already. */
  withdraw(message: Outgoing): boolean {
    return this.#line.withdraw(message) || this.window.withdraw(message);
  }

  /** Fails what was never sent. */
  failUnsent(error: MycnetError): void {
    const { counters } = this.#setup;
    this.window.dropUnsent((message) => fail(message, error, counters));
    for (const message of this.#line.clear()) fail(message, error, counters);
  }

  close(error: MycnetError): void {
    this.failUnsent(error);
    this.window.close();
  }
}

/** Guaranteed messages. */
export class DurableLane implements OutgoingLane {
  readonly space = "durable";
  readonly priority: Priority;
  readonly epoch: bigint;
  window: SendLane<Outgoing>;
  readonly #setup: LaneSetup;
  readonly #store: DeliveryStore;
  /** The next sequence to move from the disk into the window. */
  #loaded: number;
  /** The end of what is safely on disk. */
  #committed: number;
  /** What an earlier start of this node may have sent. */
  #old: number;
  /** When to ask the disk again, if it did not give what it has. */
  #rereadMs: number | undefined;
  #acknowledged = 0;
  #acknowledgedBytes = 0;

  /** @param first the first sequence that is not acknowledged; all below `next` are on disk. */
  constructor(
    setup: LaneSetup,
    store: DeliveryStore,
    readonly index: number,
    first: number,
    next: number,
  ) {
    this.#setup = setup;
    this.#store = store;
    this.priority = lanes[index];
    this.epoch = store.epoch;
    this.#loaded = first;
    this.#committed = this.#old = next;
    this.window = this.#newWindow(first);
    this.refill();
  }

  get size(): number {
    return this.#committed - this.window.base;
  }

  get nextTimerMs(): number | undefined {
    return this.window.nextTimerMs ?? this.#rereadMs;
  }

  /** Writes a message; `committed` runs when it is on disk or could not be put there. */
  append(message: Outgoing, committed: (error?: MycnetError) => void): void {
    const sequence = this.#store.append(this.#setup.node, this.index, message, (error) => {
      if (error === undefined) {
        this.#committed = sequence + 1;
        if (sequence === this.#loaded && this.#fits(message)) this.#offer(message);
      }
      committed(error);
    });
  }

  refill(): void {
    this.#rereadMs = undefined;
    // Half empty first, so that the disk is not asked for every single message.
    while (this.#loaded < this.#committed && this.window.size <= durableMessages / 2) {
      const limit = Math.min(durableMessages / 2, this.#committed - this.#loaded);
      const kept = this.#store.load(this.#setup.node, this.index, this.#loaded, limit);
      if (kept.length === 0) {
        // No acknowledgement may come any more that would lead here again.
        this.#rereadMs = this.#setup.host.now() + rereadMs;
        return;
      }
      for (const { sequence, ...message } of kept) {
        const redelivered = sequence < this.#old;
        const none = { resolve: undefined, reject: undefined, unlisten: undefined };
        const outgoing: Outgoing = { ...message, ...none, trace: undefined, redelivered };
        if (!this.#fits(outgoing)) return;
        this.#offer(outgoing);
      }
    }
  }

  acknowledged(next: number, nowMs: number, current: boolean): void {
    if (!this.window.handleAck(next, nowMs, current)) {
      this.#beyond(next, nowMs, current);
      return;
    }
    if (this.#acknowledged > 0) {
      const { node } = this.#setup;
      const { base } = this.window;
      this.#store.done(node, this.index, base, this.#acknowledged, this.#acknowledgedBytes);
      this.#acknowledged = this.#acknowledgedBytes = 0;
    }
    this.refill();
  }

  close(): void {}

  /**
   * The receiver has taken sequences that this database never gave: it is an old copy. What waits
   * gets new ones, or it would pass for what was there before. A receiver that lies harms only itself.
   */
  #beyond(next: number, nowMs: number, current: boolean): void {
    const { node, host, counters } = this.#setup;
    const { base } = this.window;
    if (!current || this.window.unacknowledged > 0 || next > 2 ** 52) {
      counters.refused++;
      return;
    }
    this.#store.flush();
    if (next <= this.#old) {
      // More than the window holds was sent and not noted by an earlier start.
      const { messages, bytes } = this.#store.size(node, this.index, base, next);
      this.#store.done(node, this.index, next, messages, bytes);
      this.#restart(next, nowMs);
      this.window.handleAck(next, nowMs, true);
      return;
    }
    host.log.warn("The delivery database seems to be an old copy; its messages are renumbered", {
      path: this.#store.path,
      node,
    });
    this.#store.renumber(node, this.index, base, next);
    this.#committed += next - base;
    this.#old += next - base;
    this.#restart(next, nowMs);
  }

  /** Begins again with another sequence, over the link in use. */
  #restart(first: number, nowMs: number): void {
    this.#loaded = first;
    this.window = this.#newWindow(first);
    this.window.linked(nowMs);
    this.refill();
  }

  #newWindow(first: number): SendLane<Outgoing> {
    const { host, config, counters } = this.#setup;
    return new SendLane({
      first,
      retries: Infinity,
      maxMessages: durableMessages,
      maxBytes: durableBytes,
      minRetryMs: config.ackTimeout,
      maxRetryMs: config.maxBackoff,
      cautious: true,
      sentBefore: this.#old,
      random: () => host.random(),
    }, {
      acknowledged: ({ body }) => {
        counters.acknowledged++;
        this.#acknowledged++;
        this.#acknowledgedBytes += body.length;
      },
      gaveUp: () => {},
    });
  }

  #fits({ body }: Outgoing): boolean {
    return this.window.fits(body.length + overheadBytes);
  }

  #offer(message: Outgoing): void {
    this.window.offer(message, message.body.length + overheadBytes);
    this.#loaded++;
  }
}

function undelivered(node: string, reason: GiveUpReason): MycnetError {
  switch (reason) {
    case "closed":
      return new MycnetError(
        "closed",
        `this node is stopping or reloading; node "${node}" may have handled the message`,
      );
    case "restarted":
      return new MycnetError(
        "undelivered",
        `node "${node}" restarted before it acknowledged the message: ` +
          "its earlier start may have handled it",
      );
    case "retries":
      return new MycnetError(
        "undelivered",
        `node "${node}" did not acknowledge the message; it may have handled it all the same`,
      );
  }
}
