/**
 * The sending side of one lane: the messages of one priority to one node.
 *
 * A link carries the messages of a priority in order and whole, or breaks. So the
 * receiver takes exactly the next sequence and refuses any other, an acknowledgement
 * is one number, and order costs nothing: go-back-N, as in HDLC and early TCP
 * (RFC 1122 4.2.2.20 allows it), where a lost packet is a lost link.
 *
 *   base         cursor        next           end
 *    | sent, not  | to be sent  | never sent   |
 *    | acknowledged: again      | yet          |
 *
 * A message gets its sequence when it is first sent, so one that cannot be sent at
 * all leaves no gap. Whenever the link changes, everything unacknowledged goes back
 * before the cursor: the receiver is told where the lane begins (`announceDue`), its
 * answer says what it has, the rest is sent again before anything new. On a link that
 * lives, silence for max(minRetryMs, 4 round trips) x 2^n with jitter does the same, a
 * bounded number at a time until the receiver has caught up. A message that was sent
 * 1 + retries times in vain is given up; since older ones were sent at least as often,
 * those that are given up are always the first.
 *
 * The round trip is that of messages (RFC 6298's smoothing; not of those sent twice,
 * after Karn), so a receiver that is slow to acknowledge is not sent more.
 */

/** Why a message was given up. `restarted`: another start of the receiver is there, and this one may have left for the earlier. */
export type GiveUpReason = "retries" | "restarted" | "closed";

/** The bounds and times of a lane. */
export interface SendLaneOptions {
  /** The sequence of the first message. */
  readonly first: number;
  /** How often a message is sent again before it is given up; Infinity: for ever. */
  readonly retries: number;
  /** Messages held at once, sent or not. */
  readonly maxMessages: number;
  /** Bytes held at once; a single message may be larger. */
  readonly maxBytes: number;
  /** The shortest wait for an acknowledgement, in ms. */
  readonly minRetryMs: number;
  /** The longest, however often it was in vain, in ms. */
  readonly maxRetryMs: number;
  /** Send nothing over a new link before the receiver has said what it has, in case it knows more than we do. */
  readonly cautious: boolean;
  /** An earlier start of the sender may have sent what is below; `first` if there was none. */
  readonly sentBefore: number;
  /** A number in [0, 1), for jitter. */
  random(): number;
}

/** What becomes of messages. None of these may throw or call the lane. */
export interface SendLaneHandler<T> {
  /** The receiver is done with it. */
  acknowledged(item: T): void;
  /** It is not sent any more. */
  gaveUp(item: T, reason: GiveUpReason): void;
}

/** Messages sent again at a time while the receiver has to catch up. */
const recoveryMessages = 256;
/** A wait grows by up to this share, so that lanes which failed together do not return together. */
const jitter = 0.25;

/** One lane. `T` is the message as its user knows it. */
export class SendLane<T> {
  /** The sequence of the message that {@linkcode SendLane.poll} gave last. */
  sequence = 0;
  /** Whether that message had been sent before. */
  redelivered = false;
  /** True when the receiver must be told {@linkcode SendLane.base} before the next message. */
  announceDue = true;
  /** Messages sent again, ever. */
  retransmitted = 0;

  readonly #options: SendLaneOptions;
  readonly #handler: SendLaneHandler<T>;
  #items: (T | undefined)[] = new Array(16).fill(undefined);
  #sizes: number[] = new Array(16).fill(0);
  #attempts: number[] = new Array(16).fill(0);
  #base: number;
  #cursor: number;
  #next: number;
  #end: number;
  #bytes = 0;
  #linked = false;
  /** The receiver has yet to say what it has. */
  #syncing = false;
  #recovering = false;
  #lastFresh = false;
  #dueMs = 0;
  #waits = 0;
  #roundTripMs: number | undefined;
  #sampled = -1;
  #sampledAtMs = 0;

  /** An empty lane without a link. */
  constructor(options: SendLaneOptions, handler: SendLaneHandler<T>) {
    this.#options = options;
    this.#handler = handler;
    this.#base =
      this.#cursor =
      this.#next =
      this.#end =
        options.first;
  }

  /** The lowest sequence that may still come: what is announced. */
  get base(): number {
    return this.#base;
  }

  /** The sequence of the next message that was never sent. */
  get next(): number {
    return this.#next;
  }

  /** Messages held, sent or not. */
  get size(): number {
    return this.#end - this.#base;
  }

  /** Messages sent and not acknowledged. */
  get unacknowledged(): number {
    return this.#next - this.#base;
  }

