/**
 * The registry of typed messages: what each message of the design documents says.
 *
 * Numbers and names are protocols/frame's; here stand the payloads, in
 * MessagePack, each field checked and bounded on both sides. What applications
 * put inside (a result, a log entry) stays opaque bytes. Fields that a schema
 * does not name are dropped where a message arrives, so that a later version
 * may add some.
 *
 * A position in a log is a u64: one may write it as a bigint or a safe integer,
 * and reads a bigint. Times are wall-clock milliseconds since the Unix epoch.
 */
import { z } from "zod";
import type { Priority } from "@mycnet/protocols/frame";
import { messageAliases } from "@mycnet/protocols/frame";
import type { ReliabilityLevel } from "@mycnet/protocols/negotiation";
import type { Schema } from "../../kernel/schema.ts";
import type { MessageDefinition } from "./define.ts";

/** The largest field of bytes, so that a message fits a frame of the default size. */
export const maxFieldBytes: number = 15 * 1024 * 1024;
const maxU64 = 2n ** 64n - 1n;

/** One of the consensus messages of a coordination protocol. */
export interface ConsensusMessage {
  /** Which protocol and step, e.g. `"raft.append"`; 1 to 128 characters, as all such names here. */
  readonly consensusType: string;
  /** How urgent its sender holds it. Default `"normal"`. */
  readonly priority?: Priority;
  /** What it wants to be promised. Default `"high"`. */
  readonly deliveryGuarantee?: ReliabilityLevel;
}

/** What a node says of its spores, or wants to hear. */
export interface SporeMessage {
  /** What kind of spore. */
  readonly sporeType: string;
  /** What about it: e.g. `"full"`, `"delta"`. */
  readonly updateType: string;
  /** How it is to spread. */
  readonly propagationStrategy: string;
}

/** An operation on a service as a whole. */
export interface ServiceMessage {
  /** The service that is meant. */
  readonly serviceId: string;
  /** What is to be done with it. */
  readonly operationType: string;
  /** Where it had best go. */
  readonly routingHint?: string;
}

/** A wish for resources. */
export interface ResourceMessage {
  /** What kind of resource. */
  readonly resourceType: string;
  /** How much of what, e.g. `{ cpu: 2, memoryBytes: 1e9 }`; at most 64 entries, none below 0. */
  readonly allocationRequest: Readonly<Record<string, number>>;
  /** Default `"normal"`. */
  readonly priority?: Priority;
}

/** How health is to be watched and summed up. */
export interface HealthMessage {
  /** Whose health: e.g. `"node"`, `"service"`. */
  readonly healthType: string;
  /** How closely. */
  readonly monitoringLevel: string;
  /** How several become one. */
  readonly aggregationPolicy: string;
}

/** A query to be run where it arrives. */
export interface QueryMessage {
  /** A UUID. */
  readonly id: string;
  /** At most 1 MiB of characters. */
  readonly sql: string;
  /** Default `"normal"`. */
  readonly priority?: Priority;
}

/** What a query gave. */
export interface QueryResultMessage {
  /** The query's. */
  readonly id: string;
  /** Opaque; at most 15 MiB. */
  readonly result: Uint8Array;
}

/** An entry of a replicated log. */
export interface ReplicationLogMessage<Lsn = bigint | number> {
  /** Its position, 0 to 2^64-1. */
  readonly lsn: Lsn;
  /** Opaque; at most 15 MiB. */
  readonly data: Uint8Array;
}

/** A sign of life. */
export interface HeartbeatMessage {
  /** The node id. */
  readonly node: string;
  /** When it was sent, wall-clock ms. */
  readonly timestamp: number;
}

/** Metadata to be taken over. */
export interface MetadataSyncMessage {
  /** At most 10,000 keys of 1 to 255 characters; 15 MiB in all. */
  readonly data: Readonly<Record<string, Uint8Array>>;
}

/** The first phase of a commit. */
export interface TransactionPrepareMessage {
  /** The transaction, 1 to 128 characters. */
  readonly txnId: string;
  /** Opaque; at most 15 MiB. */
  readonly data: Uint8Array;
}

/** The second phase: done, or not done. */
export interface TransactionMessage {
  /** The transaction, 1 to 128 characters. */
  readonly txnId: string;
}

/** Anything else, told apart by `msgType`; {@linkcode defineMessage} is the way to messages with a schema. */
export interface CustomMessage {
  /** What kind of message, 1 to 128 characters. */
  readonly msgType: string;
  /** Opaque; at most 15 MiB. */
  readonly payload: Uint8Array;
}

