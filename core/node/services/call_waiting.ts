/** Where a call is while no exchange carries it: parked, and perhaps on the look-out for a server. */
import type { CallParts, ParkedCall } from "./attempts.ts";

/** The waiting of one call. */
export class CallWaiting {
  /** True once it has waited for anything: time has passed since the call began. */
  waited = false;
  readonly #parts: Pick<CallParts, "parking" | "routing">;
  readonly #call: ParkedCall;
  #parked = false;
  #look: (() => void) | undefined;

  constructor(parts: Pick<CallParts, "parking" | "routing">, call: ParkedCall) {
    this.#parts = parts;
    this.#call = call;
  }

  /** True while it looks out for a server. */
  get looking(): boolean {
    return this.#look !== undefined;
  }

  /** Nothing carries the call: the node ends it when it stops. */
  park(): void {
    this.waited = true;
    if (this.#parked) return;
    this.#parked = true;
    this.#parts.parking.enter(this.#call);
  }

  /** Something carries it, or it is over. */
  unpark(): void {
    if (!this.#parked) return;
    this.#parked = false;
    this.#parts.parking.leave(this.#call);
  }

  /**
   * Runs `appeared` once `served` says so, asking whenever the directory has changed.
   * @returns false when too many calls wait already.
   */
  lookOut(served: () => boolean, appeared: () => void): boolean {
    const { routing } = this.#parts;
    this.#look = () => {
      if (!served()) return;
      this.stopLooking();
      appeared();
    };
    this.park();
    if (routing.wait(this.#look)) return true;
    this.#look = undefined;
    return false;
  }

  /** Looks out no more. */
  stopLooking(): void {
    if (this.#look === undefined) return;
    this.#parts.routing.stopWaiting(this.#look);
    this.#look = undefined;
  }
}
