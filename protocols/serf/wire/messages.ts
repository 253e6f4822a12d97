/**
 * Serf's messages, delegate versions 2 to 5: one byte that says which, then a map
 * with the names of Go's fields as keys.
 *
 * They travel as user messages of memberlist. Keys are written in the order in
 * which Go's codec writes them (alphabetical) and empty lists and bytes as nil, so
 * that our bytes equal an agent's; decode.ts reads them in any order. Times are
 * Lamport times, which Serf counts in 64 bits and we in the 53 that a number holds.
 */
import type { SerfWriter } from "./pack.ts";

/** The first byte of a message. */
export const serfMessage = Object.freeze(
  {
    leave: 0,
    join: 1,
    pushPull: 2,
    userEvent: 3,
    query: 4,
    queryResponse: 5,
    conflictResponse: 6,
    keyRequest: 7,
    keyResponse: 8,
    relay: 9,
  } as const,
);

/** The longest name of a member, in bytes. */
export const maxNodeNameBytes = 255;
/** The most that an event's or query's name, or its payload, may have on arrival, in bytes: Serf's own ceiling. */
export const maxPayloadBytes = 9 * 1024;
/** The longest message that is not a push/pull, in bytes: no packet is longer. */
export const maxMessageBytes = 65_535;

/** Flags of queries and their responses. */
export const queryFlag = Object.freeze(
  {
    /** Asks for an acknowledgement; in a response: this is one. */
    ack: 1,
    /** Not to be passed on. */
    noBroadcast: 2,
  } as const,
);

/** A member says that it joined (to put its earlier leaves into the past), or anybody that it leaves. */
export interface IntentMessage {
  readonly kind: "join" | "leave";
  readonly time: number;
  readonly node: string;
  /** Leave only: forget the member at once. */
  readonly prune: boolean;
}

/** An event that a user sent. */
export interface UserEventMessage {
  readonly time: number;
  readonly name: string;
  readonly payload: Uint8Array;
  /** May be merged with others of its name. */
  readonly coalesce: boolean;
}

/** A question to all or some members. */
export interface QueryMessage {
  readonly time: number;
  readonly id: number;
  /** 4 or 16 bytes: where answers go. */
  readonly ip: Uint8Array;
  readonly port: number;
  /** Who asks. */
  readonly source: string;
  /** Each as `encodeNodeFilter` or `encodeTagFilter` makes it; all must match. */
  readonly filters: readonly Uint8Array[];
  readonly flags: number;
  /** Through how many others an answer is sent once more. */
  readonly relayFactor: number;
  readonly timeoutMs: number;
  readonly name: string;
  readonly payload: Uint8Array;
}

/** An acknowledgement of a query or an answer to it. */
export interface QueryResponseMessage {
  readonly time: number;
  readonly id: number;
  readonly from: string;
  readonly flags: number;
  readonly payload: Uint8Array;
}

/** Events of one Lamport time. */
export interface EventsAtTime {
  readonly time: number;
  readonly events: readonly { readonly name: string; readonly payload: Uint8Array }[];
}

/** What a push/pull carries for Serf. */
export interface PushPullMessage {
  readonly time: number;
  /** The time of the newest intent about each member. */
  readonly statusTimes: ReadonlyMap<string, number>;
  /** Members that left. */
  readonly left: readonly string[];
  readonly eventTime: number;
  readonly events: readonly EventsAtTime[];
  readonly queryTime: number;
}

/** Who somebody believes has a name: answers a query about a conflict. */
export interface ConflictVote {
  readonly name: string;
  /** 4 or 16 bytes. */
  readonly ip: Uint8Array;
  readonly port: number;
}

/** What changing or listing keys gave at one member. */
export interface KeyResponseMessage {
  readonly result: boolean;
  readonly message: string;
  /** Base64. */
  readonly keys: readonly string[];
  /** Base64; empty if there is none. */
  readonly primaryKey: string;
}

/** A message to be handed on. */
export interface RelayMessage {
  readonly ip: Uint8Array;
  readonly port: number;
  readonly name: string;
  /** The message with its type byte. */
  readonly message: Uint8Array;
}

/** Writes a join or leave intent. */
export function encodeIntent(writer: SerfWriter, intent: IntentMessage): Uint8Array<ArrayBuffer> {
  writer.reset();
  if (intent.kind === "join") writer.byte(serfMessage.join).map(2);
  else writer.byte(serfMessage.leave).map(3);
  writer.key("LTime").uint64(intent.time).key("Node").text(intent.node);
  if (intent.kind === "leave") writer.key("Prune").bool(intent.prune);
  return writer.copy();
}

/** Writes a user event. */
export function encodeUserEvent(
  writer: SerfWriter,
  event: UserEventMessage,
): Uint8Array<ArrayBuffer> {
  writer.reset().byte(serfMessage.userEvent).map(4);
  writer.key("CC").bool(event.coalesce).key("LTime").uint64(event.time);
  writer.key("Name").text(event.name).key("Payload").rawOrNil(event.payload);
  return writer.copy();
}

