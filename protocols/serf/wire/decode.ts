/**
 * Reads Serf's messages: fields in any order, unknown ones passed over, missing
 * ones zero.
 *
 * Everything here may have been written by an enemy who holds the gossip key, or
 * by nobody in particular where gossip is not encrypted. Every name, list and map
 * has a bound, nothing is believed about a length before the bytes for it are
 * seen, and what is read is copied, since the bytes belong to a packet that will
 * be used again. Each function throws WireError and nothing else.
 */
import { empty, WireError } from "../../swim/wire/msgpack.ts";
import {
  type ConflictVote,
  type EventsAtTime,
  type IntentMessage,
  type KeyResponseMessage,
  maxMessageBytes,
  maxNodeNameBytes,
  maxPayloadBytes,
  type PushPullMessage,
  type QueryMessage,
  type QueryResponseMessage,
  type RelayMessage,
  type UserEventMessage,
} from "./messages.ts";
import { SerfReader } from "./pack.ts";

/** Fields of a message that are looked at before it is refused. */
const maxFields = 64;
/** Filters of a query. */
const maxFilters = 64;
/** Nodes in one filter. */
const maxFilterNodes = 1024;
/** Keys in one response: more do not fit into the 1024 bytes of one. */
const maxListedKeys = 64;
/** Lamport times in a push/pull that events may have. */
const maxEventTimes = 4096;
/** Events of one Lamport time. */
const maxEventsAtTime = 4096;
/** The longest wait that a query can ask for, ms. */
const maxTimeoutMs = 3_600_000;

/** Reads a map with the names of fields as keys; `field` reads the value of those that it knows. */
function readFields(reader: SerfReader, field: () => boolean): void {
  for (let left = reader.entries(maxFields); left > 0; left--) {
    reader.raw();
    if (!field()) reader.skip();
  }
}

function open(bytes: Uint8Array): SerfReader {
  return new SerfReader().reset(bytes, 1) as SerfReader;
}

/** Reads a join or leave intent. */
export function decodeIntent(bytes: Uint8Array, kind: "join" | "leave"): IntentMessage {
  const reader = open(bytes);
  let time = 0, node = "", prune = false;
  readFields(reader, () => {
    if (reader.is("LTime")) time = reader.uint64();
    else if (reader.is("Node")) node = reader.text(maxNodeNameBytes);
    else if (reader.is("Prune")) prune = reader.bool();
    else return false;
    return true;
  });
  return { kind, time, node, prune };
}

/** Reads a user event. */
export function decodeUserEvent(bytes: Uint8Array): UserEventMessage {
  const reader = open(bytes);
  let time = 0, name = "", payload: Uint8Array = empty, coalesce = false;
  readFields(reader, () => {
    if (reader.is("LTime")) time = reader.uint64();
    else if (reader.is("Name")) name = reader.text(maxPayloadBytes);
    else if (reader.is("Payload")) payload = reader.copy(maxPayloadBytes);
    else if (reader.is("CC")) coalesce = reader.bool();
    else return false;
    return true;
  });
  return { time, name, payload, coalesce };
}

/** Reads a query. */
export function decodeQuery(bytes: Uint8Array): QueryMessage {
  const reader = open(bytes);
  const filters: Uint8Array[] = [];
  let time = 0, id = 0, ip: Uint8Array = empty, port = 0, source = "", flags = 0;
  let relayFactor = 0, timeoutMs = 0, name = "", payload: Uint8Array = empty;
  readFields(reader, () => {
    if (reader.is("LTime")) time = reader.uint64();
    else if (reader.is("ID")) id = reader.uint();
    else if (reader.is("Addr")) ip = reader.copy(16);
    else if (reader.is("Port")) port = reader.uint();
    else if (reader.is("SourceNode")) source = reader.text(maxNodeNameBytes);
    else if (reader.is("Filters")) {
      for (let left = reader.items(maxFilters); left > 0; left--) {
        filters.push(reader.copy(maxPayloadBytes));
      }
    } else if (reader.is("Flags")) flags = reader.uint();
    else if (reader.is("RelayFactor")) relayFactor = reader.uint();
    else if (reader.is("Timeout")) {
      timeoutMs = Math.min(Math.max(0, reader.int64() / 1e6), maxTimeoutMs);
    } else if (reader.is("Name")) name = reader.text(maxPayloadBytes);
    else if (reader.is("Payload")) payload = reader.copy(maxPayloadBytes);
    else return false;
    return true;
  });
  if (ip.length !== 4 && ip.length !== 16) throw new WireError("a query from no IP address");
  if (port > 65_535 || relayFactor > 255) throw new WireError("a query with impossible numbers");
  return { time, id, ip, port, source, filters, flags, relayFactor, timeoutMs, name, payload };
}

/** A filter of a query. */
export type QueryFilter =
  | { readonly kind: "nodes"; readonly nodes: readonly string[] }
  | { readonly kind: "tag"; readonly tag: string; readonly expression: string };

/** Reads a filter of a query. */
export function decodeFilter(bytes: Uint8Array): QueryFilter {
  const reader = open(bytes);
  if (bytes[0] === 0) {
    const nodes: string[] = [];
    for (let left = reader.items(maxFilterNodes); left > 0; left--) {
      nodes.push(reader.text(maxNodeNameBytes));
    }
    return { kind: "nodes", nodes };
  }
  if (bytes[0] !== 1) throw new WireError(`a filter of the unknown kind ${bytes[0]}`);
  let tag = "", expression = "";
  readFields(reader, () => {
    if (reader.is("Tag")) tag = reader.text(maxPayloadBytes);
    else if (reader.is("Expr")) expression = reader.text(maxPayloadBytes);
    else return false;
    return true;
  });
  return { kind: "tag", tag, expression };
}

