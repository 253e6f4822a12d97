/**
 * The real world as a `Host`: the one file of the project that reads a clock,
 * starts a timer, draws a random number or writes to the console. Everything
 * else is handed a `Host` and so runs unchanged in the simulator.
 *
 * Two promises of `Host` need work over the platform's timers. A delay beyond
 * 2^31-1 ms (24.8 days) would fire at once, so long delays are slept in
 * stretches; and a timer may fire a fraction of a millisecond early, so one
 * that does is armed again for the rest.
 */
import type { Host, Logger, Timer, Topic } from "./host.ts";
import { createLogger, errorFields, type LogSink } from "./logger.ts";
import { EventHub } from "./events.ts";
import { sleepOn } from "./sleep.ts";

/** The longest delay that the platform's timers take, in ms. */
const longestDelayMs = 2 ** 31 - 1;
/** The most bytes that the platform's generator gives at once. */
const randomChunkBytes = 65_536;

/** Options of {@linkcode createHost}. */
export interface HostOptions {
  /** Where log lines go. Default: warnings and errors to the console. */
  readonly log?: LogSink;
}

/** Makes a host over the real clock, timers and randomness. */
export function createHost(options: HostOptions = {}): Host {
  return new RealHost(createLogger(options.log ?? consoleSink));
}

/** Writes warnings and errors, one line each, to standard error. */
const consoleSink: LogSink = (level, message, { stack, ...fields }) => {
  if (level !== "warn" && level !== "error") return;
  const parts = Object.entries(fields).map(([name, value]) => `${name}=${asText(value)}`);
  const line = [level.toUpperCase(), message, ...parts].join(" ");
  console.error(level === "error" && typeof stack === "string" ? `${line}\n${stack}` : line);
};

function asText(value: unknown): string {
  if (typeof value === "string") return value;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

class RealHost implements Host {
  readonly log: Logger;
  readonly #events: EventHub;

  constructor(log: Logger) {
    this.log = log;
    this.#events = new EventHub((topic, error) => {
      log.error("A subscriber threw", { topic, ...errorFields(error) });
    });
  }

  now(): number {
    return performance.now();
  }

  wallTime(): number {
    return Date.now();
  }

  random(): number {
    return Math.random();
  }

  randomBytes(length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += randomChunkBytes) {
      crypto.getRandomValues(bytes.subarray(at, at + randomChunkBytes));
    }
    return bytes;
  }

  id(): string {
    return this.randomBytes(16).toHex();
  }

  after(delayMs: number, run: () => void): Timer {
    const due = performance.now() + delayMs;
    const arm = (leftMs: number): void => {
      handle = setTimeout(fire, Math.min(Math.max(Math.ceil(leftMs), 0), longestDelayMs));
    };
    const fire = (): void => {
      const leftMs = due - performance.now();
      if (leftMs > 0) arm(leftMs);
      else this.#run(run);
    };
    let handle: ReturnType<typeof setTimeout>;
    arm(delayMs);
    return { [Symbol.dispose]: () => clearTimeout(handle) };
  }

  every(periodMs: number, run: () => void): Timer {
    if (!(periodMs > 0 && periodMs <= longestDelayMs)) {
      throw new RangeError(`A period is above 0 and at most ${longestDelayMs} ms, not ${periodMs}`);
    }
    const handle = setInterval(() => this.#run(run), periodMs);
    return { [Symbol.dispose]: () => clearInterval(handle) };
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal);
  }

  barrier(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  emit<T>(topic: Topic<T>, payload: NoInfer<T>): void {
    this.#events.emit(topic, payload);
  }

  on<T>(topic: Topic<T>, handler: (payload: T) => void): Disposable {
    return this.#events.on(topic, handler);
  }

  #run(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.log.error("A timer threw", errorFields(error));
    }
  }
}
