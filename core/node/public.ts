/** What mod.ts shows of core: the node, services, and the types in their signatures. */
export type { NodeOptions } from "./create_node.ts";
export type { MycnetConfig, NodeConfig } from "./config/declaration.ts";
export type { DeclaredPlugin } from "../kernel/declaration.ts";
export { type BulkControl, type ClusterControl, Node } from "./node.ts";
export type { NodeEvent } from "./events.ts";
export type { ReaderOptions } from "./bounded_queue.ts";
export * from "./messages/mod.ts";
export type { KnownNode } from "./join.ts";
export { runtimeVersion } from "./version.ts";
export * from "./services/mod.ts";
export { codeOf, type ErrorCode, errorCodes, MycnetError } from "../kernel/errors.ts";
export type * from "../kernel/schema.ts";
export type * from "../contracts/bulk.ts";
export type * from "../contracts/health.ts";
export type {
  CoalesceTimes,
  GossipMessage,
  KeyringReply,
  Member,
  MemberChanges,
  MemberEvent,
  MemberNode,
  Membership,
  QueryOptions,
  QueryReply,
} from "../contracts/membership.ts";
export type * from "../contracts/databases.ts";
export type * from "../contracts/messenger.ts";
export type * from "../contracts/peers.ts";
export type * from "../contracts/services.ts";
export type { Balancer, Candidate, Selection } from "../contracts/balancer.ts";
export type { Host, LogFields, Logger, LogLevel, Timer, Topic } from "../kernel/host.ts";
export type { LogSink } from "../kernel/logger.ts";
export type { BootReport, RunningPlugin, StoppedPlugin } from "../kernel/kernel.ts";
export type { Plugin } from "../kernel/plugin.ts";
export type {
  NodeCapacity,
  NodeDescription,
  NodeType,
  Principal,
} from "@mycnet/protocols/identity";
export type { MessageFields, Priority } from "@mycnet/protocols/frame";
export type {
  NegotiatedProfile,
  ProfileOverrides,
  ReliabilityLevel,
} from "@mycnet/protocols/negotiation";
