/**
 * The members of a view that are not simply alive at the incarnation of their card.
 *
 * They are few, and most rumours are about them: in a cluster of ten thousand of
 * which a hundred crash, thousands of times a second each view is asked about that
 * hundred. So they stand side by side, apart from the many, where a processor's
 * cache holds them: rows without holes, and an index of them.
 */
import type { EchoSlots } from "./echo_slots.ts";
import { PlaceIndex } from "./place_index.ts";
import { stateOf } from "./verdicts.ts";

/** Of a row: the number of the member, the state, the incarnation, and the slot of its echoes, plus one. */
const [about, verdict, incarnation, slotted] = [0, 1, 2, 3] as const;
/** What says nothing new: suspicions by some accusers, a bit for each; by anybody; and deaths. */
const [accusers, suspicions, deaths] = [0b11_1111, 0b100_0000, 0b1000_0000] as const;

/** Verdicts by the number of the member. Places are valid until the next change. */
export class Exceptions {
  readonly #index: PlaceIndex = new PlaceIndex();
  readonly #rows: { numbers: Int32Array; readonly each: 4 } = { numbers: noRows, each: 4 };
  /** By place: since when a member is not alive. */
  #since: Float64Array = noTimes;
  /** By slot: what says nothing new. */
  #echoes: Uint8Array = noEchoes;
  readonly #slots: EchoSlots;
  #size = 0;

  /** None yet. The slots are those of the store. */
  constructor(slots: EchoSlots) {
    this.#slots = slots;
  }

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
    return this.#rows.numbers[place * 4 + verdict]!;
  }

  /** The incarnation of the verdict at a place. */
  incarnation(place: number): number {
    return this.#rows.numbers[place * 4 + incarnation]! >>> 0;
  }

  /** Since when the member is not alive; undefined if it is. */
  sinceMs(place: number): number | undefined {
    return this.state(place) === stateOf.alive ? undefined : this.#since[place]!;
  }

  /** What is known to say nothing new about a member at an incarnation. */
  #echoesOf(id: number, atIncarnation: number): number {
    const slot = this.#slots.find(id, atIncarnation);
    // Beyond the end there are no marks.
    return slot < 0 || slot >= this.#echoes.length ? 0 : this.#echoes[slot]!;
  }

  /** True if a suspicion by anybody at this incarnation is known to say nothing new. If not, it still may. */
  echoesSuspicion(id: number, atIncarnation: number): boolean {
    return (this.#echoesOf(id, atIncarnation) & suspicions) !== 0;
  }

  /** The same of a suspicion by one accuser. */
  echoesAccuser(id: number, atIncarnation: number, accuser: number): boolean {
    const echoes = this.#echoesOf(id, atIncarnation) & accusers;
    if (echoes === 0) return false;
    const which = this.#slots.accuser(this.#slots.find(id, atIncarnation), accuser);
    return which >= 0 && (echoes >>> which & 1) !== 0;
  }

  /** The same of a death, other than the member's own word that it left. */
  echoesDeath(id: number, atIncarnation: number): boolean {
    return (this.#echoesOf(id, atIncarnation) & deaths) !== 0;
  }

  /** Marks that suspicions like the verdict at a place say nothing new. The next verdict clears it. */
  settle(place: number): void {
    const slot = this.#slot(place);
    if (slot >= 0) this.#echoes[slot]! |= suspicions;
  }

  /** Marks the same of one accuser. */
  count(place: number, accuser: number): void {
    const slot = this.#slot(place);
    const which = slot < 0 ? -1 : this.#slots.addAccuser(slot, accuser);
    if (which >= 0) this.#echoes[slot]! |= 1 << which;
  }

  /** A new verdict. The time counts from the first of the same state. */
  set(id: number, state: number, atIncarnation: number, nowMs: number): void {
    let place = this.find(id);
    if (place < 0) {
      place = this.#size++;
      this.#room(this.#size);
      this.#rows.numbers[place * 4 + about] = id;
      this.#rows.numbers[place * 4 + slotted] = 0;
      this.#index.add(this.#rows, place);
      this.#since[place] = nowMs;
    } else {
      if (this.state(place) !== state) this.#since[place] = nowMs;
      this.#unmark(place);
    }
    this.#rows.numbers[place * 4 + verdict] = state;
    this.#rows.numbers[place * 4 + incarnation] = atIncarnation;
    if (state < stateOf.dead) return;
    const slot = this.#slot(place);
    if (slot >= 0) this.#echoes[slot]! |= suspicions | deaths;
  }

  /** Forgets one; harmless if there is none. */
  delete(id: number): void {
    const place = this.find(id);
    if (place < 0) return;
    if (this.#size === 1) return this.clear();
    this.#unmark(place);
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
    for (let place = 0; place < this.#size; place++) this.#unmark(place);
    this.#echoes = noEchoes;
    this.#index.clear();
    this.#size = 0;
    this.#rows.numbers = noRows;
    this.#since = noTimes;
  }

  /** Takes over all of another one. */
  copy(other: Exceptions): void {
    this.clear();
    for (let place = 0; place < other.size; place++) {
      const [id, state] = [other.id(place), other.state(place)];
      this.set(id, state, other.incarnation(place), other.#since[place]!);
      const slot = other.#rows.numbers[place * 4 + slotted]! - 1;
      if (slot >= 0 && this.#slot(place) === slot) this.#echoes[slot] = other.#echoes[slot]!;
    }
  }

  /** The slot of the verdict at a place, or -1 if there cannot be one. */
  #slot(place: number): number {
    const known = this.#rows.numbers[place * 4 + slotted]! - 1;
    if (known >= 0) return known;
    const slot = this.#slots.hold(this.id(place), this.incarnation(place));
    if (slot < 0) return slot;
    this.#rows.numbers[place * 4 + slotted] = slot + 1;
    if (slot >= this.#echoes.length) {
      const grown = new Uint8Array(Math.ceil((slot + 1) / 64) * 64);
      grown.set(this.#echoes);
      this.#echoes = grown;
    }
    return slot;
  }

  #unmark(place: number): void {
    const slot = this.#rows.numbers[place * 4 + slotted]! - 1;
    if (slot < 0) return;
    this.#rows.numbers[place * 4 + slotted] = 0;
    this.#echoes[slot] = 0;
    this.#slots.release(slot);
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
const noEchoes: Uint8Array = new Uint8Array();
