/**
 * What stands first in the payload of every message frame, big-endian:
 *
 *     flags 2 | headerSize 2 | kind 1 | priority 1 | stream 4 | optional fields | body
 *
 * `headerSize` counts from the flags to the body. Each flag announces one
 * optional field, and the fields stand in the order of their flags, so a reader
 * of an older minor version reads what it knows and skips the rest by
 * `headerSize`. Writing goes straight into the output, and only a large body
 * stays where it is until it leaves (large.ts); reading decodes the fixed part
 * always, the fields only when asked.
 */
import {
  type MessageFields,
  type MessageKind,
  type NodeRef,
  noFields,
  type Priority,
} from "./fields.ts";
import { flag, sequenceMark } from "./flags.ts";
import { FrameError, headerBytes, writeHeader, writeU16, writeU32 } from "./header.ts";
import type { OutputLane } from "./lane.ts";
import { compressedFieldBytes, LargeFrame } from "./large.ts";
import { writeUtf8 } from "../utf8.ts";

/** Kinds in the order of their numbers on the wire. */
export const messageKinds: readonly MessageKind[] = [
  "message",
  "request",
  "response",
  "failure",
  "item",
  "end",
];

/** The numbers of {@linkcode messageKinds}. */
export const kind = { message: 0, request: 1, response: 2, failure: 3, item: 4, end: 5 } as const;

/** Priorities in the order of their numbers on the wire, which are their lanes too. */
export const priorities: readonly Priority[] = ["critical", "high", "normal", "low"];

/** The lane of messages that do not say. */
export const normalLane = 2;

/** The length of the fixed part in bytes. */
export const prefixBytes = 10;

/** The bounds of variable fields, in bytes. */
export const fieldLimits = { route: 255, key: 64, nodeId: 63, metadata: 8 * 1024 } as const;

// Everything but metadata at its longest, with three bytes for each character while it is written.
const worstFieldBytes = 1 + 3 * fieldLimits.route + 4 + 1 + 8 + 2 * (1 + 3 * fieldLimits.key) +
  2 * (1 + 3 * fieldLimits.nodeId + 8) + 1 + 8 + 2 + 25 + 2 + compressedFieldBytes;

/** The lane of a priority; normal where there is none. */
export function laneOf(priority: Priority | undefined): number {
  if (priority === undefined || priority === "normal") return normalLane;
  const lane = priorities.indexOf(priority);
  if (lane < 0) throw new FrameError("us", `priority: one of ${priorities.join(", ")} expected`);
  return lane;
}

/**
 * Queues one message frame. A body of the lane's `referencedBytes` and more is not copied: it
 * must not change until it has left.
 * @param originalSize of a body that is compressed; 0 for one that is not.
 * @param algorithm the number of the algorithm that compressed it.
 * @throws {FrameError} with fault `us` if a field is out of its range or the frame
 * larger than `maxFrameBytes`; nothing is queued then.
 */
export function writeMessage(
  lane: OutputLane,
  version: number,
  type: number,
  kindNumber: number,
  priority: number,
  stream: number,
  upload: boolean,
  fields: MessageFields | undefined,
  body: Uint8Array,
  maxFrameBytes: number,
  originalSize = 0,
  algorithm = 0,
): void {
  if (fields === noFields) fields = undefined;
  const { length } = body;
  const large = length >= lane.referencedBytes;
  lane.reserve(
    headerBytes + prefixBytes + (large ? 0 : length) +
      (fields === undefined ? 0 : worstFieldBytes + (fields.metadata?.length ?? 0)) +
      (originalSize === 0 ? 0 : compressedFieldBytes),
  );
  const target = lane.buffer;
  const frame = lane.length;
  const start = frame + headerBytes;
  const flags = (upload ? flag.upload : 0) | (originalSize === 0 ? 0 : flag.compressed);
  let at = start + prefixBytes;
  if (fields === undefined) writeU16(target, start, flags);
  else at = writeFields(target, start, flags, fields);
  if (originalSize !== 0) {
    target[at] = algorithm;
    writeU32(target, at + 1, originalSize);
    at += compressedFieldBytes;
  }
  writeU16(target, start + 2, at - start);
  target[start + 4] = kindNumber;
  target[start + 5] = priority;
  writeU32(target, start + 6, stream);
  const size = at - start + length;
  // What the receiver has to hold in the end, compressed or not.
  const held = originalSize > length ? size - length + originalSize : size;
  if (held > maxFrameBytes) {
    throw new FrameError(
      "us",
      `a message of ${held} bytes is larger than the ${maxFrameBytes} that the peer takes`,
      true,
    );
  }
  if (large) {
    lane.refer(new LargeFrame(priority, version, type, target.slice(start, at), body));
    return;
  }
  writeHeader(target, frame, version, type, size);
  // A call of set costs more than copying very few bytes by hand.
  if (length <= 8) {
    for (let i = 0; i < length; i++) target[at + i] = body[i]!;
  } else target.set(body, at);
  lane.length = at + length;
}

