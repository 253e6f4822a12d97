/**
 * What the endpoint tells of the network, computed from what the node knows
 * when it is asked. Nothing is kept here.
 */
import type { HealthStatus, NodeHealth } from "../contracts/health.ts";
import type { NodeControl } from "../contracts/node.ts";
import type { LinkInfo, PeerInfo, Peers } from "../contracts/peers.ts";
import type { Services } from "../contracts/services.ts";
import type { Settings } from "../contracts/settings.ts";
import { MycnetError } from "../kernel/errors.ts";

/** What the routes ask. Parts that may come and go are read anew each time. */
export interface NodeView {
  readonly settings: Settings;
  readonly control: NodeControl;
  /** Wall-clock time in ms. */
  wallTime(): number;
  peers(): Peers | undefined;
  services(): Services | undefined;
  /** Where this node can be dialled. */
  addresses(): readonly string[];
}

/** The health of the network as this node sees it. */
export interface NetworkHealth {
  /** This node's own status; degraded at best while a member is not alive and healthy. */
  readonly status: HealthStatus;
  readonly reasons: readonly string[];
  readonly node: NodeHealth & { readonly id: string; readonly ready: boolean };
  /** Members by health, this node included. */
  readonly members: Readonly<Record<HealthStatus, number>>;
  readonly unhealthyNodes: readonly string[];
}

/** A peer that left on purpose is no trouble. */
function isTrouble(peer: PeerInfo): boolean {
  return peer.state !== "left" && (peer.state !== "alive" || peer.health !== "healthy");
}

/** See {@linkcode NetworkHealth}. */
export function networkHealth({ settings, control, peers }: NodeView): NetworkHealth {
  const own = control.health();
  const list = peers()?.list().filter((it) => it.state !== "left") ?? [];
  const members: Record<HealthStatus, number> = { healthy: 0, degraded: 0, unhealthy: 0 };
  members[own.status]++;
  for (const peer of list) members[peer.state === "dead" ? "unhealthy" : peer.health]++;
  const troubled = list.filter(isTrouble);
  const reasons = [
    ...own.reasons,
    ...troubled.map(({ id, state, health }) => `${id}: ${state === "alive" ? health : state}`),
  ];
  return {
    status: own.status === "healthy" && troubled.length > 0 ? "degraded" : own.status,
    reasons,
    node: { id: settings.id, ready: control.ready, ...own },
    members,
    unhealthyNodes: [
      ...(own.status === "unhealthy" ? [settings.id] : []),
      ...list.filter((it) => it.state === "dead" || it.health === "unhealthy").map(({ id }) => id),
    ],
  };
}

/** The health of one node: this one's reports, or what is known of a peer. */
export function nodeHealth(view: NodeView, id: string): Record<string, unknown> {
  const { settings, control } = view;
  if (id === settings.id) {
    return { id, state: "alive", ready: control.ready, ...control.health() };
  }
  const { state, health, lastSeen, links } = peerNamed(view, id);
  return {
    id,
    state,
    status: state === "dead" ? "unhealthy" : health,
    reasons: state === "alive" ? [] : [`it is ${state}`],
    lastSeen,
    links: links.map((it) => ({ id: it.id, health: it.health, roundTripMs: it.roundTripMs })),
  };
}

/** One peer. @throws `unknown_peer`. */
export function peerNamed({ peers }: NodeView, id: string): PeerInfo {
  const peer = peers()?.get(id);
  if (peer === undefined) throw new MycnetError("unknown_peer", `no peer is called ${id}`);
  return peer;
}

/** One edge of the topology. */
function edge(from: string, to: string, link: LinkInfo): Record<string, unknown> {
  return {
    id: link.id,
    from: link.direction === "dialled" ? from : to,
    to: link.direction === "dialled" ? to : from,
    transport: link.transport,
    state: link.state,
    health: link.health,
    roundTripMs: link.roundTripMs,
    profile: link.profile.wanted.name,
    inForce: link.profile.inForce,
  };
}

/** Members and the links that this node has to them. */
export function topology(view: NodeView): Record<string, unknown> {
  const { settings, control } = view;
  const list = view.peers()?.list() ?? [];
  const members = [
    {
      id: settings.id,
      type: settings.type,
      address: settings.advertiseAddress ?? view.addresses()[0] ?? null,
      state: control.ready ? "alive" : "joining",
      health: control.health().status,
      datacenter: settings.datacenter,
      rack: settings.rack,
    },
    ...list.map(({ id, type, addresses, state, health, datacenter, rack }) => ({
      id,
      type,
      address: addresses[0] ?? null,
      state,
      health,
      datacenter,
      rack,
    })),
  ];
  return {
    localNode: settings.id,
    cluster: settings.cluster,
    clusterSize: members.filter((it) => it.state === "alive" || it.state === "suspect").length,
    members,
    links: list.flatMap((peer) => peer.links.map((it) => edge(settings.id, peer.id, it))),
  };
}

/** Counters and gauges of the node, and sums over its links. */
export function stats(view: NodeView): Record<string, unknown> {
  const { settings, control } = view;
  const links = view.peers()?.list().flatMap((it) => it.links) ?? [];
  const sum = (of: (link: LinkInfo) => number) => links.reduce((total, it) => total + of(it), 0);
  const trips = links.flatMap((it) => it.roundTripMs ?? []);
  return {
    node: settings.id,
    type: settings.type,
    cluster: settings.cluster,
    version: control.runtimeVersion,
    startedAt: control.startedAt,
    uptimeMs: Math.max(0, view.wallTime() - control.startedAt),
    addresses: view.addresses(),
    links: {
      up: links.filter((it) => it.state === "up").length,
      exchanges: sum((it) => it.exchanges),
      bytesSent: sum((it) => it.bytesSent),
      bytesReceived: sum((it) => it.bytesReceived),
      messagesSent: sum((it) => it.messagesSent),
      messagesReceived: sum((it) => it.messagesReceived),
      averageRoundTripMs: trips.length === 0
        ? null
        : trips.reduce((total, it) => total + it, 0) / trips.length,
    },
    metrics: control.metrics(),
  };
}
