/**
 * Bytes in, frames out.
 *
 * Whole frames are handed over where they lie, as offsets into the bytes that
 * arrived. Only a frame that is cut by the end of a chunk is copied, into one
 * buffer that grows with what really arrived (never with what a header merely
 * promises) and never beyond the largest frame allowed. A wrong magic and a
 * frame too large are errors as soon as their 12 bytes are there, before any
 * payload is kept. After an error the stream is worth nothing: stop.
 */
import { FrameError, frameMagic, headerBytes, notAFrame, readU16, readU32 } from "./header.ts";

/** Who receives frames. */
export interface FrameSink {
  /**
   * One frame; its payload is `bytes` from `start` to `end`, valid during the call.
   * Returning false drops everything that follows.
   */
  frame(version: number, type: number, bytes: Uint8Array, start: number, end: number): boolean;
}

const firstBytes = 1024;
// A larger buffer is let go after its frame; one that a slice fits into is kept while slices come.
const keptBytes = 128 * 1024;
const none = new Uint8Array(0);

/** The input of one link. */
export class FrameReader {
  /** The largest payload allowed, in bytes. May be changed between frames. */
  maxFrameBytes: number;
  readonly #sink: FrameSink;
  #buffer: Uint8Array<ArrayBuffer> = none;
  #held = 0;

  /** A reader at the beginning of a stream. */
  constructor(sink: FrameSink, maxFrameBytes: number) {
    this.#sink = sink;
    this.maxFrameBytes = maxFrameBytes;
  }

  /** How many bytes of an unfinished frame are kept. */
  get heldBytes(): number {
    return this.#held;
  }

  /** How much memory is kept for unfinished frames. */
  get capacityBytes(): number {
    return this.#buffer.length;
  }

  /** Lets go of memory that an idle link does not need. */
  trim(): void {
    if (this.#held === 0) this.#buffer = none;
  }

  /**
   * Takes the next bytes of the stream.
   * @throws {FrameError} if they cannot be frames.
   */
  push(bytes: Uint8Array): void {
    const end = bytes.length;
    let at = 0;
    if (this.#held > 0) {
      at = this.#finish(bytes);
      if (at < 0) return;
    }
    const sink = this.#sink;
    while (end - at >= headerBytes) {
      const start = at + headerBytes;
      const stop = start + this.#size(bytes, at);
      if (stop > end) break;
      at = stop;
      const more = sink.frame(
        readU16(bytes, start - 8),
        readU16(bytes, start - 6),
        bytes,
        start,
        stop,
      );
      if (!more) return;
    }
    if (at < end) this.#hold(bytes, at, end);
  }

  /** Completes the frame that is kept. Returns the offset behind it, or -1 if it is not complete or nothing more is wanted. */
  #finish(bytes: Uint8Array): number {
    let at = 0;
    if (this.#held < headerBytes) {
      at = Math.min(headerBytes - this.#held, bytes.length);
      this.#hold(bytes, 0, at);
      if (this.#held < headerBytes) return -1;
    }
    const need = headerBytes + this.#size(this.#buffer, 0);
    const stop = Math.min(bytes.length, at + need - this.#held);
    this.#hold(bytes, at, stop);
    if (this.#held < need) return -1;
    const frame = this.#buffer;
    this.#held = 0;
    if (frame.length > keptBytes) this.#buffer = none;
    const more = this.#sink.frame(readU16(frame, 4), readU16(frame, 6), frame, headerBytes, need);
    return more ? stop : -1;
  }

  #hold(bytes: Uint8Array, start: number, end: number): void {
    const wanted = this.#held + end - start;
    if (wanted > this.#buffer.length) {
      const bound = headerBytes + this.maxFrameBytes;
      const grown = new Uint8Array(
        Math.max(wanted, Math.min(bound, Math.max(firstBytes, this.#buffer.length * 2))),
      );
      grown.set(this.#buffer.subarray(0, this.#held));
      this.#buffer = grown;
    }
    this.#buffer.set(bytes.subarray(start, end), this.#held);
    this.#held = wanted;
  }

  #size(bytes: Uint8Array, at: number): number {
    if (readU32(bytes, at) !== frameMagic) throw notAFrame(bytes, at);
    const size = readU32(bytes, at + 8);
    if (size > this.maxFrameBytes) {
      throw new FrameError(
        "peer",
        `a frame of ${size} bytes arrived where at most ${this.maxFrameBytes} are allowed`,
      );
    }
    return size;
  }
}
