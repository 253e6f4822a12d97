/**
 * AES-192-GCM (NIST SP 800-38D) out of AES-192-CTR, since the runtime's
 * node:crypto has the one and not the other. Gossip keys of 24 bytes are rare,
 * but Serf takes them, and a keyring that refuses one key blocks a rotation.
 *
 * The universal hash is computed with Shoup's table of sixteen multiples (4 bits
 * at a time). It is not constant in time: the table's index depends on data that
 * an attacker on the path sees anyway, and on the hash key, so do not use it
 * where somebody shares the processor's cache.
 */
import { createCipheriv, timingSafeEqual } from "node:crypto";

const blockBytes = 16;
const tagBytes = 16;

/** What the low four bits of a block carry over when it is shifted right by four, in the top 16 bits. */
const carries = Uint32Array.from({ length: 16 }, (_, bits) => {
  let carry = 0;
  for (let i = 0; i < 4; i++) {
    const low = bits & 1 << (3 - i) ? 1 : 0;
    // Shifted right 3 - i more times after it fell out.
    carry ^= low === 0 ? 0 : (0xe1 << 24 >>> 0) >>> i;
  }
  return carry >>> 0;
});

/** The multiples of H by every value of four bits, as four words each. */
function tableOf(h: Uint8Array): Uint32Array {
  const table = new Uint32Array(64);
  const view = new DataView(h.buffer, h.byteOffset, blockBytes);
  const words = [0, 4, 8, 12].map((at) => view.getUint32(at));
  table.set(words, 8 * 4);
  for (let i = 4; i > 0; i >>= 1) {
    const carry = words[3]! & 1 ? 0xe1000000 : 0;
    for (let w = 3; w > 0; w--) words[w] = (words[w]! >>> 1 | words[w - 1]! << 31) >>> 0;
    words[0] = (words[0]! >>> 1 ^ carry) >>> 0;
    table.set(words, i * 4);
  }
  for (let i = 2; i < 16; i <<= 1) {
    for (let j = 1; j < i; j++) {
      for (let w = 0; w < 4; w++) table[(i + j) * 4 + w] = table[i * 4 + w]! ^ table[j * 4 + w]!;
    }
  }
  return table;
}

/** The hash under way: y = (y ^ block) * H for each block. */
class Ghash {
  readonly #table: Uint32Array;
  #y: [number, number, number, number] = [0, 0, 0, 0];

  constructor(h: Uint8Array) {
    this.#table = tableOf(h);
  }

  /** Takes bytes in, padded with zeros to whole blocks. */
  update(bytes: Uint8Array): this {
    const block = new DataView(new ArrayBuffer(blockBytes));
    const padded = new Uint8Array(block.buffer);
    for (let at = 0; at < bytes.length; at += blockBytes) {
      padded.fill(0);
      padded.set(bytes.subarray(at, at + blockBytes));
      this.#block(block);
    }
    return this;
  }

  /** Ends with the lengths, in bytes. */
  digest(additional: number, text: number): Uint8Array {
    const block = new DataView(new ArrayBuffer(blockBytes));
    block.setBigUint64(0, BigInt(additional) * 8n);
    block.setBigUint64(8, BigInt(text) * 8n);
    this.#block(block);
    this.#y.forEach((word, i) => block.setUint32(i * 4, word));
    return new Uint8Array(block.buffer);
  }

  #block(block: DataView): void {
    const table = this.#table;
    const y = this.#y.map((word, i) => (word ^ block.getUint32(i * 4)) >>> 0);
    let z0 = 0, z1 = 0, z2 = 0, z3 = 0;
    for (let nibble = 31; nibble >= 0; nibble--) {
      if (nibble !== 31) {
        const carry = carries[z3 & 15]!;
        z3 = z3 >>> 4 | z2 << 28;
        z2 = z2 >>> 4 | z1 << 28;
        z1 = z1 >>> 4 | z0 << 28;
        z0 = z0 >>> 4 ^ carry;
      }
      const at = (y[nibble >> 3]! >>> (28 - (nibble & 7) * 4) & 15) * 4;
      z0 ^= table[at]!;
      z1 ^= table[at + 1]!;
      z2 ^= table[at + 2]!;
      z3 ^= table[at + 3]!;
    }
    this.#y = [z0 >>> 0, z1 >>> 0, z2 >>> 0, z3 >>> 0];
  }
}

/** CTR from the counter of `first`: its key stream over `bytes`. */
function counter(key: Uint8Array, nonce: Uint8Array, first: number, bytes: Uint8Array): Uint8Array {
  const iv = new Uint8Array(blockBytes);
  iv.set(nonce);
  iv[blockBytes - 1] = first;
  return cipher(createCipheriv("aes-192-ctr", key, iv), bytes);
}

/** One whole run of a cipher; without its end the runtime would keep it. */
function cipher(made: ReturnType<typeof createCipheriv>, bytes: Uint8Array): Uint8Array {
  const out = made.update(bytes);
  made.final();
  return out;
}

function tagOf(
  key: Uint8Array,
  nonce: Uint8Array,
  body: Uint8Array,
  additional: Uint8Array,
): Uint8Array {
  const h = cipher(createCipheriv("aes-192-ecb", key, null), new Uint8Array(blockBytes));
  const hash = new Ghash(new Uint8Array(h)).update(additional).update(body);
  return counter(key, nonce, 1, hash.digest(additional.length, body.length));
}

/** Encrypts under a nonce of 12 bytes: ciphertext, then the tag. */
export function seal192(
  key: Uint8Array,
  nonce: Uint8Array,
  plain: Uint8Array,
  additional: Uint8Array,
): Uint8Array {
  const sealed = new Uint8Array(plain.length + tagBytes);
  sealed.set(counter(key, nonce, 2, plain));
  const body = sealed.subarray(0, plain.length);
  sealed.set(tagOf(key, nonce, body, additional), plain.length);
  return sealed;
}

/** The reverse; undefined if the tag does not verify. */
export function open192(
  key: Uint8Array,
  nonce: Uint8Array,
  sealed: Uint8Array,
  additional: Uint8Array,
): Uint8Array | undefined {
  const body = sealed.subarray(0, sealed.length - tagBytes);
  const tag = sealed.subarray(sealed.length - tagBytes);
  if (!timingSafeEqual(tagOf(key, nonce, body, additional), tag)) return undefined;
  return counter(key, nonce, 2, body);
}
