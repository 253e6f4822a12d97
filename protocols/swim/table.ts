/**
 * The view of one member: who is there, in what state, at which incarnation.
 *
 * Four bytes a member, indexed by the store's number of the name: the number of its
 * card. That is all of those that are alive as their card says; the others are the
 * exceptions (exceptions.ts), with state, incarnation and time of the last verdict.
 * The verdict's incarnation and the card's may differ: a suspicion can arrive before
 * the alive message that it is about, and then the card is known to be out of date.
 *
 * The order of probing (SWIM section 4.3: each once in a round, in random order)
 * needs no list: a round walks a random permutation of the numbers, computed by a
 * few steps that are each reversible on so many bits. Who joins in the middle of
 * a round stands at a random place of it.
 */
import type { Card, CardStore } from "./cards.ts";
import { Exceptions } from "./exceptions.ts";
import { stateNames, stateOf } from "./verdicts.ts";
import type { SwimMember } from "./types.ts";

const triesAtRandom = 32;

/** The members known to one machine, by the number of their name. */
export class MemberTable {
  readonly store: CardStore;
  /** Members in any state. */
  size = 0;
  /** Members alive or suspect. */
  live = 0;
  readonly #random: () => number;
  readonly #exceptions: Exceptions;
  /** The number of the card, plus one; 0 of who is unknown. */
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
    this.#exceptions = new Exceptions(store.echoSlots);
    this.#random = random;
    this.#entries = new Uint32Array(expected);
  }

  /** Bytes that the view takes, the shared store not counted. */
  get bytes(): number {
    return this.#entries.byteLength;
  }

  /** The state of a member; 0 if it is unknown, also for -1. */
  state(id: number): number {
    if (id < 0) return stateOf.unknown;
    const place = this.#exceptions.find(id);
    if (place >= 0) return this.#exceptions.state(place);
    return id < this.#limit && this.#entries[id] !== 0 ? stateOf.alive : stateOf.unknown;
  }

  /** The incarnation of the last verdict. */
  incarnation(id: number): number {
    const place = this.#exceptions.find(id);
    return place >= 0 ? this.#exceptions.incarnation(place) : this.card(id).incarnation;
  }

  /** What the member said of itself last. */
  card(id: number): Card {
    return this.store.card(this.#entries[id]! - 1);
  }

  /** True if a member is alive, and this card is all that is known of it. */
  isAlive(card: Card): boolean {
    return this.#entries[card.nameId] === card.id + 1 && this.#exceptions.find(card.nameId) < 0;
  }

  /** When a member that is not alive became so. */
  sinceMs(id: number): number | undefined {
    const place = this.#exceptions.find(id);
    return place < 0 ? undefined : this.#exceptions.sinceMs(place);
  }

  /** True if a suspicion at this incarnation is known to say nothing new: the verdict at it is graver, or settled. */
  echoesSuspicion(id: number, incarnation: number): boolean {
    return this.#exceptions.echoesSuspicion(id, incarnation);
  }

  /** The same of a suspicion by one member. */
  echoesAccuser(id: number, incarnation: number, accuser: number): boolean {
    return this.#exceptions.echoesAccuser(id, incarnation, accuser);
  }

  /** True if a death at this incarnation is known to say nothing new, unless it is the member's own word that it left. */
  echoesDeath(id: number, incarnation: number): boolean {
    return this.#exceptions.echoesDeath(id, incarnation);
  }

  /** Marks that echoes of the last verdict, which is not that it is alive, say nothing new. The next verdict clears it. */
  settle(id: number): void {
    const place = this.#exceptions.find(id);
    if (place >= 0) this.#exceptions.settle(place);
  }

  /** Marks the same of what one member says. */
  countAccuser(id: number, accuser: number): void {
    const place = this.#exceptions.find(id);
    if (place >= 0) this.#exceptions.count(place, accuser);
  }

  /** Enters a member that is alive. The card's reference becomes the table's. */
  add(card: Card): void {
    const id = card.nameId;
    this.#room(id);
    if (id >= this.#limit) this.#limit = id + 1;
    this.#entries[id] = card.id + 1;
    this.size++;
    this.live++;
  }

  /** Takes a newer card; the verdict stays. Its reference becomes the table's, the old one's is given back. */
  describe(card: Card): void {
    const id = card.nameId;
    const exceptions = this.#exceptions;
    const old = this.card(id);
    const place = exceptions.find(id);
    if (place < 0) {
      if (old.incarnation !== card.incarnation) {
        exceptions.set(id, stateOf.alive, old.incarnation, 0);
      }
    } else if (
      exceptions.state(place) === stateOf.alive &&
      exceptions.incarnation(place) === card.incarnation
    ) exceptions.delete(id);
    this.#entries[id] = card.id + 1;
    this.store.release(old.id);
  }

  /** Takes a verdict. */
  judge(id: number, incarnation: number, state: number, nowMs: number): void {
    const before = this.state(id);
    if (state === stateOf.alive && incarnation === this.card(id).incarnation) {
      this.#exceptions.delete(id);
    } else this.#exceptions.set(id, state, incarnation, nowMs);
    this.live += Number(state <= stateOf.suspect) - Number(before <= stateOf.suspect);
  }

  /** Forgets a member. */
  remove(id: number): void {
    if (this.state(id) <= stateOf.suspect) this.live--;
    const { id: cardId } = this.card(id);
    this.#entries[id] = 0;
    this.#exceptions.delete(id);
    this.size--;
    this.store.release(cardId);
  }

  /** Forgets everybody. */
  clear(): void {
    for (let id = 0; id < this.#limit; id++) if (this.#entries[id] !== 0) this.remove(id);
  }

  /** Takes over all that another table on the same store knows, its own knowledge lost. */
  copy(other: MemberTable): void {
    this.clear();
    this.#room(other.#limit - 1);
    this.#entries.set(other.#entries.subarray(0, other.#limit));
    this.#limit = other.#limit;
    this.size = other.size;
    this.live = other.live;
    this.#exceptions.copy(other.#exceptions);
    this.each((id) => this.store.retain(this.#entries[id]! - 1));
  }

  /** Calls with the number of every member. */
  each(visit: (id: number) => void): void {
    for (let id = 0; id < this.#limit; id++) if (this.#entries[id] !== 0) visit(id);
  }

  /** Those that have been dead or gone for longer than `ms`. */
  goneFor(ms: number, nowMs: number): number[] {
    const gone: number[] = [];
    const exceptions = this.#exceptions;
    for (let place = 0; place < exceptions.size; place++) {
      const sinceMs = exceptions.sinceMs(place);
      if (exceptions.state(place) < stateOf.dead || sinceMs === undefined) continue;
      if (nowMs - sinceMs > ms) gone.push(exceptions.id(place));
    }
    return gone;
  }

  /** The first number of a member from `id` on; -1 if there is none. */
  after(id: number): number {
    for (let at = id; at < this.#limit; at++) if (this.#entries[at] !== 0) return at;
    return -1;
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
    const sinceMs = this.sinceMs(id);
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
    const capacity = this.#entries.length;
    if (id < capacity) return;
    const grown = new Uint32Array(Math.max(16, id + 1, Math.ceil(capacity * 1.5)));
    grown.set(this.#entries);
    this.#entries = grown;
  }
}
