/**
 * The view of one member: who is there, in what state, at which incarnation.
 *
 * Eight bytes a member, indexed by the store's number of the name: the state and
 * the number of its card in one word, the incarnation of the last verdict in the
 * next, so that an echo is recognized by one look at memory. Times are kept only of those
 * that are not alive. The verdict's incarnation and the card's may differ: a
 * suspicion can arrive before the alive message that it is about, and then the
 * card is known to be out of date.
 *
 * The order of probing (SWIM section 4.3: each once in a round, in random order)
 * needs no list: a round walks a random permutation of the numbers, computed by a
 * few steps that are each reversible on so many bits. Who joins in the middle of
 * a round stands at a random place of it.
 */
import type { Card, CardStore } from "./cards.ts";
import { stateNames, stateOf } from "./verdicts.ts";
import type { SwimMember } from "./types.ts";

const triesAtRandom = 32;
/** The first word of an entry: the card's number, a mark, the state. */
const cardMask = 0x0fffffff;
const settledBit = 0x10000000;
const stateShift = 29;

/** The members known to one machine, by the number of their name. */
export class MemberTable {
  readonly store: CardStore;
  /** Members in any state. */
  size = 0;
  /** Members alive or suspect. */
  live = 0;
  /** When those that are not alive became so. */
  readonly since: Map<number, number> = new Map();
  readonly #random: () => number;
  #entries: Uint32Array;
  /** Every number of a member is below this. */
  #limit = 0;
  #walkBits = 0;
  #walkAt = 0;
  #walkA = 1;
  #walkB = 1;
  #walkC = 0;

  /** Empty. */
  constructor(store: CardStore, random: () => number, expected: number) {
    this.store = store;
    this.#random = random;
    this.#entries = new Uint32Array(2 * expected);
  }

  /** Bytes that the view takes, the shared store not counted. */
  get bytes(): number {
    return this.#entries.byteLength;
  }

  /** The state of a member; 0 if it is unknown, also for -1. */
  state(id: number): number {
    return id >= 0 && id < this.#limit ? this.#entries[2 * id]! >>> stateShift : stateOf.unknown;
  }

  /** The incarnation of the last verdict. */
  incarnation(id: number): number {
    return this.#entries[2 * id + 1]!;
  }

