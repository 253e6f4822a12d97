/**
 * Peers: what turns transports into a network of nodes.
 * @module
 */
export { default as peersPlugin } from "./plugin.ts";
export type { CommunicationMetrics } from "./metrics.ts";
export { NodePeers } from "./peers.ts";
export type { NodePeersSetup } from "./setup.ts";
export type { BackoffConfig, HealthCheckConfig, PeersConfig } from "./config.ts";
