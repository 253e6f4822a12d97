/**
 * The time, read once a turn of the event loop.
 *
 * Reading a clock costs 90 ns (Deno 2.9), which a call that takes two
 * microseconds feels, and the many calls that one read of a socket brings would
 * each read nearly the same. Within a turn it stands still; what waits for it
 * to move has to wait for the next.
 */
import type { Host } from "../kernel/host.ts";

/** See the head of this file. */
export class TurnClock {
  readonly #host: Pick<Host, "now">;
  #nowMs: number | undefined;
  readonly #turnOver = () => {
    this.#nowMs = undefined;
  };

  /** Reads nothing yet. */
  constructor(host: Pick<Host, "now">) {
    this.#host = host;
  }

  /** Monotonic milliseconds, as the host counts them, at the first reading of this turn. */
  now(): number {
    if (this.#nowMs !== undefined) return this.#nowMs;
    queueMicrotask(this.#turnOver);
    return this.#nowMs = this.#host.now();
  }
}
