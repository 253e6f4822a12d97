/** Distributions of delays, as data. Every sample is at least 0 and at most {@linkcode maxDelayMs}. */
import type { Random } from "./random.ts";

/** No sample exceeds this: 60 s, so that a heavy tail cannot stall a run for ever. */
export const maxDelayMs = 60_000;

/** How long something takes, in milliseconds. */
export type Delay =
  /** Always the same. */
  | { readonly kind: "constant"; readonly ms: number }
  /** Anything between the two, equally likely. */
  | { readonly kind: "uniform"; readonly minMs: number; readonly maxMs: number }
  /** At least `minMs`, `meanMs` on average, with an exponential tail: queues on the way. */
  | { readonly kind: "exponential"; readonly minMs: number; readonly meanMs: number }
  /** Half below `medianMs`; `sigma` (say 0.1 to 1) sets the tail: the internet. */
  | { readonly kind: "lognormal"; readonly medianMs: number; readonly sigma: number };

/** Draws one delay in ms. */
export function sample(delay: Delay, random: Random): number {
  const ms = draw(delay, random);
  return Math.min(maxDelayMs, Math.max(0, ms));
}

/** The delay that half of the samples exceed, in ms: what a sender expects. */
export function medianOf(delay: Delay): number {
  switch (delay.kind) {
    case "constant":
      return delay.ms;
    case "uniform":
      return (delay.minMs + delay.maxMs) / 2;
    case "exponential":
      return delay.minMs + Math.max(0, delay.meanMs - delay.minMs) * Math.LN2;
    case "lognormal":
      return delay.medianMs;
  }
}

function draw(delay: Delay, random: Random): number {
  switch (delay.kind) {
    case "constant":
      return delay.ms;
    case "uniform":
      return delay.minMs + (delay.maxMs - delay.minMs) * random.float();
    case "exponential":
      return delay.minMs - Math.max(0, delay.meanMs - delay.minMs) * Math.log(1 - random.float());
    case "lognormal": {
      // Box and Muller: two uniform draws make one normal draw.
      const radius = Math.sqrt(-2 * Math.log(1 - random.float()));
      return delay.medianMs *
        Math.exp(delay.sigma * radius * Math.cos(2 * Math.PI * random.float()));
    }
  }
}
