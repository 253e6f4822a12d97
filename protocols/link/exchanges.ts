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
export class Exchange {
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
  waiting: Waiting = "none";
}

const maxPooled = 256;
// Well below 2^31, so that ids stay small integers; room enough not to meet late answers after a wrap.
const maxStreamId = 0x3fff_ffff;

/** What counts against credit for an item. */
export function itemCost(length: number): number {
  return length === 0 ? 1 : length;
}

/** The exchanges of one link. */
export class ExchangeTable {
  /** Opened by us. */
  outgoing = 0;
  /** Opened by the peer. */
  incoming = 0;
  readonly #parity: number;
  readonly #maxId: number;
  readonly #byStream: StreamMap<Exchange> = new StreamMap();
  readonly #pool: Exchange[] = [];
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
  get(stream: number): Exchange | undefined {
    return this.#byStream.get(stream);
  }

  /** True if a stream is one that the peer may open. */
  isPeers(stream: number): boolean {
    return stream !== 0 && (stream & 1) !== this.#parity;
  }

  /** Opens one of ours. The caller minds the bound, which keeps a free id within reach. */
  open(type: number, lane: number, upload: boolean, credit: number): Exchange {
    let stream = this.#next;
    while (this.#byStream.get(stream) !== undefined) stream = this.#after(stream);
    this.#next = this.#after(stream);
    this.outgoing++;
    return this.#add(stream, type, lane, false, upload, true, credit);
  }

  /** Takes in one that the peer opened. */
  accept(stream: number, type: number, lane: number, upload: boolean, credit: number): Exchange {
    this.incoming++;
    return this.#add(stream, type, lane, true, true, upload, credit);
  }

  /** Ends one. */
  remove(exchange: Exchange): void {
    this.#byStream.take(exchange.stream);
    if (exchange.incoming) this.incoming--;
    else this.outgoing--;
    if (this.#pool.length < maxPooled) this.#pool.push(exchange);
  }

  /** Forgets all. */
  clear(): void {
    this.#byStream.clear();
    this.#pool.length = 0;
    this.outgoing = 0;
    this.incoming = 0;
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
  ): Exchange {
    const exchange = this.#pool.pop() ?? new Exchange();
    exchange.stream = stream;
    exchange.type = type;
    exchange.lane = lane;
    exchange.incoming = incoming;
    exchange.sendOpen = sendOpen;
    exchange.receiveOpen = receiveOpen;
    exchange.credit = credit;
    exchange.unpaid = 0;
    exchange.owed = 0;
    exchange.waiting = "none";
    this.#byStream.set(stream, exchange);
    return exchange;
  }
}
