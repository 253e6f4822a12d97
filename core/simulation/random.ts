/**
 * Seeded randomness.
 *
 * One seed makes a whole run, so its draws must not disturb each other: if a
 * plugin draws one number more, the network must still lose the same packets.
 * Every consumer therefore gets a stream of its own, made by {@linkcode
 * Random.fork} from the seed and the consumer's name. A fork depends on names
 * alone, never on how much was drawn before it.
 *
 * The generator is sfc32 (Chris Doty-Humphrey, PractRand): 128 bits of state, a
 * counter that guarantees a period of at least 2^32, and about 2 ns a number.
 * Names are hashed by four differently keyed lanes of FNV-1a, finished by
 * murmur3's mixer. Nothing here is fit for secrets.
 */

/** murmur3's finalizer: every input bit reaches every output bit. */
function mix(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** FNV-1a over UTF-16 units, keyed by its starting value. */
function hash(text: string, key: number): number {
  let h = (0x811c9dc5 ^ key) >>> 0;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return mix(h ^ text.length);
}

const hexDigits = "0123456789abcdef";

/** A stream of random numbers that its seed determines. */
export class Random {
  readonly #origin: string;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /**
   * A stream.
   * @param seed any number or text; `1` and `"1"` give the same stream.
   */
  constructor(seed: number | string) {
    this.#origin = String(seed);
    this.#a = hash(this.#origin, 0x243f6a88);
    this.#b = hash(this.#origin, 0x85a308d3);
    this.#c = hash(this.#origin, 0x13198a2e);
    for (let i = 0; i < 12; i++) this.u32(); // Spreads the seed over the whole state.
  }

  /** An independent stream for a named consumer. The same name gives the same stream, whenever it is asked. */
  fork(name: string): Random {
    return new Random(`${this.#origin}/${name}`);
  }

  /** A whole number in [0, 2^32). */
  u32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** A number in [0, 1) with 53 random bits, like `Math.random()`. */
  float(): number {
    return ((this.u32() >>> 5) * 67108864 + (this.u32() >>> 6)) / 9007199254740992;
  }

  /** A whole number in [0, bound). @throws RangeError unless `bound` is a whole number in [1, 2^32]. */
  below(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > 4294967296) {
      throw new RangeError(`bound must be a whole number from 1 to 2^32, not ${bound}`);
    }
    return Math.floor(this.u32() / 4294967296 * bound);
  }

  /** True with the given probability. Draws nothing for 0 and 1, so that switching a fault off costs nothing. */
  chance(probability: number): boolean {
    if (probability <= 0) return false;
    if (probability >= 1) return true;
    return this.float() < probability;
  }

  /** One of the items. @throws RangeError if there is none. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  /** Random bytes. */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i += 4) {
      const word = this.u32();
      for (let j = i; j < length && j < i + 4; j++) bytes[j] = word >>> ((j - i) * 8);
    }
    return bytes;
  }

  /** `digits` random lower-case hexadecimal digits. */
  hex(digits: number): string {
    let text = "";
    while (text.length < digits) text += hexDigits[this.u32() >>> 28];
    return text;
  }
}
