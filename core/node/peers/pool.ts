/**
 * Several links to one peer: when to dial another, when to let one go.
 *
 * The first link to a peer is made by whoever needs it (a demand, the keeper, the
 * peer itself). The pool adds to it, up to `linksPerPeer`: a link apart for a
 * stream of bytes, one more when every link is full, and as many as `warm` says as
 * soon as there is one. Each has a slot, the lowest free number, so that both ends
 * which grow at once end up with one link a slot and not with two (table.ts).
 *
 * Links that the pool added close when idle, down to `warm`. A link past its age
 * is replaced: another is dialled first where the bound allows, and then the old
 * one drains, so that nothing is lost and nobody waits. Only the side that dialled
 * a link ends it. A peer that refuses another link is left alone for a while.
 */
import type { Host } from "../../kernel/host.ts";
import type { Link } from "../links/mod.ts";
import type { PoolConfig } from "./config.ts";
import type { Peer } from "./peer.ts";

/** How long no further link is tried after one could not be had, in ms. */
const restMs = 10_000;
/** Slots that a hello can name. */
export const slotCount = 64;
/** How far the ages at which links are replaced are spread, so that they do not all go at once. */
const ageSpread = 0.2;

/** What the pool works with. */
export interface LinkPoolSetup {
  readonly host: Pick<Host, "now" | "random" | "log">;
  readonly config: PoolConfig;
  /** Links to one peer. */
  readonly linksPerPeer: number;
  /** False while the node has few links left to give in all. */
  room(): boolean;
  /** Dials a peer for one more link. Rejects if there is no way to it. */
  dial(id: string, slot: number): Promise<Link>;
}

/** The links beyond the first. */
export class LinkPool {
  readonly #setup: LinkPoolSetup;
  readonly #growing = new Map<string, Promise<Link | undefined>>();
  readonly #restUntilMs = new WeakMap<Peer, number>();
  readonly #endMs = new WeakMap<Link, number>();

  /** Adds nothing by itself. */
  constructor(setup: LinkPoolSetup) {
    this.#setup = setup;
  }

  /** One more link to a peer that has one; undefined if there may or can be none. Shared by all who ask. */
  grow(peer: Peer): Promise<Link | undefined> {
    const { host, linksPerPeer, room } = this.#setup;
    const growing = this.#growing.get(peer.id);
    if (growing !== undefined) return growing;
    const slot = freeSlot(peer);
    if (
      slot === undefined || peer.links.length >= linksPerPeer || !room() ||
      host.now() < (this.#restUntilMs.get(peer) ?? -Infinity)
    ) return Promise.resolve(undefined);
    const attempt = this.#dial(peer, slot);
    this.#growing.set(peer.id, attempt);
    return attempt;
  }

  /** A link to the peer is up: warms up others. Only the side that dialled it does, so that not both do. */
  up(peer: Peer, link: Link): void {
    if (link.direction === "dialled") this.#warm(peer);
  }

  /** Lets go of what is idle or old, and makes good what was lost. Called now and then. */
  sweep(peer: Peer): void {
    const { host, config } = this.#setup;
    const now = host.now();
    const up = peer.links.filter((link) => link.state === "up");
    let left = up.length;
    for (const link of up) {
      if (link.direction !== "dialled") continue;
      if (left > config.warm && link !== peer.ordered && link.idleMs() >= config.idleTimeout) {
        left--;
        void link.goodbye("idle", "the link carried nothing for a while, and there are others");
      } else if (config.maxAge > 0 && now >= this.#endOf(link)) {
        left--;
        void this.#replace(peer, link, up.length);
      }
    }
    if (up.some(({ direction }) => direction === "dialled")) this.#warm(peer);
  }

  #warm(peer: Peer): void {
    const { config, linksPerPeer } = this.#setup;
    const few = peer.links.length < Math.min(config.warm, linksPerPeer);
    if (few && peer.links.length > 0) void this.grow(peer);
  }

  async #dial(peer: Peer, slot: number): Promise<Link | undefined> {
    const { host, dial } = this.#setup;
    try {
      const link = await dial(peer.id, slot);
      // After `growing` is forgotten, which the next one would join.
      queueMicrotask(() => this.#warm(peer));
      return link;
    } catch (error) {
      this.#restUntilMs.set(peer, host.now() + restMs);
      host.log.debug("Another link to a node could not be had.", {
        node: peer.id,
        slot,
        error: String(error),
      });
      return undefined;
    } finally {
      this.#growing.delete(peer.id);
    }
  }

  /** When a link is to be replaced; drawn once for each. */
  #endOf(link: Link): number {
    const { host, config } = this.#setup;
    let endMs = this.#endMs.get(link);
    if (endMs === undefined) {
      const spread = 1 - ageSpread * host.random();
      endMs = (link.upAtMs ?? host.now()) + config.maxAge * spread;
      this.#endMs.set(link, endMs);
    }
    return endMs;
  }

  async #replace(peer: Peer, link: Link, up: number): Promise<void> {
    // Not again with the next sweep.
    this.#endMs.set(link, this.#setup.host.now() + restMs);
    const alone = up === 1;
    // With others to carry on there is no need to wait, and at the bound no room for one more.
    if (alone && this.#setup.linksPerPeer > 1 && await this.grow(peer) === undefined) return;
    void link.goodbye("recycled", "the link is old; another takes its place");
  }
}

/** The lowest slot that no link of the peer has. */
function freeSlot({ links }: Peer): number | undefined {
  for (let slot = 0; slot < slotCount; slot++) {
    if (!links.some((link) => link.slot === slot)) return slot;
  }
  return undefined;
}
