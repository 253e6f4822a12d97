/**
 * Changes of this node's own keys, where no message changes everybody's.
 *
 * Bare memberlist has no word for keys: each member changes its own ring. So to
 * change the key of such a cluster the new one is installed on every member, then
 * used on every one, then the old one removed, each step member by member.
 */
import type { GossipKeyring } from "@mycnet/protocols/swim";
import type { KeyringReply } from "../../../core/contracts/membership.ts";
import { formatKey } from "./keys.ts";

/** What can be done with keys. */
type Operation = "list" | "install" | "use" | "remove";

/** Does it. Returns why not. */
export function changeKeys(
  ring: GossipKeyring,
  operation: Operation,
  key: Uint8Array | undefined,
): string | undefined {
  if (ring.primary === undefined) return "gossip is not encrypted here: there are no keys";
  if (operation === "list" || key === undefined) return undefined;
  try {
    if (operation === "install") ring.add(key);
    else if (operation === "use") {
      if (!ring.use(key)) return "the key is not installed: install it first";
    } else if (formatKey(ring.primary) === formatKey(key)) {
      return "the primary key cannot be removed: use another one first";
    } else ring.remove(key);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** What came out, as if the cluster had one member. */
export function ownKeys(
  ring: GossipKeyring,
  name: string,
  operation: Operation,
  refusal: string | undefined,
): KeyringReply {
  const listed = operation === "list" ? ring.keys.map(formatKey) : [];
  return {
    members: 1,
    replies: 1,
    failures: refusal === undefined ? {} : { [name]: refusal },
    keys: Object.fromEntries(listed.map((key) => [key, 1])),
    primaryKeys: Object.fromEntries(listed.slice(0, 1).map((key) => [key, 1])),
  };
}
