/** The coordinates that one machine knows: its own, and each member's as of its last answer. */
import type { Context } from "../context.ts";
import { type Coordinate, decodeCoordinate, encodeCoordinate } from "./coordinate.ts";
import { Vivaldi } from "./vivaldi.ts";

const nothing = new Uint8Array(0);

/** The coordinates that one machine knows. As many as members, since only they are measured. */
export class Coordinates {
  readonly #c: Context;
  readonly #vivaldi: Vivaldi;
  readonly #known: Map<string, Coordinate> = new Map();
  #encoded: { readonly coordinate: Coordinate; readonly payload: Uint8Array } | undefined;

  /** On the shared context. */
  constructor(context: Context) {
    this.#c = context;
    this.#vivaldi = new Vivaldi(context.random);
  }

  /** Where this node is. */
  get here(): Coordinate {
    return this.#vivaldi.coordinate;
  }

  /** Where a member is; this node too. */
  of(name: string): Coordinate | undefined {
    // Our own is a guess until something was measured.
    if (name === this.#c.name) return this.#known.size === 0 ? undefined : this.here;
    return this.#known.get(name);
  }

  /** What acks carry. */
  payload(): Uint8Array {
    if (!this.#c.config.coordinates) return nothing;
    const coordinate = this.here;
    if (this.#encoded?.coordinate !== coordinate) {
      this.#encoded = { coordinate, payload: encodeCoordinate(this.#c.writer, coordinate) };
    }
    return this.#encoded.payload;
  }

  /** A member answered a probe. */
  measured(name: string, rttMs: number, payload: Uint8Array): void {
    if (!this.#c.config.coordinates || payload.length === 0) return;
    try {
      const coordinate = decodeCoordinate(payload);
      if (this.#vivaldi.update(name, coordinate, rttMs)) {
        this.#known.set(name, coordinate);
        return;
      }
    } catch {
      // Counted with round trips that cannot be.
    }
    this.#c.counters.coordinatesRefused++;
  }

  /** Drops what is known of a member. */
  forget(name: string): void {
    this.#known.delete(name);
    this.#vivaldi.forget(name);
  }
}
