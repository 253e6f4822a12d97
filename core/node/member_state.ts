/** What membership says of a node, from whichever plugin decides it. */
import type { MemberStates, NodeState } from "../contracts/peers.ts";

/** The first answer; undefined when nobody knows the node, or nobody decides. */
export function memberState(sources: Iterable<MemberStates>, id: string): NodeState | undefined {
  for (const source of sources) {
    const state = source.stateOf(id);
    if (state !== undefined) return state;
  }
  return undefined;
}
