/**
 * The short way from plain values to bytes.
 *
 * Most of what travels is made of null, booleans, numbers, short texts, bytes,
 * lists and plain objects. One pass over such a value writes the very bytes that
 * the library would, at less than half its price: it counts no text before
 * writing it, asks no codec for extensions, and keeps its buffer and its view.
 * Whatever else there is inside (a Map, a Date, a long or broken text) it leaves
 * to the library, a value at a time; what has no encoding at all, or is nested
 * too deeply, it gives up as a whole, so that there is one place that explains
 * errors (codec.ts).
 */

/** Encodes what is not plain, a whole value. Throws for what has no encoding. */
export type EncodeRest = (value: unknown) => Uint8Array;

/** Nested too deeply; the codec finds out where. */
const tooDeep = new Error("nested too deeply");

const firstBytes = 4096;
const largeBytes = 16 * 1024;
/** Longer texts are written faster by the library, which has the platform's encoder. */
const longestText = 96;

/** See the head of this file. */
export class PlainEncoder {
  readonly #rest: EncodeRest;
  readonly #maxDepth: number;
  readonly #keptBytes: number;
  #bytes = new Uint8Array(firstBytes);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;
  #entered = false;

  /** @param keptBytes a buffer that has grown beyond this is not kept. */
  constructor(rest: EncodeRest, maxDepth: number, keptBytes: number) {
    this.#rest = rest;
    this.#maxDepth = maxDepth;
    this.#keptBytes = keptBytes;
  }

  /**
   * The bytes of a value, valid until the next call. Undefined where the long way has to be
   * taken: while a call is under way already (a getter inside the value encodes something
   * itself), or when somebody has given every object a key.
   * @param own true: the bytes are the caller's to keep.
   * @throws what `rest` throws, or an error when nested too deeply.
   */
  encode(value: unknown, own = false): Uint8Array<ArrayBuffer> | undefined {
    if (this.#entered || everyObjectHasKeys()) return undefined;
    this.#entered = true;
    this.#at = 0;
    try {
      this.#value(value, 0);
      const bytes = this.#bytes.subarray(0, this.#at);
      // Large ones take their buffer with them: cheaper than a copy.
      const given = own && bytes.length >= largeBytes;
      if (given || this.#bytes.length > this.#keptBytes) this.#renew(firstBytes);
      return own && !given ? bytes.slice() : bytes;
    } finally {
      this.#entered = false;
    }
  }

  #value(value: unknown, depth: number): void {
    switch (typeof value) {
      case "string":
        return this.#text(value);
      case "number":
        return this.#number(value);
      case "boolean":
        this.#reserve(1);
        this.#bytes[this.#at++] = value ? 0xc3 : 0xc2;
        return;
      case "undefined":
        this.#reserve(1);
        this.#bytes[this.#at++] = 0xc0;
        return;
      case "object":
        return this.#object(value, depth);
      default:
        return this.#other(value);
    }
  }

  #object(value: object | null, depth: number): void {
    if (value === null) {
      this.#reserve(1);
      this.#bytes[this.#at++] = 0xc0;
      return;
    }
    if (Array.isArray(value)) {
      const { length } = value;
      if (depth >= this.#maxDepth && length > 0) throw tooDeep;
      this.#count(length, 0x90, 0xdc);
      for (let i = 0; i < length; i++) this.#value(value[i], depth + 1);
      return;
    }
    const prototype = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) {
      return this.#map(value as Readonly<Record<string, unknown>>, depth);
    }
    if (prototype === Uint8Array.prototype) return this.#binary(value as Uint8Array);
    this.#other(value);
  }

