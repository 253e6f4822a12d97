/** One known peer: who it is, and the links to it. */
import type { NodeState, PeerInfo } from "../../contracts/peers.ts";
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

  /** The healthiest usable link, the oldest of equals. */
  best(): Link | undefined {
    let best: Link | undefined;
    for (const link of this.links) {
      if (!link.usable) continue;
      if (best === undefined || healthOrder[link.health] < healthOrder[best.health]) best = link;
    }
    return best;
  }

  /** That of its best link. A peer without links is unhealthy unless it is alive and merely idle. */
  get health(): HealthStatus {
    let health: HealthStatus | undefined;
    for (const link of this.links) {
      if (health === undefined || healthOrder[link.health] < healthOrder[health]) {
        health = link.health;
      }
    }
    return health ?? (this.state === "alive" ? "healthy" : "unhealthy");
  }

  /** The peer as shown. `wallOffsetMs` is wall-clock time minus monotonic time. */
  info(addresses: readonly string[], wallOffsetMs: number): PeerInfo {
    const heard = this.links.map((link) => link.heardAtMs + wallOffsetMs);
    return {
      ...this.description,
      state: this.state,
      health: this.health,
      addresses,
      links: this.links.map((link) => link.info),
      lastSeen: Math.max(this.lastSeen, ...heard),
    };
  }
}
