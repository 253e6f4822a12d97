/**
 * Frames as plain data and back, through the writers and readers of the protocol
 * itself. For the golden vectors; not exported by the package.
 */
import type { MessageFields } from "../../frame/fields.ts";
import { fragmentFlag, writeFragment } from "../../frame/fragment.ts";
import { headerBytes, readHeader, readU16, readU32 } from "../../frame/header.ts";
import { laneOf, messageKinds, writeMessage } from "../../frame/prefix.ts";
import { PrefixReader } from "../../frame/prefix_reader.ts";
import { plain } from "../../frame/testing.ts";
import { type MessageTypeName, messageTypeName, messageTypes } from "../../frame/types.ts";
import { FrameWriter } from "../../frame/writer.ts";
import type { Hello } from "../../negotiation/hello.ts";
import { decodeHello, encodeHello } from "../../negotiation/hello_codec.ts";
import {
  type Accept,
  controlFrame,
  decodeAccept,
  decodeReason,
  encodeAccept,
  encodeReason,
  readReset,
  writeCredit,
  writePing,
  writeReset,
} from "../control.ts";
import type { ResetCode } from "../types.ts";

/** What a frame says: its type and version, and what its type has. Bytes stand as `hex:...`. */
export type Said = { readonly type: string; readonly version: number } & {
  readonly [key: string]: unknown;
};

/** One golden vector. */
export interface Vector {
  /** What it shows. */
  readonly name: string;
  /** The whole frame, in hexadecimal. */
  readonly bytes: string;
  /** What it says. */
  readonly says: Said;
}

/** What one frame says. */
export function read(bytes: Uint8Array): Said {
  const { type, version, size } = readHeader(bytes);
  const end = headerBytes + size;
  if (end !== bytes.length) throw new Error(`${bytes.length} bytes for a frame of ${end}`);
  const payload = bytes.subarray(headerBytes);
  return asText({ type: messageTypeName(type), version, ...contents(type, payload) }) as Said;
}

function contents(type: number, payload: Uint8Array): Record<string, unknown> {
  switch (type) {
    case messageTypes["link.hello"]: {
      const hello = decodeHello(payload);
      if (!hello.ok) throw new Error(hello.message);
      return { hello: hello.value };
    }
    case messageTypes["link.accept"]:
      return { accept: decodeAccept(payload) };
    case messageTypes["link.refuse"]:
    case messageTypes["link.goodbye"]:
      return { reason: decodeReason("reason", payload) };
    case messageTypes["link.ping"]:
    case messageTypes["link.pong"]:
      return { id: readU32(payload, 0) };
    case messageTypes["link.ack"]:
      return { payload };
    case messageTypes["link.credit"]:
      return { stream: readU32(payload, 0), bytes: readU32(payload, 4) };
    case messageTypes["link.reset"]:
      return readReset(payload, 0, payload.length);
    case messageTypes["link.fragment"]:
      return fragmentContents(payload);
  }
  const prefix = new PrefixReader();
  prefix.read(payload, 0, payload.length);
  const { kind, stream, upload, bodyStart, compressed } = prefix;
  const fields = plain(prefix.fields(payload));
  const { algorithm, originalSize } = prefix;
  return {
    kind: messageKinds[kind],
    stream,
    upload,
    fields,
    ...(compressed && { algorithm, originalSize }),
    body: payload.subarray(bodyStart),
  };
}

function fragmentContents(payload: Uint8Array): Record<string, unknown> {
  const [lane, flags] = [payload[0]!, payload[1]!];
  let at = 2;
  const first = (flags & fragmentFlag.first) !== 0;
  const compressed = (flags & fragmentFlag.compressed) !== 0;
  const begins = first &&
    { of: messageTypeName(readU16(payload, at)), total: readU32(payload, at + 2) };
  if (first) at += 6;
  const originalSize = compressed && readU32(payload, at);
  if (compressed) at += 4;
  return {
    lane,
    last: (flags & fragmentFlag.last) !== 0,
    ...begins,
    ...(compressed && { originalSize }),
    bytes: payload.subarray(at),
  };
}

/** The frame that says so. */
export function write(said: Said): Uint8Array {
  const { type: name, version, ...given } = asBytes(said) as Record<string, never> & Said;
  const type = messageTypes[name as MessageTypeName];
  const writer = new FrameWriter();
  const lane = writer.lanes[0]!;
  switch (name) {
    case "link.hello":
      return controlFrame(version, type, encodeHello(given.hello as Hello));
    case "link.accept":
      return controlFrame(version, type, encodeAccept(given.accept as Accept));
    case "link.refuse":
    case "link.goodbye": {
      const { code, message } = given.reason as { code: string; message: string };
      return controlFrame(version, type, encodeReason(code, message));
    }
    case "link.ping":
    case "link.pong":
      writePing(lane, version, type, given.id as number);
      break;
    case "link.ack":
      return controlFrame(version, type, given.payload as Uint8Array);
    case "link.credit":
      writeCredit(lane, version, given.stream as number, given.bytes as number);
      break;
    case "link.reset":
      writeReset(
        lane,
        version,
        given.stream as number,
        given.code as ResetCode,
        given.message as string,
      );
      break;
    case "link.fragment":
      return writtenFragment(version, given);
    default: {
      const fields = given.fields as MessageFields;
      writeMessage(
        lane,
        version,
        type,
        messageKinds.indexOf(given.kind),
        laneOf(fields.priority),
        given.stream as number,
        given.upload as boolean,
        fields,
        given.body as Uint8Array,
        2 ** 24,
        (given.originalSize as number | undefined) ?? 0,
        (given.algorithm as number | undefined) ?? 0,
      );
    }
  }
  return writer.take()!;
}

function writtenFragment(version: number, given: Record<string, unknown>): Uint8Array {
  const bytes = given.bytes as Uint8Array;
  const target = new Uint8Array(64 + bytes.length);
  const flags = (given.of === undefined ? 0 : fragmentFlag.first) |
    (given.last === true ? fragmentFlag.last : 0) |
    (given.originalSize === undefined ? 0 : fragmentFlag.compressed);
  const start = writeFragment(
    target,
    0,
    version,
    given.lane as number,
    flags,
    given.of === undefined ? 0 : messageTypes[given.of as MessageTypeName],
    (given.total ?? given.originalSize ?? 0) as number,
    bytes.length,
  );
  target.set(bytes, start);
  return target.subarray(0, start + bytes.length);
}

function asText(value: unknown): unknown {
  if (value instanceof Uint8Array) return `hex:${value.toHex()}`;
  if (Array.isArray(value)) return value.map(asText);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, it]) => [key, asText(it)]));
}

function asBytes(value: unknown): unknown {
  if (typeof value === "string") {
    return value.startsWith("hex:") ? Uint8Array.fromHex(value.slice(4)) : value;
  }
  if (Array.isArray(value)) return value.map(asBytes);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, it]) => [key, asBytes(it)]));
}
