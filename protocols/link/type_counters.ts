/**
 * How many messages of each type a node has sent and received.
 *
 * Types are 16 bits, and few are registered. Each registered type has a slot;
 * a table of bytes leads from the type to it, and what this version does not
 * know shares slot 0 (`other`), so that a peer that makes types up costs no
 * memory. Counting is two reads and a write, without an allocation. One object
 * serves all links of a node: its links count into the same slots.
 */
import { messageTypes } from "../frame/types.ts";

const names: readonly string[] = ["other", ...Object.keys(messageTypes)];
// Of all types that there can be, so that none needs a look at the bound.
const slots: Uint8Array = new Uint8Array(0x1_0000);
for (const [at, type] of Object.values(messageTypes).entries()) slots[type] = at + 1;

/** How many slots there are: one for each registered type, and `other`. */
export const typeSlots: number = names.length;

/** The slot of a type, 0 to {@linkcode typeSlots} - 1; 0 for one that is not registered. */
export function typeSlot(type: number): number {
  return slots[type & 0xffff]!;
}

/** The name of a slot's type, or `other`. */
export function typeSlotName(slot: number): string {
  return names[slot] ?? "other";
}

/** Counts by type. */
export class TypeCounters {
  readonly #sent: Float64Array = new Float64Array(typeSlots);
  readonly #received: Float64Array = new Float64Array(typeSlots);

  /** One message of this type was queued. */
  sent(type: number): void {
    this.#sent[typeSlot(type)]!++;
  }

  /** One message of this type arrived. */
  received(type: number): void {
    this.#received[typeSlot(type)]!++;
  }

  /** What was counted one way, by name; types that were never seen are left out. */
  counts(way: "sent" | "received"): [name: string, count: number][] {
    const all = way === "sent" ? this.#sent : this.#received;
    const found: [string, number][] = [];
    for (const [slot, count] of all.entries()) {
      if (count > 0) found.push([typeSlotName(slot), count]);
    }
    return found;
  }
}
