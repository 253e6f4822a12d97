/**
 * The membership of a node that does not gossip: a hyphae, which holds no gossip
 * key. It knows no member, and whatever would speak to all is refused.
 */
import type { Membership } from "../../../core/contracts/membership.ts";
import { MycnetError } from "../../../core/kernel/errors.ts";

const refused = (): MycnetError =>
  new MycnetError("permission_denied", "a hyphae does not gossip: ask a sclerotia or a rhizomorph");

/** See the head of this file. */
export function absentMembership(): Membership {
  const nothing: Disposable = { [Symbol.dispose]() {} };
  return {
    members: () => [],
    member: () => undefined,
    join: () => Promise.reject(refused()),
    leave: () => Promise.resolve(),
    forceLeave: () => Promise.reject(refused()),
    setTags: () => {
      throw refused();
    },
    event: () => {
      throw refused();
    },
    query: () => {
      throw refused();
    },
    onMember: () => nothing,
    onMembers: () => nothing,
    onEvent: () => nothing,
    onQuery: () => nothing,
    keyring: () => Promise.reject(refused()),
    distanceMs: () => undefined,
  };
}
