/**
 * What was seen lately, by Lamport time, to tell new from old.
 *
 * A ring holds the items of the last so many times. What is older than the ring
 * cannot be told from what was seen and is refused; so is what is older than a
 * minimum, which a node sets when it does not care for the past. The number of
 * items is bounded too: when too many come, the oldest times give way, and the
 * minimum rises so that they cannot come back.
 */

/** Items of one Lamport time. */
interface Slot<T> {
  readonly time: number;
  readonly items: T[];
}

/** Remembers items of the last Lamport times. */
export class Recent<T> {
  readonly #slots: (Slot<T> | undefined)[];
  readonly #maxItems: number;
  readonly #same: (a: T, b: T) => boolean;
  #minTime: number;
  #size = 0;

  /** `times` Lamport times, at most `maxItems` items; `same` tells whether two are one. */
  constructor(times: number, maxItems: number, same: (a: T, b: T) => boolean, minTime = 0) {
    this.#slots = new Array<Slot<T> | undefined>(times).fill(undefined);
    this.#maxItems = Math.max(1, maxItems);
    this.#same = same;
    this.#minTime = minTime;
  }

  /** How many items are remembered. */
  get size(): number {
    return this.#size;
  }

  /** Everything before this time is old from now on. */
  ignoreBefore(time: number): void {
    this.#minTime = Math.max(this.#minTime, time);
  }

  /** Adds an item of a time; `clock` is the time that it is now. */
  add(time: number, item: T, clock: number): "new" | "seen" | "old" {
    if (time < this.#minTime || time < clock - this.#slots.length) return "old";
    const at = time % this.#slots.length;
    let slot = this.#slots[at];
    if (slot?.time === time) {
      if (slot.items.some((other) => this.#same(other, item))) return "seen";
    } else {
      // A slot that holds a newer time cannot be: the clock would have passed this one.
      this.#size -= slot?.items.length ?? 0;
      slot = this.#slots[at] = { time, items: [] };
    }
    while (this.#size >= this.#maxItems) this.#forgetOldest();
    if (time < this.#minTime) return "old";
    slot.items.push(item);
    this.#size++;
    return "new";
  }

  /** What is remembered, in no order of time. */
  *all(): IterableIterator<{ readonly time: number; readonly items: readonly T[] }> {
    for (const slot of this.#slots) if (slot !== undefined && slot.items.length > 0) yield slot;
  }

  #forgetOldest(): void {
    let oldest = -1;
    for (let i = 0; i < this.#slots.length; i++) {
      const slot = this.#slots[i];
      if (slot === undefined || slot.items.length === 0) continue;
      if (oldest < 0 || slot.time < this.#slots[oldest]!.time) oldest = i;
    }
    if (oldest < 0) return;
    const slot = this.#slots[oldest]!;
    this.#size -= slot.items.length;
    this.#slots[oldest] = undefined;
    this.#minTime = Math.max(this.#minTime, slot.time + 1);
  }
}
