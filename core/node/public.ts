/** What mod.ts shows of core: the node, services, and the types in their signatures. */
export type { NodeOptions } from "./create_node.ts";
export type { MycnetConfig, NodeConfig } from "./config/declaration.ts";
export type { DeclaredPlugin } from "../kernel/declaration.ts";
export { type ClusterControl, Node } from "./node.ts";
export type { EventOptions, NodeEvent } from "./events.ts";
export { runtimeVersion } from "./version.ts";
export * from "./services/mod.ts";
export { codeOf, type ErrorCode, errorCodes, MycnetError } from "../kernel/errors.ts";
export type * from "../kernel/schema.ts";
export type * from "../contracts/health.ts";
export type * from "../contracts/messenger.ts";
export type * from "../contracts/peers.ts";
