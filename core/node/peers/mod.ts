/**
 * Peers: what turns transports into a network of nodes.
 * @module
 */
export { default as peersPlugin } from "./plugin.ts";
export type { CommunicationMetrics } from "./metrics.ts";
export { NodePeers, type NodePeersSetup } from "./peers.ts";
export type { BackoffConfig, HealthCheckConfig, PeersConfig } from "./config.ts";
