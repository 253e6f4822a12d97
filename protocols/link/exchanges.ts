/**
 * The requests and streams under way on one link.
 *
 * The dialler opens odd streams, the acceptor even ones; 0 is no stream. Ids
 * grow, wrap, and skip what is in use. A stream has a window in each direction:
 * the sender may send an item while it has any credit, so that one item may
 * overdraw by its own size and large items never starve; the receiver counts
 * the same way and knows at once when the other side does not. An empty item
 * counts as one byte, so that emptiness is bounded too.
 */

import { StreamMap } from "./stream_map.ts";

/** Why a sender waits. */
export type Waiting = "none" | "credit" | "room";

/** One exchange. Objects are reused: hold a stream's number, not this. */
export class Exchange<Owner = undefined> {
  stream = 0;
  /** The message type of its request. */
  type = 0;
  /** The priority of its request; all its frames travel in that lane. */
  lane = 0;
  /** True if the peer opened it. */
  incoming = false;
  /** May we still send items? */
  sendOpen = false;
  /** May the peer? */
  receiveOpen = false;
  /** What we may still send. */
  credit = 0;
  /** What the peer sent and has not got credit for. */
  unpaid = 0;
  /** What was consumed and not yet told to the peer. */
  owed = 0;
  /** What the peer may send beyond the link's window. */
  widened = 0;
  waiting: Waiting = "none";
  /** True once it has items, and so counts as a stream. */
  streaming = false;
  /** Where in its lane's output the request stands; -1 for one that the peer sent. */
  queuedAt = 0;
  /** The driver's; undefined until it has told. */
  owner: Owner | undefined = undefined;
}

const maxPooled = 256;
// Well below 2^31, so that ids stay small integers; room enough not to meet late answers after a wrap.
const maxStreamId = 0x3fff_ffff;

/** What counts against credit for an item. */
export function itemCost(length: number): number {
  return length === 0 ? 1 : length;
}

/** The exchanges of one link. */
export class ExchangeTable<Owner = undefined> {
  /** Opened by us. */
  outgoing = 0;
  /** Opened by the peer. */
  incoming = 0;
  /** Those of `outgoing` that are streams. */
  outgoingStreams = 0;
  /** Those of `incoming` that are streams. */
  incomingStreams = 0;
  readonly #parity: number;
  readonly #maxId: number;
  readonly #byStream: StreamMap<Exchange<Owner>> = new StreamMap();
  readonly #pool: Exchange<Owner>[] = [];
  #next: number;

  /** @param parity 1 for the dialler, 0 for the acceptor. */
  constructor(parity: 0 | 1, maxId: number = maxStreamId) {
    this.#parity = parity;
    this.#maxId = maxId;
    this.#next = parity === 1 ? 1 : 2;
  }

  /** How many are under way. */
  get size(): number {
    return this.#byStream.size;
  }

  /** The exchange of a stream, or undefined if it is over or never was. */
  get(stream: number): Exchange<Owner> | undefined {
    return this.#byStream.get(stream);
  }

  /** True if a stream is one that the peer may open. */
  isPeers(stream: number): boolean {
    return stream !== 0 && (stream & 1) !== this.#parity;
  }

  /** Opens one of ours. The caller minds the bound, which keeps a free id within reach. */
  open(type: number, lane: number, upload: boolean, credit: number): Exchange<Owner> {
    let stream = this.#next;
    while (this.#byStream.get(stream) !== undefined) stream = this.#after(stream);
    this.#next = this.#after(stream);
    this.outgoing++;
    return this.#add(stream, type, lane, false, upload, true, credit);
  }

  /** Takes in one that the peer opened. */
  accept(
    stream: number,
    type: number,
    lane: number,
    upload: boolean,
    credit: number,
  ): Exchange<Owner> {
    this.incoming++;
    return this.#add(stream, type, lane, true, true, upload, credit);
  }

  /** It has items from now on. */
  streams(exchange: Exchange<Owner>): void {
    exchange.streaming = true;
    if (exchange.incoming) this.incomingStreams++;
    else this.outgoingStreams++;
  }

  /** Takes one out that is about to end: then `release` it, or put it back. */
  take(stream: number): Exchange<Owner> | undefined {
    return this.#byStream.take(stream);
  }

  /** It goes on. */
  putBack(exchange: Exchange<Owner>): void {
    this.#byStream.set(exchange.stream, exchange);
  }

  /** It was taken out and is over. */
  release(exchange: Exchange<Owner>): void {
    if (exchange.incoming) this.incoming--;
    else this.outgoing--;
    if (exchange.streaming) {
      if (exchange.incoming) this.incomingStreams--;
      else this.outgoingStreams--;
    }
    exchange.owner = undefined;
    exchange.stream = 0;
    if (this.#pool.length < maxPooled) this.#pool.push(exchange);
  }

  /** Ends one. */
  remove(exchange: Exchange<Owner>): void {
    this.#byStream.take(exchange.stream);
    this.release(exchange);
  }

  /** Forgets all. */
  clear(): void {
    this.#byStream.clear();
    this.#pool.length = 0;
    this.outgoing = 0;
    this.incoming = 0;
    this.outgoingStreams = 0;
    this.incomingStreams = 0;
  }

  /** All of them, in no order. */
  all(): Exchange<Owner>[] {
    return this.#byStream.values();
  }

  #after(stream: number): number {
    return stream + 2 > this.#maxId ? (this.#parity === 1 ? 1 : 2) : stream + 2;
  }

  #add(
    stream: number,
    type: number,
    lane: number,
    incoming: boolean,
    sendOpen: boolean,
    receiveOpen: boolean,
    credit: number,
  ): Exchange<Owner> {
    const exchange = this.#pool.pop() ?? new Exchange<Owner>();
    exchange.stream = stream;
    exchange.type = type;
    exchange.lane = lane;
    exchange.incoming = incoming;
    exchange.sendOpen = sendOpen;
    exchange.receiveOpen = receiveOpen;
    exchange.credit = credit;
    exchange.unpaid = 0;
    exchange.owed = 0;
    exchange.widened = 0;
    exchange.waiting = "none";
    exchange.streaming = false;
    exchange.queuedAt = -1;
    this.#byStream.set(stream, exchange);
    return exchange;
  }
}
