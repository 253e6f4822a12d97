/**
 * The simulator: your nodes and services in virtual time, under one seed, on a
 * network that loses, delays and splits as you tell it.
 *
 * @example A call survives the loss of the node that would have served it.
 * ```ts
 * import { simulate, simulatedNode } from "@mycnet/runtime/simulation";
 * import { defineService } from "@mycnet/runtime";
 * import { z } from "zod";
 * import assert from "node:assert/strict";
 *
 * const clock = defineService("clock", {
 *   version: 1,
 *   methods: { zone: { input: z.object({}), output: z.string(), idempotent: true } },
 * });
 *
 * await simulate({ seed: 7 }, async (sim) => {
 *   const seeds = ["a:7000", "b:7000"];
 *   const start = simulatedNode({ plugins: { static: { seeds } } });
 *   const a = await sim.node("a", start);
 *   const b = await sim.node("b", start);
 *   const c = await sim.node("c", start);
 *   a.value.serve(clock, { zone: () => "UTC" });
 *   b.value.serve(clock, { zone: () => "UTC" });
 *   const client = c.value.client(clock);
 *   assert.equal(await client.zone({}), "UTC");
 *   a.crash({ connections: "silent" });
 *   assert.equal(await client.zone({}, { timeout: "10s" }), "UTC");
 * });
 * ```
 * @module
 */
import { coreBuiltIns } from "./core/node/config/declaration.ts";
import { createNodeWith, type NodeOptions } from "./core/node/create_node.ts";
import type { Node } from "./core/node/node.ts";
import type { StartNode } from "./core/simulation/mod.ts";
import { builtIns } from "./plugins/mod.ts";

export * from "./core/simulation/mod.ts";

// The first import of a module takes an unpredictable number of turns of the
// event loop, so every built-in is imported before any clock starts.
await Promise.all([...Object.values(coreBuiltIns), ...Object.values(builtIns)].map((it) => it()));

/**
 * A whole node for `sim.node(name, start)`: its id is the name, it listens at
 * `name:7000`, its transports are simulated, and its admin endpoint is a pure
 * application (`node.fetchAdmin`).
 * @param options laid over these defaults, plugin by plugin.
 */
export function simulatedNode(
  options: Pick<NodeOptions, "node" | "plugins" | "profiles"> = {},
): StartNode<Node> {
  return (host, context) =>
    createNodeWith(builtIns, {
      config: false,
      cwd: "/",
      host,
      adapt: (entries) => context.substitute(entries),
      profiles: options.profiles ?? {},
      node: {
        id: context.name,
        cluster: "simulated",
        type: "sclerotia",
        bindAddress: "0.0.0.0:7000",
        ...options.node,
      },
      plugins: {
        "identity": { insecure: true, folder: false },
        "admin": false,
        "http-gateway": false,
        ...options.plugins,
      },
    });
}

export type { Datagrams } from "./core/contracts/datagrams.ts";
export type { Store } from "./core/contracts/store.ts";
