/** A peer that is let in and then writes the frames that it likes, over a real socket. */
import { kind, type MessageFields, messageTypes } from "@mycnet/protocols/frame";
import { FrameReader } from "../../protocols/frame/reader.ts";
import { laneOf, normalLane, writeMessage } from "../../protocols/frame/prefix.ts";
import { FrameWriter } from "../../protocols/frame/writer.ts";
import { headerBytes, writeHeader } from "../../protocols/frame/header.ts";
import { readReset } from "../../protocols/link/control.ts";
import { protocolVersion } from "@mycnet/protocols/negotiation";
import { Impostor, Stranger } from "./stranger.ts";

const maxFrameBytes = 16 * 1024 * 1024;

/** A control frame. */
export function control(
  name: keyof typeof messageTypes,
  payload: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(headerBytes + payload.length);
  writeHeader(frame, 0, protocolVersion, messageTypes[name], payload.length);
  frame.set(payload, headerBytes);
  return frame;
}

/** A message frame, of whatever kind and stream. */
export function message(
  kindName: keyof typeof kind,
  stream: number,
  type: number,
  fields: MessageFields,
  body: Uint8Array = new Uint8Array(0),
  upload = false,
): Uint8Array<ArrayBuffer> {
  const writer = new FrameWriter();
  const lane = fields.priority === undefined ? normalLane : laneOf(fields.priority);
  const number = kind[kindName];
  const queue = writer.lanes[lane]!;
  writeMessage(
    queue,
    protocolVersion,
    type,
    number,
    lane,
    stream,
    upload,
    fields,
    body,
    maxFrameBytes,
  );
  const frame = writer.take()!.slice();
  if (writer.bytes > 0) throw new Error("larger than a slice");
  return frame;
}

/** Several frames as one buffer. */
export function joined(frames: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(frames.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const frame of frames) {
    bytes.set(frame, at);
    at += frame.length;
  }
  return bytes;
}

/** See the head of this file. Its link machine shakes hands and answers pings, when it reads. */
export class Rude extends Impostor {
  /** Streams that were reset, by code. */
  readonly resets = new Map<string, number>();
  /** Frames that arrived, by type. */
  readonly frames = new Map<number, number>();

  private constructor(stranger: Stranger, id: string, generation: number) {
    super(stranger, { id, generation });
    const reader = new FrameReader({
      frame: (_version, type, bytes, start, end) => {
        this.frames.set(type, (this.frames.get(type) ?? 0) + 1);
        if (type === messageTypes["link.reset"]) {
          const { code } = readReset(bytes, start, end);
          this.resets.set(code, (this.resets.get(code) ?? 0) + 1);
        }
        return true;
      },
    }, maxFrameBytes);
    this.tap = (bytes) => reader.push(bytes);
  }

  /** Connects and is let in. */
  static async admitted(address: string, id = "rude", generation = 1): Promise<Rude> {
    const rude = new Rude(await Stranger.connect(address), id, generation);
    const refused = await rude.shake();
    if (refused !== undefined) throw new Error(`it was refused: ${refused.message}`);
    return rude;
  }

  /** Writes bytes as they are. */
  async write(...frames: readonly Uint8Array[]): Promise<void> {
    await this.stranger.send(joined(frames));
  }

  /** Reads until something is so. @throws when the link ends before. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.closed !== undefined) throw new Error(`the link ended: ${this.closed.message}`);
      await this.step();
    }
  }
}
