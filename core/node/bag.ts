/**
 * A bag: what is under way, to be found again only all at once.
 *
 * Members come and go by the hundred thousand a second. A Set rebuilds its
 * table under such churn, and its old tables, each pointing to the next, keep
 * their members from being collected for long. A bag is one array; a member
 * knows its place, and the last one fills the gap of one that leaves.
 */

/** What can be in a bag; in one at a time. */
export interface Member {
  /** Its place, kept by the bag; -1 outside of it. */
  place: number;
}

/** Members in no order. As many as its users put into it: they mind the bound. */
export class Bag<T extends Member> implements Iterable<T> {
  readonly #members: T[] = [];

  /** How many there are. */
  get size(): number {
    return this.#members.length;
  }

  /** Puts one in that is in no bag. */
  add(member: T): void {
    member.place = this.#members.length;
    this.#members.push(member);
  }

  /** Takes one out; nothing happens if it is in none. */
  delete(member: T): void {
    const { place } = member;
    if (place < 0) return;
    member.place = -1;
    const last = this.#members.pop()!;
    if (last === member) return;
    this.#members[place] = last;
    last.place = place;
  }

  /** Those that are in it now; they may leave meanwhile. */
  [Symbol.iterator](): IterableIterator<T> {
    return this.#members.slice()[Symbol.iterator]();
  }
}
