/**
 * Suspicions under way (SWIM section 4.2, Lifeguard section 4.2).
 *
 * Each lasts its longest time unless others confirm it. Only members that are
 * known count, each once, and never the one that raised it: a member that errs
 * because it is slow itself finds nobody to agree, and waits long. Time that this
 * process stood still is added to every suspicion, because the refutation may lie
 * unread.
 */
import { suspicionMs } from "./scaling.ts";

/** One suspicion. */
export interface Suspicion {
  readonly id: number;
  /** How many confirmations bring it to its shortest. */
  readonly wanted: number;
  readonly minMs: number;
  readonly maxMs: number;
  /** When it began, pauses of this process added. */
  startMs: number;
  deadlineMs: number;
  /** Who said so, by number of name, the first one included. */
  sources: readonly number[];
}

/** All of one machine. */
export class Suspicions {
  readonly #all: Map<number, Suspicion> = new Map();
  #earliestMs = Infinity;

  /** How many there are. */
  get size(): number {
    return this.#all.size;
  }

  /** When the first one ends; perhaps earlier, never later. Infinity if there is none. */
  get nextMs(): number {
    return this.#earliestMs;
  }

  /** True if a member is under one. */
  has(id: number): boolean {
    return this.#all.has(id);
  }

  /** Begins one. `wanted` 0: its shortest time at once. */
  begin(
    id: number,
    source: number,
    wanted: number,
    minMs: number,
    maxMs: number,
    nowMs: number,
  ): void {
    const deadlineMs = nowMs + suspicionMs(0, wanted, minMs, maxMs);
    this.#all.set(id, {
      id,
      wanted,
      minMs,
      maxMs,
      startMs: nowMs,
      deadlineMs,
      sources: [source],
    });
    this.#earliestMs = Math.min(this.#earliestMs, deadlineMs);
  }

  /** Somebody says the same. True if that was new and wanted: pass it on. */
  confirm(id: number, source: number): boolean {
    const suspicion = this.#all.get(id);
    if (suspicion === undefined) return false;
    const { sources, wanted, minMs, maxMs, startMs } = suspicion;
    if (sources.length > wanted || sources.includes(source)) return false;
    // A new array has just the size it needs, where one that grows takes room for seventeen.
    suspicion.sources = [...sources, source];
    suspicion.deadlineMs = startMs + suspicionMs(sources.length, wanted, minMs, maxMs);
    this.#earliestMs = Math.min(this.#earliestMs, suspicion.deadlineMs);
    return true;
  }

  /** True if it has as many confirmations as it wants. */
  confirmed(id: number): boolean {
    const suspicion = this.#all.get(id);
    return suspicion !== undefined && suspicion.sources.length > suspicion.wanted;
  }

  /** It is over, one way or the other. */
  end(id: number): void {
    if (this.#all.delete(id) && this.#all.size === 0) this.#earliestMs = Infinity;
  }

  /** Takes out those whose time is up, and calls with each. */
  expire(nowMs: number, expired: (id: number) => void): void {
    if (nowMs < this.#earliestMs) return;
    const due: number[] = [];
    this.#earliestMs = Infinity;
    for (const { id, deadlineMs } of this.#all.values()) {
      if (deadlineMs <= nowMs) due.push(id);
      else this.#earliestMs = Math.min(this.#earliestMs, deadlineMs);
    }
    for (const id of due) this.#all.delete(id);
    for (const id of due) expired(id);
  }

  /** This process stood still for so long. */
  postpone(ms: number): void {
    for (const suspicion of this.#all.values()) {
      suspicion.startMs += ms;
      suspicion.deadlineMs += ms;
    }
    this.#earliestMs += ms;
  }

  /** Ends all. */
  clear(): void {
    this.#all.clear();
    this.#earliestMs = Infinity;
  }
}