/** Writes a query. */
export function encodeQuery(writer: SerfWriter, query: QueryMessage): Uint8Array<ArrayBuffer> {
  writer.reset().byte(serfMessage.query).map(11).key("Addr").raw(query.ip).key("Filters");
  if (query.filters.length === 0) writer.nil();
  else {
    writer.items(query.filters.length);
    for (const filter of query.filters) writer.raw(filter);
  }
  writer.key("Flags").uint(query.flags).key("ID").uint(query.id).key("LTime").uint64(query.time);
  writer.key("Name").text(query.name).key("Payload").rawOrNil(query.payload);
  writer.key("Port").uint(query.port).key("RelayFactor").uint(query.relayFactor);
  writer.key("SourceNode").text(query.source);
  writer.key("Timeout").uint64(Math.round(query.timeoutMs * 1e6)); // Go counts durations in ns.
  return writer.copy();
}

/** A filter that only these members match. */
export function encodeNodeFilter(
  writer: SerfWriter,
  nodes: readonly string[],
): Uint8Array<ArrayBuffer> {
  writer.reset().byte(0).items(nodes.length);
  for (const node of nodes) writer.text(node);
  return writer.copy();
}

/** A filter that members match one of whose tags matches a regular expression. */
export function encodeTagFilter(
  writer: SerfWriter,
  tag: string,
  expression: string,
): Uint8Array<ArrayBuffer> {
  writer.reset().byte(1).map(2).key("Expr").text(expression).key("Tag").text(tag);
  return writer.copy();
}

/** Writes an acknowledgement or answer. */
export function encodeQueryResponse(
  writer: SerfWriter,
  response: QueryResponseMessage,
): Uint8Array<ArrayBuffer> {
  writer.reset().byte(serfMessage.queryResponse).map(5);
  writer.key("Flags").uint(response.flags).key("From").text(response.from);
  writer.key("ID").uint(response.id).key("LTime").uint64(response.time);
  writer.key("Payload").rawOrNil(response.payload);
  return writer.copy();
}

/** Writes a push/pull. */
export function encodePushPull(
  writer: SerfWriter,
  state: PushPullMessage,
): Uint8Array<ArrayBuffer> {
  writer.reset().byte(serfMessage.pushPull).map(6);
  writer.key("EventLTime").uint64(state.eventTime).key("Events").items(state.events.length);
  for (const { time, events } of state.events) {
    writer.map(2).key("Events").items(events.length);
    for (const { name, payload } of events) {
      writer.map(2).key("Name").text(name).key("Payload").rawOrNil(payload);
    }
    writer.key("LTime").uint64(time);
  }
  writer.key("LTime").uint64(state.time).key("LeftMembers").items(state.left.length);
  for (const name of state.left) writer.text(name);
  writer.key("QueryLTime").uint64(state.queryTime);
  writer.key("StatusLTimes").entries(state.statusTimes.size);
  for (const [name, time] of state.statusTimes) writer.text(name).uint64(time);
  return writer.copy();
}

/** Writes an answer to a query about a conflict; undefined: never heard of it. */
export function encodeConflictVote(
  writer: SerfWriter,
  vote: ConflictVote | undefined,
): Uint8Array<ArrayBuffer> {
  writer.reset().byte(serfMessage.conflictResponse);
  if (vote === undefined) return writer.nil().copy();
  writer.map(3).key("Addr").raw(vote.ip).key("Name").text(vote.name);
  return writer.key("Port").uint(vote.port).copy();
}

/** Writes what a query that changes keys carries; empty to list them. */
export function encodeKeyRequest(writer: SerfWriter, key: Uint8Array): Uint8Array<ArrayBuffer> {
  return writer.reset().byte(serfMessage.keyRequest).map(1).key("Key").raw(key).copy();
}

/** Writes the answer to a query about keys. */
export function encodeKeyResponse(
  writer: SerfWriter,
  response: KeyResponseMessage,
): Uint8Array<ArrayBuffer> {
  writer.reset().byte(serfMessage.keyResponse).map(4).key("Keys");
  if (response.keys.length === 0) writer.nil();
  else {
    writer.items(response.keys.length);
    for (const key of response.keys) writer.text(key);
  }
  writer.key("Message").text(response.message).key("PrimaryKey").text(response.primaryKey);
  return writer.key("Result").bool(response.result).copy();
}

/** Writes a message to be handed on. */
export function encodeRelay(writer: SerfWriter, relay: RelayMessage): Uint8Array<ArrayBuffer> {
  writer.reset().byte(serfMessage.relay).map(2).key("DestAddr").map(3);
  writer.key("IP").raw(relay.ip).key("Port").uint(relay.port).key("Zone").text("");
  return writer.key("DestName").text(relay.name).put(relay.message).copy();
}
