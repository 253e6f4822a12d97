/**
 * How long the requests of this node wait for their answers.
 *
 * A request's time runs from the turn in which it was queued to the moment at
 * which the bytes that hold its answer were read. The link reads the clock once
 * at both moments anyway, for all requests and answers in them, so nothing is
 * sampled and no clock is read for a measurement: recording costs an increment.
 * Two things come of it: a histogram for each type of message since the node
 * started, and percentiles over all types of the recent past. The past is two
 * windows of 30 s, of which the older is dropped when the newer is full: what is
 * told covers the last 30 to 60 s.
 */
import type { HistogramValue } from "../../contracts/metrics.ts";
import { typeSlot, typeSlotName, typeSlots } from "@mycnet/protocols/link";
import { Histogram } from "./histogram.ts";

/** How long a window is, in ms. */
export const windowMs = 30_000;

/** The bounds that are told, in microseconds: 64 µs to 8.4 s. */
const boundsUs: readonly number[] = Array.from({ length: 18 }, (_, i) => 2 ** (6 + i));
const boundsSeconds: readonly number[] = boundsUs.map((us) => us / 1e6);

/** Durations of requests. */
export class LatencyMeter {
  readonly #byType: (Histogram | undefined)[] = new Array(typeSlots).fill(undefined);
  #recent = new Histogram();
  #before = new Histogram();
  #windowEndMs = -Infinity;

  /** So many requests of this type were answered after `ms`, at the monotonic time `nowMs`. */
  record(type: number, ms: number, nowMs: number, times = 1): void {
    if (nowMs >= this.#windowEndMs) this.#turn(nowMs);
    const slot = typeSlot(type);
    (this.#byType[slot] ??= new Histogram()).record(ms, times);
    this.#recent.record(ms, times);
  }

  /** Percentiles of the recent past in milliseconds; each undefined when nothing was answered in it. */
  percentilesMs(shares: readonly number[], nowMs: number): (number | undefined)[] {
    if (nowMs >= this.#windowEndMs) this.#turn(nowMs);
    const both = new Histogram();
    both.add(this.#before);
    both.add(this.#recent);
    return shares.map((share) => both.quantileMs(share));
  }

  /** Durations in seconds by type since the node started; types without any are left out. */
  byType(): [name: string, value: HistogramValue][] {
    return this.#byType.flatMap((histogram, slot) =>
      histogram === undefined ? [] : [[typeSlotName(slot), {
        bounds: boundsSeconds,
        cumulative: histogram.cumulative(boundsUs),
        count: histogram.count,
        sum: histogram.sumMs / 1000,
      }]]
    );
  }

  /** The newer window is over. */
  #turn(nowMs: number): void {
    const oldest = this.#before;
    this.#before = this.#recent;
    this.#recent = oldest;
    oldest.clear();
    // Nothing happened for longer than a window: the one before is of another time.
    if (nowMs >= this.#windowEndMs + windowMs) this.#before.clear();
    this.#windowEndMs = nowMs + windowMs;
  }
}