  /** What the member said of itself last. */
  card(id: number): Card {
    return this.store.card(this.#entries[2 * id]! & cardMask);
  }

  /** True if nothing more can be learnt from echoes of the last verdict; see {@linkcode MemberTable.settle}. */
  settled(id: number): boolean {
    return (this.#entries[2 * id]! & settledBit) !== 0;
  }

  /** Marks that echoes of the last verdict say nothing new. The next verdict clears it. */
  settle(id: number): void {
    this.#entries[2 * id]! |= settledBit;
  }

  /** Enters a member. The card's reference becomes the table's. */
  add(card: Card, state: number): void {
    const id = card.nameId;
    this.#room(id);
    if (id >= this.#limit) this.#limit = id + 1;
    this.#entries[2 * id] = card.id | state << stateShift;
    this.#entries[2 * id + 1] = card.incarnation;
    this.size++;
    if (state <= stateOf.suspect) this.live++;
  }

  /** Takes a newer card. Its reference becomes the table's, the old one's is given back. */
  describe(card: Card): void {
    const at = 2 * card.nameId;
    const old = this.#entries[at]!;
    this.#entries[at] = card.id | old & ~cardMask;
    this.store.release(old & cardMask);
  }

  /** Takes a verdict. */
  judge(id: number, incarnation: number, state: number, nowMs: number): void {
    const entry = this.#entries[2 * id]!;
    const before = entry >>> stateShift;
    this.#entries[2 * id] = entry & cardMask | state << stateShift;
    this.#entries[2 * id + 1] = incarnation;
    if (state === stateOf.alive) this.since.delete(id);
    else if (state !== before) this.since.set(id, nowMs);
    this.live += Number(state <= stateOf.suspect) - Number(before <= stateOf.suspect);
  }

  /** Forgets a member. */
  remove(id: number): void {
    const entry = this.#entries[2 * id]!;
    if (entry >>> stateShift <= stateOf.suspect) this.live--;
    this.#entries[2 * id] = 0;
    this.since.delete(id);
    this.size--;
    this.store.release(entry & cardMask);
  }

  /** Forgets everybody. */
  clear(): void {
    for (let id = 0; id < this.#limit; id++) if (this.#entries[2 * id] !== 0) this.remove(id);
  }

  /** Takes over all that another table on the same store knows, its own knowledge lost. */
  copy(other: MemberTable): void {
    this.clear();
    this.#room(other.#limit - 1);
    this.#entries.set(other.#entries.subarray(0, 2 * other.#limit));
    this.#limit = other.#limit;
    this.size = other.size;
    this.live = other.live;
    for (const [id, sinceMs] of other.since) this.since.set(id, sinceMs);
    this.each((id) => this.store.retain(this.#entries[2 * id]! & cardMask));
  }

  /** Calls with the number of every member. */
  each(visit: (id: number) => void): void {
    for (let id = 0; id < this.#limit; id++) if (this.#entries[2 * id] !== 0) visit(id);
  }

  /** A snapshot of one member. */
  snapshot(id: number): SwimMember {
    const { name, address, ip, port, meta, versions } = this.card(id);
    const member: SwimMember = {
      name,
      address,
      ip,
      port,
      meta,
      versions,
      state: stateNames[this.state(id)]!,
      incarnation: this.incarnation(id),
    };
    const sinceMs = this.since.get(id);
    return sinceMs === undefined ? member : { ...member, sinceMs };
  }

  /**
   * Up to `count` different members that `wanted` accepts, at random, into `into`.
   * Returns how many.
   */
  pick(count: number, wanted: (id: number) => boolean, into: number[]): number {
    let found = 0;
    const take = (id: number): boolean => {
      if (this.state(id) === stateOf.unknown || !wanted(id)) return false;
      for (let i = 0; i < found; i++) if (into[i] === id) return false;
      into[found++] = id;
      return true;
    };
    while (found < count && found < this.size) {
      let tries = triesAtRandom;
      while (tries > 0 && !take(Math.floor(this.#random() * this.#limit))) tries--;
      if (tries > 0) continue;
      // Few are wanted among many: look at all, from a random place on.
      const start = Math.floor(this.#random() * this.#limit);
      for (let i = 0; i < this.#limit && found < count; i++) {
        take(start + i < this.#limit ? start + i : start + i - this.#limit);
      }
      break;
    }
    return found;
  }

  /**
   * The next of the round that `wanted` accepts, or -1 if a whole round has none.
   * `onRound` is called where a new round begins.
   */
  next(wanted: (id: number) => boolean, onRound: () => void): number {
    for (let rounds = 0; rounds < 2;) {
      if (this.#walkAt >= 1 << this.#walkBits || this.#walkBits === 0) {
        rounds++;
        onRound();
        this.#shuffle();
      }
      while (this.#walkAt < 1 << this.#walkBits) {
        const id = this.#permute(this.#walkAt++);
        if (this.state(id) !== stateOf.unknown && wanted(id)) return id;
      }
    }
    return -1;
  }

  #shuffle(): void {
    this.#walkBits = Math.max(2, 32 - Math.clz32(this.#limit - 1));
    this.#walkAt = 0;
    this.#walkA = Math.floor(this.#random() * 0x80000000) * 2 + 1;
    this.#walkB = Math.floor(this.#random() * 0x80000000) * 2 + 1;
    this.#walkC = Math.floor(this.#random() * 0x100000000);
  }

  /** A bijection of the numbers of `walkBits` bits: odd factors, sums and shifted xors can all be undone. */
  #permute(at: number): number {
    const bits = this.#walkBits;
    const mask = (1 << bits) - 1;
    const shift = bits + 1 >> 1;
    let x = Math.imul(at, this.#walkA) + this.#walkC & mask;
    x ^= x >>> shift;
    x = Math.imul(x, this.#walkB) & mask;
    x ^= x >>> shift;
    x = Math.imul(x, this.#walkA) + this.#walkB & mask;
    return x ^ x >>> shift;
  }

  #room(id: number): void {
    const capacity = this.#entries.length / 2;
    if (id < capacity) return;
    const grown = new Uint32Array(2 * Math.max(16, id + 1, Math.ceil(capacity * 1.5)));
    grown.set(this.#entries);
    this.#entries = grown;
  }
}
