/**
 * Fragments: a message larger than a slice, cut into frames of type `link.fragment`.
 *
 *     lane 1 | flags 1 | first: type 2, total 4 | compressed: original 4 | bytes
 *
 * `total` is the size of the message's whole payload, prefix and body, and `type`
 * the type it would have had in one frame. One message at a time is under way in a
 * lane. `original` is what the bytes of this one fragment were before compression.
 *
 * Whoever puts them together again believes in no announced size before the bytes
 * are there: memory grows with what arrives, and never beyond the largest message
 * allowed, for each lane. Anything that does not add up is the peer's fault.
 */
import {
  FrameError,
  headerBytes,
  readU16,
  readU32,
  writeHeader,
  writeU16,
  writeU32,
} from "./header.ts";
import { laneCount, maxSliceBytes } from "./turns.ts";
import { messageTypes } from "./types.ts";

/** What a fragment is to its message, and whether its bytes are compressed. */
export const fragmentFlag = { first: 1 << 0, last: 1 << 1, compressed: 1 << 2 } as const;

const firstMessageType = 0x0100;
const firstCapacity = 64 * 1024;
// Copying what is held costs; so does memory for what may never come.
const growth = 4;

/**
 * Writes the frame header of a fragment and what stands before its bytes; returns where they begin.
 * @param type with the flag `first`.
 * @param size with `first` the total, with `compressed` the original size; never both.
 * @param length how many bytes follow.
 */
export function writeFragment(
  target: Uint8Array,
  at: number,
  version: number,
  lane: number,
  flags: number,
  type: number,
  size: number,
  length: number,
): number {
  const start = at + headerBytes;
  target[start] = lane;
  target[start + 1] = flags;
  let end = start + 2;
  if (flags & fragmentFlag.first) {
    writeU16(target, end, type);
    writeU32(target, end + 2, size);
    end += 6;
  } else if (flags & fragmentFlag.compressed) {
    writeU32(target, end, size);
    end += 4;
  }
  writeHeader(target, at, version, messageTypes["link.fragment"], end - start + length);
  return end;
}

/** The message under way in one lane. */
interface Assembly {
  type: number;
  total: number;
  held: number;
  buffer: Uint8Array<ArrayBuffer>;
}

/** A message put together: its payload is `bytes` up to `end`. */
export interface AssembledMessage {
  /** Its type, as in the header of a frame. */
  readonly type: number;
  /** Its payload, and perhaps more behind it. */
  readonly bytes: Uint8Array;
  /** Where the payload ends. */
  readonly end: number;
}

/** Puts the fragments of one link together again. */
export class FragmentReader {
  /** The largest message allowed, in bytes. */
  readonly #maxBytes: number;
  readonly #decompress: (bytes: Uint8Array, size: number) => Uint8Array;
  readonly #lanes: (Assembly | undefined)[] = new Array(laneCount).fill(undefined);

  /** Nothing under way. @param decompress gives exactly that many bytes, or throws a {@linkcode FrameError}. */
  constructor(maxBytes: number, decompress: (bytes: Uint8Array, size: number) => Uint8Array) {
    this.#maxBytes = maxBytes;
    this.#decompress = decompress;
  }

  /** How many bytes of unfinished messages are kept. */
  get heldBytes(): number {
    return this.#lanes.reduce((sum, lane) => sum + (lane?.held ?? 0), 0);
  }

  /** How much memory they take. */
  get capacityBytes(): number {
    return this.#lanes.reduce((sum, lane) => sum + (lane?.buffer.length ?? 0), 0);
  }

  /**
   * Takes one fragment, the payload between `start` and `end`; returns the message that is complete with it.
   * @throws {FrameError} if it cannot be.
   */
  push(bytes: Uint8Array, start: number, end: number): AssembledMessage | undefined {
    if (end - start < 2) throw wrong("shorter than its fixed part");
    const lane = bytes[start]!;
    const flags = bytes[start + 1]!;
    let at = start + 2;
    if (lane >= laneCount) throw wrong(`of lane ${lane}`);
    let assembly = this.#lanes[lane];
    if (flags & fragmentFlag.first) {
      if (assembly !== undefined) throw wrong("that begins a message inside another");
      if (end - at < 6) throw wrong("without a type and a total");
      assembly = this.#begin(readU16(bytes, at), readU32(bytes, at + 2));
      this.#lanes[lane] = assembly;
      at += 6;
    } else if (assembly === undefined) throw wrong("of a message that never began");
    let size = end - at;
    if (flags & fragmentFlag.compressed) {
      if (size < 4) throw wrong("without its original size");
      size = readU32(bytes, at);
      at += 4;
      if (size > maxSliceBytes) throw wrong(`of ${size} bytes before compression`);
    }
    if (size === 0) throw wrong("without bytes");
    if (size > assembly.total - assembly.held) throw wrong("beyond the end of its message");
    let piece = bytes.subarray(at, end);
    if (flags & fragmentFlag.compressed) piece = this.#decompress(piece, size);
    append(assembly, piece);
    const last = (flags & fragmentFlag.last) !== 0;
    if (last !== (assembly.held === assembly.total)) {
      throw wrong(last ? "that ends its message too early" : "that does not end its message");
    }
    if (!last) return undefined;
    this.#lanes[lane] = undefined;
    return { type: assembly.type, bytes: assembly.buffer, end: assembly.total };
  }

  /** Forgets what is unfinished. */
  clear(): void {
    this.#lanes.fill(undefined);
  }

  #begin(type: number, total: number): Assembly {
    if (type < firstMessageType) throw wrong(`of a control frame`);
    if (total > this.#maxBytes) {
      throw new FrameError(
        "peer",
        `a message of ${total} bytes arrived where at most ${this.#maxBytes} are allowed`,
      );
    }
    return { type, total, held: 0, buffer: new Uint8Array(0) };
  }
}

function append(assembly: Assembly, piece: Uint8Array): void {
  const held = assembly.held + piece.length;
  if (held > assembly.buffer.length) {
    const grown = Math.max(held, firstCapacity, growth * assembly.buffer.length);
    const buffer = new Uint8Array(Math.min(assembly.total, grown));
    buffer.set(assembly.buffer.subarray(0, assembly.held));
    assembly.buffer = buffer;
  }
  assembly.buffer.set(piece, assembly.held);
  assembly.held = held;
}

function wrong(what: string): FrameError {
  return new FrameError("peer", `a fragment ${what}`);
}
