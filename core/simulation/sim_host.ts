/**
 * The other Host: everything impure, out of virtual time and one seed.
 *
 * It belongs to one incarnation of one node and enters it through that
 * incarnation's {@linkcode Loop}, so after a crash nothing that was set in
 * motion here has any effect: timers do not fire, sleeps do not end, events are
 * not told and lines are not logged. What a node does is written to the trace,
 * which is how two runs of one seed are compared.
 *
 * `barrier()` is an event at the present time, behind all that is due now. A
 * real crossing of the event loop would let virtual time overtake the code
 * that awaits it.
 */
import { EventHub } from "../kernel/events.ts";
import { sleepOn } from "../kernel/sleep.ts";
import type { Host, LogFields, Logger, LogLevel, Timer, Topic } from "../kernel/host.ts";
import { createLogger, errorFields } from "../kernel/logger.ts";
import type { MachineClock } from "./clock.ts";
import type { Loop } from "./loop.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Trace } from "./trace.ts";

/** What a simulated host is made of. */
export interface SimHostParts {
  /** Virtual time. */
  readonly scheduler: Scheduler;
  /** The process that it belongs to. */
  readonly loop: Loop;
  /** The clocks of its machine. */
  readonly clock: MachineClock;
  /** This incarnation's own stream. */
  readonly random: Random;
  /** Where what happens is written. */
  readonly trace: Trace;
  /** Told of every line that is logged, besides the trace. */
  readonly onLog?: (line: SimLogLine) => void;
}

/** A line that a node logged. */
export interface SimLogLine {
  /** Which incarnation: `"a"`, or `"a#2"` after a restart. */
  readonly node: string;
  /** Virtual ms. */
  readonly at: number;
  /** How severe it is. */
  readonly level: LogLevel;
  /** The constant sentence. */
  readonly message: string;
  /** What varies. */
  readonly fields: LogFields;
}

/** A `setInterval` of 0 fires every millisecond; so does this. */
const minPeriodMs = 1;

/** A Host in virtual time. */
export class SimHost implements Host {
  readonly #parts: SimHostParts;
  readonly #hub: EventHub;
  #timers = 0;
  /** Lines go to the trace. */
  readonly log: Logger;

  /** A host for one incarnation. */
  constructor(parts: SimHostParts) {
    this.#parts = parts;
    this.log = createLogger((level, message, fields) => this.#write(level, message, fields));
    this.#hub = new EventHub((topic, error) => {
      this.log.error("a subscriber threw", { topic, ...errorFields(error) });
    });
  }

  now(): number {
    return this.#parts.clock.monotonic;
  }

  wallTime(): number {
    return this.#parts.clock.wall;
  }

  random(): number {
    return this.#parts.random.float();
  }

  randomBytes(length: number): Uint8Array<ArrayBuffer> {
    return this.#parts.random.bytes(length);
  }

  id(): string {
    return this.#parts.random.hex(32);
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#arm(delayMs, undefined, run);
  }

  every(periodMs: number, run: () => void): Timer {
    const period = Math.max(minPeriodMs, periodMs);
    return this.#arm(period, period, run);
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal);
  }

  barrier(): Promise<void> {
    return this.sleep(0);
  }

  emit<T>(topic: Topic<T>, payload: NoInfer<T>): void {
    const { loop, trace, scheduler } = this.#parts;
    if (!loop.alive) return;
    trace.add(`${scheduler.now.toFixed(3)} ${loop.label} emit ${topic.id}`);
    this.#hub.emit(topic, payload);
  }

  on<T>(topic: Topic<T>, handler: (payload: T) => void): Disposable {
    return this.#hub.on(topic, handler);
  }

  #arm(delayMs: number, periodMs: number | undefined, run: () => void): Timer {
    if (!Number.isFinite(delayMs)) {
      throw new RangeError(`a delay must be a finite number of ms, not ${delayMs}`);
    }
    const { loop, clock, scheduler, trace } = this.#parts;
    const number = ++this.#timers;
    let due = clock.monotonic + Math.max(0, delayMs);
    let ended = !loop.alive;
    let event: Timer | undefined;
    const schedule = () => {
      event = scheduler.after(clock.toVirtual(due - clock.monotonic), arrive);
    };
    const arrive = () => {
      if (clock.monotonic < due) schedule(); // The clock was slowed since.
      else loop.enter(fire);
    };
    const fire = () => {
      if (ended) return;
      trace.add(`${scheduler.now.toFixed(3)} ${loop.label} timer ${number}`);
      if (periodMs === undefined) ended = true;
      try {
        run();
      } catch (error) {
        this.log.error("a timer callback threw", errorFields(error));
      }
      if (periodMs === undefined || ended) return;
      due += periodMs;
      if (due < clock.monotonic) due = clock.monotonic + periodMs; // Missed beats are not made up for.
      schedule();
    };
    if (!ended) schedule();
    return {
      [Symbol.dispose]: () => {
        ended = true;
        event?.[Symbol.dispose]();
      },
    };
  }

  #write(level: LogLevel, message: string, fields: LogFields): void {
    const { loop, trace, scheduler, onLog } = this.#parts;
    if (!loop.alive) return;
    const at = scheduler.now;
    trace.add(`${at.toFixed(3)} ${loop.label} ${level} ${message} ${render(fields)}`);
    onLog?.({ node: loop.label, at, level, message, fields });
  }
}

/** Fields as text. Stacks are left out: what stands in them is not the node's doing. */
function render(fields: LogFields): string {
  try {
    return JSON.stringify(fields, (key, value) => {
      if (key === "stack") return undefined;
      if (value instanceof Error) return errorFields(value);
      return typeof value === "bigint" ? String(value) : value;
    });
  } catch {
    return "(fields that JSON cannot show)";
  }
}
