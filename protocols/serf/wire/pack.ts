/**
 * What Serf's messages need of MessagePack beyond memberlist's: lists, wide maps,
 * integers of 64 bits, doubles and text. The same rules hold: bytes and text in
 * the raw family as Go's old codec writes them, every length checked against what
 * is there before it is believed, unknown values passed over.
 */
import { MsgpackReader, MsgpackWriter, WireError } from "../../swim/wire/msgpack.ts";
import { decodeUtf8 } from "../../utf8.ts";

/** Reads values one after the other. Every method throws {@linkcode WireError}. */
export class SerfReader extends MsgpackReader {
  /** True, and passes over it, if nil is next. */
  nil(): boolean {
    if (this.bytes[this.at] !== 0xc0 || this.at >= this.end) return false;
    this.at++;
    return true;
  }

  /** The number of entries of a map of any size, at most `max`; nil is none. */
  entries(max: number): number {
    return this.#count(0x80, 0xde, max, "map");
  }

  /** The number of items of a list of any size, at most `max`; nil is none. */
  items(max: number): number {
    return this.#count(0x90, 0xdc, max, "list");
  }

  /**
   * An unsigned integer of up to 64 bits, nil for 0. Above 2^53 it is rounded, which
   * is good enough for those who refuse such numbers.
   */
  uint64(): number {
    const type = this.bytes[this.at];
    if (type !== 0xcf && type !== 0xd3) return this.uint();
    if (type === 0xd3 && this.bytes[this.at + 1]! >= 0x80) throw new WireError("a negative number");
    return this.#doubleWord();
  }

  /** A signed integer of up to 64 bits, rounded above 2^53; nil for 0. */
  int64(): number {
    const type = this.at < this.end ? this.bytes[this.at]! : 0;
    if (type >= 0xe0) {
      this.at++;
      return type - 0x100;
    }
    if (type < 0xd0 || type > 0xd3) return this.uint64();
    const size = 1 << type - 0xd0;
    const negative = this.bytes[this.at + 1]! >= 0x80;
    if (!negative) return this.uint64();
    if (this.end - this.at < 1 + size) throw new WireError("a number is cut off", true);
    // The complement, so that small numbers stay exact.
    let value = 0;
    for (let i = 1; i <= size; i++) value = value * 256 + (0xff - this.bytes[this.at + i]!);
    this.at += 1 + size;
    return -value - 1;
  }

  /** A number with a fraction; whole numbers and nil are taken too. */
  float(): number {
    const type = this.at < this.end ? this.bytes[this.at]! : -1;
    if (type !== 0xca && type !== 0xcb) return this.int64();
    const size = type === 0xca ? 4 : 8;
    if (this.end - this.at < 1 + size) throw new WireError("a number is cut off", true);
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset + this.at + 1, size);
    this.at += 1 + size;
    return size === 4 ? view.getFloat32(0) : view.getFloat64(0);
  }

  /** Text of at most `max` bytes, well-formed UTF-8; nil is empty. */
  text(max: number): string {
    if (this.raw() > max) {
      throw new WireError(`${this.to - this.from} bytes of text, at most ${max}`);
    }
    try {
      return decodeUtf8(this.bytes, this.from, this.to);
    } catch {
      throw new WireError("text that is no UTF-8");
    }
  }

  /** Text of at most `max` bytes, each malformed byte of it replaced by U+FFFD. */
  looseText(max: number): string {
    if (this.raw() > max) {
      throw new WireError(`${this.to - this.from} bytes of text, at most ${max}`);
    }
    return looseUtf8(this.bytes.subarray(this.from, this.to));
  }

  #count(fixed: number, wide: number, max: number, what: string): number {
    if (this.nil()) return 0;
    if (this.at >= this.end) throw new WireError(`a ${what} is missing`, true);
    const type = this.bytes[this.at++]!;
    let count = 0;
    if ((type & 0xf0) === fixed) count = type & 0x0f;
    else if (type === wide || type === wide + 1) {
      const size = type === wide ? 2 : 4;
      if (this.end - this.at < size) throw new WireError(`a ${what} is cut off`, true);
      for (let i = 0; i < size; i++) count = count * 256 + this.bytes[this.at++]!;
    } else throw new WireError(`expected a ${what}, found 0x${type.toString(16)}`);
    if (count > max) throw new WireError(`a ${what} of ${count}, at most ${max}`);
    // Each entry takes a byte at least: no loop runs longer than the bytes that pay for it.
    if (count > this.end - this.at) throw new WireError(`a ${what} reaches beyond the end`, true);
    return count;
  }

  #doubleWord(): number {
    if (this.end - this.at < 9) throw new WireError("a number is cut off", true);
    let value = 0;
    for (let i = 1; i <= 8; i++) value = value * 256 + this.bytes[this.at + i]!;
    this.at += 9;
    return value;
  }
}

/** Text from bytes that anybody may have written: what is no UTF-8 becomes U+FFFD, byte by byte. */
export function looseUtf8(bytes: Uint8Array): string {
  try {
    return decodeUtf8(bytes);
  } catch {
    let text = "";
    for (const byte of bytes) text += byte < 0x80 ? String.fromCharCode(byte) : "\ufffd";
    return text;
  }
}

/** Writes into a buffer of its own, which grows and is used again. */
export class SerfWriter extends MsgpackWriter {
  /** The head of a map of any size. */
  entries(count: number): this {
    if (count < 16) return this.byte(0x80 | count);
    return count < 0x10000 ? this.byte(0xde).u16(count) : this.byte(0xdf).u32(count);
  }

  /** The head of a list of any size. */
  items(count: number): this {
    if (count < 16) return this.byte(0x90 | count);
    return count < 0x10000 ? this.byte(0xdc).u16(count) : this.byte(0xdd).u32(count);
  }

  /** An unsigned integer up to 2^53, in its shortest form. */
  uint64(value: number): this {
    if (value < 0x1_0000_0000) return this.uint(value);
    return this.byte(0xcf).u32(Math.floor(value / 0x1_0000_0000)).u32(value % 0x1_0000_0000);
  }

  /** A double. */
  float(value: number): this {
    new DataView(doubleBytes.buffer).setFloat64(0, value);
    return this.byte(0xcb).put(doubleBytes);
  }

  /** Nil. */
  nil(): this {
    return this.byte(0xc0);
  }
}

const doubleBytes = new Uint8Array(8);
