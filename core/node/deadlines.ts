/**
 * Deadlines: many short timers for the price of one.
 *
 * A node with thousands of requests under way sets and clears a timer for each.
 * A host timer costs microseconds; an entry here costs a few pointers. Entries
 * that expire within the same 8 ms share a bucket, a bucket is a doubly linked
 * ring (so that cancelling is three assignments), a heap orders the buckets,
 * and one host timer waits for the earliest that is not empty. Cancelling never
 * touches the timer: nearly every deadline is met, so a timer that finds its
 * bucket empty just moves on to the next. After Varghese and Lauck, "Hashed and
 * Hierarchical Timing Wheels" (1987), with a heap in place of the wheel so that
 * an idle queue wakes nobody.
 *
 * The clock is read once a turn, not once a deadline (a reading costs 80 ns, Deno
 * 2.9, more than all the rest): what was added in a turn waits in a ring of its
 * own for a microtask that puts it into its buckets. The time counts from there,
 * so a turn that takes long makes a deadline as much late as it would any timer.
 *
 * A deadline never expires early, and at most one bucket (plus the host
 * timer's own lateness, and the rest of the turn) late. The queue is as long as its users make it: bound
 * the number of requests, not the number of deadlines.
 */
import { MycnetError } from "../kernel/errors.ts";
import type { Host, Timer } from "../kernel/host.ts";

/** A deadline that can be called off. Cancelling one that expired or was cancelled does nothing. */
export interface Deadline extends Disposable {
  /** Calls it off. */
  cancel(): void;
}

/** The width of a bucket in milliseconds: the most by which a deadline is late. */
const bucketMs = 8;

/** Emptied buckets that may stay in the heap before it is rebuilt without them. */
const emptyBucketsAllowed = 64;

/** An entry of a ring, and, as its sentinel, the bucket itself. */
class Entry implements Deadline {
  prev: Entry = this;
  next: Entry = this;
  bucket: Bucket | undefined;
  /** How long it is, until it is in its bucket. */
  ms = 0;
  expire: (() => void) | undefined;

  cancel(): void {
    const bucket = this.bucket;
    if (bucket === undefined) return;
    this.unlink();
    bucket.owner.cancelled(bucket);
  }

  unlink(): void {
    this.prev.next = this.next;
    this.next.prev = this.prev;
    this.prev = this.next = this;
    this.bucket = undefined;
  }

  /** Last of a ring that it is not in. */
  join(bucket: Bucket): void {
    this.bucket = bucket;
    this.prev = bucket.prev;
    this.next = bucket;
    bucket.prev.next = this;
    bucket.prev = this;
  }

  [Symbol.dispose](): void {
    this.cancel();
  }
}

class Bucket extends Entry {
  /** In the heap; false once its time has come, and for the ring of those just added. */
  queued: boolean;

  constructor(readonly owner: BucketOwner, readonly tick: number, queued = true) {
    super();
    this.queued = queued;
  }

  get empty(): boolean {
    return this.next === this;
  }
}

interface BucketOwner {
  cancelled(bucket: Bucket): void;
}

