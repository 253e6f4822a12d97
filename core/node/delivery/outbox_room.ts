/**
 * Who waits for room in the outbox, first come first served. They are let go one at a
 * time as room is made, and each takes its room before the next is looked at.
 */
import { MycnetError } from "../../kernel/errors.ts";
import type { DeliveryConfig } from "./config.ts";
import { waiterBytes } from "./waiting_line.ts";

/** What fills the room. */
export interface OutboxSize {
  readonly rows: number;
  readonly bytes: number;
}

interface Waiter {
  readonly bytes: number;
  go(): void;
  reject(error: MycnetError): void;
}

/** The room of one outbox. */
export class OutboxRoom {
  readonly #config: Pick<DeliveryConfig, "outbox" | "waitingBytes">;
  readonly #waiters = new Set<Waiter>();
  #waitingBytes = 0;

  /** Empty. */
  constructor(config: Pick<DeliveryConfig, "outbox" | "waitingBytes">) {
    this.#config = config;
  }

  /** True if a message of so many bytes may go in before all who wait. */
  has(size: OutboxSize, bytes: number): boolean {
    return this.#waiters.size === 0 && this.#fits(size, bytes);
  }

  /** True if a sender with so many bytes may wait. One alone may always. */
  mayWait(bytes: number): boolean {
    return this.#waiters.size === 0 ||
      this.#waitingBytes + bytes + waiterBytes <= this.#config.waitingBytes;
  }

  /** Runs `take` when there is room, and gives what it gives. Rejects as `close` says, or with `aborted`. */
  wait(bytes: number, signal: AbortSignal | undefined, take: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiters.delete(waiter);
        this.#waitingBytes -= bytes + waiterBytes;
        signal?.removeEventListener("abort", abort);
      };
      const abort = () => {
        leave();
        reject(aborted(signal!));
      };
      const waiter: Waiter = {
        bytes,
        go: () => {
          leave();
          resolve(take());
        },
        reject: (error) => {
          leave();
          reject(error);
        },
      };
      this.#waiters.add(waiter);
      this.#waitingBytes += bytes + waiterBytes;
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  /** There may be room now. */
  made(size: OutboxSize): void {
    for (const waiter of this.#waiters) {
      if (!this.#fits(size, waiter.bytes)) return;
      waiter.go();
    }
  }

  /** Fails all who wait. */
  close(error: MycnetError): void {
    for (const waiter of this.#waiters) waiter.reject(error);
  }

  #fits({ rows, bytes }: OutboxSize, more: number): boolean {
    const { rows: maxRows, bytes: maxBytes } = this.#config.outbox;
    return rows === 0 || rows < maxRows && bytes + more <= maxBytes;
  }
}

/** What a sender whose signal aborted is told. */
export function aborted(signal: AbortSignal): MycnetError {
  return new MycnetError("aborted", "the caller's signal aborted", { cause: signal.reason });
}
