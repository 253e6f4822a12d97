/** What the rooms of one Serf machine share: settings, counters, the way out. */
import { retransmitLimit } from "../swim/scaling.ts";
import { TransmitQueue } from "../swim/transmit_queue.ts";
import type { Swim } from "../swim/types.ts";
import { checkSerfConfig, type SerfConfig, serfDefaults } from "./config.ts";
import type { SerfCounters, SerfEvent, SerfHandler, SerfKeyring, SerfOptions } from "./types.ts";
import { maxNodeNameBytes } from "./wire/messages.ts";
import { SerfWriter } from "./wire/pack.ts";
import { utf8Length } from "../utf8.ts";

/** Rumours of one packet at most; a compound of memberlist counts them in a byte. */
const maxPerPacket = 64;

/** Shared by the rooms; created once per machine. */
export class Context {
  readonly config: SerfConfig;
  readonly handler: SerfHandler;
  readonly name: string;
  readonly random: () => number;
  readonly keyring: SerfKeyring | undefined;
  readonly writer: SerfWriter = new SerfWriter();
  readonly counters: SerfCounters = noCounters();
  /** Rumours by their urgency: intents first. */
  readonly queues: Readonly<Record<"intents" | "queries" | "events", TransmitQueue>>;
  /** Now, in the driver's clock: set by `enter`. */
  nowMs = 0;
  #swim: Swim | undefined;
  #tokens: number;
  #tokensAtMs = 0;

  /** @throws {RangeError} naming what is out of range. */
  constructor(options: SerfOptions, handler: SerfHandler) {
    this.config = options.config ?? serfDefaults;
    checkSerfConfig(this.config);
    const length = utf8Length(options.name);
    if (length < 1 || length > maxNodeNameBytes) {
      throw new RangeError(`name must have 1 to ${maxNodeNameBytes} bytes, not ${length}`);
    }
    this.handler = handler;
    this.name = options.name;
    this.random = options.random;
    this.keyring = options.keyring;
    const { maxQueue } = this.config;
    this.queues = {
      intents: new TransmitQueue(maxQueue),
      queries: new TransmitQueue(maxQueue),
      events: new TransmitQueue(maxQueue),
    };
    this.#tokens = this.config.maxFavoursPerSecond;
  }

  /** The machine below. @throws {TypeError} before it is known. */
  get swim(): Swim {
    if (this.#swim === undefined) throw new TypeError("call start(swim, nowMs) first");
    return this.#swim;
  }

  set swim(swim: Swim) {
    this.#swim = swim;
  }

  /** True once the machine below is known. */
  get started(): boolean {
    return this.#swim !== undefined;
  }

  /** Every way in that tells the time. */
  enter(nowMs: number): void {
    if (nowMs > this.nowMs) this.nowMs = nowMs;
  }

  /** Tells what happened. */
  emit(event: SerfEvent): void {
    this.handler.event(event);
  }

  /** Queues a rumour, which is kept; `done` as in {@linkcode TransmitQueue.add}. */
  broadcast(kind: keyof Context["queues"], bytes: Uint8Array, done?: () => void): void {
    this.queues[kind].add(bytes, undefined, done);
    this.swim.wake(this.nowMs);
  }

  /** Passes on somebody else's rumour, which is copied, unless no packet could carry it. */
  rebroadcast(kind: keyof Context["queues"], bytes: Uint8Array): void {
    if (bytes.length <= this.config.maxRumourBytes) this.queues[kind].add(bytes.slice());
  }

  /** Rumours that wait. */
  get queued(): number {
    return this.queues.intents.size + this.queues.queries.size + this.queues.events.size;
  }

  /** Takes rumours for a packet. */
  takeBroadcasts(overhead: number, limit: number, members: number): Uint8Array[] {
    const rumours: Uint8Array[] = [];
    const times = retransmitLimit(this.config.retransmitMult, members);
    let free = limit;
    for (const queue of [this.queues.intents, this.queues.queries, this.queues.events]) {
      if (free <= overhead || rumours.length >= maxPerPacket) break;
      free -= queue.take(free, overhead, times, rumours, maxPerPacket - rumours.length);
    }
    return rumours;
  }

  /** Spends one of the packets that others can make us send. */
  afford(): boolean {
    const rate = this.config.maxFavoursPerSecond;
    const elapsedMs = Math.max(0, this.nowMs - this.#tokensAtMs);
    this.#tokens = Math.min(rate, this.#tokens + elapsedMs * rate / 1000);
    this.#tokensAtMs = this.nowMs;
    if (this.#tokens < 1) {
      this.counters.limited++;
      return false;
    }
    this.#tokens--;
    return true;
  }
}

function noCounters(): SerfCounters {
  return {
    messages: 0,
    events: 0,
    queries: 0,
    replies: 0,
    strayReplies: 0,
    old: 0,
    malformed: 0,
    unknown: 0,
    clockJumps: 0,
    filtersRefused: 0,
    strangers: 0,
    limited: 0,
    coordinatesRefused: 0,
    refutations: 0,
    reconnects: 0,
  };
}
