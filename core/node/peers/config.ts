/** The configuration of the peers plugin: bounds and times of links and peers. */
import { z } from "zod";
import { duration } from "../../kernel/config.ts";
import type { Schema } from "../../kernel/schema.ts";

/** How dials that fail are repeated: exponential backoff with full jitter. */
export interface BackoffConfig {
  /** The first wait is at most this long, in ms. Default 100. */
  readonly initial: number;
  /** How much the bound of each next wait grows. Default 1.5. */
  readonly factor: number;
  /** No wait is longer, in ms. Default 5000. Longer spares a dead seed's network, shorter finds it sooner. */
  readonly cap: number;
}

/** How links are watched (protocols/link). */
export interface HealthCheckConfig {
  /** Between pings of an idle link, in ms. Default 1000. */
  readonly interval: number;
  /** Between pings of a link that carries traffic, in ms. Default 100. */
  readonly activeInterval: number;
  /** Silence after a ping that counts as a miss, in ms. Default 500. */
  readonly timeout: number;
  /** Misses in a row that end a link. Default 3. */
  readonly failureThreshold: number;
}

/** What `mycnet.plugins.peers` may hold, times in ms. */
export interface PeersConfig {
  /** A link that carried no message for so long is closed by the side that dialled it, unless it is kept. Default 5 minutes. */
  readonly idleTimeout: number;
  /** How long a goodbye waits for exchanges under way. Default 5000. */
  readonly drainTimeout: number;
  readonly backoff: BackoffConfig;
  /** Rounds over a node's addresses before a dial on demand fails. Kept seeds are dialled for ever. Default 3. */
  readonly dialAttempts: number;
  /** Links to one peer, draining ones included. Default 4. */
  readonly linksPerPeer: number;
  /** Peers remembered; the one seen longest ago is forgotten first. Default 10000. */
  readonly maxPeers: number;
  /** Connections that may be in their handshake at once. Default 256. */
  readonly maxHandshakes: number;
  /** Hints held at once. Default 10000. */
  readonly maxHints: number;
  /** Nodes that a link is kept to at all times; hints beyond are dialled on demand. Default 128. */
  readonly maxKept: number;
  readonly healthCheck: HealthCheckConfig;
}

/** The schema of {@linkcode PeersConfig}; an empty object gives the defaults. */
export const peersConfig: Schema<unknown, PeersConfig> = z.strictObject({
  idleTimeout: duration("5m", { minMs: 1 }),
  drainTimeout: duration("5s"),
  backoff: z.strictObject({
    initial: duration("100ms", { minMs: 1 }),
    factor: z.number().min(1).max(10).default(1.5),
    cap: duration("5s", { minMs: 1 }),
  }).prefault({ initial: undefined, cap: undefined }),
  dialAttempts: z.int().min(1).max(100).default(3),
  linksPerPeer: z.int().min(1).max(64).default(4),
  maxPeers: z.int().min(1).max(1_000_000).default(10_000),
  maxHandshakes: z.int().min(1).max(65_536).default(256),
  maxHints: z.int().min(1).max(1_000_000).default(10_000),
  maxKept: z.int().min(0).max(10_000).default(128),
  healthCheck: z.strictObject({
    interval: duration("1s", { minMs: 10 }),
    activeInterval: duration("100ms", { minMs: 10 }),
    timeout: duration("500ms", { minMs: 10 }),
    failureThreshold: z.int().min(1).max(100).default(3),
  }).prefault({ interval: undefined, activeInterval: undefined, timeout: undefined }),
});
