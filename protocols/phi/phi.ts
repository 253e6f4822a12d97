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

  /**
   * A detector that has heard nothing yet.
   * @throws {RangeError} naming the option that is out of range.
   */
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

/** -log10 of the upper tail of the standard normal distribution at `z`, without underflow however late it is. */
function minusLog10Tail(z: number): number {
  if (z < 0) return -Math.log1p(-Math.exp(lnTail(-z))) / Math.LN10;
  return -lnTail(z) / Math.LN10;
}

/**
 * The natural logarithm of the tail at z >= 0. Near the middle by the power series
 * of the distribution (Abramowitz and Stegun 26.2.11), further out by Laplace's
 * continued fraction (26.2.14), which needs fewer terms the larger z is.
 */
function lnTail(z: number): number {
  const lnDensity = -z * z / 2 - Math.log(2 * Math.PI) / 2;
  if (z < seriesBelow) {
    let term = z;
    let sum = z;
    for (let odd = 3; term > sum * Number.EPSILON; odd += 2) {
      term *= z * z / odd;
      sum += term;
    }
    return Math.log(0.5 - Math.exp(lnDensity) * sum);
  }
  let fraction = z;
  for (let k = fractionTerms; k >= 1; k--) fraction = z + k / fraction;
  return lnDensity - Math.log(fraction);
}

const seriesBelow = 2;
const fractionTerms = 80;
