/**
 * How well this member itself does (Lifeguard section 4.1, the local health multiplier).
 *
 * A score from 0 up: failed probes and refutations raise it, answered probes lower
 * it. It stretches the time that a probe is given, because a member that is slow
 * sees everybody else as slow.
 */

/** The local health score. */
export class Awareness {
  readonly #max: number;
  #score = 0;

  /** The score stays below `max`. */
  constructor(max: number) {
    this.#max = max;
  }

  /** 0 is healthy. */
  get score(): number {
    return this.#score;
  }

  /** Moves the score. True if that changed it. */
  apply(delta: number): boolean {
    const before = this.#score;
    this.#score = Math.min(Math.max(0, before + delta), this.#max - 1);
    return this.#score !== before;
  }

  /** A time, stretched by the score. */
  stretch(ms: number): number {
    return ms * (this.#score + 1);
  }
}
