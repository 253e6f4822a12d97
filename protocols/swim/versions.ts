/** Which protocol versions understand each other. */
import type { Span } from "./wire/messages.ts";

/**
 * What a member speaks: protocol minimum, maximum and current, then the same of
 * the layer above (the "delegate"). Serf agents announce 1,5,2,2,5,5; programs on
 * bare memberlist 1,5,2,0,0,0.
 */
export type Versions = readonly [
  pmin: number,
  pmax: number,
  pcur: number,
  dmin: number,
  dmax: number,
  dcur: number,
];

/** What a member announces that announces nothing. */
export const noVersions: Versions = [0, 0, 0, 0, 0, 0];

/**
 * True if two members understand each other: each one's current version lies in
 * the other's range, for the protocol and for the layer above. One that announces
 * nothing is taken at its word.
 */
export function understand(own: Versions, other: Versions): boolean {
  const [pmin, pmax, pcur, dmin, dmax, dcur] = other;
  if (other === own) return true;
  if (other.every((version) => version === 0)) return true;
  if (pmin === 0 || pmin > pmax || dmin > dmax) return false;
  return pcur >= own[0] && pcur <= own[1] && own[2] >= pmin && own[2] <= pmax &&
    dcur >= own[3] && dcur <= own[4] && own[5] >= dmin && own[5] <= dmax;
}

/** For people: what another member speaks, beside what we do. */
export function difference(own: Versions, other: Versions): string {
  return `${other.join(",")} (${kindOf(other)}), not ${own.join(",")} (${kindOf(own)})`;
}

/** The layer above tells apart the two kinds of programs that cannot be mixed. */
function kindOf([, , , dmin, dmax]: Versions): string {
  if (dmax === 0) return "bare memberlist";
  return dmin >= 2 && dmax <= 5 ? "Serf" : "another program";
}

/** The versions in a message. Nearly everybody says the same: then `own` itself, no array for each. */
export function readVersions(own: Versions, bytes: Uint8Array, { start, end }: Span): Versions {
  if (end - start < 6) return noVersions;
  for (let i = 0; i < 6; i++) {
    if (bytes[start + i] !== own[i]) {
      const [a, b, c, d, e, f] = bytes.subarray(start, start + 6);
      return [a!, b!, c!, d!, e!, f!];
    }
  }
  return own;
}
