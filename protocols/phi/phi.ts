/**
 * The phi accrual failure detector (Hayashibara, Defago, Yared, Katayama 2004).
 *
 * A detector watches one peer that is heard from at more or less regular times.
 * It keeps the latest intervals between hearings, takes them for normally
 * distributed, and answers with a number instead of a verdict (section 4 of the
 * paper): phi = -log10(P(later than now)), where P is the chance that the next
 * hearing is yet to come although so much time has passed. Phi 1 is wrong once in
 * ten times, phi 8 once in 10^8. Who asks chooses the threshold. The deviation has
 * a minimum, because a very regular peer would otherwise be condemned for a
 * millisecond, and `acceptablePauseMs` moves the whole curve, for pauses such as
 * garbage collection. Hearings are times in; nothing here reads a clock.
 */

/** How a detector judges. */
export interface PhiOptions {
  /** When a hearing is first expected, ms: stands in for intervals until there are some. Default 1000. */
  readonly firstIntervalMs?: number;
  /** How many intervals are remembered. More is steadier and adapts later. 2 to 10,000. Default 200 (the paper uses 1000). */
  readonly window?: number;
  /** The least standard deviation, ms. Larger forgives jitter and detects later. Default 100. */
  readonly minDeviationMs?: number;
  /** Silence on top of the usual interval that is forgiven, ms. Default 0. */
  readonly acceptablePauseMs?: number;
}

/** The suspicion level of one peer. */
export class PhiAccrualDetector {
  readonly #intervals: Float64Array;
  readonly #minDeviationMs: number;
  readonly #acceptablePauseMs: number;
  #count = 0;
  #next = 0;
  #sum = 0;
  #squares = 0;
  #lastMs: number | undefined;

  /** @throws {RangeError} naming the option that is out of range. */
  constructor(options: PhiOptions = {}) {
    const {
      firstIntervalMs = 1000,
      window = 200,
      minDeviationMs = 100,
      acceptablePauseMs = 0,
    } = options;
    if (!Number.isInteger(window) || window < 2 || window > 10_000) {
      throw new RangeError(`window must be a whole number from 2 to 10000, not ${window}`);
    }
    for (const [name, value] of Object.entries({ firstIntervalMs, minDeviationMs })) {
      if (!(value > 0 && Number.isFinite(value))) {
        throw new RangeError(`${name} must be more than 0, not ${value}`);
      }
    }
    if (!(acceptablePauseMs >= 0 && Number.isFinite(acceptablePauseMs))) {
      throw new RangeError(`acceptablePauseMs must be 0 or more, not ${acceptablePauseMs}`);
    }
    this.#intervals = new Float64Array(window);
    this.#minDeviationMs = minDeviationMs;
    this.#acceptablePauseMs = acceptablePauseMs;
    // Two intervals around the expected one, a quarter away: a mean and a deviation to begin with.
    this.#add(firstIntervalMs * 0.75);
    this.#add(firstIntervalMs * 1.25);
  }

  /** The mean of the remembered intervals, ms. */
  get meanMs(): number {
    return this.#sum / this.#count;
  }

  /** Their standard deviation, ms, not below the minimum. */
  get deviationMs(): number {
    const mean = this.meanMs;
    // Rounding may leave a hair less than nothing.
    const variance = Math.max(0, this.#squares / this.#count - mean * mean);
    return Math.max(this.#minDeviationMs, Math.sqrt(variance));
  }

  /** When the peer was last heard of, in the clock of `nowMs`. */
  get lastHeardMs(): number | undefined {
    return this.#lastMs;
  }

  /** The peer was heard of. A time before the last one only counts as life. */
  heard(nowMs: number): void {
    if (this.#lastMs !== undefined && nowMs > this.#lastMs) this.#add(nowMs - this.#lastMs);
    this.#lastMs = Math.max(nowMs, this.#lastMs ?? -Infinity);
  }

  /** This process stood still for so long: the silence of that time is not the peer's. */
  excuse(ms: number): void {
    if (this.#lastMs !== undefined) this.#lastMs += Math.max(0, ms);
  }

  /** How suspect the peer is now: 0 or more, finite. 0 before the first hearing. */
  phi(nowMs: number): number {
    if (this.#lastMs === undefined) return 0;
    const silentMs = nowMs - this.#lastMs - this.#acceptablePauseMs;
    return minusLog10Tail((silentMs - this.meanMs) / this.deviationMs);
  }

  #add(intervalMs: number): void {
    const { length } = this.#intervals;
    if (this.#count === length) {
      const old = this.#intervals[this.#next]!;
      this.#sum -= old;
      this.#squares -= old * old;
    } else this.#count++;
    this.#intervals[this.#next] = intervalMs;
    this.#next = (this.#next + 1) % length;
    this.#sum += intervalMs;
    this.#squares += intervalMs * intervalMs;
    if (this.#next === 0) this.#recount();
  }

  /** Once in a window, so that errors of rounding never add up. */
  #recount(): void {
    this.#sum = 0;
    this.#squares = 0;
    for (let i = 0; i < this.#count; i++) {
      const interval = this.#intervals[i]!;
      this.#sum += interval;
      this.#squares += interval * interval;
    }
  }
}

/**
 * -log10 of the upper tail of the standard normal distribution at `z`. Exact to
 * about 1e-7 relative in the tail, and without underflow however late it is.
 */
function minusLog10Tail(z: number): number {
  if (z < 0) return -Math.log1p(-Math.exp(lnTail(-z))) / Math.LN10;
  return -lnTail(z) / Math.LN10;
}

/** The natural logarithm of the tail at z >= 0: erfc as Numerical Recipes' Chebyshev fit (6.2.2), kept in logarithms. */
function lnTail(z: number): number {
  const x = z / Math.SQRT2;
  const t = 2 / (2 + x);
  const ty = 4 * t - 2;
  let d = 0;
  let dd = 0;
  for (let i = chebyshev.length - 1; i > 0; i--) {
    const before = d;
    d = ty * d - dd + chebyshev[i]!;
    dd = before;
  }
  return Math.log(t / 2) - x * x + 0.5 * (chebyshev[0]! + ty * d) - dd;
}

const chebyshev: readonly number[] = [
  -1.3026537197817094,
  6.4196979235649026e-1,
  1.9476473204185836e-2,
  -9.561514786808631e-3,
  -9.46595344482036e-4,
  3.66839497852761e-4,
  4.2523324806907e-5,
  -2.0278578112534e-5,
  -1.624290004647e-6,
  1.303655835580e-6,
  1.5626441722e-8,
  -8.5238095915e-8,
  6.529054439e-9,
  5.059343495e-9,
  -9.91364156e-10,
  -2.27365122e-10,
  9.6467911e-11,
  2.394038e-12,
  -6.886027e-12,
  8.94487e-13,
  3.13092e-13,
  -1.12708e-13,
  3.81e-16,
  7.106e-15,
  -1.523e-15,
  -9.4e-17,
  1.21e-16,
  -2.8e-17,
];
