/**
 * How often each duration was seen: a log-linear histogram in whole microseconds.
 *
 * Each power of two is divided into eight equal buckets, so a duration is known
 * to an eighth of itself from 1 µs to 134 s, in 200 fixed buckets: recording is a
 * bit count, a shift and an increment, and never allocates. It is the layout of
 * HdrHistogram (Gil Tene) with three significant bits. Upper bounds are
 * inclusive, as Prometheus has them, so a power of two is an exact bound.
 */

/** Buckets in each power of two, as a power of two. */
const subBits = 3;
const sub = 1 << subBits;
/** The longest duration that is told apart, in microseconds; what is above counts as that. */
const longestUs = 2 ** 27;

/** How many buckets there are. */
export const bucketCount: number = bucketOf(longestUs) + 1;

/** The bucket of a duration in whole microseconds, at least 1. */
function bucketOf(us: number): number {
  const below = us - 1; // So that upper bounds are inclusive.
  if (below < sub) return below;
  const shift = 31 - Math.clz32(below) - subBits;
  return (shift << subBits) + (below >>> shift);
}

/** The largest duration that falls into a bucket, in microseconds. */
export function upperUs(bucket: number): number {
  if (bucket < sub) return bucket + 1;
  const shift = (bucket >> subBits) - 1;
  return (sub + (bucket & (sub - 1)) + 1) * 2 ** shift;
}

/** Counts of durations. */
export class Histogram {
  readonly #counts: Float64Array = new Float64Array(bucketCount);
  #count = 0;
  #sumMs = 0;

  /** How many durations were recorded. */
  get count(): number {
    return this.#count;
  }

  /** Their sum in milliseconds, exact. */
  get sumMs(): number {
    return this.#sumMs;
  }

  /** Counts a duration in milliseconds, so many times. One that is negative or not finite is none. */
  record(ms: number, times = 1): void {
    if (!(ms >= 0 && ms < Infinity)) return;
    const us = ms * 1000;
    this.#counts[us >= longestUs ? bucketCount - 1 : bucketOf(us <= 1 ? 1 : Math.ceil(us))]! +=
      times;
    this.#count += times;
    this.#sumMs += ms * times;
  }

  /** Adds what another has counted. */
  add(other: Histogram): void {
    for (let bucket = 0; bucket < bucketCount; bucket++) {
      this.#counts[bucket]! += other.#counts[bucket]!;
    }
    this.#count += other.#count;
    this.#sumMs += other.#sumMs;
  }

  /** Forgets everything. */
  clear(): void {
    this.#counts.fill(0);
    this.#count = 0;
    this.#sumMs = 0;
  }

  /**
   * The duration in milliseconds that a share of all does not exceed; at most an eighth too long.
   * @param share 0 to 1.
   * @returns undefined when nothing was recorded.
   */
  quantileMs(share: number): number | undefined {
    if (this.#count === 0) return undefined;
    const rank = Math.max(1, Math.ceil(share * this.#count));
    let seen = 0;
    for (let bucket = 0; bucket < bucketCount; bucket++) {
      seen += this.#counts[bucket]!;
      if (seen >= rank) return upperUs(bucket) / 1000;
    }
    return upperUs(bucketCount - 1) / 1000;
  }

  /**
   * For each bound how many durations were at most that.
   * @param boundsUs powers of two in microseconds below the longest, ascending: other bounds lie
   * within a bucket.
   */
  cumulative(boundsUs: readonly number[]): number[] {
    const found: number[] = [];
    let bucket = 0;
    let seen = 0;
    for (const bound of boundsUs) {
      for (; bucket < bucketCount && upperUs(bucket) <= bound; bucket++) {
        seen += this.#counts[bucket]!;
      }
      found.push(seen);
    }
    return found;
  }
}
