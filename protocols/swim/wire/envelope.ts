/**
 * What may be wrapped around memberlist's messages: compound, CRC, encryption, compression.
 *
 * A packet goes out as encrypted(crc(compressed(compound(messages)))), each layer
 * optional, and comes apart in the same order. Layers inside an encrypted one are
 * trusted as little as plain ones: every length is checked, and what unfolds is
 * bounded. Encryption versions: 0 pads to blocks of 16 (PKCS 7), 1 does not;
 * members speaking protocol 1 send version 0.
 */
import { crc32 } from "./crc32.ts";
import type { GossipKeyring } from "./keyring.ts";
import { lzwDecode, lzwEncode } from "./lzw.ts";
import { messageType } from "./messages.ts";
import { empty, MsgpackReader, MsgpackWriter, WireError } from "./msgpack.ts";

/** Messages at most in a compound: their number is a byte. */
export const maxCompound = 255;
/** What a compound costs by itself, and for each message. */
export const compoundOverhead = 2;
/** What a CRC costs. */
export const crcOverhead = 5;
const nonceBytes = 12;
const tagBytes = 16;
const blockBytes = 16;

/** What encryption adds to a packet at most, in bytes. */
export function sealOverhead(version: 0 | 1): number {
  return 1 + nonceBytes + tagBytes + (version === 0 ? blockBytes : 0);
}

/** Encrypts under the primary key: version, nonce, ciphertext, tag. */
export function seal(
  keyring: GossipKeyring,
  version: 0 | 1,
  plain: Uint8Array,
  additional: Uint8Array = empty,
): Uint8Array<ArrayBuffer> {
  const sealed = keyring.cipher.seal(
    keyring.primary!,
    version === 0 ? pad(plain) : plain,
    additional,
  );
  const out = new Uint8Array(1 + sealed.length);
  out[0] = version;
  out.set(sealed, 1);
  return out;
}

/** Decrypts under any key; undefined if none fits. */
export function open(
  keyring: GossipKeyring,
  bytes: Uint8Array,
  additional: Uint8Array = empty,
): Uint8Array | undefined {
  const version = bytes[0];
  if (version !== 0 && version !== 1) return undefined;
  if (bytes.length < 1 + nonceBytes + tagBytes) return undefined;
  const sealed = bytes.subarray(1);
  for (const key of keyring.keys) {
    const plain = keyring.cipher.open(key, sealed, additional);
    if (plain !== undefined) return version === 0 ? unpad(plain) : plain;
  }
  return undefined;
}

/** An encrypted message as it goes over a stream: type, length, then what `seal` makes; the first two are authenticated. */
export function sealStream(
  keyring: GossipKeyring,
  version: 0 | 1,
  plain: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const padding = version === 0 ? blockBytes - plain.length % blockBytes : 0;
  const length = 1 + nonceBytes + plain.length + padding + tagBytes;
  const head = new MsgpackWriter(5).byte(messageType.encrypted).u32(length).copy();
  const body = seal(keyring, version, plain, head);
  const out = new Uint8Array(head.length + body.length);
  out.set(head);
  out.set(body, head.length);
  return out;
}

function pad(plain: Uint8Array): Uint8Array {
  const more = blockBytes - plain.length % blockBytes;
  const padded = new Uint8Array(plain.length + more).fill(more);
  padded.set(plain);
  return padded;
}

function unpad(padded: Uint8Array): Uint8Array | undefined {
  const more = padded.at(-1) ?? 0;
  return more < 1 || more > blockBytes || more > padded.length
    ? undefined
    : padded.subarray(0, padded.length - more);
}

/** A message, compressed. */
export function compress(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const packed = lzwEncode(message);
  const writer = new MsgpackWriter(packed.length + 32);
  writer.byte(messageType.compressed).map(2).key("Algo").uint(0).key("Buf").raw(packed);
  return writer.copy();
}

/**
 * The message in a compressed one, whose type byte `reader` has passed.
 * @throws {WireError}; `incomplete` if more bytes are needed.
 */
export function decompress(reader: MsgpackReader, maxBytes: number): Uint8Array<ArrayBuffer> {
  let algorithm = 0;
  let packed: Uint8Array = empty;
  for (let left = reader.map(); left > 0; left--) {
    reader.raw();
    if (reader.is("Algo")) algorithm = reader.uint();
    else if (reader.is("Buf")) {
      reader.raw();
      packed = reader.bytes.subarray(reader.from, reader.to);
    } else reader.skip();
  }
  if (algorithm !== 0) throw new WireError(`unknown compression ${algorithm}`);
  return lzwDecode(packed, maxBytes);
}

/**
 * Calls with the start and end of each message of a compound, whose type byte
 * stands before `start`. Messages that are cut off are left out, as memberlist does.
 * @throws {WireError} if the lengths themselves are cut off.
 */
export function eachOfCompound(
  bytes: Uint8Array,
  start: number,
  end: number,
  visit: (start: number, end: number) => void,
): void {
  if (start >= end) throw new WireError("a compound without a count");
  const count = bytes[start]!;
  let at = start + 1 + 2 * count;
  if (at > end) throw new WireError("a compound without its lengths");
  for (let i = 0; i < count; i++) {
    const length = bytes[start + 1 + 2 * i]! << 8 | bytes[start + 2 + 2 * i]!;
    if (at + length > end) return;
    visit(at, at + length);
    at += length;
  }
}

/** Writes messages as a compound: at most {@linkcode maxCompound}, each below 64 KiB. */
export function writeCompound(writer: MsgpackWriter, messages: readonly Uint8Array[]): void {
  writer.byte(messageType.compound).byte(messages.length);
  for (const message of messages) writer.u16(message.length);
  for (const message of messages) writer.put(message);
}

/** True if the packet carries a CRC, and it is right; false if there is none. @throws {WireError} if it is wrong. */
export function checkCrc(bytes: Uint8Array): boolean {
  if (bytes[0] !== messageType.crc || bytes.length < crcOverhead) return false;
  const expected = (bytes[1]! << 24 | bytes[2]! << 16 | bytes[3]! << 8 | bytes[4]!) >>> 0;
  if (crc32(bytes, crcOverhead) !== expected) throw new WireError("the checksum does not match");
  return true;
}
