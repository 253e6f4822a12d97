/** Failures of links, counted by what they were. */

/** Types that are told apart; more are counted as `other`. */
const maxTypes = 32;

/** Counts by type of error. */
export class ErrorCounts {
  readonly #byType = new Map<string, number>();
  #total = 0;

  /** How many there were in all. */
  get total(): number {
    return this.#total;
  }

  /** One more. `type` is one of a few words of ours, never text that a peer sent. */
  count(type: string): void {
    this.#total++;
    const known = this.#byType.has(type) || this.#byType.size < maxTypes ? type : "other";
    this.#byType.set(known, (this.#byType.get(known) ?? 0) + 1);
  }

  /** The counts by type. */
  entries(): Iterable<readonly [type: string, count: number]> {
    return this.#byType;
  }
}