  #map(value: Readonly<Record<string, unknown>>, depth: number): void {
    if (depth >= this.#maxDepth && Object.values(value).some((it) => it !== undefined)) {
      throw tooDeep;
    }
    this.#reserve(1);
    const start = this.#at++;
    let count = 0;
    for (const key in value) {
      const item = value[key];
      if (item === undefined) continue;
      count++;
      this.#text(key);
      this.#value(item, depth + 1);
    }
    if (count < 16) this.#bytes[start] = 0x80 + count;
    else this.#widen(start, count);
  }

  /** Replaces the one byte that was left for the head of a map by a longer one. */
  #widen(start: number, count: number): void {
    const end = this.#at;
    const more = count < 0x10000 ? 2 : 4;
    this.#reserve(more);
    this.#bytes.copyWithin(start + 1 + more, start + 1, end);
    this.#at = start;
    this.#count(count, 0x80, 0xde);
    this.#at = end + more;
  }

  /** The head of a list or a map: the short form's first byte, and the first of the long forms. */
  #count(count: number, short: number, long: number): void {
    this.#reserve(5);
    const bytes = this.#bytes;
    if (count < 16) bytes[this.#at++] = short + count;
    else if (count < 0x10000) {
      bytes[this.#at++] = long;
      this.#view.setUint16(this.#at, count);
      this.#at += 2;
    } else {
      bytes[this.#at++] = long + 1;
      this.#view.setUint32(this.#at, count);
      this.#at += 4;
    }
  }

  #text(text: string): void {
    const { length } = text;
    if (length > longestText) return this.#other(text);
    this.#reserve(2 + length);
    const bytes = this.#bytes;
    let at = this.#at;
    if (length < 32) bytes[at++] = 0xa0 | length;
    else {
      bytes[at++] = 0xd9;
      bytes[at++] = length;
    }
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      // Its length in bytes is not what stands before it: what has been written does not count.
      if (unit >= 0x80) return this.#other(text);
      bytes[at++] = unit;
    }
    this.#at = at;
  }

  #number(value: number): void {
    this.#reserve(9);
    const bytes = this.#bytes;
    const at = this.#at;
    if ((value | 0) === value) {
      if (value >= 0) {
        if (value < 0x80) bytes[this.#at++] = value;
        else if (value < 0x100) {
          bytes[at] = 0xcc;
          bytes[at + 1] = value;
          this.#at += 2;
        } else if (value < 0x10000) {
          bytes[at] = 0xcd;
          bytes[at + 1] = value >> 8;
          bytes[at + 2] = value;
          this.#at += 3;
        } else this.#word(0xce, value);
      } else if (value >= -0x20) bytes[this.#at++] = value;
      else if (value >= -0x80) {
        bytes[at] = 0xd0;
        bytes[at + 1] = value;
        this.#at += 2;
      } else if (value >= -0x8000) {
        bytes[at] = 0xd1;
        bytes[at + 1] = value >> 8;
        bytes[at + 2] = value;
        this.#at += 3;
      } else this.#word(0xd2, value);
      return;
    }
    if (Number.isSafeInteger(value)) {
      if (value > 0 && value <= 0xffffffff) return this.#word(0xce, value);
      bytes[at] = value < 0 ? 0xd3 : 0xcf;
      this.#view.setUint32(at + 1, Math.floor(value / 0x1_0000_0000));
      this.#view.setUint32(at + 5, value);
    } else {
      bytes[at] = 0xcb;
      this.#view.setFloat64(at + 1, value);
    }
    this.#at += 9;
  }

  #word(head: number, value: number): void {
    this.#bytes[this.#at] = head;
    this.#view.setUint32(this.#at + 1, value);
    this.#at += 5;
  }

  #binary(value: Uint8Array): void {
    const { length } = value;
    this.#reserve(5 + length);
    const bytes = this.#bytes;
    if (length < 0x100) {
      bytes[this.#at] = 0xc4;
      bytes[this.#at + 1] = length;
      this.#at += 2;
    } else if (length < 0x10000) {
      bytes[this.#at] = 0xc5;
      this.#view.setUint16(this.#at + 1, length);
      this.#at += 3;
    } else {
      bytes[this.#at] = 0xc6;
      this.#view.setUint32(this.#at + 1, length);
      this.#at += 5;
    }
    bytes.set(value, this.#at);
    this.#at += length;
  }

  #other(value: unknown): void {
    const bytes = this.#rest(value);
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes > this.#bytes.length) this.#grow(this.#at + bytes);
  }

  #grow(wanted: number): void {
    const old = this.#bytes;
    this.#renew(Math.max(wanted, 2 * old.length));
    this.#bytes.set(old.subarray(0, this.#at));
  }

  #renew(size: number): void {
    this.#bytes = new Uint8Array(size);
    this.#view = new DataView(this.#bytes.buffer);
  }
}

/** True if loops over keys, which are faster than lists of them, would find more than an object's own. */
function everyObjectHasKeys(): boolean {
  for (const _ in Object.prototype) return true;
  return false;
}
