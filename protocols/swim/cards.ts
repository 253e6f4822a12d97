/**
 * Names and descriptions of members, held once however many views refer to them.
 *
 * A card is what a member says of itself at one incarnation: address, metadata,
 * versions. A view (table.ts) refers to cards by number, so that ten thousand
 * machines in one process hold ten thousand cards and not a hundred million
 * objects. Names are found by their bytes as they stand in a packet, without
 * making a string of them. Everything is counted by reference, and the numbers
 * of what nobody holds any more are used again, so a store is bounded by the
 * views on it.
 */
import { formatAddress } from "./address.ts";
import { EchoSlots } from "./echo_slots.ts";
import type { Versions } from "./versions.ts";
import { decodeUtf8, encodeUtf8 } from "../utf8.ts";
import { writeState } from "./wire/messages.ts";
import { Workbench } from "./workbench.ts";

/** What a member says of itself at one incarnation. Immutable. */
export interface Card {
  /** The store's number for it. */
  readonly id: number;
  /** The store's number for its name. */
  readonly nameId: number;
  /** Unique in the cluster. */
  readonly name: string;
  /** `host:port`. */
  readonly address: string;
  /** 4 or 16 bytes, as they came. */
  readonly ip: Uint8Array;
  /** UDP and TCP. */
  readonly port: number;
  /** At most 512 bytes. */
  readonly meta: Uint8Array;
  /** What it speaks. */
  readonly versions: Versions;
  /** At which it said so. */
  readonly incarnation: number;
}

interface Stored extends Card {
  refs: number;
  /** Its state in a push/pull while it is alive, once it was asked for. */
  state: Uint8Array | undefined;
  /** The next card of the same name. */
  next: Stored | undefined;
  /** The next card with the same address. */
  neighbour: Stored | undefined;
}

interface Name {
  readonly id: number;
  readonly text: string;
  readonly bytes: Uint8Array;
  readonly hash: number;
  refs: number;
  /** The next name in the same bucket. */
  chain: Name | undefined;
  /** The newest of its cards. */
  cards: Stored | undefined;
  /** What was last said about it, as it goes over the wire. */
  readonly said: Said[];
}

/** One encoded verdict. */
interface Said {
  readonly type: number;
  readonly incarnation: number;
  readonly from: Uint8Array;
  readonly bytes: Uint8Array;
}

/** A suspicion by several, and deaths: more is seldom said at one time. */
const maxSaid = 16;

/** Holds names and cards for one or many views. */
export class CardStore {
  /** @internal What the machines on this store work with. */
  readonly bench: Workbench = new Workbench();
  /** @internal By what the views on this store recognize echoes. */
  readonly echoSlots: EchoSlots = new EchoSlots();
  readonly #names: (Name | undefined)[] = [];
  readonly #freeNames: number[] = [];
  readonly #cards: (Stored | undefined)[] = [];
  readonly #freeCards: number[] = [];
  readonly #addresses: Map<string, Stored> = new Map();
  #buckets: (Name | undefined)[] = new Array<Name | undefined>(64).fill(undefined);
  #nameCount = 0;

  /** Every number of a name is below this. */
  get nameLimit(): number {
    return this.#names.length;
  }

  /** How many names are held. */
  get names(): number {
    return this.#nameCount;
  }

  /** How many cards are held. */
  get cards(): number {
    return this.#cards.length - this.#freeCards.length;
  }

  /** The number of a name that stands in `bytes`, or -1. */
  find(bytes: Uint8Array, start: number, end: number): number {
    return this.#lookUp(bytes, start, end, hash(bytes, start, end))?.id ?? -1;
  }

  /** The number of a name, or -1. */
  findName(name: string): number {
    const bytes = encodeUtf8(name);
    return this.find(bytes, 0, bytes.length);
  }

  /** The text of a name. */
  nameText(nameId: number): string {
    return this.#names[nameId]!.text;
  }

  /** The UTF-8 of a name. Not to be written to. */
  nameBytes(nameId: number): Uint8Array {
    return this.#names[nameId]!.bytes;
  }

  /**
   * A verdict about a name, encoded by `encode` unless it was of late: views on one
   * store pass on the same rumours, and hold their bytes once. `from` is compared by
   * identity, so only what comes from {@linkcode CardStore.nameBytes} is found again.
   */
  verdict(
    nameId: number,
    type: number,
    incarnation: number,
    from: Uint8Array,
    encode: () => Uint8Array,
  ): Uint8Array {
    const { said } = this.#names[nameId]!;
    // The newest first.
    for (let i = said.length - 1; i >= 0; i--) {
      const it = said[i]!;
      if (it.from === from && it.incarnation === incarnation && it.type === type) return it.bytes;
    }
    const bytes = encode();
    const source = this.find(from, 0, from.length);
    if (source < 0 || this.nameBytes(source) !== from) return bytes; // It may lie in a packet.
    if (said.length === maxSaid) said.shift();
    said.push({ type, incarnation, from, bytes });
    return bytes;
  }

  /** A card by its number. */
  card(cardId: number): Card {
    return this.#cards[cardId]!;
  }

