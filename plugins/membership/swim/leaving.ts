/** Leaving in order, within a bound. */
import type { Membership } from "../../../core/contracts/membership.ts";
import type { Host } from "../../../core/kernel/host.ts";

/** Leaves, and waits at most `limitMs` until the word has spread. Never rejects. */
export async function leaveWithin(
  host: Host,
  membership: Pick<Membership, "leave">,
  limitMs: number,
): Promise<void> {
  if (limitMs <= 0) return;
  const over = new AbortController();
  try {
    const late = host.sleep(limitMs, over.signal).then(() => false, () => false);
    const left = await Promise.race([membership.leave().then(() => true), late]);
    if (!left) {
      host.log.warn("Leaving was cut short: some members will see this node as failed.", {
        limitMs,
      });
    }
  } catch (error) {
    host.log.warn("Leaving failed.", { reason: (error as Error).message });
  } finally {
    over.abort();
  }
}