  /** Messages that were never sent. */
  get unsent(): number {
    return this.#end - this.#next;
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** When {@linkcode SendLane.handleTimer} wants to be called; undefined while nothing is waited for. */
  get nextTimerMs(): number | undefined {
    const waits = this.#base < this.#next || this.#syncing && this.#base < this.#end;
    return this.#linked && waits ? this.#dueMs : undefined;
  }

  /** The smoothed time from sending to acknowledgement in ms, once measured. */
  get roundTripMs(): number | undefined {
    return this.#roundTripMs;
  }

  /** True if a message of so many bytes may be offered. */
  fits(bytes: number): boolean {
    const { maxMessages, maxBytes } = this.#options;
    const held = this.#end - this.#base;
    return held === 0 || held < maxMessages && this.#bytes + bytes <= maxBytes;
  }

  /** Takes a message in; mind {@linkcode SendLane.fits}. Then poll. */
  offer(item: T, bytes: number): void {
    if (this.#end - this.#base === this.#items.length) this.#grow();
    const at = this.#end++ & this.#items.length - 1;
    this.#items[at] = item;
    this.#sizes[at] = bytes;
    this.#attempts[at] = 0;
    this.#bytes += bytes;
  }

  /** The next message to hand to the link, with `sequence` and `redelivered` set; undefined when there is nothing to send now. */
  poll(nowMs: number): T | undefined {
    if (!this.#linked || this.#syncing) return undefined;
    const cursor = this.#cursor;
    if (this.#recovering && cursor - this.#base >= recoveryMessages) return undefined;
    if (cursor === this.#end) return undefined;
    const fresh = this.#lastFresh = cursor === this.#next;
    if (cursor === this.#base) this.#arm(nowMs);
    const at = cursor & this.#items.length - 1;
    this.#cursor = cursor + 1;
    if (fresh) {
      this.#next = cursor + 1;
      this.#recovering = false;
      if (this.#sampled < 0) {
        this.#sampled = cursor;
        this.#sampledAtMs = nowMs;
      }
    } else this.retransmitted++;
    this.#attempts[at]++;
    this.sequence = cursor;
    this.redelivered = !fresh;
    return this.#items[at];
  }

  /** The link did not take what was polled last. With `drop`, no link would: true if it was taken out, which only a message that was never sent can be. */
  unpoll(drop: boolean): boolean {
    this.#cursor--;
    this.#attempts[this.#cursor & this.#items.length - 1]--;
    if (!this.#lastFresh) {
      this.retransmitted--;
      if (drop) {
        // It has left before under its sequence: it counts as sent again, until it is given up.
        this.#attempts[this.#cursor++ & this.#items.length - 1]++;
      }
      return false;
    }
    this.#next--;
    if (this.#sampled === this.#next) this.#sampled = -1;
    if (drop) this.#remove(this.#next);
    return drop;
  }

  /** Takes out a message that was never sent. False if it was, or is not here. */
  withdraw(item: T): boolean {
    for (let at = this.#next; at < this.#end; at++) {
      if (this.#items[at & this.#items.length - 1] !== item) continue;
      this.#remove(at);
      return true;
    }
    return false;
  }

  /** There is a link, another than before. The receiver is to be told where the lane begins. */
  linked(nowMs: number): void {
    this.#linked = true;
    this.announceDue = true;
    this.#rewind();
    this.#syncing = this.#options.cautious || this.#base < this.#next;
    this.#arm(nowMs);
  }

  /** The receiver is being told. */
  announced(nowMs: number): void {
    this.announceDue = false;
    if (this.#syncing) this.#arm(nowMs);
  }

  /** There is no link any more. */
  unlinked(): void {
    this.#linked = false;
    this.#rewind();
  }

  /**
   * Everything below `next` is done with.
   * @param current whether this came over the link in use, so that it may answer the announcement.
   * @returns false if nothing of the kind was ever sent: the word is ignored.
   */
  handleAck(next: number, nowMs: number, current: boolean): boolean {
    if (next > this.#next) {
      // What an earlier start of this sender sent, and did not note as acknowledged.
      if (next > this.#options.sentBefore || next > this.#end) return false;
      this.#next = next;
    }
    if (next > this.#base) {
      if (this.#sampled >= 0 && this.#sampled < next) this.#measure(nowMs - this.#sampledAtMs);
      while (this.#base < next) this.#handler.acknowledged(this.#takeFirst());
      if (this.#cursor < next) this.#cursor = next;
      this.#waits = 0;
      if (this.#base < this.#next) this.#arm(nowMs);
    }
    if (current && this.#syncing) {
      this.#syncing = false;
      this.#giveUpExhausted();
    }
    return true;
  }

  /** The message that was sent under a sequence, unless it is done with. */
  sent(sequence: number): T | undefined {
    if (sequence < this.#base || sequence >= this.#next) return undefined;
    return this.#items[sequence & this.#items.length - 1];
  }

  /** The time has come, or any other: sends again what went unanswered for too long. */
  handleTimer(nowMs: number): void {
    const due = this.nextTimerMs;
    if (due === undefined || nowMs < due) return;
    // Silence may mean that the answer was lost; what was sent is then as good as a question.
    this.#syncing = this.#options.cautious;
    this.#giveUpExhausted();
    this.announceDue = true;
    if (this.#base === this.#end) {
      this.#waits = 0;
      return;
    }
    this.#waits++;
    this.#recovering = true;
    this.#rewind();
    this.#arm(nowMs);
  }

  /** Puts the timer off: what was sent has not even left yet. */
  postpone(nowMs: number): void {
    if (this.#base < this.#next) this.#arm(nowMs);
  }

  /** No link could be had, which counts as sending again in vain. */
  missed(): void {
    for (let at = this.#base; at < this.#next; at++) this.#attempts[at & this.#items.length - 1]++;
    this.#giveUpExhausted();
  }

  /** Another start of the receiver is there: what may have left for the earlier one is given up. */
  restarted(): void {
    this.#giveUp(this.#next, "restarted");
    this.#waits = 0;
  }

  /** Takes out every message that was never sent. */
  dropUnsent(dropped: (item: T) => void): void {
    while (this.#end > this.#next) {
      const at = --this.#end & this.#items.length - 1;
      const item = this.#items[at]!;
      this.#items[at] = undefined;
      this.#bytes -= this.#sizes[at];
      dropped(item);
    }
  }

  /** Gives everything up. */
  close(): void {
    this.#next = this.#end;
    this.#giveUp(this.#end, "closed");
  }

  #rewind(): void {
    this.#cursor = this.#base;
    this.#sampled = -1;
  }

  #giveUpExhausted(): void {
    let to = this.#base;
    const most = this.#options.retries;
    while (to < this.#next && this.#attempts[to & this.#items.length - 1] > most) to++;
    this.#giveUp(to, "retries");
  }

  #giveUp(to: number, reason: GiveUpReason): void {
    if (to === this.#base) return;
    this.announceDue = true;
    while (this.#base < to) this.#handler.gaveUp(this.#takeFirst(), reason);
    if (this.#cursor < to) this.#cursor = to;
    this.#sampled = -1;
  }

  #takeFirst(): T {
    const at = this.#base++ & this.#items.length - 1;
    const item = this.#items[at]!;
    this.#items[at] = undefined;
    this.#bytes -= this.#sizes[at];
    return item;
  }

  #remove(position: number): void {
    const mask = this.#items.length - 1;
    this.#bytes -= this.#sizes[position & mask];
    for (let at = position; at < this.#end - 1; at++) {
      this.#items[at & mask] = this.#items[at + 1 & mask];
      this.#sizes[at & mask] = this.#sizes[at + 1 & mask];
    }
    this.#items[--this.#end & mask] = undefined;
  }

  #measure(ms: number): void {
    this.#sampled = -1;
    const before = this.#roundTripMs;
    this.#roundTripMs = before === undefined ? ms : before + (ms - before) / 8;
  }

  #arm(nowMs: number): void {
    const { minRetryMs, maxRetryMs, random } = this.#options;
    const wait = Math.max(minRetryMs, 4 * (this.#roundTripMs ?? 0)) * 2 ** this.#waits;
    this.#dueMs = nowMs + Math.min(wait, maxRetryMs) * (1 + jitter * random());
  }

  #grow(): void {
    const mask = this.#items.length - 1;
    const length = this.#items.length * 2;
    const items: (T | undefined)[] = new Array(length).fill(undefined);
    const sizes: number[] = new Array(length).fill(0);
    const attempts: number[] = new Array(length).fill(0);
    for (let at = this.#base; at < this.#end; at++) {
      items[at & length - 1] = this.#items[at & mask];
      sizes[at & length - 1] = this.#sizes[at & mask];
      attempts[at & length - 1] = this.#attempts[at & mask];
    }
    this.#items = items;
    this.#sizes = sizes;
    this.#attempts = attempts;
  }
}
