/**
 * Reads what prefix.ts writes.
 *
 * `read` takes the fixed part of a message; `fields` decodes the optional ones,
 * for whoever needs them. Nothing a peer sends gets past the bounds: each field
 * must end within `headerSize`, and texts must be UTF-8. Routes repeat, so a
 * small cache compares bytes and hands out the string of the last time, and for
 * messages with nothing but a route the whole (frozen) object.
 */
import {
  type MessageFields,
  type NodeRef,
  noFields,
  type Priority,
  type TraceContext,
} from "./fields.ts";
import { flag, sequenceMark } from "./flags.ts";
import { FrameError, readU16, readU32 } from "./header.ts";
import { compressedFieldBytes } from "./large.ts";
import { fieldLimits, messageKinds, normalLane, prefixBytes, priorities } from "./prefix.ts";
import { decodeUtf8 } from "../utf8.ts";

/**
 * Fields as received. What nearly every message has is always there, so that most objects have
 * one shape; the rest is added, in one order, to the messages that have it.
 */
class ReceivedFields implements MessageFields {
  priority: Priority;
  route: string | undefined = undefined;
  deadlineMs: number | undefined = undefined;
  declare retryBudget?: number;
  declare sequence?: number;
  declare durable?: boolean;
  declare redelivered?: boolean;
  declare idempotencyKey?: string;
  declare affinityKey?: string;
  declare source?: NodeRef;
  declare target?: NodeRef;
  declare hopLimit?: number;
  declare fencingEpoch?: number;
  declare loadHint?: number;
  declare trace?: TraceContext;
  declare metadata?: Uint8Array;

  constructor(priority: Priority) {
    this.priority = priority;
  }
}

interface CachedRoute {
  readonly bytes: Uint8Array;
  readonly text: string;
  /** The fields of a message that has this route and nothing else, by priority, once there was one. */
  readonly alone: (MessageFields | undefined)[];
}

const cacheSlots = 32;
const knownKinds = messageKinds.length;
const bare: readonly MessageFields[] = priorities.map((priority) =>
  priority === "normal" ? noFields : Object.freeze(new ReceivedFields(priority))
);

/** Reads the prefixes of one link's messages, one after another. */
export class PrefixReader {
  /** A number of {@linkcode messageKinds}; larger if a newer peer sent one we do not know. */
  kind = 0;
  /** 0 critical to 3 low. */
  priority: number = normalLane;
  /** 0 for a message without an exchange. */
  stream = 0;
  /** True if items follow the request. */
  upload = false;
  /** Where the body begins. */
  bodyStart = 0;
  /** How the body is compressed; known once a compressed message's `fields` were read. */
  algorithm = 0;
  /** What the body was before compression, in bytes; known like `algorithm`. */
  originalSize = 0;
  #flags = 0;
  #fieldsStart = 0;
  readonly #routes: (CachedRoute | undefined)[] = new Array(cacheSlots).fill(undefined);

