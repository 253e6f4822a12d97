/**
 * Has something grown? The last quarter of a run beside its first.
 *
 * Memory moves with the collector and the compilers, so medians are compared and
 * a little is allowed: a tenth and 16 MiB of the process, a tenth and 2 MiB of
 * what JavaScript holds. Handles and timers come and go while links are dialled
 * and warmed up: four more are allowed, which a leak of one a link, or a service,
 * passes within seconds.
 */
import { type Census, census } from "./census.ts";
import { median } from "./rounds.ts";

const mebibyte = 1024 * 1024;
const tolerances: Readonly<Record<keyof Census, (first: number) => number>> = {
  resident: (first) => first * 1.1 + 16 * mebibyte,
  held: (first) => first * 1.1 + 2 * mebibyte,
  files: (first) => first + 4,
  resources: (first) => first + 4,
  timers: (first) => first + 4,
};

/** A look, and when: ms since the beginning. */
export interface Sample {
  readonly atMs: number;
  readonly census: Census;
}

/** What came of one of the counted things: bytes, or a count. */
export interface Growth {
  readonly what: keyof Census;
  readonly first: number;
  readonly last: number;
  /** The most that the last quarter may have. */
  readonly allowed: number;
  /** The line of least squares through all samples, per hour. */
  readonly perHour: number;
  readonly grows: boolean;
}

/** Compares the quarters. @throws with fewer than four samples. */
export function growthOf(samples: readonly Sample[]): Growth[] {
  if (samples.length < 4) throw new Error(`${samples.length} samples: four at least are needed`);
  const quarter = Math.floor(samples.length / 4);
  return census.map((what) => {
    const of = (part: readonly Sample[]) => median(part.map((it) => it.census[what]));
    const first = of(samples.slice(0, quarter));
    const last = of(samples.slice(-quarter));
    const allowed = tolerances[what](first);
    return { what, first, last, allowed, perHour: slope(samples, what), grows: last > allowed };
  });
}

function slope(samples: readonly Sample[], what: keyof Census): number {
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const x = samples.map((it) => it.atMs / 3_600_000);
  const y = samples.map((it) => it.census[what]);
  const [meanX, meanY] = [mean(x), mean(y)];
  const above = x.reduce((sum, it, i) => sum + (it - meanX) * (y[i] - meanY), 0);
  const below = x.reduce((sum, it) => sum + (it - meanX) ** 2, 0);
  return below === 0 ? 0 : above / below;
}
