/**
 * How long to wait before the next try: exponential backoff with full jitter
 * (Brooker, "Exponential Backoff And Jitter", 2015). Drawing from the whole
 * interval spreads the nodes that lost the same seed at the same moment.
 */
import type { BackoffConfig } from "./config.ts";

/** The waits of one thing that is tried again and again. */
export class Backoff {
  readonly #config: BackoffConfig;
  readonly #random: () => number;
  #boundMs: number;

  /** @param random gives numbers in [0, 1). */
  constructor(config: BackoffConfig, random: () => number) {
    this.#config = config;
    this.#random = random;
    this.#boundMs = Math.min(config.initial, config.cap);
  }

  /** The next wait in ms: anywhere from 0 to a bound that grows up to the cap. */
  next(): number {
    const waitMs = this.#random() * this.#boundMs;
    this.#boundMs = Math.min(this.#config.cap, this.#boundMs * this.#config.factor);
    return waitMs;
  }

  /** It worked: begin anew. */
  reset(): void {
    this.#boundMs = Math.min(this.#config.initial, this.#config.cap);
  }
}
