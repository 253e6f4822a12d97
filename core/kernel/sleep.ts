/** Sleeping, made of a timer: the same for every host. */
import type { Host } from "./host.ts";

/** Resolves after `ms` of the host's time; rejects with the signal's reason as soon as it aborts, and then leaves no timer. */
export function sleepOn(
  host: Pick<Host, "after">,
  ms: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const aborted = (): void => {
      timer[Symbol.dispose]();
      reject(signal!.reason);
    };
    const timer = host.after(ms, () => {
      signal?.removeEventListener("abort", aborted);
      resolve();
    });
    signal?.addEventListener("abort", aborted, { once: true });
  });
}
