/**
 * What the tests of this room share: a Host of virtual time, and pairs of
 * connections in memory. Nothing here sleeps; `advance` fires timers in order
 * and lets promises settle after each.
 */
import type { Connection, ConnectionHandlers, PeerAuthentication } from "../contracts/transport.ts";
import type { Host, LogFields, Logger, LogLevel, Timer, Topic } from "../kernel/host.ts";
import { createHost } from "../kernel/real_host.ts";
import { sleepOn } from "../kernel/sleep.ts";

/** Only its barrier is used: virtual time stands still until everything under way has settled. */
const real = createHost();

/** A line that was logged. */
export interface LogLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

interface Waiting {
  at: number;
  order: number;
  run: () => void;
}

/** A host whose clock moves only when told to. */
export class FakeHost implements Host {
  readonly lines: LogLine[] = [];
  /** Every host timer that was ever set; to prove that hot paths set none. */
  timersSet = 0;
  readonly log: Logger = this.#logger({});
  readonly #timers = new Set<Waiting>();
  readonly #handlers = new Map<string, Set<(payload: unknown) => void>>();
  readonly #clock: { now: number };
  #order = 0;
  #seed: number;

  constructor(seed = 1, clock: { now: number } = { now: 1000 }) {
    this.#seed = seed;
    this.#clock = clock;
  }

  /** Another host on the same clock and timers, with topics, lines and random numbers of its own. */
  view(): FakeHost {
    const view = new FakeHost(Math.floor(this.random() * 2 ** 32), this.#clock);
    view.after = (delayMs, run) => this.after(delayMs, run);
    return view;
  }

  get #now(): number {
    return this.#clock.now;
  }