  /**
   * Reads the fixed part of the payload that stands between `start` and `end`.
   * @throws {FrameError} if it is malformed.
   */
  read(bytes: Uint8Array, start: number, end: number): void {
    if (end - start < prefixBytes) {
      throw malformed(`a message of ${end - start} bytes, shorter than its fixed part`);
    }
    const size = readU16(bytes, start + 2);
    if (size < prefixBytes || size > end - start) {
      throw malformed(`headerSize ${size} in a message of ${end - start} bytes`);
    }
    this.#flags = readU16(bytes, start);
    this.#fieldsStart = start + prefixBytes;
    this.upload = (this.#flags & flag.upload) !== 0;
    this.kind = bytes[start + 4]!;
    this.priority = bytes[start + 5]!;
    if (this.priority >= priorities.length) throw malformed(`priority ${this.priority}`);
    this.stream = readU32(bytes, start + 6);
    this.bodyStart = start + size;
  }

  /** True if this version knows the kind of the message. */
  get knownKind(): boolean {
    return this.kind < knownKinds;
  }

  /** True if the body is compressed. */
  get compressed(): boolean {
    return (this.#flags & flag.compressed) !== 0;
  }

  /** True if there are flags that no message of this version has. */
  get unknownFlags(): boolean {
    return (this.#flags & flag.more) !== 0;
  }

  /**
   * The fields of the message read last, out of the same bytes. Byte fields are
   * copies; the object may be kept.
   * @throws {FrameError} if a field is malformed.
   */
  fields(bytes: Uint8Array): MessageFields {
    const flags = this.#flags & ~flag.upload;
    if (flags === 0) return bare[this.priority]!;
    const end = this.bodyStart;
    let at = this.#fieldsStart;
    if (flags === flag.route) {
      const length = this.#textLength(bytes, at, end, fieldLimits.route, "route");
      const { alone, text } = this.#route(bytes, at + 1, length);
      return alone[this.priority] ??= routeAlone(text, this.priority);
    }
    const fields = new ReceivedFields(priorities[this.priority]!);
    if (flags & flag.route) {
      const length = this.#textLength(bytes, at, end, fieldLimits.route, "route");
      fields.route = this.#route(bytes, at + 1, length).text;
      at += 1 + length;
    }
    if (flags & flag.deadline) {
      need(at + 4, end, "deadline");
      fields.deadlineMs = readU32(bytes, at);
      if (fields.deadlineMs === 0) throw malformed("a deadline of 0 ms");
      at += 4;
    }
    if (flags & flag.retryBudget) {
      need(at + 1, end, "retryBudget");
      fields.retryBudget = bytes[at++]!;
    }
    if (flags & flag.sequence) {
      need(at + 8, end, "sequence");
      const marks = bytes[at]!;
      fields.sequence = number53(
        readU32(bytes, at) & 0xff_ffff,
        readU32(bytes, at + 4),
        "sequence",
      );
      if (marks & sequenceMark.durable) fields.durable = true;
      if (marks & sequenceMark.redelivered) fields.redelivered = true;
      at += 8;
    }
    if (flags & flag.idempotencyKey) {
      const length = this.#textLength(bytes, at, end, fieldLimits.key, "idempotencyKey");
      fields.idempotencyKey = text(bytes, at + 1, length, "idempotencyKey");
      at += 1 + length;
    }
    if (flags & flag.affinityKey) {
      const length = this.#textLength(bytes, at, end, fieldLimits.key, "affinityKey");
      fields.affinityKey = text(bytes, at + 1, length, "affinityKey");
      at += 1 + length;
    }
    if (flags & flag.source) {
      const length = this.#textLength(bytes, at, end, fieldLimits.nodeId, "source");
      fields.source = node(bytes, at + 1, length, end, "source");
      at += 9 + length;
    }
    if (flags & flag.target) {
      const length = this.#textLength(bytes, at, end, fieldLimits.nodeId, "target");
      fields.target = node(bytes, at + 1, length, end, "target");
      at += 9 + length;
    }
    if (flags & flag.hopLimit) {
      need(at + 1, end, "hopLimit");
      fields.hopLimit = bytes[at++]!;
    }
    if (flags & flag.fencingEpoch) {
      fields.fencingEpoch = readU53(bytes, at, end, "fencingEpoch");
      at += 8;
    }
    if (flags & flag.loadHint) {
      need(at + 2, end, "loadHint");
      fields.loadHint = readU16(bytes, at);
      at += 2;
    }
    if (flags & flag.trace) {
      need(at + 25, end, "trace");
      fields.trace = {
        traceId: bytes.slice(at, at + 16),
        spanId: bytes.slice(at + 16, at + 24),
        flags: bytes[at + 24]!,
      };
      at += 25;
    }
    if (flags & flag.metadata) {
      need(at + 2, end, "metadata");
      const length = readU16(bytes, at);
      if (length > fieldLimits.metadata) throw malformed(`metadata of ${length} bytes`);
      need(at + 2 + length, end, "metadata");
      fields.metadata = bytes.slice(at + 2, at + 2 + length);
      at += 2 + length;
    }
    if (flags & flag.compressed) {
      need(at + compressedFieldBytes, end, "compressed");
      this.algorithm = bytes[at]!;
      this.originalSize = readU32(bytes, at + 1);
    }
    // What is left belongs to flags of a newer minor version.
    return fields;
  }

  #textLength(bytes: Uint8Array, at: number, end: number, limit: number, field: string): number {
    need(at + 1, end, field);
    const length = bytes[at]!;
    if (length > limit) throw malformed(`${field} of ${length} bytes`);
    need(at + 1 + length, end, field);
    return length;
  }

  #route(bytes: Uint8Array, at: number, length: number): CachedRoute {
    const slot = length === 0
      ? 0
      : length * 7 + bytes[at]! + bytes[at + length - 1]! * 3 + bytes[at + (length >> 1)]! * 5 &
        cacheSlots - 1;
    const cached = this.#routes[slot];
    if (cached !== undefined && cached.bytes.length === length) {
      const known = cached.bytes;
      let i = 0;
      while (i < length && known[i] === bytes[at + i]) i++;
      if (i === length) return cached;
    }
    const route = text(bytes, at, length, "route");
    const entry: CachedRoute = {
      bytes: bytes.slice(at, at + length),
      text: route,
      alone: [undefined, undefined, undefined, undefined],
    };
    this.#routes[slot] = entry;
    return entry;
  }
}

function routeAlone(route: string, priority: number): MessageFields {
  const fields = new ReceivedFields(priorities[priority]!);
  fields.route = route;
  return Object.freeze(fields);
}

function need(at: number, end: number, field: string): void {
  if (at > end) throw malformed(`${field} runs beyond the message's header`);
}

function text(bytes: Uint8Array, at: number, length: number, field: string): string {
  try {
    return decodeUtf8(bytes, at, at + length);
  } catch {
    throw malformed(`${field} is not UTF-8`);
  }
}

function node(bytes: Uint8Array, at: number, length: number, end: number, field: string): NodeRef {
  if (length === 0) throw malformed(`${field} without an id`);
  return {
    id: text(bytes, at, length, field),
    generation: readU53(bytes, at + length, end, field),
  };
}

function readU53(bytes: Uint8Array, at: number, end: number, field: string): number {
  need(at + 8, end, field);
  return number53(readU32(bytes, at), readU32(bytes, at + 4), field);
}

function number53(high: number, low: number, field: string): number {
  if (high > 0x1fffff) throw malformed(`${field} above 2^53-1`);
  return high * 0x1_0000_0000 + low;
}

function malformed(what: string): FrameError {
  return new FrameError("peer", `malformed message: ${what}`);
}
