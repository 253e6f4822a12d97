/**
 * A map from stream numbers to what is under way on them.
 *
 * Exchanges come and go by the hundred thousand a second, a few at a time. The
 * language's own Map is the wrong tool for that: it rebuilds its table again
 * and again, and each old table points to the next one, so that once one of
 * them has grown old enough to be left to the rare collections, all that come
 * after it, with all that is in them, stay until then too. Here the table is
 * built anew only when it grows.
 *
 * Open addressing with linear probing (Knuth, The Art of Computer Programming
 * 3, 6.4, algorithms L and R), at most half full; removing moves later entries
 * up instead of leaving tombstones. Fibonacci hashing spreads numbers that come
 * in sequence. The number 0 is no stream, so it marks an empty place.
 */

const firstCapacity = 16;
// A larger table is let go when it is empty: the bursts of one link are not kept for ever.
const keptCapacity = 1024;
const golden = 0x9e3779b1;

/** A map whose keys are stream numbers, above 0. */
export class StreamMap<T> {
  #streams: number[] = [];
  #values: (T | undefined)[] = [];
  #mask = 0;
  #shift = 0;
  #size = 0;

  /** An empty one. */
  constructor() {
    this.#reset(firstCapacity);
  }

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** What is under way on a stream, or undefined. */
  get(stream: number): T | undefined {
    const streams = this.#streams;
    let place = Math.imul(stream, golden) >>> this.#shift;
    for (let found; (found = streams[place]!) !== 0;) {
      if (found === stream) return this.#values[place];
      place = place + 1 & this.#mask;
    }
    return undefined;
  }

  /** Puts something under way, in place of what was. */
  set(stream: number, value: T): void {
    if (this.#size * 2 > this.#mask) this.#grow();
    const streams = this.#streams;
    let place = Math.imul(stream, golden) >>> this.#shift;
    for (let found; (found = streams[place]!) !== 0 && found !== stream;) {
      place = place + 1 & this.#mask;
    }
    if (streams[place] === 0) this.#size++;
    streams[place] = stream;
    this.#values[place] = value;
  }

  /** Takes it out and returns it; undefined if there is none. */
  take(stream: number): T | undefined {
    const streams = this.#streams;
    const values = this.#values;
    const mask = this.#mask;
    let hole = Math.imul(stream, golden) >>> this.#shift;
    while (streams[hole] !== stream) {
      if (streams[hole] === 0) return undefined;
      hole = hole + 1 & mask;
    }
    const taken = values[hole];
    // What stands behind the hole moves into it, unless that is before where its search begins.
    for (let at = hole + 1 & mask; streams[at] !== 0; at = at + 1 & mask) {
      const home = Math.imul(streams[at]!, golden) >>> this.#shift;
      if ((at - home & mask) < (at - hole & mask)) continue;
      streams[hole] = streams[at]!;
      values[hole] = values[at];
      hole = at;
    }
    streams[hole] = 0;
    values[hole] = undefined;
    if (--this.#size === 0 && mask >= keptCapacity) this.#reset(firstCapacity);
    return taken;
  }

  /** All of them, in no order. Changing the map does not change the list. */
  values(): T[] {
    return this.#values.filter((_, place) => this.#streams[place] !== 0) as T[];
  }

  /** Takes all of them out. */
  clear(): void {
    this.#reset(firstCapacity);
  }

  #grow(): void {
    const streams = this.#streams;
    const values = this.#values;
    this.#reset(streams.length * 2);
    for (let place = 0; place < streams.length; place++) {
      if (streams[place] !== 0) this.set(streams[place]!, values[place] as T);
    }
  }

  #reset(capacity: number): void {
    this.#streams = new Array<number>(capacity).fill(0);
    this.#values = new Array<T | undefined>(capacity).fill(undefined);
    this.#mask = capacity - 1;
    this.#shift = 32 - Math.log2(capacity);
    this.#size = 0;
  }
}
