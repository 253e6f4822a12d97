/**
 * The little of MessagePack that memberlist's messages are made of.
 *
 * A message is one map with text keys; values are unsigned integers, booleans,
 * bytes and nil. Go's old codec writes all bytes and text in the raw family
 * (fixraw, raw 16, raw 32), so the writer does, and the reader takes the newer
 * bin and str as well. A general codec would make an object and strings for each
 * rumour; this reader makes nothing, and its caller compares keys where they
 * stand. Every length is checked against what is there before it is believed.
 */
import { utf8Length, writeUtf8 } from "../../utf8.ts";

/** What arrived is no message. */
export class WireError extends Error {
  /** True if it could become one with more bytes. */
  readonly incomplete: boolean;

  /** Makes one. */
  constructor(message: string, incomplete = false) {
    super(message);
    this.name = "WireError";
    this.incomplete = incomplete;
  }
}

const maxDepth = 8;
const maxSkipped = 4096;

/** Reads values one after the other. Every method throws {@linkcode WireError}. */
export class MsgpackReader {
  bytes: Uint8Array = empty;
  /** Where the next value starts. */
  at = 0;
  /** Where reading must stop. */
  end = 0;
  /** Where the last run of bytes that was read starts and ends. */
  from = 0;
  to = 0;

  /** Starts over on other bytes. */
  reset(bytes: Uint8Array, start = 0, end: number = bytes.length): this {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
    return this;
  }

  /** The number of entries of a map. */
  map(): number {
    const type = this.#u8();
    if ((type & 0xf0) === 0x80) return type & 0x0f;
    if (type === 0xde) return this.#u16();
    throw new WireError(`expected a map, found 0x${type.toString(16)}`);
  }

  /** An unsigned integer of at most 32 bits, or nil for 0. */
  uint(): number {
    const type = this.#u8();
    if (type < 0x80) return type;
    switch (type) {
      case 0xc0:
        return 0;
      case 0xcc:
      case 0xd0: {
        const value = this.#u8();
        if (type === 0xcc || value < 0x80) return value;
        break;
      }
      case 0xcd:
      case 0xd1: {
        const value = this.#u16();
        if (type === 0xcd || value < 0x8000) return value;
        break;
      }
      case 0xce:
      case 0xd2: {
        const value = this.#u32();
        if (type === 0xce || value < 0x80000000) return value;
        break;
      }
      case 0xcf:
      case 0xd3:
        if (this.#u32() === 0) return this.#u32();
    }
    throw new WireError("expected an unsigned integer of at most 32 bits");
  }

  /** A boolean, or nil for false. */
  bool(): boolean {
    const type = this.#u8();
    if (type === 0xc3) return true;
    if (type === 0xc2 || type === 0xc0) return false;
    throw new WireError("expected a boolean");
  }

  /** Bytes or text of any family, or nil for none: stands in `from` and `to` afterwards. Returns the length. */
  raw(): number {
    const length = this.rawLength();
    if (length > this.end - this.at) throw new WireError("bytes reach beyond the end", true);
    this.from = this.at;
    this.at += length;
    this.to = this.at;
    return length;
  }

  /** Only the length of bytes or text; they start at `at`, and need not be there yet. */
  rawLength(): number {
    const type = this.#u8();
    if ((type & 0xe0) === 0xa0) return type & 0x1f;
    switch (type) {
      case 0xc0:
        return 0;
      case 0xc4:
      case 0xd9:
        return this.#u8();
      case 0xc5:
      case 0xda:
        return this.#u16();
      case 0xc6:
      case 0xdb:
        return this.#u32();
    }
    throw new WireError(`expected bytes, found 0x${type.toString(16)}`);
  }

  /** A copy of bytes or text. @throws WireError if they are more than `max`. */
  copy(max: number): Uint8Array {
    const length = this.raw();
    if (length > max) throw new WireError(`${length} bytes where ${max} are the most`);
    return length === 0 ? empty : this.bytes.slice(this.from, this.to);
  }

  /** True if the run of bytes last read is this text (ASCII). */
  is(text: string): boolean {
    const { bytes, from, to } = this;
    if (to - from !== text.length) return false;
    for (let i = 0; i < text.length; i++) {
      if (bytes[from + i] !== text.charCodeAt(i)) return false;
    }
    return true;
  }

  /**
   * Passes over a key, as {@linkcode encodedKey} gives it, if it comes next. Whoever
   * reads keys in the order in which they are written saves reading and comparing them.
   */
  passKey(key: Uint8Array): boolean {
    const { bytes, at } = this;
    const { length } = key;
    if (length > this.end - at) return false;
    for (let i = 0; i < length; i++) if (bytes[at + i] !== key[i]) return false;
    this.at = at + length;
    return true;
  }

  /** Passes over one value of any kind, nested ones to a bound. */
  skip(): void {
    let budget = maxSkipped;
    const skip = (depth: number): void => {
      if (depth > maxDepth || --budget < 0) throw new WireError("an unknown field is too complex");
      const type = this.#u8();
      if (type < 0x80 || type >= 0xe0 || type === 0xc0 || type === 0xc2 || type === 0xc3) return;
      if ((type & 0xe0) === 0xa0) return this.#pass(type & 0x1f);
      let items: number;
      if ((type & 0xf0) === 0x80) items = 2 * (type & 0x0f);
      else if ((type & 0xf0) === 0x90) items = type & 0x0f;
      else if (type === 0xdc) items = this.#u16();
      else if (type === 0xdd) items = this.#u32();
      else if (type === 0xde) items = 2 * this.#u16();
      else if (type === 0xdf) items = 2 * this.#u32();
      else return this.#pass(this.#size(type));
      for (let i = 0; i < items; i++) skip(depth + 1);
    };
    skip(0);
  }

  /** What follows the type byte of everything that is neither container nor fixed. */
  #size(type: number): number {
    if (type >= 0xd4 && type <= 0xd8) return 1 + (1 << type - 0xd4); // fixext
    switch (type) {
      case 0xc4:
      case 0xd9:
        return this.#u8();
      case 0xc5:
      case 0xda:
        return this.#u16();
      case 0xc6:
      case 0xdb:
        return this.#u32();
      case 0xc7:
        return this.#u8() + 1;
      case 0xc8:
        return this.#u16() + 1;
      case 0xc9:
        return this.#u32() + 1;
      case 0xcc:
      case 0xd0:
        return 1;
      case 0xcd:
      case 0xd1:
        return 2;
      case 0xca:
      case 0xce:
      case 0xd2:
        return 4;
      case 0xcb:
      case 0xcf:
      case 0xd3:
        return 8;
    }
    throw new WireError(`0x${type.toString(16)} is no type of MessagePack`);
  }

