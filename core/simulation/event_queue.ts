/**
 * What happens next: a binary heap ordered by (time, sequence).
 *
 * The sequence number is given on arrival, so of two events at one time the
 * one scheduled first fires first, and the order is total: that is half of
 * determinism. Events know their place in the heap, so cancelling one removes
 * it at once, in O(log n); a protocol that re-arms a far timer a million times
 * leaves nothing behind. The queue is bounded: a run that schedules without
 * end fails with an error instead of eating the memory.
 */
import { MycnetError } from "../kernel/errors.ts";

/** Something that will happen at a time. */
export interface Queued {
  /** Virtual time in ms. */
  readonly at: number;
  /** Given by the queue: the order of arrival. */
  sequence: number;
  /** Where it is in the heap; -1 while it is not queued. Written by the queue alone. */
  index: number;
}

/** Events by (time, order of arrival). */
export class EventQueue<E extends Queued> {
  readonly #heap: E[] = [];
  readonly #maxSize: number;
  #sequence = 0;

  /**
   * An empty queue.
   * @param maxSize how many may wait at once. Default 2^20.
   */
  constructor(maxSize: number = 1 << 20) {
    this.#maxSize = maxSize;
  }

  /** How many wait. */
  get size(): number {
    return this.#heap.length;
  }

  /** The next one, left where it is. */
  peek(): E | undefined {
    return this.#heap[0];
  }

  /** Adds an event. @throws with code `simulation_limit` when the queue is full. */
  push(event: E): void {
    const heap = this.#heap;
    if (heap.length >= this.#maxSize) {
      throw new MycnetError(
        "simulation_limit",
        `${heap.length} events wait at once, which is the bound`,
      );
    }
    event.sequence = this.#sequence++;
    event.index = heap.length;
    heap.push(event);
    this.#up(event);
  }

  /** Takes the next one. */
  pop(): E | undefined {
    const first = this.#heap[0];
    if (first !== undefined) this.remove(first);
    return first;
  }

  /** Takes one out, wherever it is. False if it is not queued. */
  remove(event: E): boolean {
    const heap = this.#heap;
    const index = event.index;
    if (index < 0) return false;
    event.index = -1;
    const last = heap.pop()!;
    if (last === event) return true;
    last.index = index;
    heap[index] = last;
    this.#up(last);
    this.#down(last);
    return true;
  }

  #up(event: E): void {
    const heap = this.#heap;
    let index = event.index;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex]!;
      if (before(parent, event)) break;
      heap[index] = parent;
      parent.index = index;
      index = parentIndex;
    }
    heap[index] = event;
    event.index = index;
  }

  #down(event: E): void {
    const heap = this.#heap;
    const size = heap.length;
    let index = event.index;
    for (;;) {
      let childIndex = 2 * index + 1;
      if (childIndex >= size) break;
      let child = heap[childIndex]!;
      const right = childIndex + 1 < size ? heap[childIndex + 1] : undefined;
      if (right !== undefined && before(right, child)) {
        child = right;
        childIndex++;
      }
      if (before(event, child)) break;
      heap[index] = child;
      child.index = index;
      index = childIndex;
    }
    heap[index] = event;
    event.index = index;
  }
}

function before(a: Queued, b: Queued): boolean {
  return a.at < b.at || (a.at === b.at && a.sequence < b.sequence);
}
