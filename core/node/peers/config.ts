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

/** How message bodies are made smaller, by the profile of the two nodes. */
export interface CompressionConfig {
  /** False: nothing is compressed to or from this node. Default true. */
  readonly enabled: boolean;
  /** Bodies from this size on, in bytes. Default 1024. */
  readonly threshold: number;
}

/** How what is sent is gathered into writes. */
export interface BatchConfig {
  /** Bytes written at a time; what is urgent waits for no more than that. 1 KiB to 256 KiB, default 64 KiB. */
  readonly maxBytes: number;
  /** How long a message that is not critical waits for company, in ms. Default 0: until the end of the turn. More saves writes where messages trickle, and adds as much to each. */
  readonly delay: number;
}

/** Bounds of one link. */
export interface LinkConfig {
  /** Streams under way, for each side that opens. Default 100. */
  readonly maxStreams: number;
  /** Requests under way, for each side that opens. Default 4096. */
  readonly maxExchanges: number;
  /** What of a stream may be on its way and not yet consumed. Default 256 KiB. More is faster over long distances, and is what a slow reader costs. */
  readonly streamWindowBytes: number;
  /** Bytes waiting at which senders wait. Default 1 MiB. */
  readonly highWaterBytes: number;
  /** Bytes waiting at which a peer that does not read is given up; at least two of the largest frames and `highWaterBytes`. Default 40 MiB. */
  readonly maxOutputBytes: number;
  /** The largest message. Default 16 MiB. */
  readonly maxFrameBytes: number;
  readonly batch: BatchConfig;
}

/** The links to a peer beyond the first. */
export interface PoolConfig {
  /** Links that a peer has as soon as it has one. Default 1. More spares the first burst a handshake, and costs memory at both ends. */
  readonly warm: number;
  /** A link beyond `warm` that carried nothing for so long is closed, in ms. Default 30 s. */
  readonly idleTimeout: number;
  /** A link is replaced at this age (up to a fifth earlier, so that they do not all go at once), in ms; 0: never. Default 0. */
  readonly maxAge: number;
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
  /** Links to one peer, draining ones included, and one more while it takes the place of another. Default 4. */
  readonly linksPerPeer: number;
  readonly pool: PoolConfig;
  readonly link: LinkConfig;
  readonly compression: CompressionConfig;
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

const kib = 1024;

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
  pool: z.strictObject({
    warm: z.int().min(1).max(64).default(1),
    idleTimeout: duration("30s", { minMs: 1 }),
    maxAge: duration(0),
  }).prefault({ idleTimeout: undefined, maxAge: undefined }),
  compression: z.strictObject({
    enabled: z.boolean().default(true),
    threshold: z.int().min(64).max(2 ** 31 - 1).default(1024),
  }).prefault({}),
  link: z.strictObject({
    maxStreams: z.int().min(1).max(65_536).default(100),
    maxExchanges: z.int().min(1).max(1_000_000).default(4096),
    streamWindowBytes: z.int().min(1024).max(2 ** 30).default(256 * kib),
    highWaterBytes: z.int().min(1024).max(2 ** 30).default(1024 * kib),
    maxOutputBytes: z.int().min(64 * kib).max(2 ** 31).default(40 * 1024 * kib),
    maxFrameBytes: z.int().min(64 * kib).max(256 * 1024 * kib).default(16 * 1024 * kib),
    batch: z.strictObject({
      maxBytes: z.int().min(kib).max(256 * kib).default(64 * kib),
      delay: duration(0, { maxMs: 1000 }),
    }).prefault({ delay: undefined }),
  }).prefault({}),
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
