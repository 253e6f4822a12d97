/**
 * Routing: which nodes could take a call, and which are worth asking first.
 *
 * Able is every node whose record in the directory names the service in the
 * client's version or a higher one, this node included. Able nodes fall into
 * ranks, and a balancer chooses within the best rank that is not empty: a
 * healthy link (or none needed, being this node itself), a degraded link, no
 * link but no reason against dialling, and last those that failed to answer a
 * dial lately or are believed dead. A node that membership has declared dead, or
 * that has left, is not able at all, unless a link says otherwise. While calls go
 * to linked nodes, unlinked ones are dialled in the background, a few at a time,
 * so that work spreads to all that offer it rather than staying with whoever was
 * linked first. So are the failed and the dead, one at a time and rarer and rarer:
 * nobody else may tell this node that they are back. Word of a newer start makes
 * all forgotten.
 *
 * Ranking is paid for once in 100 ms, or when the directory or a link changed,
 * not at each call.
 */
import type { Balancer, Candidate, Selection } from "../../contracts/balancer.ts";
import type { HealthStatus } from "../../contracts/health.ts";
import type { PeerLink, Peers } from "../../contracts/peers.ts";
import type { Host } from "../../kernel/host.ts";
import { outsideCalls } from "./context.ts";

/** The directory as routing reads it. */
export interface ServingView {
  /** Grows with every change. */
  readonly revision: number;
  /** How many nodes have a record. */
  readonly size: number;
  /** Every node that serves a service. */
  serving(service: string): readonly Serving[];
}

/** One node's offer of one service. */
export interface Serving {
  readonly node: string;
  /** The start that offers it. */
  readonly generation: number;
  readonly version: number;
  /** False: nothing is known of how to reach it but the links it makes itself. */
  readonly dialable: boolean;
}

/** A node as balancers see it, and what routing knows besides. */
export class ServingNode implements Candidate {
  readonly id: string;
  /** True: this node itself. */
  readonly local: boolean;
  health: HealthStatus = "healthy";
  roundTripMs: number | undefined;
  inFlight = 0;
  datacenter: string | undefined;
  rack: string | undefined;
  link: PeerLink | undefined;
  /** Under way, shared by all calls that wait for it. */
  dialling: Promise<PeerLink> | undefined;
  /** The latest start that is known to serve. */
  generation = 0;
  /** True: it said goodbye, and is not dialled unasked. */
  left = false;
  /** Dials in a row that failed. */
  failures = 0;
  /** Monotonic time until which it counts as hard to reach. */
  avoidUntil = 0;

  constructor(id: string, local: boolean) {
    this.id = id;
    this.local = local;
  }
}

/** An able node and how promising it is, 0 the most. */
export interface Ranked {
  readonly node: ServingNode;
  readonly rank: number;
}

/** A service as a client means it, with the routes found last. */
export interface RoutingTarget {
  readonly service: string;
  /** The lowest version that will do. */
  readonly version: number;
  readonly selection: Selection;
  /** All able nodes, ordered by id. */
  able: readonly Ranked[];
  /** Those of the best rank. */
  best: readonly ServingNode[];
  rankedAt: number;
  revision: number;
}

/** Makes a target that nothing is known of yet. */
export function routingTarget(service: string, version: number): RoutingTarget {
  const selection = { subject: service };
  return { service, version, selection, able: [], best: [], rankedAt: -Infinity, revision: -1 };
}

/** A choice among what is left. */
export interface Choice {
  readonly balancer: Balancer;
  /** This node and no other. */
  readonly only?: string;
  /** Not these. */
  readonly excluded?: ReadonlySet<string>;
}

/** Calls that may wait for a server to appear. */
const maxWaiting = 10_000;
const rankingLastsMs = 100;
/** Links that background dialling makes for one service. */
const enoughLinks = 16;
/** Background dials at once. */
const dialsAtOnce = 4;
/** The same for nodes that failed or are believed dead: each may take its whole timeout. */
const revivalsAtOnce = 1;
const avoidInitialMs = 250;
const avoidLongestMs = 30_000;
const unlinkedRank = 2;
const avoidedRank = 3;

