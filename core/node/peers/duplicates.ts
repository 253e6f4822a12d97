/**
 * Two links where one is enough: which one goes, and when.
 *
 * When two nodes dial each other at once, both links come up, and if each side
 * dropped the one it liked less, they could drop both. So one side decides for
 * both: the node with the lower id. It says goodbye (`superseded`) on the loser,
 * which drains; the other side learns of it that way and does nothing itself.
 *
 * The decider goes by these rules, the first that applies:
 * 1. A healthy link beats one that is not.
 * 2. Of dials by different sides, the one by the lower id (the decider's own) wins.
 * 3. The older wins.
 *
 * The other side may also have dialled because the older link is dead and only
 * the decider has not noticed. So the loser stays until something was heard on
 * the winner after both were up: a dead winner is found out by its own checks,
 * and then the loser is all there is.
 */

/** What the decision goes by. Times are monotonic, in milliseconds. */
export interface Contender {
  readonly direction: "dialled" | "accepted";
  readonly healthy: boolean;
  /** When its handshake was done. */
  readonly upAtMs: number;
  /** When something last arrived on it. */
  readonly heardAtMs: number;
}

/** True when this node decides on the links between the two. */
export function decides(self: string, peer: string): boolean {
  return self < peer;
}

/** Which of two links stays and which goes, in the eyes of the decider. */
export function rank<C extends Contender>(
  first: C,
  second: C,
): { readonly winner: C; readonly loser: C } {
  return wins(first, second) ? { winner: first, loser: second } : { winner: second, loser: first };
}

/** True once the winner has shown that it works, so that the loser may go. */
export function proven(winner: Contender, loser: Contender): boolean {
  return winner.healthy && winner.heardAtMs > Math.max(winner.upAtMs, loser.upAtMs);
}

function wins(one: Contender, other: Contender): boolean {
  if (one.healthy !== other.healthy) return one.healthy;
  if (one.direction !== other.direction) return one.direction === "dialled";
  return one.upAtMs <= other.upAtMs;
}
