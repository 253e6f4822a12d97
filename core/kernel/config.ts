/**
 * zod pieces for plugins' configurations. Only modules that already write
 * their schemas in zod import this file; no public signature names its types.
 */
import { z } from "zod";
import { durationMs, durationPattern } from "./duration.ts";

/** Bounds of a {@linkcode duration}, in ms, inclusive. */
export interface DurationBounds {
  /** Default 0. */
  readonly minMs?: number;
  /** Default: none. */
  readonly maxMs?: number;
}

/** A configuration field that holds a duration: written as `"5s"` or in ms, read in ms. */
export type DurationField = z.ZodType<number, number | string | undefined>;

/**
 * A field for a duration: `"5s"`, `"100ms"`, `"2m"`, `"1h"`, or a number of
 * milliseconds. It reads as milliseconds.
 * @param initial What it is when nobody says.
 */
export function duration(initial: number | string, bounds: DurationBounds = {}): DurationField {
  return requiredDuration(bounds).prefault(initial);
}

/** Like {@linkcode duration}, without a default. Add `.optional()` where it may be left out. */
export function requiredDuration(
  { minMs = 0, maxMs = Infinity }: DurationBounds = {},
): z.ZodType<number, number | string> {
  // Every branch says the same, since zod reports whichever came nearest.
  const error = 'write a duration as "5s", "100ms", "2m", "1h" or a number of milliseconds';
  const written = z.union([
    z.number({ error }).nonnegative({ error }),
    z.string({ error }).regex(durationPattern, { error }),
  ], { error });
  return written.transform((value, context) => {
    const ms = durationMs(value) ?? Infinity;
    if (ms >= minMs && ms <= maxMs) return ms;
    const most = maxMs === Infinity ? "" : ` and at most ${maxMs} ms`;
    context.addIssue(`must be at least ${minMs} ms${most}`);
    return z.NEVER;
  });
}
