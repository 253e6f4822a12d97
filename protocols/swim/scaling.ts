/** How times and counts follow the size of the cluster: memberlist's formulas, each with its source. */
import type { SwimConfig } from "./config.ts";

/** How often one member sends one rumour: mult * ceil(log10(n + 1)). SWIM section 4.1 proves lambda log n. */
export function retransmitLimit(mult: number, members: number): number {
  return mult * Math.ceil(Math.log10(members + 1));
}

/** The shortest suspicion, ms: mult * log10(n) periods, not below the configured least. */
export function suspicionMinMs(config: SwimConfig, members: number): number {
  const periods = config.suspicionMult * Math.log10(Math.max(1, members));
  return Math.max(config.suspicionMinMs, Math.floor(periods * config.probeIntervalMs));
}

/** The longest suspicion, ms. */
export function suspicionMaxMs(config: SwimConfig, members: number): number {
  const minMs = suspicionMinMs(config, members);
  if (members <= config.smallMembers) return Math.max(minMs, config.smallSuspicionMaxMs);
  return minMs * config.suspicionMaxMult;
}

/**
 * How long a suspicion lasts in all once `confirmations` others said the same
 * (Lifeguard section 4.2): max - (max - min) * log(c + 1) / log(k + 1).
 */
export function suspicionMs(
  confirmations: number,
  wanted: number,
  minMs: number,
  maxMs: number,
): number {
  if (wanted < 1) return minMs;
  const fraction = Math.log(confirmations + 1) / Math.log(wanted + 1);
  return Math.max(minMs, Math.floor(maxMs - fraction * (maxMs - minMs)));
}

const unscaledMembers = 32;

/** Between two push/pulls, ms: the whole state is exchanged, so larger clusters do it less often. */
export function pushPullMs(intervalMs: number, members: number): number {
  if (members <= unscaledMembers) return intervalMs;
  return intervalMs * (Math.ceil(Math.log2(members) - Math.log2(unscaledMembers)) + 1);
}
