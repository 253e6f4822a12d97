/**
 * The short way from bytes to plain values.
 *
 * One pass reads and checks at once what scan.ts and the library do in two, at
 * less than half their price: null, booleans, numbers, texts, bytes, lists, and
 * maps whose keys are short texts. Keys come out of a small table, since the
 * same few are read all the time. Extensions and long texts are left to the
 * library, a value at a time. At anything else (a key that is a number), and at
 * whatever is not as it should be, it gives up as a whole, so that there is one
 * place that explains errors (codec.ts). Nothing that it returns shares memory
 * with its input, unless views are asked for.
 */
import { decodeUtf8 } from "../utf8.ts";

const scratch = new DataView(new ArrayBuffer(8));
const scratchBytes = new Uint8Array(scratch.buffer);
/** Longer texts are read faster by the library, which has the platform's decoder. */
const longestText = 200;
/** Slots for keys, a power of two. */
const slots = 512;

/** Decodes what is not plain: the bytes of one whole value. Throws at what is malformed. */
export type DecodeRest = (bytes: Uint8Array) => unknown;

/** See the head of this file. */
export class PlainDecoder {
  readonly #rest: DecodeRest;
  readonly #maxDepth: number;
  readonly #keys: string[] = new Array(slots).fill("");
  #bytes: Uint8Array = scratchBytes;
  #views = false;
  #at = 0;
  #end = 0;

  constructor(rest: DecodeRest, maxDepth: number) {
    this.#rest = rest;
    this.#maxDepth = maxDepth;
  }

  /**
   * The value, or undefined where the long way has to be taken.
   * @param views true: bytes in it may be views of the input.
   * @throws what `rest` throws.
   */
  decode(bytes: Uint8Array, views = false): unknown {
    this.#bytes = bytes;
    this.#views = views;
    this.#at = 0;
    this.#end = bytes.length;
    const value = this.#value(0);
    return this.#at === this.#end ? value : undefined;
  }

