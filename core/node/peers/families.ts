/**
 * The metrics of the network with labels, by the names that the design gives them.
 *
 * All are read from what links count anyway. `networking_message_latency_seconds`
 * is a gauge with a label `percentile`, which no scraper can add up over nodes;
 * `networking_message_duration_seconds` tells the same as a histogram, which can.
 */
import type { MetricFamily, MetricSample } from "../../contracts/metrics.ts";
import type { TypeCounters } from "@mycnet/protocols/link";
import type { LatencyMeter } from "../latency/meter.ts";
import type { CommunicationMetrics } from "./metrics.ts";

/** What the families are read from. */
export interface NetworkMeasures {
  /** The node that all of it is about. */
  readonly node: string;
  readonly types: TypeCounters;
  readonly latency: LatencyMeter;
  /** Monotonic time in ms. */
  now(): number;
  traffic(): CommunicationMetrics;
  /** Failures of links by what they were; a type may come several times. */
  errors(): Iterable<readonly [type: string, count: number]>;
  /** Checks of links that were not answered in time. */
  missedChecks(): number;
}

/** The percentiles that are told, with the share of requests that each stands for. */
const percentiles: readonly (readonly [label: string, share: number])[] = [
  ["p50", 0.5],
  ["p90", 0.9],
  ["p99", 0.99],
];

/** See the head of this file. */
export function networkFamilies(measures: NetworkMeasures): readonly MetricFamily[] {
  const { types, latency } = measures;
  const node_id = measures.node;
  const byType = (way: "sent" | "received"): MetricSample[] =>
    types.counts(way).map(([message_type, value]) => ({
      labels: { node_id, message_type },
      value,
    }));
  const one = (value: number): MetricSample[] => [{ labels: { node_id }, value }];
  return [
    {
      name: "networking_messages_sent_total",
      help: "Messages that were queued on links, each item of a stream included.",
      type: "counter",
      read: () => byType("sent"),
    },
    {
      name: "networking_messages_received_total",
      help: "Messages that arrived on links, each item of a stream included.",
      type: "counter",
      read: () => byType("received"),
    },
    {
      name: "networking_message_latency_seconds",
      help: "Percentiles of the time from request to answer over the last 30 to 60 seconds.",
      type: "gauge",
      read: () => {
        const shares = percentiles.map(([, share]) => share);
        const values = latency.percentilesMs(shares, measures.now());
        return percentiles.flatMap(([percentile], at) => {
          const ms = values[at];
          return ms === undefined ? [] : [{ labels: { node_id, percentile }, value: ms / 1000 }];
        });
      },
    },
    {
      name: "networking_message_duration_seconds",
      help: "Time from request to answer, of requests with one answer.",
      type: "histogram",
      read: () =>
        latency.byType().map(([message_type, value]) => ({
          labels: { node_id, message_type },
          value,
        })),
    },
    {
      name: "networking_connection_errors_total",
      help: "Dials that failed, links that were refused or broke, and connections turned away.",
      type: "counter",
      read: () =>
        Array.from(measures.errors(), ([error_type, value]) => ({
          labels: { node_id, error_type },
          value,
        })),
    },
    {
      name: "networking_active_connections",
      help: "Links that are up or draining.",
      type: "gauge",
      read: () => one(measures.traffic().active_connections),
    },
    {
      name: "networking_bytes_sent_total",
      help: "Bytes that links wrote, handshakes included, encryption not.",
      type: "counter",
      read: () => one(measures.traffic().bytes_sent),
    },
    {
      name: "networking_bytes_received_total",
      help: "Bytes that links read, handshakes included, encryption not.",
      type: "counter",
      read: () => one(measures.traffic().bytes_received),
    },
    {
      name: "networking_health_check_failures_total",
      help: "Checks of links that were not answered in time.",
      type: "counter",
      read: () => one(measures.missedChecks()),
    },
  ];
}
