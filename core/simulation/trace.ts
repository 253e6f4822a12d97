/**
 * What happened, line by line, and a hash over all of it.
 *
 * Two runs of one seed must leave the same trace. The second run is given the
 * first as its reference and compares as it goes, so it can stop at the first
 * line that differs and show both. Hashes of all lines are kept up to a bound
 * (4 bytes a line), text of the first lines (for comparing and for reading)
 * and of the last few (for the report of a failure).
 */

/** Lines whose text is kept from the start. */
const maxTextLines = 200_000;
/** Lines whose hash is kept for comparing; the running hash covers all. */
const maxHashes = 1 << 24;
/** Lines kept from the end. */
const tailLines = 40;
/** Longer lines are cut, so that one log line cannot eat the memory. */
const maxLineLength = 1000;

/** Where two runs of one seed went apart. */
export interface Divergence {
  /** The number of the first line that differs, counted from 0. */
  readonly line: number;
  /** What the first run did there; undefined if it had ended, or if the text is no longer kept. */
  readonly first: string | undefined;
  /** What the second run did there; undefined if it had ended. */
  readonly second: string | undefined;
}

/** A growing record of a run. */
export class Trace {
  readonly #lines: string[] = [];
  readonly #tail: string[] = [];
  readonly #reference: Trace | undefined;
  #hashes = new Uint32Array(1024);
  #count = 0;
  #low = 0x811c9dc5;
  #high = 0x01000193;
  #divergence: Divergence | undefined;

  /**
   * An empty trace.
   * @param reference an earlier run of the same seed to compare with.
   */
  constructor(reference?: Trace) {
    this.#reference = reference;
  }

  /** True if there is an earlier run to compare with. */
  get isRepetition(): boolean {
    return this.#reference !== undefined;
  }

  /** How many lines were written. */
  get count(): number {
    return this.#count;
  }

  /** A hash over every line, 16 hexadecimal digits. */
  get hash(): string {
    const hex = (n: number) => (n >>> 0).toString(16).padStart(8, "0");
    return hex(this.#high) + hex(this.#low);
  }

  /** The lines from the start, as far as their text is kept (200,000). */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** The last lines (40), in order. */
  get tail(): readonly string[] {
    const split = this.#count % tailLines;
    return [...this.#tail.slice(split), ...this.#tail.slice(0, split)];
  }

  /** The first line that differs from the reference, once one does. */
  get divergence(): Divergence | undefined {
    return this.#divergence;
  }

  /** Writes a line. */
  add(text: string): void {
    const line = text.length > maxLineLength ? text.slice(0, maxLineLength) : text;
    let low = this.#low;
    let high = this.#high;
    for (let i = 0; i < line.length; i++) {
      const unit = line.charCodeAt(i);
      low = Math.imul(low ^ unit, 0x01000193);
      high = Math.imul(high ^ unit, 0x85ebca6b) ^ (low >>> 15);
    }
    this.#low = Math.imul(low ^ 0x0a, 0x01000193); // Line ends count: ["ab"] is not ["a", "b"].
    this.#high = high;
    const index = this.#count++;
    if (index < maxTextLines) this.#lines.push(line);
    this.#tail[index % tailLines] = line;
    if (index < maxHashes) {
      if (index === this.#hashes.length) {
        const grown = new Uint32Array(this.#hashes.length * 2);
        grown.set(this.#hashes);
        this.#hashes = grown;
      }
      this.#hashes[index] = this.#low;
    }
    this.#compare(index, line);
  }

  /** To be called when the run is over: the reference must not be longer. */
  end(): Divergence | undefined {
    const reference = this.#reference;
    if (reference !== undefined && this.#divergence === undefined) {
      if (reference.#count > this.#count) {
        this.#divergence = {
          line: this.#count,
          first: reference.#lines[this.#count],
          second: undefined,
        };
      } else if (reference.hash !== this.hash) { // Beyond the hashes that are kept.
        this.#divergence = { line: maxHashes, first: undefined, second: undefined };
      }
    }
    return this.#divergence;
  }

  #compare(index: number, line: string): void {
    const reference = this.#reference;
    if (reference === undefined || this.#divergence !== undefined || index >= maxHashes) return;
    if (index < reference.#count && reference.#hashes[index] === this.#hashes[index]) return;
    this.#divergence = { line: index, first: reference.#lines[index], second: line };
  }
}