/** A queue of deadlines over one host timer. */
export class Deadlines implements Disposable {
  readonly #host: Pick<Host, "now" | "after" | "log">;
  readonly #buckets = new Map<number, Bucket>();
  /** A binary heap of the buckets, the earliest first. */
  #heap: Bucket[] = [];
  #empty = 0;
  #size = 0;
  #closed = false;
  #timer: Timer | undefined;
  #armedTick = Infinity;
  readonly #owner: BucketOwner = {
    cancelled: (bucket) => {
      this.#size--;
      if (bucket.empty && bucket.queued) this.#emptied();
    },
  };

  /** What was added in this turn. */
  readonly #added: Bucket = new Bucket(this.#owner, 0, false);
  #placing = false;

  /** Makes an empty queue; it sets no timer until something is added. */
  constructor(host: Pick<Host, "now" | "after" | "log">) {
    this.#host = host;
  }

  /** How many deadlines are pending. */
  get size(): number {
    return this.#size;
  }

  /** How many buckets are held, emptied ones included: what bounds the memory beside `size`. */
  get buckets(): number {
    return this.#heap.length;
  }

  /**
   * Runs `expire` once, not before `ms` milliseconds have passed, unless cancelled.
   * What `expire` throws is logged; the others still run.
   * @throws {MycnetError} `closed` once the queue was disposed of.
   */
  add(ms: number, expire: () => void): Deadline {
    if (this.#closed) throw new MycnetError("closed", "the queue of deadlines was disposed of");
    const entry = new Entry();
    entry.expire = expire;
    entry.ms = Math.max(0, ms);
    entry.join(this.#added);
    this.#size++;
    if (!this.#placing) {
      this.#placing = true;
      queueMicrotask(this.#place);
    }
    return entry;
  }

  /** Drops every deadline without running it, and the timer with them. The queue takes no more. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#armedTick = Infinity;
    for (const bucket of [this.#added, ...this.#heap]) {
      while (!bucket.empty) bucket.next.unlink();
    }
    this.#heap = [];
    this.#buckets.clear();
    this.#empty = this.#size = 0;
  }

  /** Puts what was added in this turn into its buckets. */
  readonly #place = (): void => {
    this.#placing = false;
    if (this.#added.empty) return;
    const now = this.#host.now();
    let earliest = Infinity;
    // Most of a turn are of one length, and so of one bucket.
    let ms = -1;
    let bucket = this.#added;
    while (!this.#added.empty) {
      const entry = this.#added.next;
      entry.unlink();
      if (entry.ms !== ms) {
        ms = entry.ms;
        const tick = Math.floor((now + ms) / bucketMs) + 1;
        bucket = this.#bucket(tick);
        earliest = Math.min(earliest, tick);
      }
      entry.join(bucket);
    }
    if (earliest < this.#armedTick) this.#arm(earliest);
  };

  /** The bucket of a tick, which is about to be filled. */
  #bucket(tick: number): Bucket {
    let bucket = this.#buckets.get(tick);
    if (bucket === undefined) {
      bucket = new Bucket(this.#owner, tick);
      this.#buckets.set(tick, bucket);
      push(this.#heap, bucket);
    } else if (bucket.empty) this.#empty--;
    return bucket;
  }

  #arm(tick: number): void {
    this.#timer?.[Symbol.dispose]();
    this.#armedTick = tick;
    this.#timer = this.#host.after(tick * bucketMs - this.#host.now(), () => this.#fire());
  }

  #fire(): void {
    this.#timer = undefined;
    // Stays "armed for now" while expiring, so that what is added meanwhile does not arm twice.
    this.#armedTick = -Infinity;
    const due = Math.floor(this.#host.now() / bucketMs);
    while (this.#heap.length > 0) {
      const bucket = this.#heap[0];
      if (!bucket.empty && bucket.tick > due) break;
      pop(this.#heap);
      this.#buckets.delete(bucket.tick);
      bucket.queued = false;
      if (bucket.empty) this.#empty--;
      else this.#expire(bucket);
    }
    this.#armedTick = Infinity;
    if (this.#heap.length > 0 && !this.#closed) this.#arm(this.#heap[0].tick);
  }

  #expire(bucket: Bucket): void {
    while (!bucket.empty && !this.#closed) {
      const entry = bucket.next;
      entry.unlink();
      this.#size--;
      try {
        entry.expire?.();
      } catch (error) {
        this.#host.log.error("A deadline's handler threw.", { error: String(error) });
      }
    }
  }

  #emptied(): void {
    this.#empty++;
    if (this.#empty <= emptyBucketsAllowed || this.#empty * 2 <= this.#heap.length) return;
    const heap: Bucket[] = [];
    for (const bucket of this.#heap) {
      if (bucket.empty) this.#buckets.delete(bucket.tick);
      else push(heap, bucket);
    }
    this.#heap = heap;
    this.#empty = 0;
  }
}

function push(heap: Bucket[], bucket: Bucket): void {
  let index = heap.length;
  while (index > 0) {
    const parent = (index - 1) >> 1;
    if (heap[parent].tick <= bucket.tick) break;
    heap[index] = heap[parent];
    index = parent;
  }
  heap[index] = bucket;
}

function pop(heap: Bucket[]): void {
  const last = heap.pop()!;
  if (heap.length === 0) return;
  let index = 0;
  for (;;) {
    let child = index * 2 + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && heap[child + 1].tick < heap[child].tick) child++;
    if (heap[child].tick >= last.tick) break;
    heap[index] = heap[child];
    index = child;
  }
  heap[index] = last;
}
