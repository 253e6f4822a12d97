/**
 * The clocks of one simulated machine.
 *
 * Both run on virtual time. The monotonic clock starts somewhere of its own on
 * every machine, so that code which compares two machines' monotonic times is
 * found out. The wall clock may be off, may jump, and both may drift: a machine
 * at +100 ppm counts 1000.1 ms where 1000 ms pass. Timers follow the drift.
 */
import { floorTicks, type Scheduler } from "./scheduler.ts";

/** The clocks of a machine, and how a script disturbs them. */
export class MachineClock {
  readonly #scheduler: Scheduler;
  #baseVirtual = 0;
  #baseMonotonic: number;
  /** Wall time minus monotonic time. */
  #wallOffset: number;
  readonly #trueWallStart: number;
  #rate = 1;

  /**
   * Clocks that run true.
   * @param startWallTime wall-clock ms since the Unix epoch at virtual time 0.
   * @param startMonotonic what the monotonic clock shows at virtual time 0; a whole number.
   */
  constructor(scheduler: Scheduler, startWallTime: number, startMonotonic: number) {
    this.#scheduler = scheduler;
    this.#baseMonotonic = startMonotonic;
    this.#wallOffset = startWallTime - startMonotonic;
    this.#trueWallStart = startWallTime;
  }

  /** Monotonic time in ms. */
  get monotonic(): number {
    const passed = this.#scheduler.now - this.#baseVirtual;
    // At the true rate no rounding happens: both terms are whole ticks.
    return this.#baseMonotonic + (this.#rate === 1 ? passed : floorTicks(passed * this.#rate));
  }

  /** Wall-clock ms since the Unix epoch, as this machine believes; whole milliseconds, like `Date.now()`. */
  get wall(): number {
    return Math.floor(this.monotonic + this.#wallOffset);
  }

  /** How long `ms` on this clock lasts in virtual time. */
  toVirtual(ms: number): number {
    return ms / this.#rate;
  }

  /** The wall clock jumps by `ms`, forward or back. Timers and monotonic time do not notice. */
  step(ms: number): void {
    this.#wallOffset += ms;
  }

  /** Sets the wall clock to `ms` ahead (or behind) of true time. */
  skew(ms: number): void {
    const truth = this.#trueWallStart + this.#scheduler.now;
    this.#wallOffset = truth + ms - this.monotonic;
  }

  /** From now on both clocks run `ppm` millionths fast (or slow). At most 500,000 either way. */
  drift(ppm: number): void {
    if (!(Math.abs(ppm) <= 500_000)) {
      throw new RangeError(`ppm must be from -500000 to 500000, not ${ppm}`);
    }
    this.#baseMonotonic = this.monotonic;
    this.#baseVirtual = this.#scheduler.now;
    this.#rate = 1 + ppm / 1e6;
  }
}
