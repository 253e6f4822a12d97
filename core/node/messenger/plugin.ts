/** The `messenger` plugin: messages by name over the node's links. */
import { z } from "zod";
import { type Messenger, messenger } from "../../contracts/messenger.ts";
import { metricsSources } from "../../contracts/metrics.ts";
import { delivery } from "../../contracts/delivery.ts";
import { peers } from "../../contracts/peers.ts";
import { tracer } from "../../contracts/tracing.ts";
import { duration } from "../../kernel/config.ts";
import { definePlugin } from "../../kernel/define_plugin.ts";
import { live, type Plugin } from "../../kernel/plugin.ts";
import { defaultResultLimits, messageKeys } from "../keyed/mod.ts";
import { Tracing } from "../tracing/mod.ts";
import { NodeMessenger } from "./messenger.ts";

/** Messages by name: send, request, broadcast, scatter, quorum, handle. */
const plugin: Plugin<Messenger> = definePlugin({
  name: "messenger",
  summary: "Messages by name between nodes: send, request, broadcast, scatter, quorum.",
  provides: messenger,
  needs: { peers, delivery, tracers: live(tracer) },
  config: z.strictObject({
    maxResults: z.int().min(1).max(1_000_000).default(defaultResultLimits.maxEntries)
      .describe("Idempotency keys of requests that are remembered."),
    maxResultBytes: z.int().min(0).max(1024 * 1024 * 1024).default(defaultResultLimits.maxBytes)
      .describe("Bytes of all answers that are kept for repeated requests."),
    resultTtl: duration("10m", { minMs: 1000 })
      .describe("How long an answer is kept for repeated requests after it was last asked for."),
  }),
  setup(scope): Messenger {
    const { peers, delivery, tracers } = scope.needs;
    const tracing = new Tracing();
    scope.own(tracing.follow(tracers));
    const { maxResults: maxEntries, maxResultBytes: maxBytes, resultTtl: maxAgeMs } = scope.config;
    const results = { maxEntries, maxBytes, maxAgeMs };
    const keyed = messageKeys(scope.host, () => results);
    const node = scope.own(new NodeMessenger(scope.host, peers, delivery, tracing, keyed));
    scope.contribute(metricsSources, { category: "communication", read: () => node.metrics() });
    return node;
  },
});

export default plugin;
