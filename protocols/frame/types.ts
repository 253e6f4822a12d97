/**
 * The one registry of message types.
 *
 * A type is 16 bits. The high byte is the class: link control, bulk data, and
 * five categories of messages; the low byte is a member of it. A number, once
 * given, is never given again. Names are what code and people use; some have a
 * second spelling. `custom.<anything>` is the type `custom` with the rest of
 * the name as its route.
 */

/** The classes: the high byte of a type. */
export const messageClasses = {
  link: 0,
  consensus: 1,
  spore: 2,
  service: 3,
  resource: 4,
  health: 5,
  bulk: 6,
} as const;

/** The name of a class. */
export type MessageClass = keyof typeof messageClasses;

/** Every type by its name. */
export const messageTypes = {
  "link.hello": 0x0001,
  "link.accept": 0x0002,
  "link.refuse": 0x0003,
  "link.ping": 0x0004,
  "link.pong": 0x0005,
  "link.ack": 0x0006,
  "link.credit": 0x0007,
  "link.reset": 0x0008,
  "link.goodbye": 0x0009,
  "link.fragment": 0x000a,
  "consensus.message": 0x0101,
  "replication.log": 0x0102,
  "transaction.prepare": 0x0103,
  "transaction.commit": 0x0104,
  "transaction.abort": 0x0105,
  "spore.exchange": 0x0201,
  "metadata.sync": 0x0202,
  "service.call": 0x0301,
  "query": 0x0302,
  "query.result": 0x0303,
  "service.directory": 0x0304,
  "service.message": 0x0305,
  "custom": 0x03ff,
  "resource.allocation": 0x0401,
  "health.report": 0x0501,
  "heartbeat": 0x0502,
  "bulk.data": 0x0601,
} as const;

/** The name of a registered type. */
export type MessageTypeName = keyof typeof messageTypes;

/** Second spellings of registered names, as the design documents have them. */
export const messageAliases: Readonly<Record<string, MessageTypeName>> = {
  Consensus: "consensus.message",
  Spore: "spore.exchange",
  Service: "service.message",
  Resource: "resource.allocation",
  Health: "health.report",
  Query: "query",
  QueryResult: "query.result",
  ReplicationLog: "replication.log",
  HeartBeat: "heartbeat",
  MetadataSync: "metadata.sync",
  TransactionPrepare: "transaction.prepare",
  TransactionCommit: "transaction.commit",
  TransactionAbort: "transaction.abort",
  Custom: "custom",
  Heartbeat: "heartbeat",
  QueryRequest: "query",
  QueryResponse: "query.result",
  PrepareTransaction: "transaction.prepare",
  CommitTransaction: "transaction.commit",
};

const customPrefix = "custom.";
const byName = new Map<string, number>([
  ...Object.entries(messageTypes),
  ...Object.entries(messageAliases).map(([alias, name]) => [alias, messageTypes[name]] as const),
]);
const byType = new Map<number, MessageTypeName>(
  Object.entries(messageTypes).map(([name, type]) => [type, name as MessageTypeName]),
);

/** What a name means on the wire. */
export interface ResolvedType {
  /** The number in the header. */
  readonly type: number;
  /** For `custom.<route>`. */
  readonly route?: string;
}

/** Looks a name up; undefined for one that is neither registered, nor an alias, nor `custom.<route>`. */
export function resolveMessageType(name: string): ResolvedType | undefined {
  const type = byName.get(name);
  if (type !== undefined) return { type };
  if (name.startsWith(customPrefix) && name.length > customPrefix.length) {
    return { type: messageTypes.custom, route: name.slice(customPrefix.length) };
  }
  return undefined;
}

/** The name of a type; `custom.<route>` for a custom one; `0x0a0b` for an unregistered one. */
export function messageTypeName(type: number, route?: string): string {
  if (type === messageTypes.custom && route !== undefined && route !== "") {
    return customPrefix + route;
  }
  return byType.get(type) ?? `0x${type.toString(16).padStart(4, "0")}`;
}

/** The class of a type, or undefined for one that this version does not know. */
export function messageClassOf(type: number): MessageClass | undefined {
  return classNames[type >> 8];
}

const classNames = Object.keys(messageClasses) as MessageClass[];
