/**
 * Static discovery: the seeds that the configuration names.
 *
 * The list is what the file says, so it changes only when the file does: a
 * changed list is taken over without a restart, and whoever watches gets the
 * new list whole. A node may list itself; the peers leave itself out.
 */
import { z } from "zod";
import { type DiscoveredNode, type Discovery, discovery } from "../../core/contracts/discovery.ts";
import { isNodeId } from "@mycnet/protocols/identity";
import { addressField } from "../../core/node/net/field.ts";
import { definePlugin } from "../../core/kernel/define_plugin.ts";
import type { Plugin } from "../../core/kernel/plugin.ts";

const address = addressField().describe("host:port or scheme://host:port.");

const seed = z.union([
  address,
  z.strictObject({
    id: z.string().refine(isNodeId, "must be 1 to 63 of a-z 0-9 . _ -").optional()
      .describe("The node's id, when it is known."),
    address,
  }),
]);

const config = z.strictObject({
  seeds: z.array(seed).max(1000).default([])
    .describe("Addresses at which nodes of the cluster may be found."),
});

const toNode = (entry: z.output<typeof seed>): DiscoveredNode =>
  typeof entry === "string"
    ? { addresses: [entry] }
    : { addresses: [entry.address], ...(entry.id === undefined ? {} : { id: entry.id }) };

/** The plugin. */
const plugin: Plugin<Discovery> = definePlugin({
  name: "static",
  summary: "Finds nodes at the addresses that the configuration lists.",
  provides: discovery,
  needs: {},
  config,
  permissions: ({ seeds }) => ({
    net: seeds.map((it) => (typeof it === "string" ? it : it.address).replace(/^\w+:\/\//, "")),
  }),
  setup(scope) {
    let nodes = scope.config.seeds.map(toNode);
    let changed = Promise.withResolvers<void>();
    scope.onReconfigure((next) => {
      nodes = next.seeds.map(toNode);
      changed.resolve();
      changed = Promise.withResolvers<void>();
      return true;
    });
    return {
      id: scope.id,
      discover: () => Promise.resolve(nodes),
      async *watch(signal) {
        const ended = AbortSignal.any([signal, scope.signal]);
        const aborted = Promise.withResolvers<void>();
        const abort = () => aborted.resolve();
        ended.addEventListener("abort", abort, { once: true });
        try {
          while (!ended.aborted) {
            const next = changed.promise;
            yield nodes;
            if (!ended.aborted) await Promise.race([next, aborted.promise]);
          }
        } finally {
          ended.removeEventListener("abort", abort);
        }
      },
      register: () => Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() }),
    };
  },
});
export default plugin;
