/**
 * Does a link get anywhere?
 *
 * The checks of liveness.ts take any byte for life, since a large frame may take a
 * slow line a while. A peer that sends a byte now and then, or that talks and reads
 * nothing, would so hold a link, and what waits on it, for ever. So there is a second
 * bound, generous and in frames: from one check to another at least one whole frame
 * has to arrive, and what is being written has to be taken. No frame is larger than
 * a slice where large messages are cut, so this asks for a slice in that time, some
 * kilobytes a second.
 */
import type { LinkLimits } from "./types.ts";

/** How much longer than silence a lack of progress may last. */
const patienceFactor = 10;

/** Both directions of one link. */
export class Progress {
  /** To be set when a whole frame arrives. */
  framed = true;
  readonly #patienceMs: number;
  #askedMs: number;
  /** Buffers handed out, the one that is being written included; and whether there is such a one. */
  #writes = 0;
  #writing = false;
  /** As of the last look. */
  #seenWrites = 0;
  #seenMs: number;
  #graced = false;

  /** From the moment when the link is up. */
  constructor({ pingTimeoutMs, failureThreshold }: LinkLimits, nowMs: number) {
    this.#patienceMs = patienceFactor * failureThreshold * pingTimeoutMs;
    this.#askedMs = this.#seenMs = nowMs;
  }

  /** Output was handed out to be written. */
  taken(): void {
    this.#writes++;
    this.#writing = true;
  }

  /** It is written. */
  written(): void {
    this.#writing = false;
  }

  /** A ping goes out, which an honest peer answers with a frame. */
  asked(nowMs: number): void {
    if (!this.framed) return;
    this.framed = false;
    this.#askedMs = nowMs;
  }

  /**
   * Why the link is to be given up, if it is. To be asked with every timer.
   * @param late this process was paused, and what it would have seen may come now: waits once more.
   */
  stall(nowMs: number, late: boolean): string | undefined {
    if (!this.#writing || this.#writes !== this.#seenWrites) {
      this.#seenWrites = this.#writes;
      this.#seenMs = nowMs;
    }
    const graced = late && !this.#graced;
    this.#graced = graced;
    if (graced) return undefined;
    if (nowMs - this.#seenMs >= this.#patienceMs) {
      return `the peer does not read: one write takes ${Math.round(nowMs - this.#seenMs)} ms`;
    }
    if (this.framed || nowMs - this.#askedMs < this.#patienceMs) return undefined;
    return `the peer finishes no frame: its bytes came to none in ${
      Math.round(nowMs - this.#askedMs)
    } ms`;
  }
}
