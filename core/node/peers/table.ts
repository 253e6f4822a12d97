/**
 * The table of peers: who is known, who may come in, which link stays.
 *
 * A hello that passed every check of the link machine (cluster, identity, not
 * this node itself) is admitted here or refused. One node id has one generation at a time:
 * - the same generation is another link of the same peer;
 * - a lower one is an old process that does not know of its successor: refused;
 * - a higher one is a restart. If the old links are gone or draining it takes
 *   over. If they look alive they are put to the test: the newcomer is refused
 *   for now, and old links on which nothing is heard within a ping interval and
 *   its timeout are destroyed, so that the newcomer's next try gets in. If the
 *   old process answers, two processes share one id, and the first keeps it.
 *
 * Links come and go; the table tells of the first and the last usable one.
 */
import { linkDown, linkUp, type NodeState, peerDown, peerUp } from "../../contracts/peers.ts";
import type { Host, Timer } from "../../kernel/host.ts";
import type { NodeDescription } from "@mycnet/protocols/identity";
import type { LinkCloseReason, Refusal } from "@mycnet/protocols/link";
import type { Hello } from "@mycnet/protocols/negotiation";
import type { Link } from "../links/mod.ts";
import { parseAddress } from "./address.ts";
import { type Contender, decides, proven, rank } from "./duplicates.ts";
import { Peer } from "./peer.ts";

/** How long until the decider looks again at two links of which the better has not proven itself, in ms. */
const settleMs = 100;
/** Addresses of one hello that are remembered. */
const maxAnnounced = 16;

/** What the table works with. */
export interface PeerTableSetup {
  readonly host: Host;
  /** This node. */
  readonly self: NodeDescription;
  /** Links to one peer. */
  readonly linksPerPeer: number;
  /** Peers remembered. */
  readonly maxPeers: number;
  /** How long links that a newer start contests have to show life, in ms. */
  readonly probeMs: number;
  /** True for peers that are configured: they are not forgotten. */
  hinted(id: string): boolean;
  /** A peer has a usable link. */
  usable(id: string): void;
  /** A peer has lost its last usable link. */
  unusable(id: string): void;
}

/** Every known peer but this node. */
export class PeerTable implements Disposable {
  readonly #setup: PeerTableSetup;
  readonly #peers = new Map<string, Peer>();
  readonly #probes = new Map<string, Timer>();
  readonly #settling = new Map<string, Timer>();

  /** Empty at first. */
  constructor(setup: PeerTableSetup) {
    this.#setup = setup;
  }

  /** Every peer, in the order of first acquaintance. */
  get peers(): Iterable<Peer> {
    return this.#peers.values();
  }

  /** One peer. */
  get(id: string): Peer | undefined {
    return this.#peers.get(id);
  }

  /** Whether a hello comes in; undefined admits it. */
  admit(hello: Hello): Refusal | undefined {
    const { linksPerPeer, maxPeers } = this.#setup;
    const { id, generation } = hello.node;
    const peer = this.#peers.get(id);
    if (peer === undefined) {
      return this.#peers.size < maxPeers || this.#forgetOne()
        ? undefined
        : { code: "full", message: `${maxPeers} peers are linked or configured here already` };
    }
    const known = peer.description.generation;
    if (generation < known) {
      return {
        code: "duplicate",
        message: `a newer start of node "${id}" is known here (generation ${known}, ` +
          `this is ${generation})`,
      };
    }
    if (generation > known && peer.links.some(contests)) {
      this.#probe(peer);
      return {
        code: "duplicate",
        message: `an older start of node "${id}" (generation ${known}) is still linked here; ` +
          `try again when it has stopped`,
      };
    }
    if (generation === known && this.#isFull(peer, hello.slot)) {
      return { code: "full", message: `there are ${linksPerPeer} links between us already` };
    }
    return undefined;
  }

  /** A link is up. */
  up(link: Link, hello: Hello): void {
    const { host } = this.#setup;
    const { node } = hello;
    const announced = validAddresses(hello.addresses);
    let peer = this.#peers.get(node.id);
    if (peer !== undefined && node.generation < peer.description.generation) {
      // Two starts of a node shook hands at once, and the newer was faster.
      link.goodbye("superseded", "a newer start of this node is linked");
      return;
    }
    // Many may have been let in to shake hands before the first of them was up.
    const full = peer?.description.generation === node.generation
      ? this.#isFull(peer, link.slot)
      : peer === undefined && this.#peers.size >= this.#setup.maxPeers && !this.#forgetOne();
    if (full) {
      link.goodbye("superseded", "there are as many links or peers here as there may be");
      return;
    }
    if (peer === undefined || node.generation > peer.description.generation) {
      if (peer !== undefined) this.#replace(peer);
      peer = new Peer(node, announced, host.wallTime());
      this.#peers.set(node.id, peer);
    }
    peer.description = node;
    peer.announced = announced;
    peer.gossip = hello.gossip;
    peer.state = "alive";
    peer.links.push(link);
    host.emit(linkUp, link);
    this.#refresh(peer, "");
    this.#settle(peer);
  }

  /** A link drains: somebody said goodbye. */
  draining(link: Link, code: string, message: string): void {
    const peer = this.#peerOf(link);
    if (peer === undefined) return;
    this.#markGoodbye(peer, link, code);
    this.#refresh(peer, message);
  }

  /** A link's health changed. */
  health(link: Link): void {
    const peer = this.#peerOf(link);
    if (peer === undefined) return;
    this.#refresh(peer, `link ${link.id} is ${link.health}`);
    this.#settle(peer);
  }

