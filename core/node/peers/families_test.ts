import assert from "node:assert/strict";
import { messageTypes } from "@mycnet/protocols/frame";
import { TypeCounters } from "@mycnet/protocols/link";
import { LatencyMeter } from "../latency/meter.ts";
import { ErrorCounts } from "./error_counts.ts";
import { networkFamilies } from "./families.ts";

function measured() {
  const errors = new ErrorCounts();
  const types = new TypeCounters();
  const latency = new LatencyMeter();
  const families = networkFamilies({
    node: "a",
    types,
    latency,
    now: () => 1000,
    traffic: () => ({
      messages_sent: 1,
      messages_received: 2,
      bytes_sent: 30,
      bytes_received: 40,
      connection_errors: 5,
      active_connections: 6,
    }),
    errors: () => errors.entries(),
    missedChecks: () => 7,
  });
  const read = (name: string) => [...families.find((it) => it.name === name)!.read()];
  return { errors, types, latency, families, read };
}

Deno.test("the metrics have the names, labels and types of the design", () => {
  const { errors, types, latency, families } = measured();
  errors.count("timeout");
  types.sent(messageTypes.query);
  types.received(messageTypes.query);
  latency.record(messageTypes.query, 1, 1000);
  const shapes = families.map(({ name, type, read }) => {
    const [first] = read();
    return `${name}{${Object.keys(first!.labels).join()}} ${type}`;
  });
  assert.deepEqual(shapes, [
    "networking_messages_sent_total{node_id,message_type} counter",
    "networking_messages_received_total{node_id,message_type} counter",
    "networking_message_latency_seconds{node_id,percentile} gauge",
    "networking_message_duration_seconds{node_id,message_type} histogram",
    "networking_connection_errors_total{node_id,error_type} counter",
    "networking_active_connections{node_id} gauge",
    "networking_bytes_sent_total{node_id} counter",
    "networking_bytes_received_total{node_id} counter",
    "networking_health_check_failures_total{node_id} counter",
  ]);
});

Deno.test("percentiles are seconds, and none are told while nothing was answered", () => {
  const { latency, read } = measured();
  assert.deepEqual(read("networking_message_latency_seconds"), []);
  latency.record(messageTypes.query, 0.064, 1000);
  assert.deepEqual(read("networking_message_latency_seconds"), [
    { labels: { node_id: "a", percentile: "p50" }, value: 0.000064 },
    { labels: { node_id: "a", percentile: "p90" }, value: 0.000064 },
    { labels: { node_id: "a", percentile: "p99" }, value: 0.000064 },
  ]);
});

Deno.test("types of errors are bounded: beyond the bound they are others", () => {
  const errors = new ErrorCounts();
  for (let i = 0; i < 100; i++) errors.count(`type-${i}`);
  errors.count("type-0");
  const counts = new Map(errors.entries());
  assert.equal(errors.total, 101);
  assert.equal(counts.get("type-0"), 2);
  assert.equal(counts.get("other"), 100 - 32);
  assert.equal(counts.size, 33);
});
