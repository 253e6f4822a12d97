/**
 * Leaving in order: first the intent, so that our going is not taken for a failure;
 * then SWIM's own word; then a while of answering, until both have spread. Each
 * step ends when everybody should have been told, or by its time-out.
 */
import type { Context } from "./context.ts";

/** The steps of one machine's leaving. */
export class Departure {
  readonly #c: Context;
  #step: "here" | "intent" | "swim" | "linger" | "gone" = "here";
  #untilMs = Infinity;

  /** On the shared context. */
  constructor(context: Context) {
    this.#c = context;
  }

  /** True until leaving began. */
  get here(): boolean {
    return this.#step === "here";
  }

  /** True once leaving is complete. */
  get gone(): boolean {
    return this.#step === "gone";
  }

  /** When to call `timer`. */
  get nextMs(): number {
    return this.#untilMs;
  }

  /** Begins. `intent` is what the others have to hear; undefined: there are none. */
  begin(intent: Uint8Array | undefined): void {
    this.#step = "intent";
    this.#untilMs = this.#c.nowMs;
    this.#c.emit({ type: "status", status: "leaving" });
    if (intent === undefined) return;
    this.#untilMs = this.#c.nowMs + this.#c.config.broadcastTimeoutMs;
    // The queue is in the middle of its work then: the next step waits for the timer.
    this.#c.broadcast("intents", intent, () => {
      if (this.#step === "intent") this.#untilMs = this.#c.nowMs;
    });
  }

  /** SWIM's word is out. */
  swimLeft(): void {
    if (this.#step !== "swim") return;
    this.#step = "linger";
    this.#untilMs = this.#c.nowMs + this.#c.config.leavePropagateMs;
  }

  /** Takes the next step if it is time. */
  timer(): void {
    const { nowMs, config, swim } = this.#c;
    if (nowMs < this.#untilMs) return;
    switch (this.#step) {
      case "intent":
        this.#step = "swim";
        this.#untilMs = nowMs + config.broadcastTimeoutMs;
        return swim.leave(nowMs);
      case "swim":
        return this.swimLeft();
      case "linger":
        this.#step = "gone";
        this.#untilMs = Infinity;
        this.#c.emit({ type: "status", status: "left" });
    }
  }
}
