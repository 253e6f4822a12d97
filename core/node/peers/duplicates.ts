/**
 * Two links where one is enough: which one goes.
 *
 * When two nodes dial each other at once, both links come up, and if each side
 * dropped the one it liked less, they could drop both. So one side decides for
 * both: the node with the lower id. It says goodbye (`superseded`) on the loser,
 * which drains; the other side learns of it that way and does nothing itself.
 *
 * The decider goes by these rules, the first that applies:
 * 1. A healthy link beats one that is not.
 * 2. A link that the other side dialled long after the first one was up wins:
 *    the other side would not have dialled if it still had the first.
 * 3. Of simultaneous dials, the one by the lower id (the decider's own) wins.
 * 4. The older wins.
 */

/** What the decision goes by. Times are monotonic, in milliseconds. */
export interface Contender {
  readonly direction: "dialled" | "accepted";
  readonly healthy: boolean;
  /** When the connection was taken over. */
  readonly startedAtMs: number;
  /** When its handshake was done. */
  readonly upAtMs: number;
}

/** True when this node decides on the links between the two. */
export function decides(self: string, peer: string): boolean {
  return self < peer;
}

/**
 * Which of two links goes, in the eyes of the decider.
 * @param windowMs how far apart two dials may be and still count as simultaneous.
 */
export function loserOf<C extends Contender>(first: C, second: C, windowMs: number): C {
  if (first.healthy !== second.healthy) return first.healthy ? second : first;
  const [older, newer] = first.upAtMs <= second.upAtMs ? [first, second] : [second, first];
  if (newer.direction === "accepted" && newer.startedAtMs - older.upAtMs > windowMs) return older;
  if (older.direction !== newer.direction) return older.direction === "dialled" ? newer : older;
  return newer;
}