/** Writes the flags at `start` and the fields behind the fixed part; returns where the body begins. */
function writeFields(
  target: Uint8Array,
  start: number,
  flags: number,
  fields: MessageFields,
): number {
  let at = start + prefixBytes;
  if (fields.route !== undefined) {
    flags |= flag.route;
    at = writeText(target, at, fields.route, fieldLimits.route, "route");
  }
  if (fields.deadlineMs !== undefined) {
    flags |= flag.deadline;
    // Rounded up, so that a little time left is not no time left.
    const left = Math.ceil(fields.deadlineMs);
    if (!(left >= 1)) throw outOfRange("deadlineMs", "above 0");
    writeU32(target, at, Math.min(left, 0xffffffff));
    at += 4;
  }
  if (fields.retryBudget !== undefined) {
    flags |= flag.retryBudget;
    target[at++] = byte(fields.retryBudget, "retryBudget");
  }
  if (fields.sequence !== undefined) {
    flags |= flag.sequence;
    at = writeU53(target, at, fields.sequence, "sequence");
    // The number leaves the top byte free.
    target[at - 8] = (fields.durable ? sequenceMark.durable : 0) |
      (fields.redelivered ? sequenceMark.redelivered : 0);
  } else if (fields.durable || fields.redelivered) {
    throw outOfRange("sequence", "a number beside durable or redelivered");
  }
  if (fields.idempotencyKey !== undefined) {
    flags |= flag.idempotencyKey;
    at = writeText(target, at, fields.idempotencyKey, fieldLimits.key, "idempotencyKey");
  }
  if (fields.affinityKey !== undefined) {
    flags |= flag.affinityKey;
    at = writeText(target, at, fields.affinityKey, fieldLimits.key, "affinityKey");
  }
  if (fields.source !== undefined) {
    flags |= flag.source;
    at = writeNode(target, at, fields.source, "source");
  }
  if (fields.target !== undefined) {
    flags |= flag.target;
    at = writeNode(target, at, fields.target, "target");
  }
  if (fields.hopLimit !== undefined) {
    flags |= flag.hopLimit;
    target[at++] = byte(fields.hopLimit, "hopLimit");
  }
  if (fields.fencingEpoch !== undefined) {
    flags |= flag.fencingEpoch;
    at = writeU53(target, at, fields.fencingEpoch, "fencingEpoch");
  }
  if (fields.loadHint !== undefined) {
    flags |= flag.loadHint;
    if (!(Number.isInteger(fields.loadHint) && fields.loadHint >= 0 && fields.loadHint <= 0xffff)) {
      throw outOfRange("loadHint", "an integer from 0 to 65535");
    }
    writeU16(target, at, fields.loadHint);
    at += 2;
  }
  if (fields.trace !== undefined) {
    flags |= flag.trace;
    const { traceId, spanId, flags: traceFlags } = fields.trace;
    if (traceId.length !== 16) throw outOfRange("trace.traceId", "16 bytes");
    if (spanId.length !== 8) throw outOfRange("trace.spanId", "8 bytes");
    target.set(traceId, at);
    target.set(spanId, at + 16);
    target[at + 24] = byte(traceFlags, "trace.flags");
    at += 25;
  }
  if (fields.metadata !== undefined) {
    flags |= flag.metadata;
    const { metadata } = fields;
    if (metadata.length > fieldLimits.metadata) {
      throw outOfRange("metadata", `at most ${fieldLimits.metadata} bytes`);
    }
    writeU16(target, at, metadata.length);
    target.set(metadata, at + 2);
    at += 2 + metadata.length;
  }
  writeU16(target, start, flags);
  return at;
}

function writeText(
  target: Uint8Array,
  at: number,
  text: string,
  limit: number,
  field: string,
): number {
  // Checked before writing: room was reserved for `limit` characters only.
  if (text.length > limit) throw outOfRange(field, `at most ${limit} bytes of UTF-8`);
  const end = writeUtf8(target, at + 1, text);
  const length = end - at - 1;
  if (length > limit) throw outOfRange(field, `at most ${limit} bytes of UTF-8`);
  target[at] = length;
  return end;
}

function writeNode(target: Uint8Array, at: number, node: NodeRef, field: string): number {
  if (node.id === "") throw outOfRange(`${field}.id`, "a node id");
  const end = writeText(target, at, node.id, fieldLimits.nodeId, `${field}.id`);
  return writeU53(target, end, node.generation, `${field}.generation`);
}

function writeU53(target: Uint8Array, at: number, value: number, field: string): number {
  if (!(Number.isSafeInteger(value) && value >= 0)) {
    throw outOfRange(field, "an integer from 0 to 2^53-1");
  }
  writeU32(target, at, Math.floor(value / 0x1_0000_0000));
  writeU32(target, at + 4, value >>> 0);
  return at + 8;
}

function byte(value: number, field: string): number {
  if (!(Number.isInteger(value) && value >= 0 && value <= 0xff)) {
    throw outOfRange(field, "an integer from 0 to 255");
  }
  return value;
}

function outOfRange(field: string, expected: string): FrameError {
  return new FrameError("us", `${field}: ${expected} expected`);
}
