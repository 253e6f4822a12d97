/**
 * The order of what can be said about a member (SWIM, section 4.2, with "left" added).
 *
 * A higher incarnation always wins: only the member itself raises it, so whoever
 * speaks of a higher one knows something newer. At one incarnation the graver
 * word wins: alive < suspect < dead < left. Verdicts merged by this order give
 * the same result in whatever order and however often they arrive.
 *
 * Memberlist departs from it, and where its programs are members so do we:
 *
 * | memberlist's rule                            | here                                         |
 * |----------------------------------------------|----------------------------------------------|
 * | dead in a push/pull counts as suspect        | the same: the other side's view may be stale |
 * | left against dead: whichever came first      | left wins; a member keeping dead agrees that it is gone |
 * | what left returns at a new address, whatever its incarnation | the same: a restart knows no incarnation |
 * | of a dead member only alive is believed      | suspect and dead at a higher incarnation too |
 * | suspect keeps the incarnation it began with  | a higher one begins a new suspicion          |
 */
import type { MemberState } from "./types.ts";

/** States as the member table keeps them; 0 is unknown. The numbers are the order. */
export const stateOf = Object.freeze(
  { unknown: 0, alive: 1, suspect: 2, dead: 3, left: 4 } as const,
);

/** The names of the states; index 0 is never asked for. */
export const stateNames: readonly MemberState[] = ["dead", "alive", "suspect", "dead", "left"];

/** The largest incarnation; nothing can outrank a verdict at it. */
export const maxIncarnation = 0xffffffff;

/** How far an incarnation may jump. A forged maximum would shut its member out for good. */
export const maxIncarnationJump = 0x10000;

/** True if a verdict says more than what is known. */
export function outranks(
  incarnation: number,
  state: number,
  knownIncarnation: number,
  knownState: number,
): boolean {
  return incarnation === knownIncarnation ? state > knownState : incarnation > knownIncarnation;
}
