/**
 * One lane of output: frames in order, as chunks and as large frames.
 *
 * Frames are written straight into the buffer of the open chunk; small ones
 * thereby coalesce, and nothing is allocated for a message. A chunk that would
 * outgrow a slice, or what TCP sends as one piece (writer.ts), is closed and stands
 * in line, and another is opened. A large body is not copied into a chunk: its frame
 * stands in line by itself (large.ts).
 *
 * A lane counts all bytes that were ever queued in it and taken out of it. By
 * these positions others know whether a frame may have left, and when all that
 * stood in front of it has.
 */
import type { LargeFrame } from "./large.ts";

const firstBytes = 4 * 1024;

/** Bodies of this size and more are not copied when they are queued; never more than a slice. */
export const referencedBytes: number = 16 * 1024;

/** Where lanes get buffers from. */
export interface BufferSource {
  /** A buffer of at least `wanted` bytes that was given back, if there is one; the caller's then. */
  spare(wanted: number): Uint8Array<ArrayBuffer> | undefined;
  /** Bytes were moved from an open chunk into the line. */
  closed(bytes: number): void;
}

/** What stands in line: a closed chunk, or a frame with a large body. */
export type LaneEntry = Uint8Array<ArrayBuffer> | LargeFrame;

const none = new Uint8Array(0);

/** One lane. Writers reserve, write at `length`, then move `length` on; a write that throws in between leaves no trace. */
export class OutputLane {
  /** The open chunk; only the bytes before `length` count. */
  buffer: Uint8Array<ArrayBuffer> = none;
  /** How many bytes the open chunk has. */
  length = 0;
  /** What stands in line before the open chunk. */
  readonly line: LaneEntry[] = [];
  /** How many bytes were taken out, ever. */
  taken = 0;
  /** Bodies of this size and more are referred to, not copied. */
  readonly referencedBytes: number;
  readonly #sliceBytes: number;
  readonly #source: BufferSource;
  readonly #firstBytes: number;
  // Bytes ever queued before the open chunk.
  #before = 0;

  /** Made by the writer. @param first how large its first buffer is, in bytes. */
  constructor(source: BufferSource, sliceBytes: number, first: number = firstBytes) {
    this.#source = source;
    this.#firstBytes = first;
    this.#sliceBytes = sliceBytes;
    this.referencedBytes = Math.min(referencedBytes, sliceBytes);
  }

  /** How many bytes were queued, ever. What is queued next begins here. */
  get position(): number {
    return this.#before + this.length;
  }

  /** True if nothing waits. */
  get empty(): boolean {
    return this.length === 0 && this.line.length === 0;
  }

  /** Makes room for `bytes` more in the open chunk. */
  reserve(bytes: number): void {
    if (this.length + bytes > this.buffer.length) this.#makeRoom(bytes);
  }

  /** Queues a frame whose body is not copied. */
  refer(frame: LargeFrame): void {
    this.#close();
    this.line.push(frame);
    this.#before += frame.left;
    this.#source.closed(frame.left);
  }

  /** The open chunk, which leaves; the next frame opens another. */
  takeOpen(): Uint8Array<ArrayBuffer> {
    const open = this.buffer.subarray(0, this.length);
    this.#before += this.length;
    this.taken += this.length;
    this.buffer = none;
    this.length = 0;
    return open;
  }

  /** The open chunk's bytes have been copied; its buffer is used again. */
  copiedOpen(): void {
    this.#before += this.length;
    this.taken += this.length;
    this.length = 0;
  }

  /** Lets go of the buffer of an open chunk that is empty. */
  trim(): void {
    if (this.length === 0) this.buffer = none;
  }

  #makeRoom(bytes: number): void {
    if (this.length > 0 && this.length + bytes > this.#sliceBytes) this.#close();
    const wanted = this.length + bytes;
    if (wanted <= this.buffer.length) return;
    const larger = this.#buffer(wanted);
    if (this.length > 0) larger.set(this.buffer.subarray(0, this.length));
    this.buffer = larger;
  }

  /** A buffer that ends where the chunk must: at a slice, or at its one frame if that is larger. */
  #buffer(wanted: number): Uint8Array<ArrayBuffer> {
    const most = Math.max(wanted, this.#sliceBytes);
    const spare = this.#source.spare(wanted);
    if (spare !== undefined) return spare.length <= most ? spare : spare.subarray(0, most);
    const doubled = Math.max(this.#firstBytes, this.buffer.length * 2);
    return new Uint8Array(Math.max(wanted, Math.min(most, doubled)));
  }

  #close(): void {
    if (this.length === 0) return;
    this.line.push(this.buffer.subarray(0, this.length));
    this.#source.closed(this.length);
    this.#before += this.length;
    this.buffer = none;
    this.length = 0;
  }
}
