/**
 * Load: so many calls in flight for so long, and what came of it.
 *
 * The same clock and the same sampling stand around every subject, so they
 * cost both sides of a ratio the same: a call in sixteen is timed when many
 * are in flight, every one when there is but one.
 *
 * Peers that run on Node use this very file, made into JavaScript (lib/peers.ts):
 * it imports nothing.
 */

/** What one round gave. */
export interface Round {
  /** Calls answered. */
  readonly calls: number;
  /** Calls answered per second. */
  readonly perSecond: number;
  /** Medians and 99th percentiles of the time from call to answer, in microseconds. */
  readonly p50Us: number;
  readonly p99Us: number;
}

/** Starts one call and runs `done` when it is answered. */
export type Start = (done: () => void) => void;

const maxSamples = 1 << 18;
/** How many calls go by between looks at the clock. */
const lookEvery = 64;

/** What to do for one round. */
export interface LoadOptions {
  /** Which kind of call, by name. */
  readonly what: string;
  /** How many calls are under way at a time. */
  readonly inFlight: number;
  /** For how long. */
  readonly ms: number;
}

/** Keeps `inFlight` calls under way for `ms`, then waits for the rest. */
export async function load(
  starts: Readonly<Record<string, Start>>,
  { what, inFlight, ms }: LoadOptions,
): Promise<Round> {
  const start = starts[what];
  let resolve = () => {};
  const promise = new Promise<void>((it) => resolve = it); // Node 20 has no withResolvers.
  const samples = new Float64Array(maxSamples);
  const sampleEvery = inFlight === 1 ? 1 : 16;
  let taken = 0;
  let answered = 0;
  let underWay = inFlight;
  let over = false;
  const began = performance.now();
  const endsAt = began + ms;
  let endedAt = began;

  const caller = (offset: number) => {
    let turn = offset;
    let startedAt = 0;
    const next = () => {
      if (turn++ % sampleEvery === 0) {
        startedAt = performance.now();
        start(timed);
      } else start(done);
    };
    const timed = () => {
      samples[taken++ & (maxSamples - 1)] = performance.now() - startedAt;
      done();
    };
    const done = () => {
      if (++answered % lookEvery === 0 && !over) {
        endedAt = performance.now();
        over = endedAt >= endsAt;
      }
      if (!over) next();
      else if (--underWay === 0) resolve();
    };
    next();
  };
  for (let i = 0; i < inFlight; i++) caller(i);
  await promise;
  // Calls answered after the last look are in neither the count nor the time, but for a handful.
  const elapsed = endedAt - began;
  const latencies = samples.subarray(0, Math.min(taken, maxSamples)).sort();
  const quantile = (share: number) =>
    1000 * latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))];
  return {
    calls: answered,
    perSecond: (answered - inFlight + 1) / elapsed * 1000,
    p50Us: quantile(0.5),
    p99Us: quantile(0.99),
  };
}
