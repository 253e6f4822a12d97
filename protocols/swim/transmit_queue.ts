/**
 * Rumours that wait to be sent along, each a limited number of times (SWIM section
 * 4.1: those sent least often go first; memberlist: among equals the one that came last).
 *
 * Rumours stand in buckets by how often they have been sent. A newer rumour with
 * the same key replaces an older one: it cannot matter any more. Taking fills a
 * packet greedily, and what was taken moves one bucket up or is done. The number
 * of rumours is bounded; what has been sent most often gives way first.
 *
 * A rumour is a place in a few arrays, and a bucket a list through one of them, from
 * the one that came last to the one that came first: ten thousand views with a
 * hundred rumours each are no burden to the collector of garbage.
 */

import { PlaceIndex } from "./place_index.ts";

/** Of a place: the key, if it is a number; the next older and the next newer one in its bucket, and how often it has been sent. */
const [keyed, older, newer, sent, linksEach] = [0, 1, 2, 3, 4] as const;
const none = -1;

/** Those that do not fit are passed over so often before a search ends. */
const maxMisses = 32;

/** A queue of rumours, each sent a limited number of times. */
export class TransmitQueue {
  readonly #maxEntries: number;
  /** By place; undefined where it is free. */
  readonly #bytes: (Uint8Array | undefined)[] = [];
  /** Keys that are text, by place. */
  readonly #texts: Map<number, string> = new Map();
  readonly #done: Map<number, () => void> = new Map();
  readonly #rows = { numbers: new Int32Array(), each: linksEach };
  /** The first free place; the others follow as older ones. */
  #free: number = none;
  /** The newest rumour of each bucket. */
  readonly #newest: number[] = [];
  readonly #index: PlaceIndex = new PlaceIndex();
  /** The same of keys that are text, of which there are few. */
  readonly #placesByText: Map<string, number> = new Map();
  // Used within one call only, and empty between calls.
  readonly #taken: number[] = [];
  #size = 0;

  /** Holds at most `maxEntries` rumours. */
  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  /** True if a rumour with this key waits. */
  has(key: number | string): boolean {
    return this.#placeOf(key) >= 0;
  }

