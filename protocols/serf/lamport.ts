/**
 * Lamport clocks (Lamport 1978) that do not believe everything.
 *
 * A clock is at least one ahead of every time that it has seen. A single forged
 * message with the largest number would take it where no increment is possible,
 * and all news after that would be too old for everybody; so a time that is
 * further ahead than a bound is refused and the message with it. Push/pulls, which
 * need a connection and come first when a node joins, may bring larger jumps than
 * packets.
 */

/** The largest Lamport time: beyond it a number cannot count in ones. */
export const maxTime: number = Number.MAX_SAFE_INTEGER - 1;

/** A Lamport clock with a bounded witness. */
export class LamportClock {
  #time: number;

  /** Starts at `time`; by default at 1, so that a time of 0 is older than all. */
  constructor(time = 1) {
    this.#time = Math.min(Math.max(1, Math.floor(time)), maxTime);
  }

  /** What the next message of ours carries. */
  get time(): number {
    return this.#time;
  }

  /** The current time, and one more from now on. */
  tick(): number {
    const time = this.#time;
    if (this.#time < maxTime) this.#time++;
    return time;
  }

  /** True if a time of somebody else is not too far ahead to be believed. */
  admits(time: number, maxJump: number): boolean {
    return time >= 0 && time < maxTime && time - this.#time <= maxJump;
  }

  /** Moves behind a time of somebody else that was admitted. */
  witness(time: number): void {
    if (time >= this.#time) this.#time = Math.min(time + 1, maxTime);
  }
}
