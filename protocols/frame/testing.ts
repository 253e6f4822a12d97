/** Whole message frames in and out of bytes. For tests; not exported by the package. */
import type { MessageFields } from "./fields.ts";
import { FragmentReader } from "./fragment.ts";
import type { Compressor } from "./large.ts";
import { laneOf, writeMessage } from "./prefix.ts";
import { PrefixReader } from "./prefix_reader.ts";
import { FrameReader } from "./reader.ts";
import { messageTypes } from "./types.ts";
import { FrameWriter } from "./writer.ts";

const version = 0x0100;

/** A message frame, all of it. */
export interface Message {
  readonly type: number;
  readonly kind: number;
  readonly stream: number;
  readonly upload: boolean;
  readonly fields: MessageFields;
  readonly body: Uint8Array;
}

/** Queues a message in the lane of its priority and takes it out again. */
export function written(message: Message, maxFrameBytes = 2 ** 24): Uint8Array<ArrayBuffer> {
  const writer = new FrameWriter();
  queue(writer, message, maxFrameBytes);
  return writer.take()!;
}

/** Queues a message in the lane of its priority. */
export function queue(writer: FrameWriter, message: Message, maxFrameBytes = 2 ** 24): void {
  const lane = laneOf(message.fields.priority);
  const { type, kind, stream, upload, fields, body } = message;
  writeMessage(
    writer.lanes[lane]!,
    version,
    type,
    kind,
    lane,
    stream,
    upload,
    fields,
    body,
    maxFrameBytes,
  );
}

/** A body of one and the same byte becomes that byte; others are not worth it. */
export const runLength: Compressor & { decompress(bytes: Uint8Array, size: number): Uint8Array } = {
  algorithm: 1,
  thresholdBytes: 100,
  compress(bytes) {
    return bytes.every((byte) => byte === bytes[0]) ? bytes.slice(0, 1) : undefined;
  },
  decompress(bytes, size) {
    return new Uint8Array(size).fill(bytes[0]!);
  },
};

/** The present fields alone, priority always. */
export function plain(fields: MessageFields): MessageFields {
  const present = Object.entries(fields).filter(([, value]) => value !== undefined);
  return { priority: "normal", ...Object.fromEntries(present) };
}

/** Reads a stream of frames, cut as told. With `whole`, no message may be unfinished at its end. */
export function readAll(
  stream: Uint8Array,
  cuts: readonly number[] = [],
  whole = true,
): Message[] {
  const messages: Message[] = [];
  const prefix = new PrefixReader();
  const fragments = new FragmentReader(2 ** 24, runLength.decompress);
  const add = (type: number, bytes: Uint8Array, start: number, end: number): void => {
    prefix.read(bytes, start, end);
    const fields = plain(prefix.fields(bytes));
    const body = bytes.slice(prefix.bodyStart, end);
    messages.push({
      type,
      kind: prefix.kind,
      stream: prefix.stream,
      upload: prefix.upload,
      fields,
      body: prefix.compressed ? runLength.decompress(body, prefix.originalSize) : body,
    });
  };
  const reader = new FrameReader({
    frame(_version, type, bytes, start, end) {
      if (type !== messageTypes["link.fragment"]) add(type, bytes, start, end);
      else {
        const message = fragments.push(bytes, start, end);
        if (message !== undefined) add(message.type, message.bytes, 0, message.end);
      }
      return true;
    },
  }, 2 ** 24);
  let at = 0;
  for (const cut of [...cuts, stream.length]) {
    const end = Math.min(Math.max(cut, at), stream.length);
    reader.push(stream.slice(at, end));
    at = end;
  }
  if (whole && reader.heldBytes + fragments.heldBytes !== 0) {
    throw new Error("the stream ends inside a frame");
  }
  return messages;
}
