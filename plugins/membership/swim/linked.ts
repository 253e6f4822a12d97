/**
 * Gossip addresses out of links. A hello says where its sender gossips, and that is
 * tried for a peer that is no member yet; without it the port is guessed, as for a
 * node out of discovery: the link may have been made before the peer gossiped. Once
 * a linked peer is a member, or has said where it gossips, nothing is left to guess
 * about the addresses where it takes links.
 */
import type { PeerInfo } from "../../../core/contracts/peers.ts";
import { type Candidates, type GossipPort, guessedFrom } from "./discovered.ts";
import type { LayerMember } from "./layer.ts";

/** Linked peers that are no members, of which the addresses are tried: one leads to the others. */
const maxStrangers = 16;

/** What is looked at. */
export interface LinkedParts {
  readonly peers: readonly PeerInfo[];
  /** What discovery found, one entry a source. */
  readonly found: Iterable<Candidates>;
  /** What gossip says of a node; undefined for one that it does not know. */
  readonly stateOf: (id: string) => LayerMember["state"] | undefined;
  readonly gossipPort: GossipPort;
}

/** True for a peer that should be a member and is none: not known to gossip, or given up by it. */
export function isStranger(
  type: PeerInfo["type"],
  state: LayerMember["state"] | undefined,
): boolean {
  return type !== "hyphae" && (state === undefined || state === "dead");
}

/** Where to look for members: at what discovery found, and at strangers. */
export function candidatesNow({ peers, found, stateOf, gossipPort }: LinkedParts): Candidates {
  const told = new Set<string>();
  const guessed = new Set<string>();
  for (const source of found) {
    for (const address of source.told) told.add(address);
    for (const address of source.guessed) guessed.add(address);
  }
  const settled: string[] = [];
  let strangers = 0;
  for (const { id, type, addresses, links, gossipAddress } of peers) {
    if (links.length === 0) continue;
    const beside = guessedFrom(addresses, gossipPort);
    const stranger = isStranger(type, stateOf(id));
    if (!stranger || gossipAddress !== undefined) settled.push(...beside);
    if (!stranger || strangers++ >= maxStrangers) continue;
    if (gossipAddress !== undefined) told.add(gossipAddress);
    else for (const address of beside) guessed.add(address);
  }
  for (const address of settled) guessed.delete(address);
  return { told: [...told], guessed: [...guessed] };
}
