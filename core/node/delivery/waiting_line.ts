/**
 * Messages of level high that find no room in the window, in order.
 *
 * Their senders wait for them; but a sender need not await what it sends, so there is a bound to
 * what all of them hold.
 */
/** What a message that waits weighs besides its body: it, its promise, its place. */
export const waiterBytes = 512;
/** So many that have gone before are let go of together. */
const goneTogether = 1024;

/** First come, first served. */
export class WaitingLine<T extends { readonly body: Uint8Array }> {
  readonly #maxBytes: number;
  #messages: T[] = [];
  /** Where the first one is; those before it have gone. */
  #head = 0;
  #bytes = 0;

  /** Empty. @param maxBytes what all that wait may hold together. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** True if nobody waits. */
  get empty(): boolean {
    return this.#head === this.#messages.length;
  }

  /** Who has waited the longest. */
  get first(): T | undefined {
    return this.#messages[this.#head];
  }

  /** True if a body of so many bytes may wait too. One alone may always. */
  takes(bytes: number): boolean {
    return this.empty || this.#bytes + bytes + waiterBytes <= this.#maxBytes;
  }

  /** Joins the line. */
  push(message: T): void {
    this.#messages.push(message);
    this.#bytes += message.body.length + waiterBytes;
  }

  /** The first one goes. */
  shift(): void {
    this.#bytes -= this.first!.body.length + waiterBytes;
    this.#head++;
    if (this.#head < Math.max(goneTogether, this.#messages.length / 2) && !this.empty) return;
    this.#messages = this.#messages.slice(this.#head);
    this.#head = 0;
  }

  /** Somebody leaves the line. False: was not in it. */
  withdraw(message: T): boolean {
    const at = this.#messages.indexOf(message, this.#head);
    if (at < 0) return false;
    this.#messages.splice(at, 1);
    this.#bytes -= message.body.length + waiterBytes;
    return true;
  }

  /** Everybody leaves. */
  clear(): T[] {
    const all = this.#messages.slice(this.#head);
    this.#messages = [];
    this.#head = this.#bytes = 0;
    return all;
  }
}
