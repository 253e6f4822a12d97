/**
 * The payloads of link control frames.
 *
 * What is rare and may grow (accept, refuse, goodbye) is a MessagePack map;
 * what is frequent or must cost nothing (ping, pong, credit, reset) is binary:
 *
 *     ping, pong:  id 4
 *     credit:      stream 4 | bytes 4
 *     reset:       stream 4 | code 1 | message, UTF-8
 *
 * More bytes than these are ignored, so that a later minor version may append.
 */
import { decode, encode } from "../codec/mod.ts";
import { FrameError, headerBytes, readU32, writeHeader, writeU32 } from "../frame/header.ts";
import { messageTypes } from "../frame/types.ts";
import type { OutputLane } from "../frame/lane.ts";
import { isRecord } from "../identity/description.ts";
import type { ProfileInForce } from "../negotiation/profile.ts";
import { decodeUtf8, writeUtf8 } from "../utf8.ts";
import type { ResetCode } from "./types.ts";

/** Reset codes in the order of their numbers on the wire. */
const resetCodes: readonly ResetCode[] = [
  "internal",
  "cancelled",
  "deadline_exceeded",
  "overloaded",
  "unhandled",
  "too_large",
  "protocol",
  "shutting_down",
];

const maxMessageLength = 500;

/** One control frame by itself. */
export function controlFrame(
  version: number,
  type: number,
  payload: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(headerBytes + payload.length);
  writeHeader(frame, 0, version, type, payload.length);
  frame.set(payload, headerBytes);
  return frame;
}

/** Queues one control frame with a payload of its own. */
export function writeControl(
  lane: OutputLane,
  version: number,
  type: number,
  payload: Uint8Array,
): void {
  lane.reserve(headerBytes + payload.length);
  writeHeader(lane.buffer, lane.length, version, type, payload.length);
  lane.buffer.set(payload, lane.length + headerBytes);
  lane.length += headerBytes + payload.length;
}

/** Queues a ping or a pong. */
export function writePing(lane: OutputLane, version: number, type: number, id: number): void {
  lane.reserve(headerBytes + 4);
  writeHeader(lane.buffer, lane.length, version, type, 4);
  writeU32(lane.buffer, lane.length + headerBytes, id);
  lane.length += headerBytes + 4;
}

/** Queues credit for a stream. */
export function writeCredit(
  lane: OutputLane,
  version: number,
  stream: number,
  bytes: number,
): void {
  lane.reserve(headerBytes + 8);
  writeHeader(lane.buffer, lane.length, version, messageTypes["link.credit"], 8);
  writeU32(lane.buffer, lane.length + headerBytes, stream);
  writeU32(lane.buffer, lane.length + headerBytes + 4, bytes);
  lane.length += headerBytes + 8;
}

/** Queues a reset. */
export function writeReset(
  lane: OutputLane,
  version: number,
  stream: number,
  code: ResetCode,
  message: string,
): void {
  const text = shorten(message);
  lane.reserve(headerBytes + 5 + 3 * text.length);
  const start = lane.length + headerBytes;
  writeU32(lane.buffer, start, stream);
  lane.buffer[start + 4] = Math.max(0, resetCodes.indexOf(code));
  const end = writeUtf8(lane.buffer, start + 5, text);
  writeHeader(lane.buffer, lane.length, version, messageTypes["link.reset"], end - start);
  lane.length = end;
}

/** Reads a reset. A code that this version does not know reads as `internal`. */
export function readReset(
  bytes: Uint8Array,
  start: number,
  end: number,
): { stream: number; code: ResetCode; message: string } {
  needPayload("reset", start + 5, end);
  let message = "";
  try {
    message = decodeUtf8(bytes, start + 5, Math.min(end, start + 5 + 3 * maxMessageLength));
  } catch {
    // The text is for people only; the reset counts without it.
  }
  return {
    stream: readU32(bytes, start),
    code: resetCodes[bytes[start + 4]!] ?? "internal",
    message,
  };
}

/** Makes sure that a binary payload is long enough. */
export function needPayload(name: string, at: number, end: number): void {
  if (at > end) throw new FrameError("peer", `a ${name} frame that is too short`);
}

/** A reason as refuse and goodbye carry it. */
export interface WireReason {
  readonly code: string;
  readonly message: string;
}

/** The payload of refuse and goodbye. */
export function encodeReason(code: string, message: string): Uint8Array {
  return encode({ code, message: shorten(message) });
}

/** Reads the payload of refuse and goodbye. */
export function decodeReason(name: string, payload: Uint8Array): WireReason {
  const value = decodeMap(name, payload);
  const { code, message } = value;
  if (typeof code !== "string" || code.length > 32 || typeof message !== "string") {
    throw new FrameError("peer", `a ${name} frame without a code and a message`);
  }
  return { code, message: shorten(message) };
}

/** What accept says: the hash of both hellos, and what its sender takes to be in force. */
export interface Accept {
  readonly transcript: Uint8Array;
  readonly inForce: ProfileInForce;
}

/** The payload of accept. */
export function encodeAccept(accept: Accept): Uint8Array {
  return encode(accept);
}

/** Reads the payload of accept. */
export function decodeAccept(payload: Uint8Array): Accept {
  const { transcript, inForce } = decodeMap("accept", payload);
  if (!(transcript instanceof Uint8Array) || !isRecord(inForce)) {
    throw new FrameError("peer", "an accept frame without a transcript or a profile");
  }
  return { transcript, inForce: inForce as unknown as ProfileInForce };
}

function decodeMap(name: string, payload: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = decode(payload);
  } catch (error) {
    throw new FrameError("peer", `a malformed ${name} frame: ${(error as Error).message}`);
  }
  if (!isRecord(value)) throw new FrameError("peer", `a ${name} frame that is not a map`);
  return value;
}

function shorten(message: string): string {
  return message.length <= maxMessageLength
    ? message
    : message.slice(0, maxMessageLength - 1) + "…";
}
