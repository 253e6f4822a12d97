/**
 * Rumours that wait to be sent along, each a limited number of times (SWIM section
 * 4.1: those sent least often go first; memberlist: among equals the one that came last).
 *
 * Rumours stand in buckets by how often they have been sent. A newer rumour with
 * the same key replaces an older one: it cannot matter any more. Taking fills a
 * packet greedily, and what was taken moves one bucket up or is done. The number
 * of rumours is bounded; what has been sent most often gives way first.
 */

/** One rumour. */
interface Entry {
  /** Undefined once it was replaced or removed. */
  bytes: Uint8Array | undefined;
  readonly key: number | string | undefined;
  readonly done: (() => void) | undefined;
  /** How often it has been sent. */
  sent: number;
}

/** Those that do not fit are passed over so often before a search ends. */
const maxMisses = 32;

/** A queue of rumours, each sent a limited number of times. */
export class TransmitQueue {
  readonly #maxEntries: number;
  readonly #buckets: Entry[][] = [];
  readonly #keyed: Map<number | string, Entry> = new Map();
  // Used within one call only, and empty between calls.
  readonly #taken: Entry[] = [];
  readonly #passed: Entry[] = [];
  #size = 0;
  /** Replaced ones that still stand in a bucket. */
  #stale = 0;

  /** Holds at most `maxEntries` rumours. */
  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  /**
   * Adds a rumour, which is kept, not copied. One with the same key is replaced.
   * `done` is called once, when it has been sent as often as it should, was
   * replaced, or gave way.
   */
  add(bytes: Uint8Array, key?: number | string, done?: () => void): void {
    if (key !== undefined) this.remove(key);
    if (this.#size >= this.#maxEntries) this.#evict();
    const entry: Entry = { bytes, key, done, sent: 0 };
    if (this.#buckets.length === 0) this.#buckets.push([]);
    this.#buckets[0]!.push(entry);
    if (key !== undefined) this.#keyed.set(key, entry);
    this.#size++;
  }

  /** True if a rumour with this key waits. */
  has(key: number | string): boolean {
    return this.#keyed.has(key);
  }

  /** Removes the rumour with a key. */
  remove(key: number | string): void {
    const entry = this.#keyed.get(key);
    if (entry === undefined) return;
    this.#stale++;
    if (this.#stale > 2 * this.#size + 64) this.#compact();
    this.#finish(entry);
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
    let count = 0;
    let misses = 0;
    const buckets = this.#buckets;
    const taken = this.#taken;
    const passed = this.#passed;
    // Upwards; what is taken moves up only afterwards, or it would be taken twice.
    for (let sent = 0; sent < buckets.length; sent++) {
      const bucket = buckets[sent]!;
      let kept = bucket.length;
      while (kept > 0 && count < maxCount && misses < maxMisses && free > overhead) {
        const entry = bucket[--kept]!;
        const { bytes } = entry;
        if (bytes === undefined) this.#stale--;
        else if (bytes.length + overhead > free) {
          misses++;
          passed.push(entry);
        } else {
          free -= bytes.length + overhead;
          count++;
          into.push(bytes);
          entry.sent++;
          taken.push(entry);
        }
      }
      bucket.length = kept;
      while (passed.length > 0) bucket.push(passed.pop()!);
      if (count >= maxCount || misses >= maxMisses || free <= overhead) break;
    }
    this.#moveUp(limit);
    return bytes - free;
  }

  /** From the last taken to the first, so that in its new bucket the newest stands last again. */
  #moveUp(limit: number): void {
    const buckets = this.#buckets;
    const taken = this.#taken;
    const finished = this.#passed;
    while (taken.length > 0) {
      const entry = taken.pop()!;
      if (entry.sent >= limit) {
        finished.push(entry);
        continue;
      }
      while (buckets.length <= entry.sent) buckets.push([]);
      buckets[entry.sent]!.push(entry);
    }
    while (buckets.length > 0 && buckets.at(-1)!.length === 0) buckets.pop();
    // Last, because `done` may add to the queue.
    while (finished.length > 0) this.#finish(finished.pop()!);
  }

  /** Drops everything; no `done` is called. */
  clear(): void {
    this.#buckets.length = 0;
    this.#keyed.clear();
    this.#size = 0;
    this.#stale = 0;
  }

  #compact(): void {
    for (let i = 0; i < this.#buckets.length; i++) {
      this.#buckets[i] = this.#buckets[i]!.filter((entry) => entry.bytes !== undefined);
    }
    this.#stale = 0;
  }

  #finish(entry: Entry): void {
    if (entry.bytes === undefined) return;
    entry.bytes = undefined;
    this.#size--;
    if (entry.key !== undefined && this.#keyed.get(entry.key) === entry) {
      this.#keyed.delete(entry.key);
    }
    entry.done?.();
  }

  #evict(): void {
    for (let sent = this.#buckets.length - 1; sent >= 0; sent--) {
      const bucket = this.#buckets[sent]!;
      // The oldest of those sent most often stands first.
      const at = bucket.findIndex((entry) => entry.bytes !== undefined);
      if (at < 0) {
        this.#stale -= bucket.length;
        bucket.length = 0;
        continue;
      }
      this.#stale -= at;
      const [entry] = bucket.splice(0, at + 1).slice(-1);
      this.#finish(entry!);
      return;
    }
  }
}
