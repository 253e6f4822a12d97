/**
 * The accrual detectors of all members (Hayashibara 2004), fed by the answers to
 * probes. Probing is randomised round-robin, so each member answers about once in
 * as many periods as there are others; that is where a detector starts. What it
 * says is advice for balancing and for people: membership does not ask it.
 */
import { PhiAccrualDetector } from "@mycnet/protocols/phi";

/** Intervals remembered of each member: 8 bytes each. */
const window = 32;
/** The share of a mean interval that is forgiven as jitter of the round-robin order. */
const jitterShare = 0.5;

/** See the head of this file. */
export class PhiBoard {
  readonly #detectors = new Map<string, PhiAccrualDetector>();

  /** A member answered; `usualMs` is how often one does. */
  heard(name: string, nowMs: number, usualMs: number): void {
    let detector = this.#detectors.get(name);
    if (detector === undefined) {
      detector = new PhiAccrualDetector({
        window,
        firstIntervalMs: Math.max(1, usualMs),
        minDeviationMs: Math.max(50, usualMs * jitterShare),
      });
      this.#detectors.set(name, detector);
    }
    detector.heard(nowMs);
  }

  /** How suspect its silence is; undefined before it ever answered. */
  phi(name: string, nowMs: number): number | undefined {
    return this.#detectors.get(name)?.phi(nowMs);
  }

  /** A member is gone. */
  forget(name: string): void {
    this.#detectors.delete(name);
  }

  /** This process stood still. */
  excuse(ms: number): void {
    for (const detector of this.#detectors.values()) detector.excuse(ms);
  }
}