  /** A link is over. */
  down(link: Link, reason: LinkCloseReason): void {
    const { host } = this.#setup;
    const peer = this.#peerOf(link);
    if (peer === undefined) return;
    peer.links.splice(peer.links.indexOf(link), 1);
    peer.lastSeen = Math.max(
      peer.lastSeen,
      link.heardAtMs + host.wallTime() - host.now(),
    );
    if (peer.links.length === 0 && link.goodbyeSaid === undefined && peer.state === "alive") {
      peer.state = "dead";
    }
    host.emit(linkDown, { link, reason: reason.message });
    this.#refresh(peer, reason.message);
  }

  /** Stops looking at links. */
  [Symbol.dispose](): void {
    for (const timers of [this.#probes, this.#settling]) {
      for (const timer of timers.values()) timer[Symbol.dispose]();
      timers.clear();
    }
  }

  /**
   * Whether a peer has all the links that it may have. One in the place of another is let in
   * beyond: the peer dials it because it lost the other, which is not noticed here yet, or because
   * both sides dial at once.
   */
  #isFull({ links }: Peer, slot: number): boolean {
    const { linksPerPeer } = this.#setup;
    if (links.length !== linksPerPeer) return links.length > linksPerPeer;
    return links.filter((link) => link.slot === slot).length !== 1;
  }

  #peerOf(link: Link): Peer | undefined {
    if (link.upAtMs === undefined) return undefined;
    const peer = this.#peers.get(link.peer.id);
    return peer?.links.includes(link) ? peer : undefined;
  }

  #markGoodbye(peer: Peer, link: Link, code: string): void {
    if (link.goodbyeSaid?.by !== "peer") return;
    const state = stateAfterGoodbye(code);
    if (state !== undefined) peer.state = state;
  }

  /** A newer start takes over: what is left of the older one goes. */
  #replace(older: Peer): void {
    this.#probes.get(older.id)?.[Symbol.dispose]();
    this.#probes.delete(older.id);
    for (const link of [...older.links]) link.destroy("a newer start of the node took over");
    // Its links are down by now, which told of them; this covers a peer whose links drained.
    this.#refresh(older, "a newer start of the node took over");
  }

  /** Tells of the first usable link, and of the loss of the last. */
  #refresh(peer: Peer, reason: string): void {
    const { host, usable, unusable } = this.#setup;
    const isUp = peer.pick() !== undefined;
    if (isUp === peer.toldUp) return;
    peer.toldUp = isUp;
    const node = peer.id;
    if (isUp) {
      const { transport, remoteAddress } = peer.pick()!.connection;
      host.log.info("A node is linked.", { node, transport, address: remoteAddress });
      host.emit(peerUp, peer.description);
      usable(peer.id);
    } else {
      host.log.info("A node is linked no more.", { node, state: peer.state, reason });
      host.emit(peerDown, { peer: peer.description, reason, left: peer.state === "left" });
      unusable(peer.id);
    }
  }

  /** Says goodbye to links that are too many, if that is this node's to decide. */
  #settle(peer: Peer): void {
    const { host, self } = this.#setup;
    const { id } = peer;
    if (!decides(self.id, id) || this.#settling.has(id)) return;
    for (;;) {
      const [first, second] = sameSlot(peer);
      if (first === undefined || second === undefined) return;
      const { winner, loser } = rank(first, second);
      if (!proven(winner, loser)) break;
      loser.link.goodbye("superseded", "both sides dialled; one of the two links is enough");
    }
    const timer = host.after(settleMs, () => {
      this.#settling.delete(id);
      // Looked up anew: a restart may have replaced it.
      const current = this.#peers.get(id);
      if (current !== undefined) this.#settle(current);
    });
    this.#settling.set(id, timer);
  }

  #probe(peer: Peer): void {
    const { host, probeMs } = this.#setup;
    if (this.#probes.has(peer.id)) return;
    const askedAtMs = host.now();
    const timer = host.after(probeMs, () => {
      this.#probes.delete(peer.id);
      for (const link of [...peer.links]) {
        if (link.heardAtMs > askedAtMs) continue;
        link.destroy("a newer start of the node appeared, and this link was silent");
      }
    });
    this.#probes.set(peer.id, timer);
  }

  /** Makes room for a peer: forgets whoever was seen longest ago, if anybody may be forgotten. */
  #forgetOne(): boolean {
    let oldest: Peer | undefined;
    for (const peer of this.#peers.values()) {
      if (peer.links.length > 0 || this.#setup.hinted(peer.id)) continue;
      if (oldest === undefined || peer.lastSeen < oldest.lastSeen) oldest = peer;
    }
    return oldest !== undefined && this.#peers.delete(oldest.id);
  }
}

function contender(link: Link): Contender & { readonly link: Link } {
  const { direction, usable, upAtMs, heardAtMs } = link;
  return { link, direction, healthy: usable, upAtMs: upAtMs ?? heardAtMs, heardAtMs };
}

/** Two links that are up in one slot, if there are any. */
function sameSlot(peer: Peer): (Contender & { readonly link: Link })[] {
  const bySlot = new Map<number, Link>();
  for (const link of peer.links) {
    if (link.state !== "up") continue;
    const other = bySlot.get(link.slot);
    if (other !== undefined) return [contender(other), contender(link)];
    bySlot.set(link.slot, link);
  }
  return [];
}

/** A link that stands in the way of a newer start of its node. */
function contests(link: Link): boolean {
  return link.state === "up";
}

function stateAfterGoodbye(code: string): NodeState | undefined {
  switch (code) {
    case "leaving":
    case "removed":
    case "shutting_down":
      return "left";
    case "restarting":
      return "joining";
    default:
      return undefined;
  }
}

function validAddresses(addresses: readonly string[]): readonly string[] {
  return addresses.slice(0, maxAnnounced).filter((address) => {
    try {
      return parseAddress(address).scheme !== undefined;
    } catch {
      return false;
    }
  });
}
