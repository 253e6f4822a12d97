/**
 * Virtual time for anything: whole nodes, or 10,000 bare protocol machines.
 *
 * A scheduler is a clock and an {@linkcode EventQueue}. Time stands still while
 * code runs and jumps to the next event when it is done. Firing is synchronous
 * here, which is all that a pure machine needs; `Simulation` adds the crossing
 * of the event loop between two events that asynchronous plugins need.
 *
 * Time is counted in ticks of 1/1024 ms, and delays are rounded up to them.
 * Ticks are exact in a double, so `now + delay` never lands a rounding error
 * short of the deadline that a machine computed for itself.
 */
import type { Timer } from "../kernel/host.ts";
import { EventQueue, type Queued } from "./event_queue.ts";

const ticksPerMs = 1024;

/** Rounds a duration in ms up to the resolution of virtual time, 1/1024 ms. */
export function toTicks(ms: number): number {
  return Math.ceil(ms * ticksPerMs) / ticksPerMs;
}

/** Rounds a point in time in ms down to the resolution of virtual time. */
export function floorTicks(ms: number): number {
  return Math.floor(ms * ticksPerMs) / ticksPerMs;
}

/** An event that waits. Disposing it cancels it. */
class Scheduled implements Queued, Timer {
  sequence = 0;
  index = -1;
  constructor(
    readonly queue: EventQueue<Scheduled>,
    readonly at: number,
    readonly run: (argument: unknown) => void,
    readonly argument: unknown,
  ) {}

  [Symbol.dispose](): void {
    this.queue.remove(this);
  }
}

/** Bounds of a scheduler. */
export interface SchedulerOptions {
  /** How many events may wait at once. Default 2^20. */
  readonly maxPending?: number;
}

/** A virtual clock with what happens on it. */
export class Scheduler {
  readonly #queue: EventQueue<Scheduled>;
  #now = 0;
  #fired = 0;

  /** Starts at time 0 with nothing scheduled. */
  constructor(options: SchedulerOptions = {}) {
    this.#queue = new EventQueue(options.maxPending);
  }

  /** Virtual time in ms since the start. */
  get now(): number {
    return this.#now;
  }

  /** How many events have fired. */
  get fired(): number {
    return this.#fired;
  }

  /** How many events wait. */
  get pending(): number {
    return this.#queue.size;
  }

  /** When the next event fires, in ms; undefined if there is none. */
  get nextAt(): number | undefined {
    return this.#queue.peek()?.at;
  }

  /** Runs `run(argument)` after a delay. @see {@linkcode Scheduler.at} */
  after(delayMs: number, run: () => void): Timer;
  /** The same with an argument, which saves a closure on hot paths. */
  after<T>(delayMs: number, run: (argument: T) => void, argument: T): Timer;
  after<T>(delayMs: number, run: (argument: T) => void, argument?: T): Timer {
    if (!Number.isFinite(delayMs)) {
      throw new RangeError(`delayMs must be a finite number, not ${delayMs}`);
    }
    return this.at(this.#now + toTicks(Math.max(0, delayMs)), run, argument as T);
  }

  /**
   * Runs `run` at a time in ms, or as the next thing if that has passed.
   * @throws RangeError if the time is not finite; with code `simulation_limit` if too much waits.
   */
  at(timeMs: number, run: () => void): Timer;
  /** The same with an argument. */
  at<T>(timeMs: number, run: (argument: T) => void, argument: T): Timer;
  at<T>(timeMs: number, run: (argument: T) => void, argument?: T): Timer {
    if (!Number.isFinite(timeMs)) {
      throw new RangeError(`timeMs must be a finite number, not ${timeMs}`);
    }
    const at = Math.max(this.#now, toTicks(timeMs));
    const event = new Scheduled(this.#queue, at, run as (argument: unknown) => void, argument);
    this.#queue.push(event);
    return event;
  }

  /** Moves to the next event and fires it. False if there is none. */
  step(): boolean {
    const event = this.#queue.pop();
    if (event === undefined) return false;
    this.#now = event.at;
    this.#fired++;
    event.run(event.argument);
    return true;
  }

  /**
   * Fires everything that is due in the next `ms`, then stands exactly there.
   * @param maxEvents stops early after so many. Default: no bound.
   * @returns how many events fired.
   */
  run(ms: number, maxEvents: number = Infinity): number {
    const end = this.#now + toTicks(ms);
    let count = 0;
    while (count < maxEvents) {
      const next = this.nextAt;
      if (next === undefined || next > end) {
        this.#now = end;
        break;
      }
      this.step();
      count++;
    }
    return count;
  }
}
