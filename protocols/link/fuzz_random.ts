/** Repeatable chance for the fuzzer, and what it picks and joins with it. Not exported by the package. */

/** Repeatable random numbers: the mixing function of SplitMix32, one sequence a stream. */
export class Random {
  #state: number;

  constructor(seed: number, stream: number) {
    this.#state = Math.imul(seed, 0x9e3779b1) ^ Math.imul(stream + 1, 0x85ebca6b);
  }

  /** An integer from 0 to `below` - 1. */
  to(below: number): number {
    this.#state = this.#state + 0x9e3779b9 | 0;
    let mixed = this.#state ^ this.#state >>> 16;
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return ((mixed ^ mixed >>> 15) >>> 0) % below;
  }
}

/** One of a list. */
export function pick<T>(random: Random, list: readonly T[]): T {
  return list[random.to(list.length)]!;
}

/** One after another. */
export function join(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
