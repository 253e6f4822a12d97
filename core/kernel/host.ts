/**
 * Everything impure, behind one interface.
 *
 * A plugin never reads a clock, a random number or a timer of its own: it asks
 * its `Host`. That is what lets the same plugins run on sockets and, unchanged,
 * inside the simulator, where the host is virtual time and one seed.
 */

/** A running timer. Disposing it cancels it; disposing it twice is harmless. */
export interface Timer extends Disposable {}

/** Structured fields of a log line. Values must be JSON-like. */
export type LogFields = Readonly<Record<string, unknown>>;

/** The severity of a log line, lowest first. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** Where a plugin logs. A line is a constant sentence; what varies are fields. */
export interface Logger {
  /** Detail that only a debugging reader wants. */
  debug(message: string, fields?: LogFields): void;
  /** Something that normally happens, worth a line. */
  info(message: string, fields?: LogFields): void;
  /** Something went wrong and was dealt with. */
  warn(message: string, fields?: LogFields): void;
  /** Something went wrong and a person should look. */
  error(message: string, fields?: LogFields): void;
  /** The same logger with fields added to each of its lines. */
  with(fields: LogFields): Logger;
}

/**
 * A named event between plugins. Whoever emits it exports it; there is no
 * central list. Inside one protocol, use a discriminated union instead.
 */
export interface Topic<T> {
  /** What tells it apart, e.g. `"peers.up"`. */
  readonly id: string;
  /** Phantom: never set, carries the type of the payload. */
  readonly payload?: T;
}

/** Makes a topic. Its identity is the name, so it survives a hot reload. */
export function topic<T>(id: string): Topic<T> {
  return { id };
}

/** The impure world as a plugin sees it. All times are in milliseconds. */
export interface Host {
  /** Monotonic time. Only differences mean anything. */
  now(): number;
  /** Wall-clock time since the Unix epoch. It may jump in either direction. */
  wallTime(): number;
  /** A number in [0, 1). Not for secrets. */
  random(): number;
  /** Bytes fit for keys and tokens (in the simulator: seeded). */
  randomBytes(length: number): Uint8Array<ArrayBuffer>;
  /** A fresh random identifier, 32 lower-case hexadecimal digits. */
  id(): string;
  /** Runs `run` once, not before `delayMs` have passed. It must not throw; if it does, that is logged. */
  after(delayMs: number, run: () => void): Timer;
  /** Runs `run` every `periodMs` until disposed. Missed beats are not made up for. */
  every(periodMs: number, run: () => void): Timer;
  /** Resolves after `ms`; rejects with the signal's reason as soon as it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Resolves once everything that the event loop already holds has run. */
  barrier(): Promise<void>;
  /** The logger. A plugin's scope carries one that names the plugin. */
  readonly log: Logger;
  /** Tells every subscriber, now, in the order in which they subscribed. A subscriber that throws is logged. */
  emit<T>(topic: Topic<T>, payload: NoInfer<T>): void;
  /** Subscribes until disposed. */
  on<T>(topic: Topic<T>, handler: (payload: T) => void): Disposable;
}
