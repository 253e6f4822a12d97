/**
 * The way of a message into the output: may it be queued, and how it is written.
 *
 * A body below the size at which bodies are referred to is compressed here, as it is
 * queued; a larger one when it leaves (protocols/frame/large.ts). Errors of the frame
 * become errors of the link; a message that fails leaves no trace.
 */
import type { MessageFields } from "../frame/fields.ts";
import { FrameError } from "../frame/header.ts";
import { compressedFieldBytes } from "../frame/large.ts";
import { laneOf, normalLane, writeMessage } from "../frame/prefix.ts";
import type { FrameWriter } from "../frame/writer.ts";
import type { BodyCompression } from "./compression.ts";
import { type LinkCounters, LinkError, type LinkLimits } from "./types.ts";

/** Queues the messages of one link. */
export class Outbox {
  readonly #writer: FrameWriter;
  readonly #limits: LinkLimits;
  readonly #counters: LinkCounters;
  #version = 0;
  #maxFrameBytes = 0;
  #compression: BodyCompression | undefined;

  constructor(writer: FrameWriter, limits: LinkLimits, counters: LinkCounters) {
    this.#writer = writer;
    this.#limits = limits;
    this.#counters = counters;
  }

  /** The handshake is done: this is what both agreed on. */
  start(version: number, maxFrameBytes: number, compression: BodyCompression | undefined): void {
    this.#version = version;
    this.#maxFrameBytes = maxFrameBytes;
    this.#compression = compression;
    this.#writer.compressor = compression;
  }

  /** True once as much waits as should. */
  get full(): boolean {
    return this.#writer.bytes >= this.#limits.outputHighWaterBytes;
  }

  /** @throws {LinkError} if a message of this type and body may not be queued now. */
  check(type: number, body: Uint8Array): void {
    if (!(type >= 0x0100 && type <= 0xffff)) {
      throw new LinkError("invalid", `type: 0x0100 to 0xffff expected, found ${type}`);
    }
    const waiting = this.#writer.bytes;
    if (waiting + body.length > this.#limits.maxOutputBytes) {
      throw new LinkError("overloaded", `${waiting} bytes wait to be written already`);
    }
  }

  /** Queues one message. @throws {LinkError} */
  write(
    kindNumber: number,
    type: number,
    priority: number,
    stream: number,
    upload: boolean,
    fields: MessageFields | undefined,
    body: Uint8Array,
  ): void {
    const lane = this.#writer.lanes[priority]!;
    const compression = this.#compression;
    let originalSize = 0;
    if (
      compression !== undefined && body.length >= compression.thresholdBytes &&
      body.length < lane.referencedBytes
    ) {
      const small = compression.compress(body, type);
      if (small !== undefined && small.length + compressedFieldBytes < body.length) {
        originalSize = body.length;
        body = small;
      }
    }
    try {
      writeMessage(
        lane,
        this.#version,
        type,
        kindNumber,
        priority,
        stream,
        upload,
        fields,
        body,
        this.#maxFrameBytes,
        originalSize,
        originalSize === 0 ? 0 : compression!.algorithm,
      );
    } catch (error) {
      throw asLinkError(error);
    }
    this.#counters.messagesSent++;
    this.#counters.types.sent(type);
  }
}

/** The lane of a message with these fields. @throws {LinkError} `invalid` for a priority that there is not. */
export function laneFor({ priority }: MessageFields): number {
  if (priority === undefined) return normalLane;
  try {
    return laneOf(priority);
  } catch (error) {
    throw asLinkError(error);
  }
}

function asLinkError(error: unknown): unknown {
  if (!(error instanceof FrameError)) return error;
  return new LinkError(error.tooLarge ? "too_large" : "invalid", error.message);
}
