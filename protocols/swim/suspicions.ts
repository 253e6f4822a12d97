/**
 * Suspicions under way (SWIM section 4.2, Lifeguard section 4.2).
 *
 * Each lasts its longest time unless others confirm it. Only members that are
 * known count, each once, and never the one that raised it: a member that errs
 * because it is slow itself finds nobody to agree, and waits long. Time that this
 * process stood still is added to every suspicion, because the refutation may lie
 * unread. They stand side by side in two arrays of numbers, without holes: a
 * hundred at once in each of ten thousand views are a million.
 */
import { suspicionMs } from "./scaling.ts";

/** Of one suspicion's times: when it began, pauses of this process added; when it ends; its shortest and longest. */
const [start, deadline, shortest, longest, timesEach] = [0, 1, 2, 3, 4] as const;
/** Of its numbers: whom it is about, how many confirmations it wants, how many sources it has, and those, the first one included. */
const [about, wants, known, firstSource] = [0, 1, 2, 3] as const;

/** All of one machine. */
export class Suspicions {
  /** Where each stands, by whom it is about. */
  readonly #places: Map<number, number> = new Map();
  #times: Float64Array = new Float64Array();
  #numbers: Int32Array = new Int32Array();
  /** Numbers of one suspicion: three, and as many sources as one ever wanted, and the first. */
  #numbersEach: number = firstSource + 1;
  #size = 0;
  #earliestMs = Infinity;

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** When the first one ends; perhaps earlier, never later. Infinity if there is none. */
  get nextMs(): number {
    return this.#earliestMs;
  }

  /** True if a member is under one. */
  has(id: number): boolean {
    return this.#places.has(id);
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
    this.end(id);
    const place = this.#size;
    this.#room(place + 1, firstSource + wanted + 1);
    this.#size++;
    this.#places.set(id, place);
    const time = place * timesEach;
    const deadlineMs = nowMs + suspicionMs(0, wanted, minMs, maxMs);
    this.#times[time + start] = nowMs;
    this.#times[time + deadline] = deadlineMs;
    this.#times[time + shortest] = minMs;
    this.#times[time + longest] = maxMs;
    const number = place * this.#numbersEach;
    this.#numbers[number + about] = id;
    this.#numbers[number + wants] = wanted;
    this.#numbers[number + known] = 1;
    this.#numbers[number + firstSource] = source;
    this.#earliestMs = Math.min(this.#earliestMs, deadlineMs);
  }

  /** Somebody says the same. True if that was new and wanted: pass it on. */
  confirm(id: number, source: number): boolean {
    const place = this.#places.get(id);
    if (place === undefined) return false;
    const numbers = this.#numbers;
    const number = place * this.#numbersEach;
    const wanted = numbers[number + wants]!;
    const count = numbers[number + known]!;
    if (count > wanted) return false;
    for (let i = 0; i < count; i++) {
      if (numbers[number + firstSource + i] === source) return false;
    }
    numbers[number + firstSource + count] = source;
    numbers[number + known] = count + 1;
    const times = this.#times;
    const time = place * timesEach;
    const lastsMs = suspicionMs(count, wanted, times[time + shortest]!, times[time + longest]!);
    const deadlineMs = times[time + start]! + lastsMs;
    times[time + deadline] = deadlineMs;
    this.#earliestMs = Math.min(this.#earliestMs, deadlineMs);
    return true;
  }

  /** True if it has as many confirmations as it wants. */
  confirmed(id: number): boolean {
    const place = this.#places.get(id);
    if (place === undefined) return false;
    const number = place * this.#numbersEach;
    return this.#numbers[number + known]! > this.#numbers[number + wants]!;
  }

  /** It is over, one way or the other. */
  end(id: number): void {
    const place = this.#places.get(id);
    if (place === undefined) return;
    this.#places.delete(id);
    const last = --this.#size;
    if (last === 0) {
      this.clear();
      return;
    }
    if (place === last) return;
    // The last one takes its place.
    const each = this.#numbersEach;
    this.#places.set(this.#numbers[last * each + about]!, place);
    this.#numbers.copyWithin(place * each, last * each, (last + 1) * each);
    this.#times.copyWithin(place * timesEach, last * timesEach, (last + 1) * timesEach);
  }

  /** Takes out those whose time is up, and calls with each. */
  expire(nowMs: number, expired: (id: number) => void): void {
    if (nowMs < this.#earliestMs) return;
    const due: number[] = [];
    this.#earliestMs = Infinity;
    for (let place = 0; place < this.#size; place++) {
      const deadlineMs = this.#times[place * timesEach + deadline]!;
      if (deadlineMs <= nowMs) due.push(this.#numbers[place * this.#numbersEach + about]!);
      else this.#earliestMs = Math.min(this.#earliestMs, deadlineMs);
    }
    for (const id of due) this.end(id);
    for (const id of due) expired(id);
  }

  /** This process stood still for so long. */
  postpone(ms: number): void {
    for (let place = 0; place < this.#size; place++) {
      this.#times[place * timesEach + start]! += ms;
      this.#times[place * timesEach + deadline]! += ms;
    }
    this.#earliestMs += ms;
  }

  /** Ends all, and gives their room back. */
  clear(): void {
    this.#places.clear();
    this.#size = 0;
    this.#earliestMs = Infinity;
    this.#times = new Float64Array();
    this.#numbers = new Int32Array();
  }

  #room(count: number, numbersEach: number): void {
    if (numbersEach > this.#numbersEach) {
      const wider = new Int32Array(this.#times.length / timesEach * numbersEach);
      for (let place = 0; place < this.#size; place++) {
        const from = place * this.#numbersEach;
        wider.set(this.#numbers.subarray(from, from + this.#numbersEach), place * numbersEach);
      }
      this.#numbers = wider;
      this.#numbersEach = numbersEach;
    }
    if (count * timesEach <= this.#times.length) return;
    const capacity = Math.max(8, Math.ceil(count * 1.5));
    const times = new Float64Array(capacity * timesEach);
    times.set(this.#times);
    const numbers = new Int32Array(capacity * this.#numbersEach);
    numbers.set(this.#numbers);
    this.#times = times;
    this.#numbers = numbers;
  }
}
