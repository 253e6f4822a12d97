/**
 * The 12 bytes that begin every frame, big-endian:
 *
 *     magic 4 = 0x4D59434E "MYCN" | version 2 = major << 8 | minor | type 2 | size 4
 *
 * The size is that of the payload, without these 12 bytes. The layout is the
 * same in every major version, so that even nodes that cannot talk can tell
 * each other why.
 */

/** `MYCN`. */
export const frameMagic = 0x4d59434e;
/** The length of the header in bytes. */
export const headerBytes = 12;

/** A header, read. */
export interface FrameHeader {
  /** major << 8 | minor. */
  readonly version: number;
  /** See the registry in types.ts. */
  readonly type: number;
  /** The size of the payload in bytes. */
  readonly size: number;
}

/** What is wrong with bytes: `peer` sent them, or `us` tried to. */
export type FrameFault = "peer" | "us";

/** Bytes that are no frame, or values that do not fit into one. */
export class FrameError extends Error {
  /** Whose fault it is. */
  readonly fault: FrameFault;
  /** True if size is the trouble. */
  readonly tooLarge: boolean;

  /** Makes one. */
  constructor(fault: FrameFault, message: string, tooLarge = false) {
    super(message);
    this.name = "FrameError";
    this.fault = fault;
    this.tooLarge = tooLarge;
  }
}

/** Writes a header at `offset`; `target` has room for it. */
export function writeHeader(
  target: Uint8Array,
  offset: number,
  version: number,
  type: number,
  size: number,
): void {
  target[offset] = 0x4d;
  target[offset + 1] = 0x59;
  target[offset + 2] = 0x43;
  target[offset + 3] = 0x4e;
  target[offset + 4] = version >> 8;
  target[offset + 5] = version;
  target[offset + 6] = type >> 8;
  target[offset + 7] = type;
  target[offset + 8] = size >>> 24;
  target[offset + 9] = size >> 16;
  target[offset + 10] = size >> 8;
  target[offset + 11] = size;
}

/**
 * Reads the header at `offset`; at least 12 bytes stand there.
 * @throws {FrameError} if the magic is not ours.
 */
export function readHeader(bytes: Uint8Array, offset = 0): FrameHeader {
  if (readU32(bytes, offset) !== frameMagic) throw notAFrame(bytes, offset);
  return {
    version: readU16(bytes, offset + 4),
    type: readU16(bytes, offset + 6),
    size: readU32(bytes, offset + 8),
  };
}

/** The error for bytes that do not begin with the magic. It guesses what they are. */
export function notAFrame(bytes: Uint8Array, offset: number): FrameError {
  const first = readU32(bytes, offset);
  // A TLS record: handshake (22) or alert (21), then the major version 3.
  const tls = (first >>> 8 === 0x160300 >>> 0) || (first >>> 16 === 0x1603) ||
    (first >>> 16 === 0x1503);
  const text = [24, 16, 8, 0].every((shift) => {
    const byte = first >>> shift & 0xff;
    return byte >= 0x20 && byte < 0x7f;
  });
  const hint = tls
    ? "it looks like TLS: this end speaks without"
    : text
    ? "it looks like text, such as HTTP"
    : "the other program does not speak this protocol";
  return new FrameError(
    "peer",
    `frame begins with 0x${first.toString(16).padStart(8, "0")}, not 0x4d59434e; ${hint}`,
  );
}

/** An unsigned 16-bit number, big-endian. */
export function readU16(bytes: Uint8Array, offset: number): number {
  return bytes[offset]! << 8 | bytes[offset + 1]!;
}

/** An unsigned 32-bit number, big-endian. */
export function readU32(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 24 | bytes[offset + 1]! << 16 | bytes[offset + 2]! << 8 |
    bytes[offset + 3]!) >>> 0;
}

/** Writes an unsigned 16-bit number, big-endian. */
export function writeU16(target: Uint8Array, offset: number, value: number): void {
  target[offset] = value >> 8;
  target[offset + 1] = value;
}

/** Writes an unsigned 32-bit number, big-endian. */
export function writeU32(target: Uint8Array, offset: number, value: number): void {
  target[offset] = value >>> 24;
  target[offset + 1] = value >> 16;
  target[offset + 2] = value >> 8;
  target[offset + 3] = value;
}
