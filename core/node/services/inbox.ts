/**
 * An inbox: items that arrive by call and leave by iteration.
 *
 * The sender's credit bounds it: whoever feeds an inbox counts bytes, and an
 * inbox gives them back as its reader consumes, so it never holds more than the
 * window that the link grants (256 KiB by default). Credit is given back in
 * portions, so that small items do not cost a frame each: when a sixteenth of
 * the usual window has been consumed, or when the reader waits on an empty
 * inbox (then the sender may be waiting as well).
 *
 * Reading ends with the end, the failure (after the items that came before it),
 * or `return`, which tells the owner that the reader lost interest.
 */

/** Bytes consumed before they are given back at once. */
const grantBytes = 16 * 1024;

/** What an inbox tells its owner. */
export interface InboxOwner {
  /** The reader asked for the first item. */
  begin?(): void;
  /** `bytes` worth of items have been consumed. */
  consumed(bytes: number): void;
  /** The reader stopped before the end. */
  abandoned(): void;
}

interface Waiting<T> {
  resolve(result: IteratorResult<T, undefined>): void;
  reject(error: unknown): void;
}

/** A queue with one reader. */
export class Inbox<T> implements AsyncIterableIterator<T> {
  readonly #owner: InboxOwner;
  #items: T[] = [];
  #sizes: number[] = [];
  #head = 0;
  #unreturned = 0;
  #begun = false;
  #over = false;
  #failure: { readonly error: unknown } | undefined;
  /** Readers ahead of the items. One, unless somebody calls `next` without awaiting. */
  #waiting: Waiting<T>[] = [];

  constructor(owner: InboxOwner) {
    this.#owner = owner;
  }

  /** True after the end or the failure arrived, or the reader left. */
  get over(): boolean {
    return this.#over;
  }

  /** An item of `bytes` on the wire. */
  push(item: T, bytes: number): void {
    if (this.#over) return;
    const waiting = this.#waiting.shift();
    if (waiting === undefined) {
      this.#items.push(item);
      this.#sizes.push(bytes);
    } else {
      waiting.resolve({ value: item, done: false });
      this.#consumed(bytes);
    }
  }

  /** No more items. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    for (const { resolve } of this.#waiting.splice(0)) resolve({ value: undefined, done: true });
  }

  /** No more items, and this is why. The reader gets what is queued first. */
  fail(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    const [first, ...others] = this.#waiting.splice(0);
    if (first === undefined) this.#failure = { error };
    else first.reject(error);
    for (const { resolve } of others) resolve({ value: undefined, done: true });
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (!this.#begun) {
      this.#begun = true;
      this.#owner.begin?.();
    }
    if (this.#head < this.#items.length) {
      const value = this.#items[this.#head];
      const bytes = this.#sizes[this.#head++];
      if (this.#head === this.#items.length) {
        this.#items = [];
        this.#sizes = [];
        this.#head = 0;
      } else if (this.#head >= 1024 && this.#head * 2 >= this.#items.length) {
        this.#items = this.#items.slice(this.#head);
        this.#sizes = this.#sizes.slice(this.#head);
        this.#head = 0;
      }
      this.#consumed(bytes);
      return Promise.resolve({ value, done: false });
    }
    if (this.#failure !== undefined) {
      const { error } = this.#failure;
      this.#failure = undefined;
      return Promise.reject(error);
    }
    if (this.#over) return Promise.resolve({ value: undefined, done: true });
    this.#giveBack();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<T, undefined>> {
    const early = !this.#over;
    this.end();
    this.#begun = true;
    this.#items = [];
    this.#sizes = [];
    this.#head = 0;
    this.#failure = undefined;
    if (early) this.#owner.abandoned();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #consumed(bytes: number): void {
    this.#unreturned += bytes;
    if (this.#unreturned >= grantBytes || this.#waiting.length > 0) this.#giveBack();
  }

  #giveBack(): void {
    if (this.#unreturned === 0 || this.#over) return;
    const bytes = this.#unreturned;
    this.#unreturned = 0;
    this.#owner.consumed(bytes);
  }
}
