/** The bounds and times of a link, out of the configuration of the peers. */
import type { LinkLimits } from "@mycnet/protocols/link";
import type { Batch } from "../links/mod.ts";
import type { PeersConfig } from "./config.ts";

/** @param handshakeTimeoutMs how long a handshake may take. */
export function linkBounds(
  { compression, drainTimeout, healthCheck, link }: PeersConfig,
  handshakeTimeoutMs: number,
): { readonly limits: Partial<LinkLimits>; readonly batch: Batch } {
  const limits = {
    handshakeTimeoutMs,
    drainTimeoutMs: drainTimeout,
    pingIntervalMs: healthCheck.interval,
    activePingIntervalMs: healthCheck.activeInterval,
    pingTimeoutMs: healthCheck.timeout,
    failureThreshold: healthCheck.failureThreshold,
    maxStreams: link.maxStreams,
    maxExchanges: link.maxExchanges,
    streamWindowBytes: link.streamWindowBytes,
    outputHighWaterBytes: link.highWaterBytes,
    maxOutputBytes: link.maxOutputBytes,
    maxFrameBytes: link.maxFrameBytes,
    sliceBytes: link.batch.maxBytes,
    compressionThresholdBytes: compression.threshold,
  };
  return { limits, batch: { maxBytes: link.batch.maxBytes, delayMs: link.batch.delay } };
}
