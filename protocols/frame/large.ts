/**
 * Frames with large bodies, which are cut and compressed when they leave.
 *
 * What is queued is the prefix and a reference to the body; the bytes belong to
 * the link until the last of them was taken. A body of at most a slice travels as
 * an ordinary frame. A larger one is cut into fragments (fragment.ts): the first
 * carries the prefix, the others pieces of the body, so that a slice is all that
 * ever has to be copied or compressed in one go.
 */
import { fragmentFlag, writeFragment } from "./fragment.ts";
import { flag } from "./flags.ts";
import { headerBytes, writeHeader, writeU16, writeU32 } from "./header.ts";

/** How bodies are compressed on the way out. */
export interface Compressor {
  /** Its number on the wire. */
  readonly algorithm: number;
  /** Bodies below this size are left alone. */
  readonly thresholdBytes: number;
  /** The compressed bytes, valid until the next call; undefined if it is not worth it. */
  compress(bytes: Uint8Array, type: number): Uint8Array | undefined;
}

/** What a compressed body announces of itself at the end of the prefix: algorithm and original size. */
export const compressedFieldBytes = 5;

// A piece smaller than this waits for the next slice.
const leastPieceBytes = 4 * 1024;

/** One message frame with a large body, on its way out. */
export class LargeFrame {
  /** How many bytes of it have not left: of its header, its prefix and its body, as if it were sent whole. */
  left: number;
  readonly #lane: number;
  readonly #version: number;
  readonly #type: number;
  readonly #prefix: Uint8Array;
  readonly #body: Uint8Array;
  #at = 0;

  /** Nothing of it has left. @param prefix what stands before the body in the payload; not changed by others afterwards. */
  constructor(lane: number, version: number, type: number, prefix: Uint8Array, body: Uint8Array) {
    this.#lane = lane;
    this.#version = version;
    this.#type = type;
    this.#prefix = prefix;
    this.#body = body;
    this.left = headerBytes + prefix.length + body.length;
  }

  /** True if enough of it goes into the `room` that a slice of `sliceBytes` has left. */
  fits(room: number, sliceBytes: number): boolean {
    if (room === sliceBytes) return true;
    const whole = this.#body.length <= sliceBytes;
    return room >= (whole ? this.left : Math.min(this.left, leastPieceBytes));
  }

  /**
   * Writes the next piece at `at`, at most `room` bytes of the body, and returns the end of it.
   * `target` has room for that, for the prefix, and for three headers.
   */
  cut(
    target: Uint8Array,
    at: number,
    room: number,
    sliceBytes: number,
    compressor: Compressor | undefined,
  ): number {
    const size = this.#body.length;
    if (compressor !== undefined && size < compressor.thresholdBytes) compressor = undefined;
    if (size <= sliceBytes) return this.#whole(target, at, compressor);
    if (this.left > size) at = this.#first(target, at);
    const piece = this.#body.subarray(this.#at, this.#at + room);
    this.#at += piece.length;
    this.left -= piece.length;
    let flags: number = this.left === 0 ? fragmentFlag.last : 0;
    let bytes = piece;
    const small = compressor?.compress(piece, this.#type);
    if (small !== undefined && small.length < piece.length) {
      bytes = small;
      flags |= fragmentFlag.compressed;
    }
    const start = writeFragment(
      target,
      at,
      this.#version,
      this.#lane,
      flags,
      0,
      piece.length,
      bytes.length,
    );
    target.set(bytes, start);
    return start + bytes.length;
  }

  /** The first fragment: the prefix and nothing else. */
  #first(target: Uint8Array, at: number): number {
    const prefix = this.#prefix;
    const total = prefix.length + this.#body.length;
    const start = writeFragment(
      target,
      at,
      this.#version,
      this.#lane,
      fragmentFlag.first,
      this.#type,
      total,
      prefix.length,
    );
    target.set(prefix, start);
    this.left = this.#body.length;
    return start + prefix.length;
  }

  /** All of it, as an ordinary frame. */
  #whole(target: Uint8Array, at: number, compressor: Compressor | undefined): number {
    const prefix = this.#prefix;
    const start = at + headerBytes;
    target.set(prefix, start);
    let end = start + prefix.length;
    let body = this.#body;
    const small = compressor?.compress(body, this.#type);
    if (small !== undefined && small.length + compressedFieldBytes < body.length) {
      target[end] = compressor!.algorithm;
      writeU32(target, end + 1, body.length);
      end += compressedFieldBytes;
      target[start] = target[start]! | flag.compressed >> 8;
      writeU16(target, start + 2, end - start);
      body = small;
    }
    target.set(body, end);
    end += body.length;
    writeHeader(target, at, this.#version, this.#type, end - start);
    this.left = 0;
    return end;
  }
}
