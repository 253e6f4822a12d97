/**
 * Copies of small messages, cut from a common slab.
 *
 * What a link delivers is valid during the call only, so a message that is to
 * be kept must be copied. A buffer of its own for each costs 400 ns and work
 * for the collector (Deno 2.9), many times what copying 64 bytes costs; a view
 * of a slab costs 40. The price: a small message that is kept keeps its slab of
 * 8 KiB. Large ones get a buffer of their own.
 *
 * Slabs cannot be transferred (to a worker, say): that would empty the messages
 * of others. Whoever tries gets an error and transfers a copy instead.
 */
import { markAsUntransferable } from "node:worker_threads";

const slabBytes = 8 * 1024;
/** The longest message that is cut from a slab. */
const longest = 512;

let slab = new ArrayBuffer(0);
let used = 0;

/** A copy that its owner may keep and change. */
export function copyOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { length } = bytes;
  if (length > longest || length === 0) return bytes.slice() as Uint8Array<ArrayBuffer>;
  if (used + length > slab.byteLength) {
    slab = new ArrayBuffer(slabBytes);
    markAsUntransferable(slab);
    used = 0;
  }
  const copy = new Uint8Array(slab, used, length);
  copy.set(bytes);
  used += length;
  return copy;
}
