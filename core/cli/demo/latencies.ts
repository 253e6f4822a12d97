/**
 * A window of latencies that costs the same whatever the rate: counts in
 * buckets that grow by a tenth (HDR-style, 1 µs to about 100 s), in slices of
 * a quarter of a second, of which the last four make the window.
 */

const bucketCount = 196;
const growth = Math.log(1.1);
const slices = 4;

const bucketOf = (ms: number): number => {
  const micros = Math.max(1, ms * 1000);
  return Math.min(bucketCount - 1, Math.floor(Math.log(micros) / growth));
};

/** The upper edge of a bucket in ms. */
const edgeOf = (bucket: number): number => Math.exp((bucket + 1) * growth) / 1000;

/** Latencies of the last second. */
export class LatencyWindow {
  readonly #slices = Array.from({ length: slices }, () => new Uint32Array(bucketCount));
  #current = 0;

  /** Counts one answer. */
  add(ms: number): void {
    this.#slices[this.#current][bucketOf(ms)]++;
  }

  /** Begins the next quarter of a second; the oldest is forgotten. */
  turn(): void {
    this.#current = (this.#current + 1) % slices;
    this.#slices[this.#current].fill(0);
  }

  /** How many answers the window holds. */
  get count(): number {
    return this.#slices.reduce((sum, slice) => sum + slice.reduce((a, b) => a + b, 0), 0);
  }

  /** The latency in ms under which a share of the answers lay, at most a tenth too high; 0 without any. */
  quantile(share: number): number {
    const wanted = Math.ceil(this.count * share);
    if (wanted === 0) return 0;
    let seen = 0;
    for (let bucket = 0; bucket < bucketCount; bucket++) {
      for (const slice of this.#slices) seen += slice[bucket];
      if (seen >= wanted) return edgeOf(bucket);
    }
    return edgeOf(bucketCount - 1);
  }
}
