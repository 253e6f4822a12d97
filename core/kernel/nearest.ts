/** Did-you-mean: the known name that a mistyped one most likely meant. */

/** Names longer than this are compared by their beginning, so that a hostile key costs nothing. */
const longestName = 64;

/** An abbreviation of at least this many letters counts as one slip. */
const shortestPrefix = 3;

/**
 * The candidate nearest to `name`, or undefined if none is near. Case and the
 * separators `_` and `-` count for nothing, so `bind_address` finds
 * `bindAddress`; beyond that about one slip in three letters is forgiven
 * (insertion, deletion, substitution, or two neighbours swapped), and an
 * abbreviation of three letters or more.
 */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  const wanted = plain(name);
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of candidates) {
    const known = plain(candidate);
    const short = wanted.length >= shortestPrefix && known.startsWith(wanted) && known !== wanted;
    const distance = short ? 1 : editDistance(wanted, known);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** `, did you mean "x"?` where something is near, else the empty string. */
export function didYouMean(name: string, candidates: Iterable<string>): string {
  const found = nearest(name, candidates);
  return found === undefined ? "" : `, did you mean "${found}"?`;
}

function plain(name: string): string {
  return name.slice(0, longestName).toLowerCase().replaceAll(/[_-]/g, "");
}

/** Optimal string alignment distance (Damerau, 1964, each substring edited once). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min(previous[j]! + 1, row[j - 1]! + 1, substitution);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, before[j - 2]! + 1);
      }
      row.push(least);
    }
    before = previous;
    previous = row;
  }
  return previous[b.length]!;
}
