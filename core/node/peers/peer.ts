/** One known peer: who it is, and the links to it. */
import type { LinkUse, NodeState, PeerHint, PeerInfo } from "../../contracts/peers.ts";
import type { HealthStatus } from "../../contracts/health.ts";
import type { NodeDescription } from "@mycnet/protocols/identity";
import type { Link } from "../links/mod.ts";

const healthOrder: Readonly<Record<HealthStatus, number>> = {
  healthy: 0,
  degraded: 1,
  unhealthy: 2,
};

/** A peer: a node id and, in its description, the generation that is meant. */
export class Peer {
  /** What its last hello said. */
  description: NodeDescription;
  /** Where its last hello said it listens: checked, at most 16. */
  announced: readonly string[];
  /** Where its last hello said that it gossips. */
  gossip: string | undefined;
  state: NodeState = "alive";
  /** Links that are up or draining. */
  readonly links: Link[] = [];
  /** Whether the world was told that it has a usable link. */
  toldUp = false;
  /** Wall-clock time in ms at which a link that is gone last heard of it. */
  lastSeen: number;

  /** @param nowWall the wall-clock time. */
  constructor(description: NodeDescription, announced: readonly string[], nowWall: number) {
    this.description = description;
    this.announced = announced;
    this.lastSeen = nowWall;
  }

  get id(): string {
    return this.description.id;
  }

  /** The link that carries what must stay in order, while it is usable. */
  ordered: Link | undefined;

  /** The usable link for a use; see {@linkcode LinkUse}. */
  pick(use: LinkUse = "ordered"): Link | undefined {
    const { links } = this;
    // Nearly always, and asked for each message.
    if (links.length === 1) {
      const only = links[0]!;
      return only.usable ? this.ordered = only : undefined;
    }
    if (!this.#holds(this.ordered)) this.ordered = this.#best(better);
    if (use === "ordered") return this.ordered;
    if (use === "spread") return this.#best(lighter);
    return this.#best((link, than) =>
      than === this.ordered || link !== this.ordered && lighter(link, than)
    );
  }

  /** True for a usable link without another in its slot: of two, one is about to go, and may be dead already. */
  #holds(link: Link | undefined): boolean {
    return link?.usable === true &&
      !this.links.some((other) => other !== link && other.slot === link.slot && other.usable);
  }

  #best(beats: (link: Link, than: Link) => boolean): Link | undefined {
    let best: Link | undefined;
    for (const link of this.links) {
      if (link.usable && (best === undefined || beats(link, best))) best = link;
    }
    return best;
  }

  /** That of its best link. A peer without links is unhealthy unless it is alive and merely idle. */
  health(state: NodeState): HealthStatus {
    let health: HealthStatus | undefined;
    for (const link of this.links) {
      if (health === undefined || healthOrder[link.health] < healthOrder[health]) {
        health = link.health;
      }
    }
    return health ?? (state === "alive" ? "healthy" : "unhealthy");
  }

  /**
   * The peer as shown.
   * @param wallOffsetMs wall-clock time minus monotonic time.
   * @param state what membership says. Default: what the links say.
   */
  info(
    addresses: readonly string[],
    wallOffsetMs: number,
    state: NodeState = this.state,
  ): PeerInfo {
    const heard = this.links.map((link) => link.heardAtMs + wallOffsetMs);
    return {
      ...this.description,
      state,
      health: this.health(state),
      addresses,
      ...(this.gossip === undefined ? {} : { gossipAddress: this.gossip }),
      links: this.links.map((link) => link.info),
      lastSeen: Math.max(this.lastSeen, ...heard),
    };
  }
}

/** A node that is configured and was never linked: all that is known is its id and addresses. */
export function unseenPeer(
  id: string,
  cluster: string,
  addresses: readonly string[],
  about: PeerHint["about"] = {},
  state: NodeState = "joining",
): PeerInfo {
  return {
    cluster,
    // What a seed usually is; its hello will tell.
    type: "sclerotia",
    version: "",
    ...about,
    id,
    generation: 0,
    state,
    // Nothing speaks against a member that was never needed.
    health: state === "alive" ? "healthy" : "unhealthy",
    addresses,
    links: [],
    lastSeen: 0,
  };
}

/** Healthier, or as healthy and with less under way. */
function lighter(link: Link, than: Link): boolean {
  const byHealth = healthOrder[link.health] - healthOrder[than.health];
  return byHealth < 0 || byHealth === 0 && link.load < than.load;
}

/** Healthier, or as healthy and heard from later. */
function better(link: Link, than: Link): boolean {
  const byHealth = healthOrder[link.health] - healthOrder[than.health];
  return byHealth < 0 || byHealth === 0 && link.heardAtMs > than.heardAtMs;
}