  set #now(now: number) {
    this.#clock.now = now;
  }

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return 1_700_000_000_000 + this.#now;
  }

  /** Mulberry32. */
  random(): number {
    this.#seed = (this.#seed + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#seed ^ (this.#seed >>> 15), 1 | this.#seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  randomBytes(length: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length }, () => Math.floor(this.random() * 256));
  }

  id(): string {
    return [...this.randomBytes(16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  after(delayMs: number, run: () => void): Timer {
    this.timersSet++;
    const waiting = { at: this.#now + Math.max(0, delayMs), order: this.#order++, run };
    this.#timers.add(waiting);
    return { [Symbol.dispose]: () => void this.#timers.delete(waiting) };
  }

  every(periodMs: number, run: () => void): Timer {
    let timer: Timer;
    const beat = () => {
      timer = this.after(periodMs, beat);
      run();
    };
    timer = this.after(periodMs, beat);
    return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal);
  }

  /** Lets every promise settle. */
  barrier(): Promise<void> {
    return real.barrier();
  }

  /** Moves the clock by `ms`, firing what falls due in order. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await this.barrier();
    for (;;) {
      let first: Waiting | undefined;
      for (const waiting of this.#timers) {
        if (waiting.at > until) continue;
        if (
          first === undefined || waiting.at < first.at ||
          (waiting.at === first.at && waiting.order < first.order)
        ) first = waiting;
      }
      if (first === undefined) break;
      this.#timers.delete(first);
      this.#now = Math.max(this.#now, first.at);
      first.run();
      await this.barrier();
    }
    this.#now = until;
  }

  /** Moves the clock in steps until `done()`; fails after `limitMs` of virtual time. */
  async until(done: () => boolean, limitMs = 60_000, stepMs = 10): Promise<void> {
    const limit = this.#now + limitMs;
    await this.barrier();
    while (!done()) {
      if (this.#now >= limit) throw new Error(`still waiting after ${limitMs} ms of virtual time`);
      await this.advance(stepMs);
    }
  }

  /** Timers that are set now. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  emit<T>(topic: Topic<T>, payload: NoInfer<T>): void {
    for (const handler of this.#handlers.get(topic.id) ?? []) handler(payload);
  }

  on<T>(topic: Topic<T>, handler: (payload: T) => void): Disposable {
    const handlers = this.#handlers.get(topic.id) ?? new Set();
    this.#handlers.set(topic.id, handlers);
    handlers.add(handler as (payload: unknown) => void);
    return { [Symbol.dispose]: () => void handlers.delete(handler as (payload: unknown) => void) };
  }

  #logger(fields: LogFields): Logger {
    const line = (level: LogLevel) => (message: string, more?: LogFields) => {
      this.lines.push({ level, message, fields: { ...fields, ...more } });
    };
    return {
      debug: line("debug"),
      info: line("info"),
      warn: line("warn"),
      error: line("error"),
      with: (more) => this.#logger({ ...fields, ...more }),
    };
  }
}

/** Options of a fake connection. */
export interface FakeConnectionOptions {
  readonly host: FakeHost;
  readonly transport?: string;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly authentication?: PeerAuthentication;
  readonly delayMs?: number;
}

/** One end of a pair in memory. Bytes arrive `delayMs` later, in order. */
export class FakeConnection implements Connection {
  readonly transport: string;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly authentication: PeerAuthentication;
  readonly encryption = "none" as const;
  /** The other end. */
  other!: FakeConnection;
  /** True: this end takes bytes off the wire. `stall()` makes it false. */
  reading = true;
  /** True once `closed` ran. */
  ended = false;
  /** Writes that were started. */
  writes = 0;
  readonly #host: FakeHost;
  readonly #delayMs: number;
  #handlers: ConnectionHandlers | undefined;
  #inbox: { bytes: Uint8Array; taken: () => void }[] = [];
  #outstanding = false;
  #closing = false;
  #endReceived: { error?: Error } | undefined;
  #endedWith: Error | undefined;

  constructor(options: FakeConnectionOptions) {
    this.#host = options.host;
    this.transport = options.transport ?? "memory";
    this.localAddress = options.localAddress;
    this.remoteAddress = options.remoteAddress;
    this.authentication = options.authentication ?? { kind: "fiat" };
    this.#delayMs = options.delayMs ?? 0;
  }

  open(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
    // One that ended before anybody listened still says so.
    if (this.ended) queueMicrotask(() => handlers.closed(this.#endedWith));
    else queueMicrotask(() => this.#deliver());
  }

  write(bytes: Uint8Array, written: () => void): void {
    if (this.#outstanding) throw new Error("two writes at once");
    if (this.ended || this.#closing) return;
    this.#outstanding = true;
    this.writes++;
    const copy = bytes.slice();
    this.#later(() => {
      this.other.#inbox.push({
        bytes: copy,
        taken: () => {
          if (this.ended) return;
          this.#outstanding = false;
          written();
          if (this.#closing && !this.#outstanding) this.#finish();
        },
      });
      this.other.#deliver();
    });
  }

  pause(): void {
    this.reading = false;
  }

  resume(): void {
    this.reading = true;
    this.#deliver();
  }

  close(): void {
    if (this.ended || this.#closing) return;
    this.#closing = true;
    if (!this.#outstanding) this.#finish();
  }

  destroy(): void {
    if (this.ended) return;
    this.#end(undefined);
    this.other.#receiveEnd(new Error("connection reset"));
  }

  /** Cuts the wire: both ends learn of it at once. */
  cut(): void {
    if (!this.ended) this.#end(new Error("cut"));
    if (!this.other.ended) this.other.#end(new Error("cut"));
  }

  /** Cuts the wire without anybody noticing: bytes vanish from now on. */
  blackhole(): void {
    this.reading = false;
    this.other.reading = false;
  }

  #finish(): void {
    this.#end(undefined);
    this.other.#receiveEnd(undefined);
  }

  #receiveEnd(error: Error | undefined): void {
    this.#later(() => {
      this.#endReceived = { error };
      this.#deliver();
    });
  }

  #deliver(): void {
    while (this.#handlers !== undefined && this.reading && !this.ended) {
      const next = this.#inbox.shift();
      if (next === undefined) break;
      this.#handlers.data(next.bytes);
      // The contract: the view is valid during the call only.
      next.bytes.fill(0xdd);
      this.#later(next.taken);
    }
    const drained = this.reading && this.#inbox.length === 0 && this.#handlers !== undefined;
    if (this.#endReceived !== undefined && drained) {
      this.#end(this.#endReceived.error);
    }
  }

  #end(error: Error | undefined): void {
    if (this.ended) return;
    this.ended = true;
    this.#endedWith = error;
    const handlers = this.#handlers;
    queueMicrotask(() => handlers?.closed(error));
  }

  #later(run: () => void): void {
    if (this.#delayMs > 0) this.#host.after(this.#delayMs, run);
    else queueMicrotask(run);
  }
}

/** Two ends of one wire: the dialler's and the acceptor's. */
export function connectionPair(
  host: FakeHost,
  options: {
    readonly dialer?: string;
    readonly acceptor?: string;
    readonly transport?: string;
    readonly delayMs?: number;
    readonly dialerSees?: PeerAuthentication;
    readonly acceptorSees?: PeerAuthentication;
  } = {},
): { dialer: FakeConnection; acceptor: FakeConnection } {
  const a = options.dialer ?? "127.0.0.1:40001";
  const b = options.acceptor ?? "127.0.0.1:7000";
  const { transport, delayMs } = options;
  const dialer = new FakeConnection({
    host,
    transport,
    delayMs,
    localAddress: a,
    remoteAddress: b,
    authentication: options.dialerSees,
  });
  const acceptor = new FakeConnection({
    host,
    transport,
    delayMs,
    localAddress: b,
    remoteAddress: a,
    authentication: options.acceptorSees,
  });
  dialer.other = acceptor;
  acceptor.other = dialer;
  return { dialer, acceptor };
}