  #value(depth: number): unknown {
    if (this.#at >= this.#end) return undefined;
    const head = this.#bytes[this.#at++]!;
    if (head < 0x80) return head;
    if (head < 0x90) return this.#map(head & 0x0f, depth);
    if (head < 0xa0) return this.#list(head & 0x0f, depth);
    if (head < 0xc0) return this.#text(head & 0x1f);
    if (head >= 0xe0) return head - 0x100;
    switch (head) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return this.#binary(this.#uint(1));
      case 0xc5:
        return this.#binary(this.#uint(2));
      case 0xc6:
        return this.#binary(this.#uint(4));
      case 0xc7:
        return this.#other(1, this.#uint(1), 1);
      case 0xc8:
        return this.#other(2, this.#uint(2), 1);
      case 0xc9:
        return this.#other(4, this.#uint(4), 1);
      case 0xca:
        return this.#scratch(4) ? scratch.getFloat32(0) : undefined;
      case 0xcb:
        return this.#scratch(8) ? scratch.getFloat64(0) : undefined;
      case 0xcc:
        return this.#uint(1);
      case 0xcd:
        return this.#uint(2);
      case 0xce:
        return this.#uint(4);
      case 0xcf:
        return this.#scratch(8)
          ? scratch.getUint32(0) * 0x1_0000_0000 + scratch.getUint32(4)
          : undefined;
      case 0xd0:
        return this.#scratch(1) ? scratch.getInt8(0) : undefined;
      case 0xd1:
        return this.#scratch(2) ? scratch.getInt16(0) : undefined;
      case 0xd2:
        return this.#scratch(4) ? scratch.getInt32(0) : undefined;
      case 0xd3:
        return this.#scratch(8)
          ? scratch.getInt32(0) * 0x1_0000_0000 + scratch.getUint32(4)
          : undefined;
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return this.#other(0, 1 << (head - 0xd4), 1);
      case 0xd9: {
        const length = this.#uint(1);
        return length! > longestText ? this.#other(1, length, 0) : this.#text(length);
      }
      case 0xda:
        return this.#other(2, this.#uint(2), 0);
      case 0xdb:
        return this.#other(4, this.#uint(4), 0);
      case 0xdc:
        return this.#list(this.#uint(2), depth);
      case 0xdd:
        return this.#list(this.#uint(4), depth);
      case 0xde:
        return this.#map(this.#uint(2), depth);
      case 0xdf:
        return this.#map(this.#uint(4), depth);
      default:
        return undefined;
    }
  }

  #list(count: number | undefined, depth: number): unknown[] | undefined {
    if (count === undefined || count > this.#end - this.#at) return undefined;
    if (count > 0 && depth >= this.#maxDepth) return undefined;
    const list: unknown[] = [];
    for (let i = 0; i < count; i++) {
      const item = this.#value(depth + 1);
      if (item === undefined) return undefined;
      list.push(item);
    }
    return list;
  }

  #map(count: number | undefined, depth: number): Record<string, unknown> | undefined {
    if (count === undefined || 2 * count > this.#end - this.#at) return undefined;
    if (count > 0 && depth >= this.#maxDepth) return undefined;
    const map: Record<string, unknown> = {};
    for (let i = 0; i < count; i++) {
      const key = this.#key();
      if (key === undefined) return undefined;
      const value = this.#value(depth + 1);
      if (value === undefined) return undefined;
      map[key] = value;
    }
    return map;
  }

  /** A short text as a key; undefined for any other, and for one that would do harm. */
  #key(): string | undefined {
    const bytes = this.#bytes;
    const head = bytes[this.#at];
    if (head === undefined || head < 0xa0 || head >= 0xc0) return undefined;
    const start = this.#at + 1;
    const length = head & 0x1f;
    if (start + length > this.#end) return undefined;
    this.#at = start + length;
    let hash = length;
    for (let i = 0; i < length; i++) hash = Math.imul(hash, 31) + bytes[start + i]! | 0;
    const slot = (hash ^ hash >>> 9) & (slots - 1);
    const known = this.#keys[slot]!;
    if (known.length === length) {
      let i = 0;
      while (i < length && known.charCodeAt(i) === bytes[start + i]) i++;
      if (i === length) return known;
    }
    const key = textOf(bytes, start, length);
    // `length` counts bytes: a key that is not ASCII differs from it, and is made anew each time.
    if (key === "__proto__" || key === undefined) return undefined;
    if (key.length === length) this.#keys[slot] = key;
    return key;
  }

  #text(length: number | undefined): string | undefined {
    if (length === undefined || length > this.#end - this.#at) return undefined;
    const start = this.#at;
    this.#at += length;
    return textOf(this.#bytes, start, length);
  }

  #binary(length: number | undefined): Uint8Array | undefined {
    if (length === undefined || length > this.#end - this.#at) return undefined;
    const start = this.#at;
    this.#at += length;
    // Not by `subarray` and `slice`: those of a Buffer give Buffers, which share memory.
    const view = new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + start, length);
    if (this.#views) return view;
    const own = new Uint8Array(length);
    own.set(view);
    return own;
  }

  /** A value whose head has been read up to its length, which took `size` bytes; `extra` count besides. */
  #other(size: number, length: number | undefined, extra: number): unknown {
    if (length === undefined) return undefined;
    const start = this.#at - size - 1;
    const end = this.#at + length + extra;
    if (end > this.#end) return undefined;
    this.#at = end;
    return this.#rest(this.#bytes.subarray(start, end));
  }

  #uint(size: 1 | 2 | 4): number | undefined {
    const at = this.#at;
    if (at + size > this.#end) return undefined;
    this.#at += size;
    const bytes = this.#bytes;
    if (size === 1) return bytes[at];
    if (size === 2) return bytes[at]! << 8 | bytes[at + 1]!;
    return (bytes[at]! << 24 | bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!) >>> 0;
  }

  /** Puts the next bytes where a view reads them. */
  #scratch(size: number): boolean {
    const at = this.#at;
    if (at + size > this.#end) return false;
    this.#at += size;
    for (let i = 0; i < size; i++) scratchBytes[i] = this.#bytes[at + i]!;
    return true;
  }
}

/** A short text; undefined if it is not well-formed. */
function textOf(bytes: Uint8Array, start: number, length: number): string | undefined {
  let text = "";
  for (let i = 0; i < length; i++) {
    const unit = bytes[start + i]!;
    if (unit >= 0x80) return notAscii(bytes, start, length);
    text += String.fromCharCode(unit);
  }
  return text;
}

function notAscii(bytes: Uint8Array, start: number, length: number): string | undefined {
  try {
    return decodeUtf8(bytes, start, start + length);
  } catch {
    return undefined; // The library is more lenient; what it makes of it counts.
  }
}
