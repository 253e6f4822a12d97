/**
 * When to say anew what this node says of itself: at once, and then not again for a
 * second. Each time costs every member a rumour, however often something changes.
 */
import type { Host, Timer } from "../../../core/kernel/host.ts";

/** Between two times, in ms. */
const everyMs = 1000;

/** See the head of this file. */
export class Retagging implements Disposable {
  readonly #host: Host;
  readonly #say: () => void;
  #timer: Timer | undefined;
  #again = false;
  #ended = false;

  /** @param say tells the tags as they are then. Must not throw. */
  constructor(host: Host, say: () => void) {
    this.#host = host;
    this.#say = say;
  }

  /** Something may have changed. */
  changed(): void {
    if (this.#ended) return;
    if (this.#timer !== undefined) {
      this.#again = true;
      return;
    }
    this.#say();
    this.#timer = this.#host.after(everyMs, () => {
      this.#timer = undefined;
      if (!this.#again) return;
      this.#again = false;
      this.changed();
    });
  }

  [Symbol.dispose](): void {
    this.#ended = true;
    this.#timer?.[Symbol.dispose]();
  }
}
