/**
 * What this member passes on, written into the queue of rumours.
 *
 * Rumours are keyed by the member that they are about, so a newer one takes the
 * place of an older one. They are written anew rather than copied from the packet
 * they came in: what goes on is what was understood, nothing else.
 */
import type { Card, CardStore } from "./cards.ts";
import type { TransmitQueue } from "./transmit_queue.ts";
import { messageType, writeAlive, writeVerdict } from "./wire/messages.ts";

/** Writes the rumours of one machine. */
export class Rumours {
  readonly #store: CardStore;
  readonly #queue: TransmitQueue;

  /** Into a queue. */
  constructor(store: CardStore, queue: TransmitQueue) {
    this.#store = store;
    this.#queue = queue;
  }

  /** A member is alive. */
  alive(card: Card): void {
    const { bench } = this.#store;
    writeAlive(
      bench.rumour.reset(),
      card.incarnation,
      this.#store.nameBytes(card.nameId),
      card.ip,
      card.port,
      card.meta,
      card.versions,
    );
    this.#queue.add(bench.keep(bench.rumour.view()), card.nameId);
  }

  /** A member is suspect. */
  suspect(id: number, incarnation: number, from: Uint8Array): void {
    this.#queue.add(this.#verdict(messageType.suspect, id, incarnation, from), id);
  }

  /** A member is dead, or has left if it says so itself. `done`: it has been sent as often as it should. */
  dead(id: number, incarnation: number, from: Uint8Array, done?: () => void): void {
    this.#queue.add(this.#verdict(messageType.dead, id, incarnation, from), id, done);
  }

  #verdict(
    type: typeof messageType.suspect | typeof messageType.dead,
    id: number,
    incarnation: number,
    from: Uint8Array,
  ): Uint8Array {
    return this.#store.verdict(id, type, incarnation, from, () => {
      const { bench } = this.#store;
      writeVerdict(bench.rumour.reset(), type, incarnation, this.#store.nameBytes(id), from);
      return bench.keep(bench.rumour.view());
    });
  }
}
