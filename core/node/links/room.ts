/**
 * Who waits for room on a link, in order.
 *
 * Waiters are let go one at a time, with a few microtasks in between for each
 * to queue what it waited to queue: letting all go at once would have a
 * thousand senders find room for one and queue a thousand messages.
 */
import { MycnetError } from "../../kernel/errors.ts";

/** Microtasks that a waiter gets to act in: an await, one within an async function, and one to spare. */
const turnsPerWaiter = 3;

/** So many may wait, whatever they hold: senders that do not await what they send would else have no bound. */
const maxWaiters = 65_536;

interface Waiter {
  resolve(): void;
  reject(reason: unknown): void;
}

/** The waiters of one link. */
export class Room {
  readonly #full: () => boolean;
  readonly #maxHeldBytes: number;
  #heldBytes = 0;
  readonly #waiters = new Set<Waiter>();
  #releasing = false;
  #closed: MycnetError | undefined;

  /**
   * @param full tells whether there is no room now.
   * @param maxHeldBytes what all that wait may hold together.
   */
  constructor(full: () => boolean, maxHeldBytes: number) {
    this.#full = full;
    this.#maxHeldBytes = maxHeldBytes;
  }

  /** How many wait. */
  get size(): number {
    return this.#waiters.size;
  }

  /**
   * Resolves when there is room, first come first served.
   * Rejects with the signal's reason, with `unavailable` when the link closes, and with
   * `overloaded` when `heldBytes` would be more than all that wait may hold, or 65,536 wait already.
   */
  wait(signal?: AbortSignal, heldBytes = 0): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#waiters.size >= maxWaiters) {
      const message = `${maxWaiters} senders wait for a peer that does not read already`;
      return Promise.reject(new MycnetError("overloaded", message));
    }
    if (heldBytes > 0 && this.#heldBytes + heldBytes > this.#maxHeldBytes) {
      const message = `${this.#heldBytes} bytes wait for a peer that does not read already`;
      return Promise.reject(new MycnetError("overloaded", message));
    }
    this.#heldBytes += heldBytes;
    return new Promise((resolve, reject) => {
      const settle = () => {
        this.#waiters.delete(waiter);
        this.#heldBytes -= heldBytes;
        signal?.removeEventListener("abort", abort);
      };
      const waiter: Waiter = {
        resolve: () => (settle(), resolve()),
        reject: (reason) => (settle(), reject(reason)),
      };
      const abort = () => waiter.reject(signal!.reason);
      signal?.addEventListener("abort", abort, { once: true });
      this.#waiters.add(waiter);
      this.made();
    });
  }

  /** There may be room now: lets waiters go until there is none. */
  made(): void {
    if (this.#releasing || this.#waiters.size === 0 || this.#full()) return;
    this.#releasing = true;
    this.#release();
  }

  /** Rejects everybody who waits, and whoever comes later. */
  close(reason: string): void {
    if (this.#closed !== undefined) return;
    this.#closed = new MycnetError("unavailable", reason);
    for (const waiter of [...this.#waiters]) waiter.reject(this.#closed);
  }

  async #release(): Promise<void> {
    for (const waiter of this.#waiters) {
      if (this.#full()) break;
      waiter.resolve();
      for (let turn = 0; turn < turnsPerWaiter; turn++) await undefined;
    }
    this.#releasing = false;
  }
}
