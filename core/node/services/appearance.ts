/** Waiting for a service that nobody serves at the moment. */
import type { Deadlines } from "../deadlines.ts";
import type { Routing } from "./routing.ts";

/** How long, and until whose signal. */
export interface AppearanceOptions {
  /** In milliseconds. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/**
 * Waits until `serves` is true, which is asked again at every change of the directory.
 * @returns false at the end of the time, when the signal aborts, or at once when too many wait already.
 */
export function appears(
  serves: () => boolean,
  { routing, deadlines }: { readonly routing: Routing; readonly deadlines: Deadlines },
  { timeoutMs, signal }: AppearanceOptions,
): Promise<boolean> {
  if (serves()) return Promise.resolve(true);
  if (timeoutMs <= 0 || signal?.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const finish = (found: boolean) => {
      deadline.cancel();
      routing.stopWaiting(look);
      signal?.removeEventListener("abort", gaveUp);
      resolve(found);
    };
    const look = () => {
      if (serves()) finish(true);
    };
    const gaveUp = () => finish(false);
    const deadline = deadlines.add(timeoutMs, gaveUp);
    signal?.addEventListener("abort", gaveUp, { once: true });
    if (!routing.wait(look)) finish(false);
  });
}
