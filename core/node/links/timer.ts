/**
 * One host timer for a link, set again as rarely as possible.
 *
 * The machine's next time moves later with every message; following it would
 * cost a host timer a message. So the armed time stands until it fires, and is
 * replaced only by an earlier one. Firing early is harmless: the machine looks
 * at the time it is given and does nothing.
 */
import type { Host, Timer } from "../../kernel/host.ts";

/** Runs `fire` no later than the earliest time that was asked for. */
export class LazyTimer implements Disposable {
  readonly #host: Pick<Host, "now" | "after">;
  readonly #run: () => void;
  #timer: Timer | undefined;
  #armedMs = Infinity;

  /** Unarmed at first. */
  constructor(host: Pick<Host, "now" | "after">, fire: () => void) {
    this.#host = host;
    this.#run = () => {
      this.#timer = undefined;
      this.#armedMs = Infinity;
      fire();
    };
  }

  /** Sees to it that it fires at `atMs` (the host's monotonic time) or before; undefined asks for nothing. */
  by(atMs: number | undefined): void {
    if (atMs === undefined || atMs >= this.#armedMs) return;
    this.#timer?.[Symbol.dispose]();
    this.#armedMs = atMs;
    this.#timer = this.#host.after(Math.max(0, atMs - this.#host.now()), this.#run);
  }

  /** Disarms it for good or until asked again. */
  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#armedMs = Infinity;
  }
}
