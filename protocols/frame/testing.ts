/** Whole message frames in and out of bytes. For tests; not exported by the package. */
import type { MessageFields } from "./fields.ts";
import { laneOf, writeMessage } from "./prefix.ts";
import { PrefixReader } from "./prefix_reader.ts";
import { FrameReader } from "./reader.ts";
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
  return writer.take()!;
}

/** The present fields alone, priority always. */
export function plain(fields: MessageFields): MessageFields {
  const present = Object.entries(fields).filter(([, value]) => value !== undefined);
  return { priority: "normal", ...Object.fromEntries(present) };
}

/** Reads a stream of frames, cut as told. */
export function readAll(stream: Uint8Array, cuts: readonly number[] = []): Message[] {
  const messages: Message[] = [];
  const prefix = new PrefixReader();
  const reader = new FrameReader({
    frame(_version, type, bytes, start, end) {
      prefix.read(bytes, start, end);
      messages.push({
        type,
        kind: prefix.kind,
        stream: prefix.stream,
        upload: prefix.upload,
        fields: plain(prefix.fields(bytes)),
        body: bytes.slice(prefix.bodyStart, end),
      });
      return true;
    },
  }, 2 ** 24);
  let at = 0;
  for (const cut of [...cuts, stream.length]) {
    const end = Math.min(Math.max(cut, at), stream.length);
    reader.push(stream.slice(at, end));
    at = end;
  }
  if (reader.heldBytes !== 0) throw new Error("the stream ends inside a frame");
  return messages;
}
