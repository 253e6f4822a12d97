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
import { PlaceIndex } from "./place_index.ts";
import { suspicionMs } from "./scaling.ts";

/** Of one suspicion's times: when it began, pauses of this process added; when it ends; its shortest and longest. */
const [start, deadline, shortest, longest, timesEach] = [0, 1, 2, 3, 4] as const;
/** Of its numbers: whom it is about, how many confirmations it wants, how many sources it has, and those, the first one included. */
const [about, wants, known, firstSource] = [0, 1, 2, 3] as const;

/** All of one machine. */
export class Suspicions {
  readonly #index: PlaceIndex = new PlaceIndex();
  #times: Float64Array = new Float64Array();
  /** Numbers of each suspicion: three, and as many sources as one ever wanted, and the first. */
  readonly #rows = { numbers: new Int32Array(), each: firstSource + 1 };
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
    return this.#find(id) >= 0;
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
    const time = place * timesEach;
    const deadlineMs = nowMs + suspicionMs(0, wanted, minMs, maxMs);
    this.#times[time + start] = nowMs;
    this.#times[time + deadline] = deadlineMs;
    this.#times[time + shortest] = minMs;
    this.#times[time + longest] = maxMs;
    const { numbers, each } = this.#rows;
    const number = place * each;
    numbers[number + about] = id;
    numbers[number + wants] = wanted;
    numbers[number + known] = 1;
    numbers[number + firstSource] = source;
    this.#index.add(this.#rows, place);
    this.#earliestMs = Math.min(this.#earliestMs, deadlineMs);
  }

  /** True if one more source would count: not enough of them are known yet, and this is none of those. */
  wants(id: number, source: number): boolean {
    const place = this.#find(id);
    if (place < 0) return false;
    const { numbers, each } = this.#rows;
    const number = place * each;
    const count = numbers[number + known]!;
    if (count > numbers[number + wants]!) return false;
    for (let i = 0; i < count; i++) {
      if (numbers[number + firstSource + i] === source) return false;
    }
    return true;
  }

  /** Somebody says the same. True if that was new and wanted: pass it on. */
  confirm(id: number, source: number): boolean {
    if (!this.wants(id, source)) return false;
    const place = this.#find(id);
    const { numbers, each } = this.#rows;
    const number = place * each;
    const wanted = numbers[number + wants]!;
    const count = numbers[number + known]!;
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
    const place = this.#find(id);
    if (place < 0) return false;
    const { numbers, each } = this.#rows;
    return numbers[place * each + known]! > numbers[place * each + wants]!;
  }

  /** It is over, one way or the other. */
  end(id: number): void {
    const place = this.#find(id);
    if (place < 0) return;
    if (this.#size === 1) return this.clear();
    this.#index.remove(this.#rows, place);
    const last = --this.#size;
    if (place === last) return;
    // The last one takes its place.
    this.#index.move(this.#rows, last, place);
    const { numbers, each } = this.#rows;
    numbers.copyWithin(place * each, last * each, (last + 1) * each);
    this.#times.copyWithin(place * timesEach, last * timesEach, (last + 1) * timesEach);
  }

  /** Takes out those whose time is up, and calls with each. */
  expire(nowMs: number, expired: (id: number) => void): void {
    if (nowMs < this.#earliestMs) return;
    const due: number[] = [];
    this.#earliestMs = Infinity;
    for (let place = 0; place < this.#size; place++) {
      const deadlineMs = this.#times[place * timesEach + deadline]!;
      if (deadlineMs <= nowMs) due.push(this.#rows.numbers[place * this.#rows.each + about]!);
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

  /** Nobody could be heard since some time: it counts for none, from there or from where it began. */
  discount(sinceMs: number, nowMs: number): void {
    for (let place = 0; place < this.#size; place++) {
      const time = place * timesEach;
      const deafMs = nowMs - Math.max(sinceMs, this.#times[time + start]!);
      this.#times[time + start]! += deafMs;
      this.#times[time + deadline]! += deafMs;
    }
    // The earliest is found anew when it would be due.
  }

  /** Ends all, and gives their room back. */
  clear(): void {
    this.#index.clear();
    this.#size = 0;
    this.#earliestMs = Infinity;
    this.#times = new Float64Array();
    this.#rows.numbers = new Int32Array();
  }

  #find(id: number): number {
    return this.#index.find(this.#rows, id);
  }

  #room(count: number, each: number): void {
    const rows = this.#rows;
    const capacity = this.#times.length / timesEach;
    const wider = Math.max(each, rows.each);
    if (count <= capacity && wider === rows.each) return;
    const grown = count <= capacity ? capacity : Math.max(8, Math.ceil(count * 1.5));
    const numbers = new Int32Array(grown * wider);
    for (let place = 0; place < this.#size; place++) {
      const from = place * rows.each;
      for (let i = 0; i < rows.each; i++) numbers[place * wider + i] = rows.numbers[from + i]!;
    }
    rows.numbers = numbers;
    rows.each = wider;
    if (count <= capacity) return;
    const times = new Float64Array(grown * timesEach);
    times.set(this.#times);
    this.#times = times;
  }
}
