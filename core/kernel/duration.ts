/** Durations as people write them: `"5s"`, `"100ms"`, `"2m"`, `"1h"`, `"1d"`, or a number of milliseconds. */
import { MycnetError } from "./errors.ts";

const unitsMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** What a written duration looks like, as a regular expression. */
export const durationPattern: RegExp = /^\d+(?:\.\d+)?(?:ms|s|m|h|d)$/;

/** A duration in ms, or undefined if `value` is none. */
export function durationMs(value: number | string): number | undefined {
  if (typeof value === "number") return value >= 0 && Number.isFinite(value) ? value : undefined;
  if (!durationPattern.test(value)) return undefined;
  const unit = value.slice(value.search(/[a-z]/));
  // Rounded to the microsecond: "1.1s" is 1100 ms, not 1100.0000000000002.
  const ms = Math.round(Number.parseFloat(value) * unitsMs[unit]! * 1000) / 1000;
  return Number.isFinite(ms) ? ms : undefined;
}

/**
 * A duration in ms.
 * @param name What it is, for the error, e.g. `"timeout"`.
 * @throws `invalid_argument` if `value` is none.
 */
export function parseDuration(value: number | string, name = "duration"): number {
  const ms = durationMs(value);
  if (ms !== undefined) return ms;
  throw new MycnetError(
    "invalid_argument",
    `${name}: ${JSON.stringify(value)} is no duration; write "5s", "100ms", "2m", "1h" ` +
      `or a number of milliseconds`,
  );
}
