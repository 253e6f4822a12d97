/**
 * The members of a view that are not simply alive at the incarnation of their card.
 *
 * They are few, and most rumours are about them: in a cluster of ten thousand of
 * which a hundred crash, thousands of times a second each view is asked about that
 * hundred. So they stand side by side, apart from the many, where a processor's
 * cache holds them: rows without holes, and an index of them.
 */
import { PlaceIndex } from "./place_index.ts";
import { stateOf } from "./verdicts.ts";

/** Of a row: the number of the member, the state and a mark, the incarnation. */
const [about, word, incarnation] = [0, 1, 2] as const;
const stateMask = 0b111;
const settledBit = 0b1000;

/** Verdicts by the number of the member. Places are valid until the next change. */
export class Exceptions {
  readonly #index: PlaceIndex = new PlaceIndex();
  readonly #rows: { numbers: Int32Array; readonly each: 4 } = { numbers: noRows, each: 4 };
  /** By place: since when a member is not alive. */
  #since: Float64Array = noTimes;
  #size = 0;

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** Where the verdict about a member stands, or -1. */
  find(id: number): number {
    return this.#index.find(this.#rows, id);
  }

  /** Whom a place is about. */
  id(place: number): number {
    return this.#rows.numbers[place * 4 + about]!;
  }

  /** The state at a place. */
  state(place: number): number {
    return this.#rows.numbers[place * 4 + word]! & stateMask;
  }

  /** The incarnation of the verdict at a place. */
  incarnation(place: number): number {
    return this.#rows.numbers[place * 4 + incarnation]! >>> 0;
  }

  /** Since when the member is not alive; undefined if it is. */
  sinceMs(place: number): number | undefined {
    return this.state(place) === stateOf.alive ? undefined : this.#since[place]!;
  }

  /** True once {@linkcode Exceptions.settle} was called for this verdict. */
  settled(place: number): boolean {
    return (this.#rows.numbers[place * 4 + word]! & settledBit) !== 0;
  }

  /** Marks that echoes of the verdict say nothing new. The next verdict clears it. */
  settle(place: number): void {
    this.#rows.numbers[place * 4 + word]! |= settledBit;
  }

  /** A new verdict. The time counts from the first of the same state. */
  set(id: number, state: number, atIncarnation: number, nowMs: number): void {
    let place = this.find(id);
    if (place < 0) {
      place = this.#size++;
      this.#room(this.#size);
      this.#rows.numbers[place * 4 + about] = id;
      this.#index.add(this.#rows, place);
      this.#since[place] = nowMs;
    } else if (this.state(place) !== state) this.#since[place] = nowMs;
    this.#rows.numbers[place * 4 + word] = state;
    this.#rows.numbers[place * 4 + incarnation] = atIncarnation;
  }

  /** Forgets one; harmless if there is none. */
  delete(id: number): void {
    const place = this.find(id);
    if (place < 0) return;
    if (this.#size === 1) return this.clear();
    this.#index.remove(this.#rows, place);
    const last = --this.#size;
    if (place === last) return;
    // The last one takes its place.
    this.#index.move(this.#rows, last, place);
    this.#rows.numbers.copyWithin(place * 4, last * 4, (last + 1) * 4);
    this.#since[place] = this.#since[last]!;
  }

  /** Forgets all, and gives their room back. */
  clear(): void {
    this.#index.clear();
    this.#size = 0;
    this.#rows.numbers = noRows;
    this.#since = noTimes;
  }

  /** Takes over all of another one. */
  copy(other: Exceptions): void {
    this.clear();
    for (let place = 0; place < other.size; place++) {
      this.set(
        other.id(place),
        other.state(place),
        other.incarnation(place),
        other.#since[place]!,
      );
      if (other.settled(place)) this.settle(place);
    }
  }

  #room(count: number): void {
    if (count <= this.#since.length) return;
    const capacity = Math.max(4, Math.ceil(count * 1.5));
    const numbers = new Int32Array(capacity * 4);
    numbers.set(this.#rows.numbers);
    const since = new Float64Array(capacity);
    since.set(this.#since);
    this.#rows.numbers = numbers;
    this.#since = since;
  }
}

const noRows: Int32Array = new Int32Array();
const noTimes: Float64Array = new Float64Array();