/** Reads an acknowledgement or answer. */
export function decodeQueryResponse(bytes: Uint8Array): QueryResponseMessage {
  const reader = open(bytes);
  let time = 0, id = 0, from = "", flags = 0, payload: Uint8Array = empty;
  readFields(reader, () => {
    if (reader.is("LTime")) time = reader.uint64();
    else if (reader.is("ID")) id = reader.uint();
    else if (reader.is("From")) from = reader.text(maxNodeNameBytes);
    else if (reader.is("Flags")) flags = reader.uint();
    else if (reader.is("Payload")) payload = reader.copy(maxMessageBytes);
    else return false;
    return true;
  });
  return { time, id, from, flags, payload };
}

/** Reads a push/pull about at most `maxMembers` members. */
export function decodePushPull(bytes: Uint8Array, maxMembers: number): PushPullMessage {
  const reader = open(bytes);
  const statusTimes = new Map<string, number>();
  const left: string[] = [];
  const events: EventsAtTime[] = [];
  let time = 0, eventTime = 0, queryTime = 0;
  readFields(reader, () => {
    if (reader.is("LTime")) time = reader.uint64();
    else if (reader.is("EventLTime")) eventTime = reader.uint64();
    else if (reader.is("QueryLTime")) queryTime = reader.uint64();
    else if (reader.is("StatusLTimes")) {
      for (let more = reader.entries(maxMembers); more > 0; more--) {
        const name = reader.text(maxNodeNameBytes);
        statusTimes.set(name, reader.uint64());
      }
    } else if (reader.is("LeftMembers")) {
      for (let more = reader.items(maxMembers); more > 0; more--) {
        left.push(reader.text(maxNodeNameBytes));
      }
    } else if (reader.is("Events")) {
      for (let more = reader.items(maxEventTimes); more > 0; more--) {
        // Agents send their whole ring, most of it nil.
        if (!reader.nil()) events.push(decodeEventsAtTime(reader));
      }
    } else return false;
    return true;
  });
  return { time, statusTimes, left, eventTime, events, queryTime };
}

function decodeEventsAtTime(reader: SerfReader): EventsAtTime {
  const events: { name: string; payload: Uint8Array }[] = [];
  let time = 0;
  readFields(reader, () => {
    if (reader.is("LTime")) time = reader.uint64();
    else if (reader.is("Events")) {
      for (let more = reader.items(maxEventsAtTime); more > 0; more--) {
        let name = "", payload: Uint8Array = empty;
        readFields(reader, () => {
          if (reader.is("Name")) name = reader.text(maxPayloadBytes);
          else if (reader.is("Payload")) payload = reader.copy(maxPayloadBytes);
          else return false;
          return true;
        });
        events.push({ name, payload });
      }
    } else return false;
    return true;
  });
  return { time, events };
}

/** Reads an answer to a query about a conflict; undefined: it never heard of the name. */
export function decodeConflictVote(bytes: Uint8Array): ConflictVote | undefined {
  const reader = open(bytes);
  if (reader.nil()) return undefined;
  let name = "", ip: Uint8Array = empty, port = 0;
  readFields(reader, () => {
    if (reader.is("Name")) name = reader.text(maxNodeNameBytes);
    else if (reader.is("Addr")) ip = reader.copy(16);
    else if (reader.is("Port")) port = reader.uint();
    else return false;
    return true;
  });
  return { name, ip, port };
}

/** Reads the key of a query that changes keys. */
export function decodeKeyRequest(bytes: Uint8Array): Uint8Array {
  const reader = open(bytes);
  let key: Uint8Array = empty;
  readFields(reader, () => {
    if (!reader.is("Key")) return false;
    key = reader.copy(64);
    return true;
  });
  return key;
}

/** Reads an answer to a query about keys. */
export function decodeKeyResponse(bytes: Uint8Array): KeyResponseMessage {
  const reader = open(bytes);
  const keys: string[] = [];
  let result = false, message = "", primaryKey = "";
  readFields(reader, () => {
    if (reader.is("Result")) result = reader.bool();
    else if (reader.is("Message")) message = reader.looseText(maxMessageBytes);
    else if (reader.is("PrimaryKey")) primaryKey = reader.text(64);
    else if (reader.is("Keys")) {
      for (let more = reader.items(maxListedKeys); more > 0; more--) keys.push(reader.text(64));
    } else return false;
    return true;
  });
  return { result, message, keys, primaryKey };
}

/** Reads a message to be handed on. */
export function decodeRelay(bytes: Uint8Array): RelayMessage {
  const reader = open(bytes);
  let ip: Uint8Array = empty, port = 0, name = "";
  readFields(reader, () => {
    if (reader.is("DestName")) name = reader.text(maxNodeNameBytes);
    else if (reader.is("DestAddr")) {
      readFields(reader, () => {
        if (reader.is("IP")) ip = reader.copy(16);
        else if (reader.is("Port")) port = reader.uint();
        else return false;
        return true;
      });
    } else return false;
    return true;
  });
  if (ip.length !== 4 && ip.length !== 16) throw new WireError("a relay to no IP address");
  return { ip, port, name, message: bytes.slice(reader.at) };
}
