/**
 * The event loop of one process: one incarnation of one node.
 *
 * Everything that reaches a node from outside its own code (a timer, bytes, a
 * datagram) enters through its loop, and here stands all that can befall a
 * process as a whole. A paused loop keeps what arrives and lets it in, in order,
 * one event at a time, when the pause is over: a long collection, a stopped
 * virtual machine. A dead loop drops everything for ever, which is what makes a
 * crash safe: the old incarnation's timers, callbacks and sends have no effect.
 * What waits in a paused loop is bounded by what feeds it: a timer waits once,
 * a connection once, a datagram socket as often as its buffer holds.
 */
import type { Scheduler } from "./scheduler.ts";

/** The loop of a process. */
export class Loop {
  /** For traces, e.g. `"a"`, or `"a#2"` after a restart. */
  readonly label: string;
  readonly #scheduler: Scheduler;
  #alive = true;
  #pausedUntil = 0;
  #waiting: (() => void)[] = [];
  #head = 0;

  /** A loop that runs. */
  constructor(scheduler: Scheduler, label: string) {
    this.#scheduler = scheduler;
    this.label = label;
  }

  /** False once the process is gone. */
  get alive(): boolean {
    return this.#alive;
  }

  /** True while it takes nothing in. */
  get paused(): boolean {
    return this.#scheduler.now < this.#pausedUntil;
  }

  /** How much waits for the end of the pause. */
  get waiting(): number {
    return this.#waiting.length - this.#head;
  }

  /** Runs `run` now, or when the pause is over, or never if the process is gone. */
  enter(run: () => void): void {
    if (!this.#alive) return;
    if (this.waiting === 0 && !this.paused) return run();
    if (this.waiting === 0) this.#scheduler.at(this.#pausedUntil, () => this.#drain());
    this.#waiting.push(run);
  }

  /** Takes nothing in for `ms` from now. */
  pause(ms: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, this.#scheduler.now + ms);
  }

  /** The process is gone. */
  kill(): void {
    this.#alive = false;
    this.#waiting = [];
    this.#head = 0;
  }

  #drain(): void {
    if (!this.#alive) return;
    if (this.paused) {
      this.#scheduler.at(this.#pausedUntil, () => this.#drain());
      return;
    }
    const run = this.#waiting[this.#head++]!;
    // The next one is an event of its own, so that work started by this one ends before it.
    if (this.waiting > 0) this.#scheduler.after(0, () => this.#drain());
    run();
    if (this.#head >= 1024 || this.waiting === 0) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
  }
}