/** See the head of this file. */
export class Routing {
  readonly #host: Host;
  readonly #peers: Peers;
  readonly #view: ServingView;
  readonly #self: string;
  readonly #gone: (id: string) => boolean;
  readonly #nodes = new Map<string, ServingNode>();
  readonly #waiting = new Set<() => void>();
  #linkRevision = 0;
  #dials = 0;

  /** @param parts `gone` tells of nodes that are not to be dialled, since membership has given them up. */
  constructor(
    parts: {
      host: Host;
      peers: Peers;
      view: ServingView;
      self: string;
      gone?: (id: string) => boolean;
    },
  ) {
    this.#host = parts.host;
    this.#peers = parts.peers;
    this.#view = parts.view;
    this.#self = parts.self;
    this.#gone = parts.gone ?? (() => false);
  }

  /** A link came or went. */
  linksChanged(): void {
    this.#linkRevision++;
  }

  /** The directory changed: whoever waits for a server looks again. */
  directoryChanged(): void {
    for (const look of [...this.#waiting]) look();
  }

  /** Has `look` run whenever the directory changes. False: too many wait already. */
  wait(look: () => void): boolean {
    if (this.#waiting.size >= maxWaiting) return false;
    this.#waiting.add(look);
    return true;
  }

  /** Ends {@linkcode Routing.wait}. */
  stopWaiting(look: () => void): void {
    this.#waiting.delete(look);
  }

  /** A node to try, or undefined when there is none (left). `now` is the host's. */
  choose(target: RoutingTarget, now: number, choice: Choice): ServingNode | undefined {
    const revision = this.#view.revision + this.#linkRevision;
    if (target.revision !== revision || now - target.rankedAt >= rankingLastsMs) {
      this.#rank(target, now, revision);
    }
    const chosen = chooseFrom(target, choice);
    // Health may change without notice: look again rather than use what has just gone.
    if (chosen?.link === undefined || chosen.link.usable) return chosen;
    this.#rank(target, now, revision);
    return chooseFrom(target, choice);
  }

  /** In place of a link that is full: another of several that has room, or this one once it has. */
  roomy(node: ServingNode, full: PeerLink): PeerLink | Promise<PeerLink> {
    const link = this.#peers.link(node.id, "spread");
    if (link !== undefined && !link.full) return node.link = link;
    return full.writable().then(() => full);
  }

  /** A usable link to a node, dialled if need be. */
  connect(node: ServingNode): Promise<PeerLink> {
    return node.dialling ??= this.#dial(node);
  }

  /** The nodes that serve some version of a service, for error messages. */
  versions(service: string): readonly Serving[] {
    return this.#view.serving(service);
  }

  async #dial(node: ServingNode): Promise<PeerLink> {
    this.#dials++;
    try {
      // What a link does later is nobody's call.
      const link = await outsideCalls(() => this.#peers.connect(node.id));
      node.failures = 0;
      node.avoidUntil = 0;
      return link;
    } catch (error) {
      const avoidMs = Math.min(avoidLongestMs, avoidInitialMs * 2 ** node.failures++);
      // Somewhere in the second half: whoever lost it at the same moment does not return as one.
      node.avoidUntil = this.#host.now() + avoidMs * (1 + this.#host.random()) / 2;
      throw error;
    } finally {
      this.#dials--;
      node.dialling = undefined;
      this.#linkRevision++;
    }
  }

  #rank(target: RoutingTarget, now: number, revision: number): void {
    const able = this.#able(target, now);
    target.able = able;
    target.best = bestOf(able);
    target.rankedAt = now;
    target.revision = revision;
    this.#warm(able, now);
    if (this.#nodes.size > this.#view.size * 2 + 64) this.#forget();
  }

  /** Dials some of those without a link, while others do the work. */
  #warm(able: readonly Ranked[], now: number): void {
    let links = 0;
    for (const { rank } of able) if (rank < unlinkedRank) links++;
    if (links === 0) return;
    for (const { node, rank } of able) {
      if (links >= enoughLinks) return;
      if (rank < unlinkedRank || node.dialling !== undefined || node.left) continue;
      if (this.#dials >= (rank === unlinkedRank ? dialsAtOnce : revivalsAtOnce)) continue;
      if (now < node.avoidUntil) continue;
      links++;
      this.connect(node).catch((error) =>
        this.#host.log.debug("A node that serves could not be dialled.", {
          node: node.id,
          error: String(error),
        })
      );
    }
  }

  #able(target: RoutingTarget, now: number): Ranked[] {
    const able: Ranked[] = [];
    for (const serving of this.#view.serving(target.service)) {
      const { node: id, generation, version, dialable } = serving;
      if (version < target.version) continue;
      let node = this.#nodes.get(id);
      if (node === undefined) {
        node = new ServingNode(id, id === this.#self);
        this.#nodes.set(id, node);
      }
      if (generation > node.generation) {
        node.generation = generation;
        node.failures = 0;
        node.avoidUntil = 0;
      }
      const rank = this.#refresh(node, dialable, now);
      if (rank !== undefined) able.push({ node, rank });
    }
    return able.sort((a, b) => a.node.id < b.node.id ? -1 : 1);
  }

  /** The rank of a node now; undefined when there is no way to it. */
  #refresh(node: ServingNode, dialable: boolean, now: number): number | undefined {
    if (node.local) return 0;
    const link = this.#peers.link(node.id, "spread");
    if (link !== undefined && link.usable) {
      const { health, roundTripMs } = link.info;
      node.link = link;
      node.health = health;
      node.roundTripMs = roundTripMs;
      node.datacenter = link.peer.datacenter;
      node.rack = link.peer.rack;
      return health === "healthy" ? 0 : 1;
    }
    node.link = undefined;
    node.roundTripMs = undefined;
    if (this.#gone(node.id)) return undefined;
    const peer = this.#peers.get(node.id);
    if (!dialable && (peer?.addresses.length ?? 0) === 0) return undefined;
    node.health = peer?.health ?? "healthy";
    // What is known of the start before says nothing of this one.
    const known = peer !== undefined && peer.generation >= node.generation ? peer : undefined;
    node.left = known?.state === "left";
    const lost = known?.state === "dead" || node.left;
    return lost || now < node.avoidUntil ? avoidedRank : unlinkedRank;
  }

  /** Forgets the idle; those that still serve are made anew by the next ranking. */
  #forget(): void {
    const busy = new Set<ServingNode>();
    for (const node of this.#nodes.values()) {
      if (node.inFlight > 0 || node.dialling !== undefined) busy.add(node);
    }
    this.#nodes.clear();
    for (const node of busy) this.#nodes.set(node.id, node);
    this.#linkRevision++;
  }
}

function bestOf(able: readonly Ranked[]): ServingNode[] {
  let best = Infinity;
  for (const { rank } of able) best = Math.min(best, rank);
  return able.filter((it) => it.rank === best).map((it) => it.node);
}

function chooseFrom(target: RoutingTarget, choice: Choice): ServingNode | undefined {
  const { balancer, only, excluded } = choice;
  if (only === undefined && excluded === undefined) return select(balancer, target.best, target);
  const left = target.able.filter(({ node }) =>
    (only === undefined || node.id === only) && !excluded?.has(node.id)
  );
  return select(balancer, bestOf(left), target);
}

function select(
  balancer: Balancer,
  nodes: readonly ServingNode[],
  target: RoutingTarget,
): ServingNode | undefined {
  if (nodes.length <= 1) return nodes[0];
  return nodes[balancer.select(nodes, target.selection)] ?? nodes[0];
}
