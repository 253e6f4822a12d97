/** Every setting of the Serf machine, with its unit, default and trade-off. Defaults are Serf's own where it has one. */

/** The settings of a Serf machine. All are required; start from {@linkcode serfDefaults}. */
export interface SerfConfig {
  /** How long a failed member is remembered and reconnected to, ms. Default 24 h. */
  readonly reconnectTimeoutMs: number;
  /** How long a member that left is remembered, so that old news cannot bring it back, ms. Default 24 h. */
  readonly tombstoneMs: number;
  /** Between two looks at who can be forgotten, ms. Default 15,000. */
  readonly reapIntervalMs: number;
  /**
   * Between two attempts to reach a failed member, ms; members take turns by chance so
   * that the cluster as a whole tries each about once in this time. Default 30,000.
   */
  readonly reconnectIntervalMs: number;
  /**
   * Addresses of forgotten failed members that are still tried, so that a partition
   * longer than `reconnectTimeoutMs` heals too. Default 64; 0: none.
   */
  readonly maxLostAddresses: number;
  /** How long an intent about an unknown member is kept for its coming, ms. Default 5 min. */
  readonly intentTimeoutMs: number;
  /** Intents about unknown members at most; the oldest give way. Default 4096. */
  readonly maxIntents: number;
  /** How long each step of leaving may take until everybody has been told, ms. Default 5000. */
  readonly broadcastTimeoutMs: number;
  /** How long to go on answering after leaving, so that the word can spread, ms. Default 1000. */
  readonly leavePropagateMs: number;
  /** How long a join waits for its push/pulls, ms; more than a stream may take. Default 35,000. */
  readonly joinTimeoutMs: number;
  /** A user event's name and payload when sending, bytes together. Default 512, at most 1024. */
  readonly maxEventBytes: number;
  /** Lamport times of events that are remembered to tell old from new. Default 512. */
  readonly eventBuffer: number;
  /** The same for queries. Default 512. */
  readonly queryBuffer: number;
  /** Events, and queries, that are remembered in all; the oldest give way. Default 4096. */
  readonly maxRemembered: number;
  /**
   * Events that may be coalesced are held back until none came for so long, ms.
   * 0: never held back. Default 1000 (an agent's).
   */
  readonly coalesceQuietMs: number;
  /** And never longer than this, ms. Default 3000 (an agent's). */
  readonly coalesceMaxMs: number;
  /** A query as encoded, bytes. Default 1024. */
  readonly maxQueryBytes: number;
  /** An answer to a query as encoded, bytes. Default 1024. */
  readonly maxResponseBytes: number;
  /** A query is open for this times ceil(log10(members + 1)) rounds of gossip. Default 16. */
  readonly queryTimeoutMult: number;
  /** What a round of gossip is taken to last for that, ms. Default 200. */
  readonly gossipIntervalMs: number;
  /** Queries of this node that are open at a time. Default 1024. */
  readonly maxOpenQueries: number;
  /** Steps that matching the tag filters of one query may take. Default 200,000, about a millisecond. */
  readonly maxFilterSteps: number;
  /** A rumour is sent this times ceil(log10(members + 1)) times by each member. Default 4. */
  readonly retransmitMult: number;
  /** Rumours of each kind that wait; what has been sent most often gives way. Default 4096. */
  readonly maxQueue: number;
  /** The largest rumour that is passed on, bytes: it must fit into a packet. Default 1300. */
  readonly maxRumourBytes: number;
  /** A Lamport time that is further ahead than this is refused when it comes by packet. Default 2^20. */
  readonly maxClockJump: number;
  /** The same when it comes by push/pull: what a cluster may be ahead of who joins it. Default 2^40. */
  readonly maxSyncClockJump: number;
  /** Members known at most, failed and left ones included; of those the oldest give way. Default 65,536. */
  readonly maxMembers: number;
  /** Packets sent at the request of others a second: acknowledgements, answers, relays. Default 512. */
  readonly maxFavoursPerSecond: number;
  /** Keep network coordinates: about 150 bytes more in each ack. Default true. */
  readonly coordinates: boolean;
  /** Ask the cluster who owns our name when somebody else uses it. Default true. */
  readonly resolveConflicts: boolean;
}

const day = 24 * 3_600_000;

/** Serf's values. */
export const serfDefaults: SerfConfig = Object.freeze({
  reconnectTimeoutMs: day,
  tombstoneMs: day,
  reapIntervalMs: 15_000,
  reconnectIntervalMs: 30_000,
  maxLostAddresses: 64,
  intentTimeoutMs: 300_000,
  maxIntents: 4096,
  broadcastTimeoutMs: 5000,
  leavePropagateMs: 1000,
  joinTimeoutMs: 35_000,
  maxEventBytes: 512,
  eventBuffer: 512,
  queryBuffer: 512,
  maxRemembered: 4096,
  coalesceQuietMs: 1000,
  coalesceMaxMs: 3000,
  maxQueryBytes: 1024,
  maxResponseBytes: 1024,
  queryTimeoutMult: 16,
  gossipIntervalMs: 200,
  maxOpenQueries: 1024,
  maxFilterSteps: 200_000,
  retransmitMult: 4,
  maxQueue: 4096,
  maxRumourBytes: 1300,
  maxClockJump: 2 ** 20,
  maxSyncClockJump: 2 ** 40,
  maxMembers: 65_536,
  maxFavoursPerSecond: 512,
  coordinates: true,
  resolveConflicts: true,
});

/** @throws {RangeError} naming the setting that is out of range. */
export function checkSerfConfig(config: SerfConfig): void {
  for (const [name, value] of Object.entries(config)) {
    if (typeof value === "number" && !(value >= 0)) {
      throw new RangeError(`${name} must be 0 or more, not ${value}`);
    }
  }
  const { maxEventBytes, eventBuffer, queryBuffer, maxRumourBytes } = config;
  for (const [name, value] of Object.entries({ eventBuffer, queryBuffer })) {
    if (!Number.isInteger(value) || value < 1 || value > 4096) {
      throw new RangeError(`${name} must be a whole number from 1 to 4096, not ${value}`);
    }
  }
  if (maxEventBytes > 1024) {
    throw new RangeError(
      `maxEventBytes is at most 1024, not ${maxEventBytes}: a packet holds no more`,
    );
  }
  if (maxRumourBytes < 512) {
    throw new RangeError(`maxRumourBytes is at least 512, not ${maxRumourBytes}`);
  }
}
