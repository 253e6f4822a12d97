/**
 * From what arrives to whole messages: fragments are put together, bodies
 * decompressed. Whatever does not add up is the peer's fault and ends the link.
 */
import { type AssembledMessage, FragmentReader } from "../frame/fragment.ts";
import { flag } from "../frame/flags.ts";
import { FrameError } from "../frame/header.ts";
import type { PrefixReader } from "../frame/prefix_reader.ts";
import { type BodyCompression, decompress } from "./compression.ts";

/** The messages of one link on their way in. */
export class Inbox {
  /** Undefined until both ends have agreed on it. */
  compression: BodyCompression | undefined;
  readonly #maxFrameBytes: number;
  readonly #fragments: FragmentReader;
  // The chunk that is being read, and where it lies.
  #chunk: Uint8Array | undefined;
  #buffer: ArrayBufferLike | undefined;
  #offset = 0;

  /** @param maxFrameBytes the largest message allowed. */
  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes;
    this.#fragments = new FragmentReader(
      maxFrameBytes,
      (bytes, size) => decompress(this.compression, bytes, size),
    );
  }

  /** How many bytes of unfinished messages are kept. */
  get heldBytes(): number {
    return this.#fragments.heldBytes;
  }

  /** A fragment arrived; returns the message that is complete with it. @throws {FrameError} */
  fragment(bytes: Uint8Array, start: number, end: number): AssembledMessage | undefined {
    const whole = this.#fragments.push(bytes, start, end);
    // Fragments are compressed one by one.
    if (whole !== undefined && (whole.bytes[0]! & flag.compressed >> 8) !== 0) {
      throw new FrameError("peer", "a message in fragments that would be compressed twice");
    }
    return whole;
  }

  /** The body of the message that `prefix` read last, as its sender had it; its fields were read before. @throws {FrameError} */
  body(prefix: PrefixReader, bytes: Uint8Array, end: number): Uint8Array {
    const { bodyStart } = prefix;
    if (bytes !== this.#chunk) {
      this.#chunk = bytes;
      this.#buffer = bytes.buffer;
      this.#offset = bytes.byteOffset;
    }
    // By its constructor, a view costs half of `subarray`; asking for the buffer each time, a third.
    const body = new Uint8Array(this.#buffer!, this.#offset + bodyStart, end - bodyStart);
    if (!prefix.compressed) return body;
    const { algorithm, originalSize } = prefix;
    if (this.compression !== undefined && algorithm !== this.compression.algorithm) {
      throw new FrameError("peer", `a body compressed by algorithm ${algorithm}`);
    }
    if (originalSize > this.#maxFrameBytes) {
      throw new FrameError("peer", `a body of ${originalSize} bytes before compression`);
    }
    return decompress(this.compression, body, originalSize);
  }

  /** What arrived is read: its memory is its owner's. */
  chunkRead(): void {
    this.#chunk = this.#buffer = undefined;
  }

  /** Forgets what is unfinished. */
  clear(): void {
    this.#fragments.clear();
  }
}
