/**
 * Which chunks of a link's input are copied as a whole, to where their messages may stay.
 *
 * A chunk of many small messages is: its one copy is what a copy of each would cost in
 * views alone. One of large messages is not: those who want them copy each once. What a
 * chunk holds is not known before it is read, so the one before decides; but a short one, such
 * as the last bytes of a large message, tells nothing of a chunk that is many times as long.
 */
import { longest, stagedOf } from "../slab.ts";

/** How many times as long a chunk may be as the one that decides over it. */
const tellsOf = 16;

/** Stages the chunks of one link. */
export class Staging {
  readonly #counters: { readonly messagesReceived: number };
  #messages = 0;
  // Nothing came yet: the first chunk is read where it is.
  #bytes = Infinity;

  /** @param counters of what the link has read out of its chunks. */
  constructor(counters: { readonly messagesReceived: number }) {
    this.#counters = counters;
  }

  /** Where a chunk that arrived is to be read. */
  place(chunk: Uint8Array): Uint8Array {
    const { messagesReceived } = this.#counters;
    const small = this.#bytes <= longest * Math.max(1, messagesReceived - this.#messages) &&
      chunk.length <= tellsOf * this.#bytes;
    this.#messages = messagesReceived;
    this.#bytes = chunk.length;
    return small ? stagedOf(chunk) : chunk;
  }
}
