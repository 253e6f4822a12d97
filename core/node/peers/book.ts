/**
 * The address book: where nodes may be.
 *
 * Three sources feed it. Hints come from outside (static seeds, discovery) and
 * stay until their source withdraws them. What a hello announced is remembered
 * for as long as the peer is. And a handshake tells which node answers at an
 * address, which gives hints without an id their id. None of it is trusted: an
 * address is only where to knock, and the handshake says who opened.
 */
import type { PeerHint } from "../../contracts/peers.ts";
import { MycnetError } from "../../kernel/errors.ts";
import { parseAddress, rank } from "./address.ts";

/** Addresses of one hint or one hello that are looked at. */
const maxAddresses = 16;

/** Which node answered where: remembered answers, the oldest forgotten first. */
const maxAnswers = 10_000;

/** A hint that is held. */
export interface HeldHint extends PeerHint {
  /** The bounded, checked addresses. */
  readonly addresses: readonly string[];
}

/** Where nodes may be. */
export class AddressBook {
  readonly #maxHints: number;
  readonly #hints = new Set<HeldHint>();
  readonly #hintsById = new Map<string, Set<HeldHint>>();
  readonly #hintsByAddress = new Map<string, Set<HeldHint>>();
  readonly #answers = new Map<string, string>();
  readonly #answeredById = new Map<string, Set<string>>();

  /** @param maxHints hints held at once. */
  constructor(maxHints: number) {
    this.#maxHints = maxHints;
  }

  /** Every hint held, in the order of arrival. */
  get hints(): Iterable<HeldHint> {
    return this.#hints;
  }

  /**
   * Holds a hint until the returned undo is disposed.
   * @throws {MycnetError} `address_invalid`, or `overloaded` when the book is full.
   */
  learn(hint: PeerHint): { readonly hint: HeldHint } & Disposable {
    if (this.#hints.size >= this.#maxHints) {
      throw new MycnetError(
        "overloaded",
        `${this.#maxHints} hints are held already; raise peers.maxHints, or let ` +
          `"${hint.source}" give fewer`,
      );
    }
    const addresses = [...new Set(hint.addresses.slice(0, maxAddresses))];
    for (const address of addresses) parseAddress(address);
    const held: HeldHint = { ...hint, addresses };
    this.#hints.add(held);
    if (held.id !== undefined) index(this.#hintsById, held.id, held);
    for (const address of addresses) index(this.#hintsByAddress, address, held);
    return {
      hint: held,
      [Symbol.dispose]: () => {
        if (!this.#hints.delete(held)) return;
        if (held.id !== undefined) unindex(this.#hintsById, held.id, held);
        for (const address of addresses) unindex(this.#hintsByAddress, address, held);
      },
    };
  }

  /** A handshake over this address ended at this node. */
  answered(address: string, id: string): void {
    // Deleted first, so that the order of the map is the order of the latest answers.
    this.#forgetAnswer(address);
    this.#answers.set(address, id);
    index(this.#answeredById, id, address);
    if (this.#answers.size > maxAnswers) this.#forgetAnswer(this.#answers.keys().next().value!);
  }

  /** Which node answered at an address last. */
  idAt(address: string): string | undefined {
    return this.#answers.get(address);
  }

  /** The id of the node that a hint means, as far as it is known. */
  idOf(hint: HeldHint): string | undefined {
    if (hint.id !== undefined) return hint.id;
    for (const address of hint.addresses) {
      const id = this.#answers.get(address);
      if (id !== undefined) return id;
    }
    return undefined;
  }

  /** What sources say of a node. */
  aboutOf(id: string): PeerHint["about"] {
    for (const { about } of this.#hintsById.get(id) ?? []) if (about !== undefined) return about;
    return undefined;
  }

  /** True when some hint names this id, or an address at which it answered. */
  hinted(id: string): boolean {
    if (this.#hintsById.has(id)) return true;
    for (const address of this.#answeredById.get(id) ?? []) {
      if (this.#hintsByAddress.has(address)) return true;
    }
    return false;
  }

  /**
   * Where a node may be reached: addresses at which it answered before, then
   * what hints say and what it announced itself; the more secure first.
   */
  addressesOf(id: string, announced: readonly string[]): string[] {
    const answered = this.#answeredById.get(id);
    const hinted: string[] = [];
    for (const hint of this.#hintsById.get(id) ?? []) hinted.push(...hint.addresses);
    const all = [...new Set([...answered ?? [], ...hinted, ...announced])];
    const order = (address: string) =>
      (answered?.has(address) ? 0 : 100) + rank(parseAddress(address).scheme);
    return all.sort((a, b) => order(a) - order(b)).slice(0, maxAddresses);
  }

  #forgetAnswer(address: string): void {
    const id = this.#answers.get(address);
    if (id === undefined) return;
    this.#answers.delete(address);
    unindex(this.#answeredById, id, address);
  }
}

function index<T>(map: Map<string, Set<T>>, key: string, value: T): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([value]));
  else set.add(value);
}

function unindex<T>(map: Map<string, Set<T>>, key: string, value: T): void {
  const set = map.get(key);
  if (set?.delete(value) && set.size === 0) map.delete(key);
}
