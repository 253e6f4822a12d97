/**
 * UTF-8 (RFC 3629) without TextEncoder, which the language itself does not have.
 *
 * Strings on the hot path are short and ASCII, so the loops favour that: one
 * comparison a character. Encoding replaces lone surrogates by U+FFFD, as the
 * Encoding standard does; decoding is fatal: overlong forms, surrogates, values
 * above U+10FFFF and truncated sequences all throw, so that a text has one
 * encoding and two nodes never read it differently.
 */

/** How many bytes `text` takes. */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) length += 1;
    else {
      length += 2;
      // A pair is two units and four bytes: its second unit adds nothing.
      if (isHigh(unit) && i + 1 < text.length && isLow(text.charCodeAt(i + 1))) i++;
    }
  }
  return length;
}

/**
 * Writes `text` into `target` at `offset` and returns the offset after it.
 * The caller makes room: at most three bytes for each UTF-16 code unit.
 */
export function writeUtf8(target: Uint8Array, offset: number, text: string): number {
  const length = text.length;
  for (let i = 0; i < length; i++) {
    let unit = text.charCodeAt(i);
    if (unit < 0x80) {
      target[offset++] = unit;
      continue;
    }
    if (unit < 0x800) {
      target[offset++] = 0xc0 | unit >> 6;
      target[offset++] = 0x80 | unit & 0x3f;
      continue;
    }
    if (isSurrogate(unit)) {
      const next = i + 1 < length ? text.charCodeAt(i + 1) : 0;
      if (isHigh(unit) && isLow(next)) {
        const point = 0x10000 + ((unit & 0x3ff) << 10) + (next & 0x3ff);
        i++;
        target[offset++] = 0xf0 | point >> 18;
        target[offset++] = 0x80 | point >> 12 & 0x3f;
        target[offset++] = 0x80 | point >> 6 & 0x3f;
        target[offset++] = 0x80 | point & 0x3f;
        continue;
      }
      unit = 0xfffd;
    }
    target[offset++] = 0xe0 | unit >> 12;
    target[offset++] = 0x80 | unit >> 6 & 0x3f;
    target[offset++] = 0x80 | unit & 0x3f;
  }
  return offset;
}

/** The UTF-8 encoding of `text`. */
export function encodeUtf8(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(utf8Length(text));
  writeUtf8(bytes, 0, text);
  return bytes;
}

/**
 * The text that `bytes` encode between `start` and `end`.
 * @throws {TypeError} if they are not well-formed UTF-8.
 */
export function decodeUtf8(bytes: Uint8Array, start = 0, end: number = bytes.length): string {
  let text = "";
  // Chunks keep the argument list of fromCharCode short and the rope shallow.
  const units: number[] = [];
  let at = start;
  while (at < end) {
    const first = bytes[at++]!;
    if (first < 0x80) units.push(first);
    else {
      const size = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
      if (first < 0xc2 || first > 0xf4 || at + size > end) throw malformed();
      let point = first & (0x3f >> size);
      for (let i = 0; i < size; i++) {
        const next = bytes[at++]!;
        if ((next & 0xc0) !== 0x80) throw malformed();
        point = point << 6 | next & 0x3f;
      }
      if (size === 2 && (point < 0x800 || isSurrogate(point))) throw malformed();
      if (size === 3 && (point < 0x10000 || point > 0x10ffff)) throw malformed();
      if (point < 0x10000) units.push(point);
      else units.push(0xd800 | (point - 0x10000) >> 10, 0xdc00 | (point - 0x10000) & 0x3ff);
    }
    if (units.length >= 1024) {
      text += String.fromCharCode(...units);
      units.length = 0;
    }
  }
  return text + String.fromCharCode(...units);
}

function isSurrogate(unit: number): boolean {
  return (unit & 0xf800) === 0xd800;
}

function isHigh(unit: number): boolean {
  return (unit & 0xfc00) === 0xd800;
}

function isLow(unit: number): boolean {
  return (unit & 0xfc00) === 0xdc00;
}

function malformed(): TypeError {
  return new TypeError("malformed UTF-8");
}