  /**
   * The card with these contents, made or found, referred to once more. The name
   * is referred to by its cards.
   * @throws {TypeError} if the name is not UTF-8.
   */
  hold(
    bytes: Uint8Array,
    start: number,
    end: number,
    ip: Uint8Array,
    port: number,
    meta: Uint8Array,
    versions: Versions,
    incarnation: number,
  ): Card {
    const name = this.#name(bytes, start, end);
    for (let card = name.cards; card !== undefined; card = card.next) {
      if (
        card.incarnation === incarnation && card.port === port && sameBytes(card.ip, ip) &&
        sameBytes(card.meta, meta) && sameVersions(card.versions, versions)
      ) {
        card.refs++;
        return card;
      }
    }
    const id = this.#freeCards.pop() ?? this.#cards.length;
    const ownIp = ip.slice();
    const card: Stored = {
      id,
      nameId: name.id,
      name: name.text,
      address: formatAddress(ownIp, port),
      ip: ownIp,
      port,
      meta: meta.slice(),
      versions,
      incarnation,
      refs: 1,
      state: undefined,
      next: name.cards,
      neighbour: undefined,
    };
    card.neighbour = this.#addresses.get(card.address);
    name.refs++;
    name.cards = card;
    this.#cards[id] = card;
    this.#addresses.set(card.address, card);
    return card;
  }

  /** A card as a push/pull tells it of a member that is alive at its incarnation. Not to be written to. */
  state({ id, nameId }: Card): Uint8Array {
    const card = this.#cards[id]!;
    if (card.state === undefined) {
      const { rumour } = this.bench;
      writeState(rumour.reset(), card, this.nameBytes(nameId), card.incarnation, 0);
      card.state = this.bench.keep(rumour.view());
    }
    return card.state;
  }

  /** The cards with an address, one after the other: calls `check` with each until it returns true, and returns that card. */
  atAddress(address: string, check: (card: Card) => boolean): Card | undefined {
    let card = this.#addresses.get(address);
    while (card !== undefined && !check(card)) card = card.neighbour;
    return card;
  }

  /** One more reference to a card. */
  retain(cardId: number): void {
    this.#cards[cardId]!.refs++;
  }

  /** One reference fewer; the last one frees card and name. */
  release(cardId: number): void {
    const card = this.#cards[cardId]!;
    if (--card.refs > 0) return;
    this.#cards[cardId] = undefined;
    this.#freeCards.push(cardId);
    const name = this.#names[card.nameId]!;
    if (name.cards === card) name.cards = card.next;
    else {
      let before = name.cards!;
      while (before.next !== card) before = before.next!;
      before.next = card.next;
    }
    this.#dropAddress(card);
    if (--name.refs === 0) this.#dropName(name);
  }

  #dropAddress(card: Stored): void {
    const first = this.#addresses.get(card.address)!;
    if (first !== card) {
      let before = first;
      while (before.neighbour !== card) before = before.neighbour!;
      before.neighbour = card.neighbour;
    } else if (card.neighbour !== undefined) this.#addresses.set(card.address, card.neighbour);
    else this.#addresses.delete(card.address);
  }

  #name(bytes: Uint8Array, start: number, end: number): Name {
    const key = hash(bytes, start, end);
    const found = this.#lookUp(bytes, start, end, key);
    if (found !== undefined) return found;
    const text = decodeUtf8(bytes, start, end);
    if (this.#nameCount >= this.#buckets.length) this.#grow();
    const id = this.#freeNames.pop() ?? this.#names.length;
    const bucket = key & this.#buckets.length - 1;
    const name: Name = {
      id,
      text,
      bytes: bytes.slice(start, end),
      hash: key,
      refs: 0,
      chain: this.#buckets[bucket],
      cards: undefined,
      said: [],
    };
    this.#buckets[bucket] = name;
    this.#names[id] = name;
    this.#nameCount++;
    return name;
  }

  #dropName(name: Name): void {
    const bucket = name.hash & this.#buckets.length - 1;
    if (this.#buckets[bucket] === name) this.#buckets[bucket] = name.chain;
    else {
      let before = this.#buckets[bucket]!;
      while (before.chain !== name) before = before.chain!;
      before.chain = name.chain;
    }
    this.#names[name.id] = undefined;
    this.#freeNames.push(name.id);
    this.#nameCount--;
  }

  #lookUp(bytes: Uint8Array, start: number, end: number, key: number): Name | undefined {
    let name = this.#buckets[key & this.#buckets.length - 1];
    while (name !== undefined && !(name.hash === key && matches(name.bytes, bytes, start, end))) {
      name = name.chain;
    }
    return name;
  }

  #grow(): void {
    this.#buckets = new Array<Name | undefined>(this.#buckets.length * 2).fill(undefined);
    for (const name of this.#names) {
      if (name === undefined) continue;
      const bucket = name.hash & this.#buckets.length - 1;
      name.chain = this.#buckets[bucket];
      this.#buckets[bucket] = name;
    }
  }
}

/** FNV-1a, its high bits folded into the low ones that choose the bucket. */
function hash(bytes: Uint8Array, start: number, end: number): number {
  let h = 0x811c9dc5;
  for (let i = start; i < end; i++) h = Math.imul(h ^ bytes[i]!, 0x01000193);
  return h ^ h >>> 15;
}

function matches(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[start + i]) return false;
  return true;
}

/** True if both hold the same bytes. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** True if both are the same versions. */
export function sameVersions(a: Versions, b: Versions): boolean {
  return a === b || a.every((version, i) => version === b[i]);
}
