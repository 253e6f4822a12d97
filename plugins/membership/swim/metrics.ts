/** The counters of membership by the names of the metrics, category `topology`. */
import type { Layer } from "./layer.ts";

/** What is counted outside the machines. */
export interface OwnCounts {
  /** Partitions that were suspected. */
  readonly partitions: number;
  /** Packets that did not leave. */
  readonly dropped: number;
  /** Times that somebody used this node's id. */
  readonly conflicts: number;
}

/** Those that rise and fall. */
export const topologyGauges: readonly string[] = ["members", "members_alive", "local_health_score"];

/** Names in snake_case to numbers. */
export function topologyMetrics(
  { swim, counters }: Layer,
  own: OwnCounts,
): Readonly<Record<string, number>> {
  const it = swim.counters;
  return {
    ping_count: it.pingCount,
    ack_count: it.ackCount,
    suspect_count: it.suspectCount,
    failed_ping_count: it.failedPingCount,
    gossip_messages_sent: it.gossipMessagesSent,
    gossip_messages_received: it.gossipMessagesReceived,
    topology_changes: it.topologyChanges,
    partition_detections: own.partitions,
    members: swim.size,
    members_alive: swim.liveCount,
    local_health_score: swim.healthScore,
    packets_sent: it.packetsSent,
    packets_received: it.packetsReceived,
    packets_dropped: own.dropped,
    packet_bytes_sent: it.bytesSent,
    packet_bytes_received: it.bytesReceived,
    state_syncs: it.syncs,
    pauses: it.pauses,
    refutations: it.refutations,
    malformed: it.malformed,
    undecryptable: it.undecryptable,
    incarnation_jumps: it.incarnationJumps,
    rumours_refused: it.refused,
    requests_from_strangers: it.strangers,
    requests_limited: it.limited,
    name_conflicts: own.conflicts,
    ...counters,
  };
}
