/** Identity: the plugin, and what the rest of the runtime uses of it. */
export { default, identityPlugin } from "./plugin.ts";
export { type ChainVerdict, checkChain } from "./chain.ts";
export { type ClusterPaths, clusterPaths, type NodePaths, nodePaths } from "./paths.ts";
