/**
 * Recognizes in a push/pull what a view knows already, without reading it.
 *
 * Nearly all of a push/pull between two members is what both know. A state that
 * equals, byte by byte, the one that this node would tell itself says nothing new; so
 * it is compared with that, which costs less than taking it apart. Which one to compare
 * it with follows from the order: views on one store, or filled by one another,
 * mostly have the same. With another order no more is lost than a look at a few bytes.
 */
import type { Context } from "./context.ts";
import type { AliveFields } from "./wire/messages.ts";
import type { Known } from "./wire/stream_reader.ts";

/** For one push/pull. */
export class KnownStates implements Known {
  readonly #c: Context;
  /** Whose state comes next, if the other side tells in our order. */
  #next = 0;

  /** On the shared context. */
  constructor(context: Context) {
    this.#c = context;
  }

  /** How long the state is that begins at `at`, if it is known; else 0. */
  pass(bytes: Uint8Array, at: number): number {
    const { table, store } = this.#c;
    const id = table.after(this.#next);
    if (id < 0) return 0;
    const card = table.card(id);
    const state = store.state(card);
    if (at + state.length > bytes.length) return 0;
    for (let i = 0; i < state.length; i++) if (bytes[at + i] !== state[i]) return 0;
    if (!table.isAlive(card)) return 0;
    this.#next = id + 1;
    return state.length;
  }

  /** Another state stood there: what follows it in our order is expected next. */
  passed({ node }: AliveFields, bytes: Uint8Array): void {
    this.#next = this.#c.store.find(bytes, node.start, node.end) + 1;
  }
}
