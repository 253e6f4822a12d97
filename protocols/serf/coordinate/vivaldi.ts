/**
 * Network coordinates by Vivaldi (Dabek, Cox, Kaashoek, Morris: "Vivaldi: A
 * Decentralized Network Coordinate System", SIGCOMM 2004), with the refinements
 * that Serf uses, so that mixed clusters agree on distances.
 *
 * Each answered probe brings a round trip and the other's coordinate. A spring
 * stands between the two points, as long as the round trip: it pushes or pulls
 * ours along the line between them, by an amount that shrinks with our own error
 * and grows with the other's certainty (figure 3 of the paper). Round trips pass a
 * median of the last three first, so that one spike moves nothing (Ledlie, Gardner,
 * Seltzer 2007, section 4.1); a window of the last residuals becomes the adjustment
 * (Lee et al. 2010); and a weak gravity towards the origin keeps the whole system
 * from drifting away (Ledlie, section 4.3).
 */
import { type Coordinate, dimensions, distance, isValid, rawDistance } from "./coordinate.ts";

/** How coordinates move. */
export interface VivaldiConfig {
  /** The error at the start, and the largest. Default 1.5. */
  readonly errorMax: number;
  /** How much one sample changes the error, 0 to 1 (the paper's c_e). Default 0.25. */
  readonly errorGain: number;
  /** How far one sample moves the point, 0 to 1 (the paper's c_c). Default 0.25. */
  readonly moveGain: number;
  /** Residuals that the adjustment is the mean of; 0: none. Default 20. */
  readonly adjustmentWindow: number;
  /** The least height, seconds. Default 10e-6. */
  readonly heightMin: number;
  /** Round trips of one member whose median counts. Default 3. */
  readonly latencyFilter: number;
  /** The distance from the origin at which gravity pulls one second per sample, seconds. Larger is weaker. Default 150. */
  readonly gravityRho: number;
  /** The longest round trip that is believed, ms. Default 10,000. */
  readonly maxRttMs: number;
}

/** Serf's values. */
export const vivaldiDefaults: VivaldiConfig = Object.freeze({
  errorMax: 1.5,
  errorGain: 0.25,
  moveGain: 0.25,
  adjustmentWindow: 20,
  heightMin: 10e-6,
  latencyFilter: 3,
  gravityRho: 150,
  maxRttMs: 10_000,
});

/** Nearer than this is the same place; a round trip is never taken to be shorter. Seconds. */
const tiny = 1e-6;

/** The coordinate of this node, moved by what it measures. */
export class Vivaldi {
  readonly #config: VivaldiConfig;
  readonly #random: () => number;
  readonly #residuals: Float64Array;
  readonly #origin: Coordinate;
  #residualAt = 0;
  /** The last round trips of each member, seconds. */
  readonly #samples: Map<string, number[]> = new Map();
  #here: Coordinate;
  #resets = 0;

  /** `random` gives numbers in [0, 1), for directions between points that coincide. */
  constructor(random: () => number, config: VivaldiConfig = vivaldiDefaults) {
    this.#config = config;
    this.#random = random;
    this.#residuals = new Float64Array(config.adjustmentWindow);
    this.#origin = this.#start();
    this.#here = this.#origin;
  }

  /** Where this node is. */
  get coordinate(): Coordinate {
    return this.#here;
  }

  /** How often computing gave nonsense and started over. */
  get resets(): number {
    return this.#resets;
  }

  /** Members of whom there are samples. */
  get size(): number {
    return this.#samples.size;
  }

  /**
   * A round trip to a member that is at `other`, which must be valid. False if the round
   * trip is out of range. Members are forgotten by `forget` only: call it for each.
   */
  update(name: string, other: Coordinate, rttMs: number): boolean {
    if (!(rttMs >= 0 && rttMs <= this.#config.maxRttMs)) return false;
    const rtt = this.#median(name, rttMs / 1000);
    this.#pull(other, rtt);
    this.#adjust(other, rtt);
    this.#gravitate();
    if (!isValid(this.#here)) {
      this.#resets++;
      this.#here = this.#start();
      this.#residuals.fill(0);
    }
    return true;
  }

  /** Drops the samples of a member. */
  forget(name: string): void {
    this.#samples.delete(name);
  }

  #start(): Coordinate {
    return {
      vec: new Float64Array(dimensions),
      error: this.#config.errorMax,
      adjustment: 0,
      height: this.#config.heightMin,
    };
  }

  #median(name: string, rtt: number): number {
    let samples = this.#samples.get(name);
    if (samples === undefined) this.#samples.set(name, samples = []);
    samples.push(rtt);
    if (samples.length > this.#config.latencyFilter) samples.shift();
    return samples.toSorted((a, b) => a - b)[samples.length >> 1]!;
  }

  /** The paper's figure 3. */
  #pull(other: Coordinate, sample: number): void {
    const { errorGain, errorMax, moveGain } = this.#config;
    const here = this.#here;
    const estimate = distance(here, other);
    const rtt = Math.max(sample, tiny);
    const sampleError = Math.abs(estimate - rtt) / rtt;
    const weight = here.error / Math.max(here.error + other.error, tiny);
    const gain = errorGain * weight;
    const error = Math.min(sampleError * gain + here.error * (1 - gain), errorMax);
    this.#here = this.#moved({ ...here, error }, moveGain * weight * (rtt - estimate), other);
  }

  /** Half of the mean residual: the other side adds its own half. */
  #adjust(other: Coordinate, rtt: number): void {
    const residuals = this.#residuals;
    if (residuals.length === 0) return;
    residuals[this.#residualAt] = rtt - rawDistance(this.#here, other);
    this.#residualAt = (this.#residualAt + 1) % residuals.length;
    let sum = 0;
    for (const residual of residuals) sum += residual;
    this.#here = { ...this.#here, adjustment: sum / (2 * residuals.length) };
  }

  #gravitate(): void {
    const away = distance(this.#origin, this.#here);
    const pull = (away / this.#config.gravityRho) ** 2;
    this.#here = this.#moved(this.#here, -pull, this.#origin);
  }

  /** A point pushed away from another by `force` seconds, or pulled by a negative one. */
  #moved(from: Coordinate, force: number, other: Coordinate): Coordinate {
    const { direction, apart } = this.#direction(from, other);
    const vec = from.vec.map((value, i) => value + direction[i]! * force);
    let height = from.height;
    if (apart > tiny) {
      height = Math.max(
        this.#config.heightMin,
        height + (height + other.height) * force / apart,
      );
    }
    return { ...from, vec, height };
  }

  /** The unit vector from one point to the other's opposite side; a random one if they coincide. */
  #direction(
    from: Coordinate,
    other: Coordinate,
  ): { readonly direction: Float64Array; readonly apart: number } {
    const apart = from.vec.map((value, i) => value - other.vec[i]!);
    const length = Math.hypot(...apart);
    if (length > tiny) return { direction: apart.map((value) => value / length), apart: length };
    const random = apart.map(() => this.#random() - 0.5);
    const size = Math.hypot(...random);
    if (size > tiny) return { direction: random.map((value) => value / size), apart: 0 };
    const axis = new Float64Array(dimensions);
    axis[0] = 1;
    return { direction: axis, apart: 0 };
  }
}
