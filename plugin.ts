/**
 * What a plugin's author needs: `definePlugin`, and the contracts of each kind
 * of plugin with their capability tokens.
 *
 * @example A balancer that always takes the first candidate.
 * ```ts
 * import { z } from "zod";
 * import { type Balancer, balancer, definePlugin, type Plugin } from "@mycnet/runtime/plugin";
 *
 * const plugin: Plugin<Balancer> = definePlugin({
 *   name: "first",
 *   summary: "Takes the first candidate.",
 *   provides: balancer,
 *   needs: {},
 *   config: z.strictObject({}),
 *   setup: ({ id }) => ({ id, select: () => 0 }),
 * });
 * export default plugin;
 * ```
 * @module
 */
export * from "./core/kernel/mod.ts";
export * from "./core/contracts/admin.ts";
export * from "./core/contracts/balancer.ts";
export * from "./core/contracts/bulk.ts";
export * from "./core/contracts/datagrams.ts";
export * from "./core/contracts/discovery.ts";
export * from "./core/contracts/health.ts";
export * from "./core/contracts/identity.ts";
export * from "./core/contracts/membership.ts";
export * from "./core/contracts/databases.ts";
export * from "./core/contracts/delivery.ts";
export * from "./core/contracts/messenger.ts";
export * from "./core/contracts/metrics.ts";
export * from "./core/contracts/node.ts";
export * from "./core/contracts/peers.ts";
export * from "./core/contracts/services.ts";
export * from "./core/contracts/settings.ts";
export * from "./core/contracts/sockets.ts";
export * from "./core/contracts/store.ts";
export * from "./core/contracts/tracing.ts";
export * from "./core/contracts/transport.ts";
