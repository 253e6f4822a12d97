/**
 * LZW as Go's compress/lzw speaks it: least significant bit first, literals of
 * 8 bits, codes of 9 to 12 bits, 256 clears the table, 257 ends the text.
 *
 * The width grows when the table fills the present one, and when it is full at
 * 12 bits the writer sends a clear and both start over. A reader always knows
 * one entry fewer than the writer, because an entry's last byte is the first of
 * the code that follows. Output is bounded by the caller, since a few bytes
 * unfold into thousands.
 */
import { WireError } from "./msgpack.ts";

const clear = 256;
const end = 257;
const firstCode = 258;
const maxWidth = 12;
const maxCode = (1 << maxWidth) - 1;
const none = 0xffff;

// Shared by all calls: none of them is ever left half way.
const prefix = new Uint16Array(1 << maxWidth);
const suffix = new Uint8Array(1 << maxWidth);
const stack = new Uint8Array(1 << maxWidth);
const tableSize = 1 << 14;
const keys = new Int32Array(tableSize);
const values = new Uint16Array(tableSize);

/**
 * Unpacks. At most `maxBytes` come out.
 * @throws {WireError} if it is not LZW, is cut off, or unfolds to more.
 */
export function lzwDecode(input: Uint8Array, maxBytes: number): Uint8Array<ArrayBuffer> {
  let output = new Uint8Array(Math.min(maxBytes, Math.max(64, 4 * input.length)));
  let length = 0;
  let bits = 0;
  let held = 0;
  let width = 9;
  let next = end; // The highest code in the table; the entry under way is not in it yet.
  let last = none;
  for (let at = 0;;) {
    while (held < width) {
      if (at >= input.length) throw new WireError("compressed data is cut off");
      bits |= input[at++]! << held;
      held += 8;
    }
    const code = bits & (1 << width) - 1;
    bits >>>= width;
    held -= width;
    if (code === end) return output.subarray(0, length);
    if (code === clear) {
      width = 9;
      next = end;
      last = none;
      continue;
    }
    if (code > next) throw new WireError("compressed data refers to what is not there");
    // The entry that this very code completes is the last one and its own first byte.
    let depth = 0;
    let walk = code;
    if (code === next && last !== none) {
      walk = last;
      depth = 1; // Filled in below, when the first byte is known.
    } else if (code >= clear && code === next) {
      throw new WireError("compressed data refers to what is not there");
    }
    while (walk >= firstCode) {
      stack[depth++] = suffix[walk]!;
      walk = prefix[walk]!;
    }
    stack[depth++] = walk;
    if (code === next && last !== none) stack[0] = walk;
    if (length + depth > output.length) {
      if (length + depth > maxBytes) throw new WireError(`more than ${maxBytes} bytes unpacked`);
      const grown = new Uint8Array(Math.min(maxBytes, Math.max(2 * output.length, length + depth)));
      grown.set(output.subarray(0, length));
      output = grown;
    }
    if (last !== none) {
      suffix[next] = walk;
      prefix[next] = last;
    }
    while (depth > 0) output[length++] = stack[--depth]!;
    last = code;
    next++;
    if (next >= 1 << width) {
      if (width === maxWidth) {
        last = none;
        next--; // Full: nothing is added until a clear comes.
      } else width++;
    }
  }
}

/** Packs. */
export function lzwEncode(input: Uint8Array): Uint8Array<ArrayBuffer> {
  // A code of at most 12 bits for each byte, and a clear now and then.
  const output = new Uint8Array(Math.ceil(input.length * 1.51) + 16);
  let length = 0;
  let bits = 0;
  let held = 0;
  let width = 9;
  let highest = end;
  let overflow = 1 << 9;
  const emit = (code: number) => {
    bits |= code << held;
    held += width;
    while (held >= 8) {
      output[length++] = bits;
      bits >>>= 8;
      held -= 8;
    }
  };
  const restart = () => {
    emit(clear);
    width = 9;
    highest = end;
    overflow = 1 << 9;
    keys.fill(0);
  };
  keys.fill(0);
  emit(clear);
  let code = -1;
  /** Counts a code into the table. False: the table was full and is new. */
  const count = (): boolean => {
    highest++;
    if (highest === overflow) {
      width++;
      overflow <<= 1;
    }
    if (highest < maxCode) return true;
    restart();
    return false;
  };
  for (let i = 0; i < input.length; i++) {
    const literal = input[i]!;
    if (code < 0) {
      code = literal;
      continue;
    }
    const key = (code << 8 | literal) + 1; // 0 marks a free place.
    let place = Math.imul(key, 0x9e3779b1) >>> 18;
    while (keys[place] !== 0 && keys[place] !== key) place = place + 1 & tableSize - 1;
    if (keys[place] === key) {
      code = values[place]!;
      continue;
    }
    emit(code);
    code = literal;
    if (count()) {
      keys[place] = key;
      values[place] = highest;
    }
  }
  if (code >= 0) {
    emit(code);
    count();
  }
  emit(end);
  if (held > 0) output[length++] = bits;
  return output.subarray(0, length);
}
