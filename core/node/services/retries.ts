/**
 * Whether a call may be tried once more, and what that costs it.
 *
 * An attempt that never left costs nothing, and any call may make another. One
 * that was sent costs an idempotent call one unit of its budget, if the failure
 * is the node's; but links that go down at one moment are one misfortune, often
 * this node's own, and cost one unit together. A round over all able nodes that
 * ends unpaid costs one, too, so that nothing goes on for ever: within a round
 * no node is tried twice. A call with an idempotency key, idempotent or not,
 * pays the same for being made again where it was lost.
 */
import {
  type AttemptFailure,
  type CallPlan,
  nobodyDoesBetter,
  othersMayDoBetter,
} from "./attempts.ts";
import type { RetryBudget } from "./retry_budget.ts";

const lost = "link_lost";
const pauseInitialMs = 50;
const pauseLongestMs = 2000;
/** Links that are lost within so long are lost at one moment, in ms. */
const momentMs = 10;

/** The retries of one call. */
export class Retries {
  readonly #budget: RetryBudget;
  readonly #idempotent: boolean;
  readonly #keyed: boolean;
  #lostAtMs = -Infinity;
  #paid = false;
  #rounds = 0;

  /** @param plan with an idempotency key, the node that was asked would know the call again. */
  constructor(budget: RetryBudget, plan: Pick<CallPlan, "target" | "idempotencyKey">) {
    this.#budget = budget;
    this.#idempotent = plan.target.idempotent;
    this.#keyed = plan.idempotencyKey !== undefined;
  }

  /** An attempt has failed: whether another node may be tried. */
  allowed({ sent, code }: AttemptFailure, nowMs: number): boolean {
    this.#paid = false;
    if (!sent) return !nobodyDoesBetter.has(code);
    const again = this.#idempotent ? othersMayDoBetter.has(code) : this.#keyed && code === lost;
    if (!again) return false;
    if (code === lost) {
      if (nowMs - this.#lostAtMs <= momentMs) return true;
      this.#lostAtMs = nowMs;
    }
    return this.#paid = this.#budget.spend();
  }

  /**
   * Every able node has been tried: how long to pause before the next round, in ms, exponentially
   * longer and half of it random; undefined when there is none.
   */
  nextRound(random: number): number | undefined {
    if (!this.#paid && !this.#budget.spend()) return undefined;
    this.#paid = false;
    const longest = Math.min(pauseLongestMs, pauseInitialMs * 2 ** this.#rounds++);
    return longest / 2 + random * longest / 2;
  }
}
