/**
 * Finds the row of a member among rows of numbers, each of which names its member.
 *
 * A `Map` of numbers is an object that the collector of garbage walks through; ten
 * thousand views with a few such maps of a hundred entries are a burden to it, and a
 * look-up visits three places in memory. Here an entry is two bytes, the number of
 * the row, and the row itself tells whether it is the right one: an index of a
 * hundred rows is eight lines of a processor's cache. Open addressing with linear
 * steps; whoever follows in a run closes up when one goes, so there are no graves.
 */

const smallest = 16;
/** Scatters neighbouring numbers: 2^32 over the golden ratio (Knuth, volume 3, section 6.4). */
const scatter = 0x9e3779b1;

/** Rows of numbers; their first one names the member. They belong to the caller, and may be moved and widened. */
export interface Rows {
  /** The rows, one after the other. */
  readonly numbers: Int32Array;
  /** How many numbers each has. */
  readonly each: number;
}

/** Places of rows by the member that they are about. */
export class PlaceIndex {
  /** Places, plus one so that 0 is free. */
  #entries: Uint16Array | Uint32Array = noEntries;
  #shift = 32;
  #size = 0;

  /** The place of a member's row, or -1. */
  find(rows: Rows, id: number): number {
    if (this.#size === 0) return -1;
    const entries = this.#entries;
    const { numbers, each } = rows;
    const mask = entries.length - 1;
    for (let at = Math.imul(id, scatter) >>> this.#shift;; at = at + 1 & mask) {
      const place = entries[at]! - 1;
      if (place < 0 || numbers[place * each] === id) return place;
    }
  }

  /** Adds a row, which is written already, of a member that has none. */
  add(rows: Rows, place: number): void {
    // Half of the entries stay free, so that runs stay short.
    if (2 * (this.#size + 1) > this.#entries.length) this.#grow(rows);
    this.#size++;
    this.#put(rows, place);
  }

  /** Removes a row, while it still names its member. */
  remove(rows: Rows, place: number): void {
    const entries = this.#entries;
    const mask = entries.length - 1;
    let gap = this.#at(rows, place);
    this.#size--;
    for (let at = gap + 1 & mask; entries[at] !== 0; at = at + 1 & mask) {
      // Who would be found no worse at the gap than where it stands moves there.
      const home = this.#home(rows, entries[at]! - 1);
      if ((at - home & mask) < (at - gap & mask)) continue;
      entries[gap] = entries[at]!;
      gap = at;
    }
    entries[gap] = 0;
  }

  /** A row is about to move to another place. */
  move(rows: Rows, from: number, to: number): void {
    this.#entries[this.#at(rows, from)] = to + 1;
  }

  /** Removes all, and gives the room back. */
  clear(): void {
    this.#entries = noEntries;
    this.#shift = 32;
    this.#size = 0;
  }

  /** Where the entry of a row stands. */
  #at(rows: Rows, place: number): number {
    const entries = this.#entries;
    const mask = entries.length - 1;
    let at = this.#home(rows, place);
    while (entries[at] !== place + 1) at = at + 1 & mask;
    return at;
  }

  #home({ numbers, each }: Rows, place: number): number {
    return Math.imul(numbers[place * each]!, scatter) >>> this.#shift;
  }

  #put(rows: Rows, place: number): void {
    const entries = this.#entries;
    const mask = entries.length - 1;
    let at = this.#home(rows, place);
    while (entries[at] !== 0) at = at + 1 & mask;
    entries[at] = place + 1;
  }

  #grow(rows: Rows): void {
    const old = this.#entries;
    const length = Math.max(smallest, 2 * old.length);
    this.#entries = length < 1 << 16 ? new Uint16Array(length) : new Uint32Array(length);
    this.#shift = Math.clz32(length) + 1;
    for (const entry of old) if (entry !== 0) this.#put(rows, entry - 1);
  }
}

const noEntries: Uint16Array = new Uint16Array();
