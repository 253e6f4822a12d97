/** A caller's items on their way out: one after the other, as there is room. */
import { codeOf } from "../../kernel/errors.ts";
import type { CallExchange } from "./loopback.ts";
import { encodeBody } from "./wire.ts";

/** Sends until the items end, fail, or nobody wants more. */
export class UploadSender {
  readonly #exchange: CallExchange;
  readonly #failed: (code: "too_large" | "cancelled", error: unknown) => void;
  #room: (() => void) | undefined;
  #stopped = false;

  /**
   * Starts at once.
   * @param failed told when an item could not be had or could not be sent.
   */
  constructor(
    exchange: CallExchange,
    items: AsyncIterable<unknown> | Iterable<unknown>,
    failed: (code: "too_large" | "cancelled", error: unknown) => void,
  ) {
    this.#exchange = exchange;
    this.#failed = failed;
    this.#send(items);
  }

  /** There is room again. */
  writable(): void {
    const room = this.#room;
    this.#room = undefined;
    room?.();
  }

  /** The call is over. The source of the items is closed as soon as it yields once more. */
  stop(): void {
    this.#stopped = true;
    this.writable();
  }

  async #send(items: AsyncIterable<unknown> | Iterable<unknown>): Promise<void> {
    try {
      for await (const item of items) {
        if (this.#stopped) return;
        const room = this.#exchange.item(encodeBody(item, "item"));
        if (!room && !this.#stopped) await new Promise<void>((resolve) => this.#room = resolve);
        if (this.#stopped) return;
      }
      this.#exchange.end();
    } catch (error) {
      if (!this.#stopped) {
        this.#failed(codeOf(error) === "too_large" ? "too_large" : "cancelled", error);
      }
    }
  }
}