  /**
   * Adds a rumour, which is kept, not copied. One with the same key is replaced.
   * `done` is called once, when it has been sent as often as it should, was
   * replaced, or gave way.
   */
  add(bytes: Uint8Array, key?: number | string, done?: () => void): void {
    if (key !== undefined) this.remove(key);
    if (this.#size >= this.#maxEntries) this.#evict();
    const place = this.#take();
    this.#bytes[place] = bytes;
    if (done !== undefined) this.#done.set(place, done);
    this.#rows.numbers[place * linksEach + keyed] = typeof key === "number" ? key : none;
    if (typeof key === "number") this.#index.add(this.#rows, place);
    else if (key !== undefined) {
      this.#texts.set(place, key);
      this.#placesByText.set(key, place);
    }
    this.#enter(place, 0);
    this.#size++;
  }

  /** Removes the rumour with a key. */
  remove(key: number | string): void {
    const place = this.#placeOf(key);
    if (place < 0) return;
    this.#leave(place);
    this.#release(place)?.();
  }

  /**
   * Takes rumours into `into`: at most `maxCount`, at most `bytes` with `overhead`
   * for each. One that has now been sent `limit` times is done. Returns the bytes
   * used, overheads included.
   */
  take(
    bytes: number,
    overhead: number,
    limit: number,
    into: Uint8Array[],
    maxCount: number,
  ): number {
    if (this.#size === 0) return 0;
    let free = bytes;
    let misses = 0;
    const taken = this.#taken;
    // Upwards; what is taken moves up only afterwards, or it would be taken twice.
    for (let bucket = 0; bucket < this.#newest.length; bucket++) {
      let place = this.#newest[bucket]!;
      while (place !== none) {
        if (taken.length >= maxCount || misses >= maxMisses || free <= overhead) {
          this.#moveUp(limit);
          return bytes - free;
        }
        const next = this.#rows.numbers[place * linksEach + older]!;
        const rumour = this.#bytes[place]!;
        if (rumour.length + overhead > free) misses++;
        else {
          free -= rumour.length + overhead;
          into.push(rumour);
          this.#leave(place);
          taken.push(place);
        }
        place = next;
      }
    }
    this.#moveUp(limit);
    return bytes - free;
  }

  /** Drops everything; no `done` is called. */
  clear(): void {
    this.#bytes.length = 0;
    this.#texts.clear();
    this.#done.clear();
    this.#rows.numbers = new Int32Array();
    this.#free = none;
    this.#newest.length = 0;
    this.#index.clear();
    this.#placesByText.clear();
    this.#size = 0;
  }

  /** Where the rumour with a key stands, or -1. */
  #placeOf(key: number | string): number {
    return typeof key === "number"
      ? this.#index.find(this.#rows, key)
      : this.#placesByText.get(key) ?? none;
  }

  /** From the last taken to the first, so that in its new bucket the newest is the newest again. */
  #moveUp(limit: number): void {
    const taken = this.#taken;
    let finished: (() => void)[] | undefined;
    while (taken.length > 0) {
      const place = taken.pop()!;
      const times = this.#rows.numbers[place * linksEach + sent]! + 1;
      if (times < limit) {
        this.#enter(place, times);
        continue;
      }
      const done = this.#release(place);
      if (done !== undefined) (finished ??= []).push(done);
    }
    while (this.#newest.length > 0 && this.#newest.at(-1) === none) this.#newest.pop();
    // Last, because `done` may add to the queue.
    for (const done of finished ?? []) done();
  }

  /** A free place. */
  #take(): number {
    const place = this.#free;
    if (place !== none) {
      this.#free = this.#rows.numbers[place * linksEach + older]!;
      return place;
    }
    const added = this.#bytes.push(undefined) - 1;
    if (this.#rows.numbers.length <= added * linksEach) {
      const grown = new Int32Array(Math.max(8, Math.ceil(added * 1.5)) * linksEach);
      grown.set(this.#rows.numbers);
      this.#rows.numbers = grown;
    }
    return added;
  }

  /** Becomes the newest of a bucket. */
  #enter(place: number, times: number): void {
    const newest = this.#newest;
    while (newest.length <= times) newest.push(none);
    const before = newest[times]!;
    const at = place * linksEach;
    this.#rows.numbers[at + older] = before;
    this.#rows.numbers[at + newer] = none;
    this.#rows.numbers[at + sent] = times;
    if (before !== none) this.#rows.numbers[before * linksEach + newer] = place;
    newest[times] = place;
  }

  /** Is no longer in its bucket. */
  #leave(place: number): void {
    const links = this.#rows.numbers;
    const at = place * linksEach;
    const [before, after] = [links[at + older]!, links[at + newer]!];
    if (before !== none) links[before * linksEach + newer] = after;
    if (after !== none) links[after * linksEach + older] = before;
    else this.#newest[links[at + sent]!] = before;
  }

  /** Frees the place of one that is in no bucket any more. Whom to tell that it is done. */
  #release(place: number): (() => void) | undefined {
    this.#bytes[place] = undefined;
    if (this.#rows.numbers[place * linksEach + keyed] !== none) {
      this.#index.remove(this.#rows, place);
    }
    const text = this.#texts.size === 0 ? undefined : this.#texts.get(place);
    if (text !== undefined) {
      this.#texts.delete(place);
      this.#placesByText.delete(text);
    }
    this.#rows.numbers[place * linksEach + older] = this.#free;
    this.#free = place;
    this.#size--;
    if (this.#done.size === 0) return undefined;
    const done = this.#done.get(place);
    this.#done.delete(place);
    return done;
  }

  #evict(): void {
    for (let bucket = this.#newest.length - 1; bucket >= 0; bucket--) {
      let place = this.#newest[bucket]!;
      if (place === none) continue;
      // The oldest of those sent most often.
      for (let next = place; next !== none; next = this.#rows.numbers[place * linksEach + older]!) {
        place = next;
      }
      this.#leave(place);
      return this.#release(place)?.();
    }
  }
}
