/**
 * The plugin `services`: typed calls between nodes, and the directory of who serves what.
 */
import { z } from "zod";
import { balancer } from "../../contracts/balancer.ts";
import { healthSources } from "../../contracts/health.ts";
import { identity } from "../../contracts/identity.ts";
import { gossipTags, membership } from "../../contracts/membership.ts";
import { metricsSources } from "../../contracts/metrics.ts";
import { memberStates, peers } from "../../contracts/peers.ts";
import { tracer } from "../../contracts/tracing.ts";
import { transport } from "../../contracts/transport.ts";
import { definePlugin } from "../../kernel/define_plugin.ts";
import { duration } from "../../kernel/config.ts";
import { live, type Plugin } from "../../kernel/plugin.ts";
import { defaultResultLimits } from "../keyed/mod.ts";
import { memberState } from "../member_state.ts";
import { Tracing } from "../tracing/mod.ts";
import { type LayerSettings, type ServiceLayer, serviceLayer, ServiceNode } from "./layer.ts";

const config = z.strictObject({
  maxConcurrentCalls: z.int().min(1).max(1_000_000).default(10_000)
    .describe("Handlers running at once; more calls are refused as overloaded."),
  maxDepth: z.int().min(1).max(1000).default(32)
    .describe("How deep calls may be nested in calls, so that circles come to an end."),
  drainTimeout: duration("5s", { maxMs: 600_000 })
    .describe("How long calls under way may take when a service leaves."),
  directoryInterval: duration("10s", { minMs: 100 })
    .describe("Between two comparisons of the directory with a random peer's."),
  recordTtl: duration("10m", { minMs: 1000 })
    .describe("How long the directory remembers a node that nobody is linked to."),
  maxRecords: z.int().min(1).max(1_000_000).default(10_000)
    .describe("Nodes in the directory."),
  maxDirectoryBytes: z.int().min(65_536).default(64 * 1024 * 1024)
    .describe("Bytes of all records together."),
  maxResults: z.int().min(1).max(1_000_000).default(defaultResultLimits.maxEntries)
    .describe("Idempotency keys that are remembered, those of calls under way included."),
  maxResultBytes: z.int().min(0).max(1024 * 1024 * 1024).default(defaultResultLimits.maxBytes)
    .describe("Bytes of all answers that are kept for repeated calls."),
  resultTtl: duration("10m", { minMs: 1000 })
    .describe("How long an answer is kept for repeated calls after it was last asked for."),
});

function settingsOf(it: z.output<typeof config>): LayerSettings {
  return {
    maxConcurrentCalls: it.maxConcurrentCalls,
    maxDepth: it.maxDepth,
    drainTimeoutMs: it.drainTimeout,
    directoryIntervalMs: it.directoryInterval,
    recordTtlMs: it.recordTtl,
    maxRecords: it.maxRecords,
    maxDirectoryBytes: it.maxDirectoryBytes,
    results: {
      maxEntries: it.maxResults,
      maxBytes: it.maxResultBytes,
      maxAgeMs: it.resultTtl,
    },
  };
}

/** The plugin. The value behind its capability is a {@linkcode ServiceLayer}. */
export const servicesPlugin: Plugin<ServiceLayer> = definePlugin({
  name: "services",
  summary: "Typed calls to whichever node serves them, and the directory of who does.",
  provides: serviceLayer,
  needs: {
    peers,
    identity,
    balancers: live(balancer),
    transports: live(transport),
    states: live(memberStates),
    tracers: live(tracer),
    memberships: live(membership),
  },
  config,
  setup: (scope): ServiceLayer => {
    const { peers, identity, balancers, transports, states, memberships } = scope.needs;
    let settings = settingsOf(scope.config);
    scope.onReconfigure((next) => {
      const wanted = settingsOf(next);
      // The directory is built with its bounds; the others are read at each use.
      const same = wanted.directoryIntervalMs === settings.directoryIntervalMs &&
        wanted.recordTtlMs === settings.recordTtlMs &&
        wanted.maxRecords === settings.maxRecords &&
        wanted.maxDirectoryBytes === settings.maxDirectoryBytes;
      if (same) settings = wanted;
      return same;
    });
    const tracing = new Tracing();
    scope.own(tracing.follow(scope.needs.tracers));
    const node = scope.own(
      new ServiceNode({
        host: scope.host,
        peers,
        identity,
        balancers,
        settings: () => settings,
        stateOf: (id) => memberState(states, id),
        tracing,
      }),
    );
    const told = () => node.setAddresses([...transports].flatMap((it) => it.addresses));
    scope.own(transports.each(() => {
      told();
      return { [Symbol.dispose]: told };
    }));
    scope.own(memberships.each((gossip) => node.heardOf(gossip.members())));
    scope.contribute(gossipTags, node.tag);
    scope.contribute(healthSources, () => node.health());
    for (const category of ["communication", "failover"] as const) {
      const gauges = ["calls_being_served", "directory_records", "idempotency_keys"];
      scope.contribute(metricsSources, { category, gauges, read: () => node.metrics(category) });
    }
    return node;
  },
});

export default servicesPlugin;
