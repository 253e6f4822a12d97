/**
 * Whose turn it is: in which order lanes give slices of their output.
 *
 * Critical comes first, so that it waits for no more than the slice that is being
 * written; but after a few critical slices in a row one of another lane is let
 * through, so that nothing starves. High, normal and low share by weight: deficit
 * round robin (Shreedhar and Varghese, 1995) in the form that lets the last slice of
 * a turn overdraw and pays for it in the next, since slices differ in size. Every
 * lane that waits gets its share of bytes in every round.
 */

/** The lanes by priority: 0 critical, 1 high, 2 normal, 3 low. */
export const laneCount = 4;

/** The most that a slice may be, in bytes, on any link; and so the most that one fragment may hold. */
export const maxSliceBytes: number = 256 * 1024;

/** Slices a round of high, normal, low; critical is not in the round. */
export const laneWeights: readonly number[] = [0, 8, 4, 1];

/** Critical slices in a row after which another lane has one. */
export const criticalRun = 4;

/** The turns of one link's lanes. */
export class Turns {
  readonly #quantum: number;
  readonly #deficit: number[] = [0, 0, 0, 0];
  #lane = 1;
  #run = 0;

  /** Nobody owes anything. @param sliceBytes what a weight of one is worth a round. */
  constructor(sliceBytes: number) {
    this.#quantum = sliceBytes;
    this.reset();
  }

  /** Everything has left: nobody owes anything. */
  reset(): void {
    this.#deficit.fill(0);
    this.#lane = 1;
    this.#deficit[1] = this.#quantum * laneWeights[1]!;
    this.#run = 0;
  }

  /** The lane that gives the next slice. At least one is waiting. */
  next(waiting: (lane: number) => boolean): number {
    const others = waiting(1) || waiting(2) || waiting(3);
    if (waiting(0) && !(others && this.#run >= criticalRun)) {
      this.#run++;
      return 0;
    }
    this.#run = 0;
    while (true) {
      const lane = this.#lane;
      if (!waiting(lane)) this.#deficit[lane] = Math.min(0, this.#deficit[lane]!);
      else if (this.#deficit[lane]! > 0) return lane;
      this.#lane = lane === laneCount - 1 ? 1 : lane + 1;
      this.#deficit[this.#lane]! += this.#quantum * laneWeights[this.#lane]!;
    }
  }

  /** A lane gave so many bytes. */
  took(lane: number, bytes: number): void {
    if (lane > 0) this.#deficit[lane]! -= bytes;
  }
}
