/**
 * Small messages that are kept, cut from a common slab.
 *
 * What a link delivers is valid during the call only, so a message that is to
 * be kept must be copied. A buffer of its own for each costs 400 ns and work
 * for the collector (Deno 2.9), many times what copying 64 bytes costs; a view
 * of a slab costs 40. Where many messages arrive at once not even that is needed:
 * the link stages the whole chunk, which is one copy for all of them, and what it
 * delivers then lies where it may stay. The price: a small message that is kept keeps
 * its slab, of 64 KiB at most. Large ones get a buffer of their own.
 *
 * Slabs cannot be transferred (to a worker, say): that would empty the messages
 * of others. Whoever tries gets an error and transfers a copy instead.
 */
import { markAsUntransferable } from "node:worker_threads";

const slabBytes = 8 * 1024;
const stageBytes = 64 * 1024;
/** The longest message that is cut from a slab. */
export const longest = 512;

let slab = new ArrayBuffer(0);
let used = 0;
let stage = new ArrayBuffer(0);
let staged = 0;

/** A copy that its owner may keep and change. */
export function copyOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { length } = bytes;
  // Written so that what has no length, and so is no bytes, cannot reach the slab either.
  if (!(length <= longest && length > 0)) {
    // Not by `slice`: that of a Buffer shares memory.
    const own = new Uint8Array(length);
    own.set(bytes);
    return own;
  }
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

/** The bytes of a chunk that arrived, at most 64 KiB, where each of its messages may stay: see {@linkcode ownOf}. */
export function stagedOf(chunk: Uint8Array): Uint8Array<ArrayBuffer> {
  const { length } = chunk;
  if (staged + length > stage.byteLength) {
    stage = new ArrayBuffer(Math.max(stageBytes, length));
    markAsUntransferable(stage);
    staged = 0;
  }
  const copy = new Uint8Array(stage, staged, length);
  copy.set(chunk);
  staged += length;
  return copy;
}

/** The body of a message that a link delivers, for its one owner to keep and change: itself where it may stay, else a copy. */
export function ownOf(body: Uint8Array): Uint8Array<ArrayBuffer> {
  if (body.buffer !== stage || body.length > longest) return copyOf(body);
  return body as Uint8Array<ArrayBuffer>;
}
