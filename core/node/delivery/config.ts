/** The configuration of the delivery plugin: bounds and times. */
import { z } from "zod";
import { duration } from "../../kernel/config.ts";
import type { Schema } from "../../kernel/schema.ts";

/** What waits for acknowledgement, for each peer and priority. */
export interface WindowConfig {
  /** Messages of level high. Default 8192. More needs memory, less waits sooner on long ways. */
  readonly messages: number;
  /** Their bytes. Default 16 MiB. */
  readonly bytes: number;
}

/** What guaranteed messages may take on disk. */
export interface OutboxConfig {
  /** Messages, for all nodes together. Default 100,000. */
  readonly rows: number;
  /** Their bytes. Default 256 MiB. */
  readonly bytes: number;
}

/** What `mycnet.plugins.delivery` may hold, times in ms. */
export interface DeliveryConfig {
  readonly window: WindowConfig;
  readonly outbox: OutboxConfig;
  /**
   * What senders hold, in bytes, that wait for room: in the window, for each peer and priority, and
   * in the outbox. Whoever comes then fails as overloaded. Default 64 MiB.
   */
  readonly waitingBytes: number;
  /** How often a message of level high is sent again before it is undelivered. Default 3. */
  readonly retries: number;
  /** The shortest wait for an acknowledgement; longer where the measured round trip is, and doubling. Default 200. */
  readonly ackTimeout: number;
  /** The longest wait between attempts at a guaranteed message, at sending and at handling it. Default 30 s. */
  readonly maxBackoff: number;
  /** Senders whose sequences are remembered; those that are linked always are. Default 10,000. */
  readonly maxSenders: number;
}

const mebibyte = 1024 * 1024;

/** The schema of {@linkcode DeliveryConfig}; an empty object gives the defaults. */
export const deliveryConfig: Schema<unknown, DeliveryConfig> = z.strictObject({
  window: z.strictObject({
    messages: z.int().min(1).max(1 << 20).default(8192),
    bytes: z.int().min(1).max(1024 * mebibyte).default(16 * mebibyte),
  }).prefault({}).describe("What waits for acknowledgement, for each peer and priority."),
  outbox: z.strictObject({
    rows: z.int().min(1).max(100_000_000).default(100_000),
    bytes: z.int().min(1).max(1024 * 1024 * mebibyte).default(256 * mebibyte),
  }).prefault({}).describe("What guaranteed messages may take on disk."),
  waitingBytes: z.int().min(1).max(1024 * 1024 * mebibyte).default(64 * mebibyte)
    .describe("What senders that wait for room in the window or in the outbox may hold, in bytes."),
  retries: z.int().min(0).max(100).default(3)
    .describe("How often a message of level high is sent again before it is undelivered."),
  ackTimeout: duration("200ms", { minMs: 1 })
    .describe("The shortest wait for an acknowledgement."),
  maxBackoff: duration("30s", { minMs: 1 })
    .describe("The longest wait between attempts at a guaranteed message."),
  maxSenders: z.int().min(1).max(1_000_000).default(10_000)
    .describe("Senders whose sequences are remembered."),
});
