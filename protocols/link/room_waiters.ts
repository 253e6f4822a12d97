/**
 * Streams that wait for room in the output, first come first told.
 *
 * Whoever is told may fill it up again; the rest then stays, before those that come later.
 */
import type { Exchange, ExchangeTable } from "./exchanges.ts";
import type { LinkHandler } from "./types.ts";

/** The waiting streams of one link; at most each of its exchanges once. */
export class RoomWaiters<Owner> {
  #streams: number[] = [];

  /** It waits from now on. */
  wait(exchange: Exchange<Owner>): void {
    if (exchange.waiting === "room") return;
    exchange.waiting = "room";
    this.#streams.push(exchange.stream);
  }

  /** Tells those that wait, for as long as there is room. */
  release(
    table: ExchangeTable<Owner>,
    output: { readonly full: boolean },
    handler: Pick<LinkHandler<Owner>, "writable">,
  ): void {
    if (this.#streams.length === 0 || output.full) return;
    const streams = this.#streams;
    this.#streams = [];
    for (const [i, stream] of streams.entries()) {
      if (output.full) {
        this.#streams.unshift(...streams.slice(i));
        return;
      }
      const exchange = table.get(stream);
      if (exchange?.waiting !== "room") continue;
      exchange.waiting = "none";
      handler.writable(stream, exchange.owner as Owner);
    }
  }

  /** Nobody waits any more. */
  clear(): void {
    this.#streams.length = 0;
  }
}
