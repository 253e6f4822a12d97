/**
 * Small numbers for what is being said about whom, shared by the views on one store.
 *
 * Most of what a member hears in a burst of rumours it knows already. To see that, a
 * view would look for its verdict in an index and in rows of its own: with ten
 * thousand views in one process each look is memory that no processor's cache holds.
 * So a verdict whose echoes say nothing new gets a slot, the same one in all views
 * that hold it, and a view keeps a byte for each slot (exceptions.ts): all its marks
 * together are a few lines of memory. A slot tells its first few accusers apart, for
 * a view that waits for others to agree hears each of them many times.
 *
 * A slot belongs to a name at one incarnation, is counted by reference, and is used
 * again once no view holds it. Slots only save time: without one, an echo is found to
 * be one the long way. So their number may be bounded, and of two incarnations of one
 * name only the higher one is found.
 */

/** More verdicts than this at one time are rare, and then the others are heard the long way. */
const maxSlots = 4096;
const none = -1;

/** So many accusers of one verdict are told apart. */
export const maxAccusers = 6;

/** The slots of one store. */
export class EchoSlots {
  /** By the number of a name: its slot, plus one. */
  #byName: Uint16Array = new Uint16Array(16);
  /** By slot: the incarnation, whom it is about, how many views hold it. */
  readonly #incarnations: number[] = [];
  readonly #names: number[] = [];
  readonly #refs: number[] = [];
  /** By slot: the numbers of accusers, {@linkcode maxAccusers} at most. */
  readonly #accusers: number[][] = [];
  readonly #free: number[] = [];

  /** How many are held. */
  get size(): number {
    return this.#refs.length - this.#free.length;
  }

  /** The slot of a name at an incarnation, or -1; also for the name -1. */
  find(id: number, incarnation: number): number {
    if (id < 0 || id >= this.#byName.length) return none;
    const slot = this.#byName[id]! - 1;
    return slot >= 0 && this.#incarnations[slot] === incarnation ? slot : none;
  }

  /** The same, made if there is none, and referred to once more. -1 if there cannot be one. */
  hold(id: number, incarnation: number): number {
    const before = id < this.#byName.length ? this.#byName[id]! - 1 : none;
    if (before >= 0) {
      const held = this.#incarnations[before]!;
      if (held === incarnation) {
        this.#refs[before]!++;
        return before;
      }
      if (held > incarnation) return none;
    }
    if (this.#free.length === 0 && this.#refs.length === maxSlots) return none;
    const slot = this.#free.pop() ?? this.#refs.length;
    this.#incarnations[slot] = incarnation;
    this.#names[slot] = id;
    this.#refs[slot] = 1;
    this.#accusers[slot] = [];
    this.#room(id);
    this.#byName[id] = slot + 1;
    return slot;
  }

  /** One reference fewer. */
  release(slot: number): void {
    if (--this.#refs[slot]! > 0) return;
    this.#free.push(slot);
    const id = this.#names[slot]!;
    // Else a higher incarnation has taken its place.
    if (this.#byName[id] === slot + 1) this.#byName[id] = 0;
  }

  /** Which of the accusers of a slot one is, or -1. */
  accuser(slot: number, id: number): number {
    const accusers = this.#accusers[slot]!;
    for (let i = 0; i < accusers.length; i++) if (accusers[i] === id) return i;
    return none;
  }

  /** The same, added if there is room. */
  addAccuser(slot: number, id: number): number {
    const found = this.accuser(slot, id);
    const accusers = this.#accusers[slot]!;
    return found >= 0 || accusers.length === maxAccusers ? found : accusers.push(id) - 1;
  }

  #room(id: number): void {
    if (id < this.#byName.length) return;
    const grown = new Uint16Array(Math.max(id + 1, Math.ceil(this.#byName.length * 1.5)));
    grown.set(this.#byName);
    this.#byName = grown;
  }
}
