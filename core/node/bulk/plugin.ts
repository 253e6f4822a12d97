/** The `bulk` plugin: byte streams over the node's links. */
import { z } from "zod";
import { type Bulk, bulk } from "../../contracts/bulk.ts";
import { metricsSources } from "../../contracts/metrics.ts";
import { peers } from "../../contracts/peers.ts";
import { duration } from "../../kernel/config.ts";
import { definePlugin } from "../../kernel/define_plugin.ts";
import type { Plugin } from "../../kernel/plugin.ts";
import { NodeBulk } from "./bulk.ts";

const config = z.strictObject({
  idleTimeout: duration("30s", { minMs: 10, maxMs: 3_600_000 })
    .describe("A transfer that did not move for so long is given up."),
  maxTransfers: z.int().min(1).max(10_000).default(64)
    .describe("Transfers under way, each way; more are refused as overloaded."),
});

/** Byte streams: send, handle. */
const plugin: Plugin<Bulk> = definePlugin({
  name: "bulk",
  summary: "Byte streams between nodes, resumable and checked, beside everything else.",
  provides: bulk,
  needs: { peers },
  config,
  setup(scope): Bulk {
    const { idleTimeout } = scope.config;
    // The timeout is that of a running timer; the bound is read at each transfer.
    scope.onReconfigure((next) => next.idleTimeout === idleTimeout);
    const node = scope.own(new NodeBulk(scope.host, scope.needs.peers, () => scope.config));
    scope.contribute(metricsSources, {
      category: "communication",
      gauges: ["bulk_active"],
      read: () => node.metrics(),
    });
    return node;
  },
});

export default plugin;