  #pass(length: number): void {
    if (length > this.end - this.at) throw new WireError("a value reaches beyond the end", true);
    this.at += length;
  }

  #u8(): number {
    if (this.at >= this.end) throw new WireError("a value is missing", true);
    return this.bytes[this.at++]!;
  }

  #u16(): number {
    if (this.end - this.at < 2) throw new WireError("a number is cut off", true);
    return this.bytes[this.at++]! << 8 | this.bytes[this.at++]!;
  }

  #u32(): number {
    return this.#u16() * 0x10000 + this.#u16();
  }
}

/** Writes into a buffer of its own, which grows and is used again. */
export class MsgpackWriter {
  /** What has been written so far is the first `at` bytes of it. */
  bytes: Uint8Array<ArrayBuffer>;
  /** How much is written. */
  at = 0;

  /** Starts empty. */
  constructor(capacity = 512) {
    this.bytes = new Uint8Array(capacity);
  }

  /** Starts over. */
  reset(): this {
    this.at = 0;
    return this;
  }

  /** What is written; valid until the next write. */
  view(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(0, this.at);
  }

  /** A copy of what is written. */
  copy(): Uint8Array<ArrayBuffer> {
    return this.bytes.slice(0, this.at);
  }

  /** A bare byte: a message type, or the head of a small map. */
  byte(value: number): this {
    this.#room(1);
    this.bytes[this.at++] = value;
    return this;
  }

  /** Two bytes, big-endian. */
  u16(value: number): this {
    this.#room(2);
    this.bytes[this.at++] = value >>> 8;
    this.bytes[this.at++] = value;
    return this;
  }

  /** Four bytes, big-endian. */
  u32(value: number): this {
    return this.u16(value >>> 16).u16(value & 0xffff);
  }

  /** Bytes as they are. */
  put(bytes: Uint8Array): this {
    const { length } = bytes;
    this.#room(length);
    // A call of `set` costs more than copying a rumour by hand.
    if (length > 64) this.bytes.set(bytes, this.at);
    else {
      const target = this.bytes;
      let i = 0;
      let at = this.at;
      for (; i + 4 <= length; i += 4, at += 4) {
        target[at] = bytes[i]!;
        target[at + 1] = bytes[i + 1]!;
        target[at + 2] = bytes[i + 2]!;
        target[at + 3] = bytes[i + 3]!;
      }
      for (; i < length; i++) target[at++] = bytes[i]!;
    }
    this.at += length;
    return this;
  }

  /** The head of a map of fewer than 16 entries. */
  map(entries: number): this {
    return this.byte(0x80 | entries);
  }

  /** A key: ASCII of fewer than 32 characters. */
  key(text: string): this {
    this.#room(1 + text.length);
    this.bytes[this.at++] = 0xa0 | text.length;
    for (let i = 0; i < text.length; i++) this.bytes[this.at++] = text.charCodeAt(i);
    return this;
  }

  /** An unsigned integer of at most 32 bits, in its shortest form. */
  uint(value: number): this {
    if (value < 0x80) return this.byte(value);
    if (value < 0x100) return this.byte(0xcc).byte(value);
    if (value < 0x10000) return this.byte(0xcd).u16(value);
    return this.byte(0xce).u32(value);
  }

  /** A boolean. */
  bool(value: boolean): this {
    return this.byte(value ? 0xc3 : 0xc2);
  }

  /** Bytes as Go's codec writes them. */
  raw(bytes: Uint8Array): this {
    this.rawHead(bytes.length);
    return this.put(bytes);
  }

  /** The same, but nil where there are none, as Go writes a nil slice. */
  rawOrNil(bytes: Uint8Array): this {
    return bytes.length === 0 ? this.byte(0xc0) : this.raw(bytes);
  }

  /** Text as Go's codec writes it. */
  text(text: string): this {
    this.rawHead(utf8Length(text));
    this.#room(3 * text.length);
    this.at = writeUtf8(this.bytes, this.at, text);
    return this;
  }

  /** The head alone; that many bytes must follow. */
  rawHead(length: number): this {
    if (length < 32) return this.byte(0xa0 | length);
    if (length < 0x10000) return this.byte(0xda).u16(length);
    return this.byte(0xdb).u32(length);
  }

  #room(bytes: number): void {
    if (this.at + bytes <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(2 * this.bytes.length, this.at + bytes));
    grown.set(this.bytes.subarray(0, this.at));
    this.bytes = grown;
  }
}

/** No bytes. */
export const empty: Uint8Array<ArrayBuffer> = new Uint8Array(0);

/** A key as it is written: ASCII of fewer than 32 characters. */
export function encodedKey(text: string): Uint8Array {
  return new MsgpackWriter(1 + text.length).key(text).copy();
}
