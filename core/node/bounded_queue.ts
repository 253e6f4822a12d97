/**
 * A queue between somebody who cannot wait and somebody who may be slow.
 *
 * It holds at most `capacity` values. Beyond that the oldest are dropped, and
 * the reader is told how many before the next value, so that a slow reader
 * never holds memory or anybody else up, and never believes to have seen all.
 */
import { MycnetError } from "../kernel/errors.ts";

/** Options of a stream that a program reads at its own pace. */
export interface ReaderOptions {
  /** Ends the stream; what had come by then is still read. */
  readonly signal?: AbortSignal;
  /** How many values may wait. Default 256. */
  readonly capacity?: number;
}

/** See the head of this file. */
export class BoundedQueue<T> {
  readonly #capacity: number;
  readonly #lagged: (dropped: number) => T;
  readonly #closed: () => void;
  readonly #signal: AbortSignal | undefined;
  readonly #values: T[] = [];
  readonly #readers: ((result: IteratorResult<T>) => void)[] = [];
  #dropped = 0;
  #ended = false;

  /**
   * Open until the signal aborts or {@linkcode end}.
   * @param lagged makes the value that says how many were dropped.
   * @param closed called once, when nothing can come any more.
   * @throws `invalid_argument` unless the capacity is a whole number of at least 1.
   */
  constructor(
    { capacity = 256, signal }: ReaderOptions,
    lagged: (dropped: number) => T,
    closed: () => void = () => {},
  ) {
    if (!Number.isSafeInteger(capacity) || capacity < 1) {
      throw new MycnetError(
        "invalid_argument",
        `capacity: ${capacity} is not a whole number of at least 1`,
      );
    }
    this.#capacity = capacity;
    this.#lagged = lagged;
    this.#closed = closed;
    this.#signal = signal;
    if (signal?.aborted) this.#ended = true;
    else signal?.addEventListener("abort", this.end, { once: true });
  }

  /** True once nothing can come any more. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Puts a value at the end; nothing happens once the queue has ended. */
  push(value: T): void {
    if (this.#ended) return;
    const reader = this.#readers.shift();
    if (reader !== undefined) return reader({ done: false, value });
    if (this.#values.length >= this.#capacity) {
      this.#values.shift();
      this.#dropped++;
    }
    this.#values.push(value);
  }

  /** Takes no more; what waits is still read. */
  readonly end = (): void => {
    if (this.#ended) return;
    this.#ended = true;
    this.#signal?.removeEventListener("abort", this.end);
    for (const reader of this.#readers.splice(0)) reader({ done: true, value: undefined });
    this.#closed();
  };

  /** The one way to read. Breaking out of the loop ends the queue. */
  read(): AsyncIterableIterator<T> {
    return {
      next: () => this.#next(),
      return: () => {
        this.#values.length = 0;
        this.#dropped = 0;
        this.end();
        return Promise.resolve({ done: true, value: undefined });
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  #next(): Promise<IteratorResult<T>> {
    if (this.#dropped > 0) {
      const value = this.#lagged(this.#dropped);
      this.#dropped = 0;
      return Promise.resolve({ done: false, value });
    }
    if (this.#values.length > 0) {
      return Promise.resolve({ done: false, value: this.#values.shift()! });
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#readers.push(resolve));
  }
}