const name = z.string().min(1).max(128);
const priority = z.enum(["critical", "high", "normal", "low"]).default("normal");
const bytes = z.custom<Uint8Array>(
  (it) => it instanceof Uint8Array && it.length <= maxFieldBytes,
  `expected a Uint8Array of at most ${maxFieldBytes} bytes`,
);
const lsn = z.custom<bigint | number>(
  (it) =>
    typeof it === "bigint"
      ? it >= 0n && it <= maxU64
      : Number.isSafeInteger(it) && it as number >= 0,
  "expected a whole number from 0 to 2^64-1, beyond 2^53-1 as a bigint",
).transform(BigInt);
const dataBytes = (data: Readonly<Record<string, Uint8Array>>) =>
  Object.entries(data).reduce((sum, [key, { length }]) => sum + key.length + length, 0);
const keysUpTo = (most: number) => (it: object) => Object.keys(it).length <= most;

const query = z.object({ id: z.uuid(), sql: z.string().max(1024 * 1024), priority });
const queryResult = z.object({ id: z.uuid(), result: bytes });
const transaction = z.object({ txnId: name });

function define<In, Out>(name: string, schema: Schema<In, Out>) {
  return Object.freeze({ name, schema, reply: undefined });
}

/** A registered message: what one writes, and what one reads. */
export type Registered<In, Out = In> = MessageDefinition<Schema<In, Out>, undefined>;

/** The messages of the registry. */
export interface RegisteredMessages {
  /** `consensus.message` */
  readonly consensus: Registered<ConsensusMessage, Required<ConsensusMessage>>;
  /** `spore.exchange` */
  readonly spore: Registered<SporeMessage>;
  /** `service.message` */
  readonly service: Registered<ServiceMessage>;
  /** `resource.allocation` */
  readonly resource: Registered<ResourceMessage, Required<ResourceMessage>>;
  /** `health.report` */
  readonly health: Registered<HealthMessage>;
  /** `query`. A request of it is answered by a {@linkcode QueryResultMessage}. */
  readonly query: MessageDefinition<
    Schema<QueryMessage, Required<QueryMessage>>,
    Schema<QueryResultMessage>
  >;
  /** `query.result` */
  readonly queryResult: Registered<QueryResultMessage>;
  /** `replication.log` */
  readonly replicationLog: Registered<ReplicationLogMessage, ReplicationLogMessage<bigint>>;
  /** `heartbeat` */
  readonly heartbeat: Registered<HeartbeatMessage>;
  /** `metadata.sync` */
  readonly metadataSync: Registered<MetadataSyncMessage>;
  /** `transaction.prepare` */
  readonly transactionPrepare: Registered<TransactionPrepareMessage>;
  /** `transaction.commit` */
  readonly transactionCommit: Registered<TransactionMessage>;
  /** `transaction.abort` */
  readonly transactionAbort: Registered<TransactionMessage>;
  /** `custom` */
  readonly custom: Registered<CustomMessage>;
}

/** The messages of the registry, each with its schema. */
export const messages: RegisteredMessages = Object.freeze({
  consensus: define(
    "consensus.message",
    z.object({
      consensusType: name,
      priority,
      deliveryGuarantee: z.enum(["best-effort", "high", "guaranteed"]).default("high"),
    }),
  ),
  spore: define(
    "spore.exchange",
    z.object({ sporeType: name, updateType: name, propagationStrategy: name }),
  ),
  service: define(
    "service.message",
    z.object({ serviceId: name, operationType: name, routingHint: name.optional() }),
  ),
  resource: define(
    "resource.allocation",
    z.object({
      resourceType: name,
      allocationRequest: z.record(name, z.number().min(0)).refine(
        keysUpTo(64),
        "expected at most 64 entries",
      ),
      priority,
    }),
  ),
  health: define(
    "health.report",
    z.object({ healthType: name, monitoringLevel: name, aggregationPolicy: name }),
  ),
  query: Object.freeze({ name: "query", schema: query, reply: queryResult }),
  queryResult: define("query.result", queryResult),
  replicationLog: define("replication.log", z.object({ lsn, data: bytes })),
  heartbeat: define(
    "heartbeat",
    z.object({ node: name, timestamp: z.number().min(0) }),
  ),
  metadataSync: define(
    "metadata.sync",
    z.object({
      data: z.record(z.string().min(1).max(255), bytes)
        .refine(keysUpTo(10_000), "expected at most 10000 keys")
        .refine((it) => dataBytes(it) <= maxFieldBytes, `expected at most ${maxFieldBytes} bytes`),
    }),
  ),
  transactionPrepare: define("transaction.prepare", z.object({ txnId: name, data: bytes })),
  transactionCommit: define("transaction.commit", transaction),
  transactionAbort: define("transaction.abort", transaction),
  custom: define("custom", z.object({ msgType: name, payload: bytes })),
});

const byName: ReadonlyMap<string, MessageDefinition> = new Map(
  Object.values(messages).map((it) => [it.name, it]),
);

/**
 * The registered message of a name, in any of its spellings: `"query"`, `"Query"`, `"QueryRequest"`.
 * Undefined for names that are not registered, or that the runtime keeps to itself.
 */
export function messageNamed(name: string): MessageDefinition | undefined {
  return byName.get(Object.hasOwn(messageAliases, name) ? messageAliases[name] : name);
}
