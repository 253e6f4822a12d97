/** CRC-32 (IEEE 802.3), eight bytes at a time ("slicing", Kounavis and Berry 2005). */

const tables: Int32Array = new Int32Array(8 * 256);
for (let n = 0; n < 256; n++) {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? c >>> 1 ^ 0xedb88320 : c >>> 1;
  tables[n] = c;
}
for (let n = 0; n < 256; n++) {
  for (let k = 1; k < 8; k++) {
    const c = tables[(k - 1) * 256 + n]!;
    tables[k * 256 + n] = tables[c & 0xff]! ^ c >>> 8;
  }
}

/** The checksum of `bytes` between `start` and `end`, unsigned. */
export function crc32(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  let c = -1;
  let at = start;
  for (; at + 8 <= end; at += 8) {
    c ^= bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16 | bytes[at + 3]! << 24;
    c = tables[1792 + (c & 0xff)]! ^ tables[1536 + (c >>> 8 & 0xff)]! ^
      tables[1280 + (c >>> 16 & 0xff)]! ^ tables[1024 + (c >>> 24)]! ^
      tables[768 + bytes[at + 4]!]! ^ tables[512 + bytes[at + 5]!]! ^
      tables[256 + bytes[at + 6]!]! ^ tables[bytes[at + 7]!]!;
  }
  for (; at < end; at++) c = tables[(c ^ bytes[at]!) & 0xff]! ^ c >>> 8;
  return ~c >>> 0;
}
