/**
 * Rounds: the sides of a comparison take turns, so that whatever else the
 * machine does meets both. Medians are of the rounds; a ratio is the median of
 * the rounds' ratios, each of two neighbours in time.
 */

/** The middle of some numbers; of an even count, the mean of the two in the middle. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** The smallest value that a share of all do not exceed. NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? NaN;
}

/** The median of the ratios of two series, pair by pair. */
export function medianRatio(ours: readonly number[], theirs: readonly number[]): number {
  return median(ours.map((value, i) => value / theirs[i]));
}

/** Runs every side once a round; each round begins with another one. */
export async function alternate<K extends string, T>(
  rounds: number,
  sides: Readonly<Record<K, () => Promise<T>>>,
): Promise<Record<K, T[]>> {
  const names = Object.keys(sides) as K[];
  const results = {} as Record<K, T[]>;
  for (const name of names) results[name] = [];
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < names.length; i++) {
      const name = names[(round + i) % names.length];
      results[name].push(await sides[name]());
    }
  }
  return results;
}
