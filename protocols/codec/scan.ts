/**
 * Looks over MessagePack bytes before they are decoded.
 *
 * The library trusts the lengths it reads: five bytes may make it allocate four
 * thousand million elements, and nesting is limited by memory alone. One pass
 * over the heads (nothing is copied, texts are skipped) refuses what is
 * truncated, claims more elements than there are bytes, nests too deeply, or
 * has something behind its end. It also tells whether any binary is inside,
 * since the library hands out binaries as views of its input.
 */

/** Bytes that are not one whole MessagePack value within the bounds. */
export class CodecError extends Error {
  /** Makes one. */
  constructor(message: string) {
    super(message);
    this.name = "CodecError";
  }
}

/**
 * Looks over one value. True if there are binaries in it.
 * @throws {CodecError} saying what is wrong and at which byte.
 */
export function scan(bytes: Uint8Array, maxDepth: number): boolean {
  const end = bytes.length;
  // How many values are still to come on each level; maps count both keys and values.
  const open: number[] = [];
  let wanted = 1;
  let at = 0;
  let binaries = false;
  while (true) {
    while (wanted === 0) {
      const outer = open.pop();
      if (outer === undefined) {
        if (at < end) throw new CodecError(`${end - at} bytes behind the end of the value`);
        return binaries;
      }
      wanted = outer;
    }
    wanted--;
    if (at >= end) throw truncated(at);
    const head = bytes[at]!;
    const start = at++;
    let count = -1;
    if (head < 0x80 || head >= 0xe0 || (head >= 0xc0 && head <= 0xc3 && head !== 0xc1)) continue;
    if (head < 0x90) count = 2 * (head & 0x0f);
    else if (head < 0xa0) count = head & 0x0f;
    else if (head < 0xc0) at += head & 0x1f;
    else {
      switch (head) {
        case 0xc4:
        case 0xc5:
        case 0xc6:
          binaries = true;
          at = payloadEnd(bytes, at, 1 << (head - 0xc4), 0);
          break;
        case 0xc7:
        case 0xc8:
        case 0xc9:
          at = payloadEnd(bytes, at, 1 << (head - 0xc7), 1);
          break;
        case 0xca:
          at += 4;
          break;
        case 0xcb:
          at += 8;
          break;
        case 0xcc:
        case 0xcd:
        case 0xce:
        case 0xcf:
          at += 1 << (head - 0xcc);
          break;
        case 0xd0:
        case 0xd1:
        case 0xd2:
        case 0xd3:
          at += 1 << (head - 0xd0);
          break;
        case 0xd4:
        case 0xd5:
        case 0xd6:
        case 0xd7:
        case 0xd8:
          at += 1 + (1 << (head - 0xd4));
          break;
        case 0xd9:
        case 0xda:
        case 0xdb:
          at = payloadEnd(bytes, at, 1 << (head - 0xd9), 0);
          break;
        case 0xdc:
        case 0xdd: {
          const size = head === 0xdc ? 2 : 4;
          count = uint(bytes, at, size);
          at += size;
          break;
        }
        case 0xde:
        case 0xdf: {
          const size = head === 0xde ? 2 : 4;
          count = 2 * uint(bytes, at, size);
          at += size;
          break;
        }
        default:
          throw new CodecError(`0x${head.toString(16)} at byte ${start} begins no value`);
      }
    }
    if (at > end) throw truncated(start);
    if (count > 0) {
      if (count > end - at) throw truncated(start);
      if (open.length >= maxDepth) {
        throw new CodecError(`nested more than ${maxDepth} deep at byte ${start}`);
      }
      open.push(wanted);
      wanted = count;
    }
  }
}

/** The offset behind a payload whose length stands at `at` in `size` bytes, before `extra` more. */
function payloadEnd(bytes: Uint8Array, at: number, size: number, extra: number): number {
  return at + size + extra + uint(bytes, at, size);
}

function uint(bytes: Uint8Array, at: number, size: number): number {
  if (at + size > bytes.length) throw truncated(at);
  let value = 0;
  for (let i = 0; i < size; i++) value = value * 256 + bytes[at + i]!;
  return value;
}

function truncated(at: number): CodecError {
  return new CodecError(`ends too early: the value at byte ${at} is cut off`);
}
