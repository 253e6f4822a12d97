/**
 * Every setting of the SWIM machine, with its unit, default, trade-off and source.
 *
 * Sources: "seed" is the project's own list of defaults, "memberlist" HashiCorp's
 * implementation, "Lifeguard" the paper (Dadgar, Phillips, Currey 2017), "SWIM"
 * the paper (Das, Gupta, Motivala 2002).
 */

/** The settings of a SWIM machine. All are required; start from a preset. */
export interface SwimConfig {
  /**
   * Between two probes, ms: SWIM's protocol period. Shorter detects sooner and costs
   * more packets; multiplied by the local health score + 1. Default 1000 (seed).
   */
  readonly probeIntervalMs: number;
  /**
   * How long a direct probe may take before others are asked to help, ms. Should
   * exceed the 99th percentile of round trips. Default 500 (seed).
   */
  readonly probeTimeoutMs: number;
  /**
   * How many members probe for us when a direct probe fails. More survive more loss;
   * each costs four packets. Default 3 (seed, SWIM section 3.1's k).
   */
  readonly indirectChecks: number;
  /**
   * Also probe over a stream when a direct probe fails, so that a network that loses
   * only UDP kills nobody. Default true (memberlist).
   */
  readonly streamFallback: boolean;
  /** Time for a stream to connect and to finish, ms. Default 10,000 (memberlist). */
  readonly streamTimeoutMs: number;
  /**
   * The local health score stays below this; it multiplies the probe interval, so 8
   * means at most 8 intervals. Default 8 (Lifeguard's S).
   */
  readonly awarenessMax: number;
  /**
   * The shortest suspicion is this times log10(n) periods. Larger gives the accused
   * more time; failure is known later. Default 4 (memberlist; Lifeguard's alpha is 5).
   */
  readonly suspicionMult: number;
  /** The shortest suspicion is never shorter than this, ms. Default 1000 (seed: 1 to 5 s). */
  readonly suspicionMinMs: number;
  /**
   * The longest suspicion is this times the shortest: what a suspicion lasts that nobody
   * confirms. Larger protects against members that err, which confirm nothing.
   * Default 6 (memberlist, Lifeguard's beta).
   */
  readonly suspicionMaxMult: number;
  /**
   * Up to so many members a cluster is small: its longest suspicion is
   * `smallSuspicionMaxMs`. 0 turns that off. Default 32.
   */
  readonly smallMembers: number;
  /** The longest suspicion in a small cluster, ms, unless the shortest is longer. Default 5000 (seed). */
  readonly smallSuspicionMaxMs: number;
  /**
   * How many independent confirmations bring a suspicion from its longest to its
   * shortest. Default 3 (Lifeguard's K).
   */
  readonly suspicionConfirmations: number;
  /**
   * A suspect is told so together with its ping, so that it can refute at once: a few
   * bytes for fewer false deaths. Default true (Lifeguard section 4.3, the buddy system).
   */
  readonly tellSuspects: boolean;
  /**
   * Between two rounds of gossip, ms; nothing is sent while there is no news. Shorter
   * spreads sooner, with smaller packets. Default 200 (memberlist).
   */
  readonly gossipIntervalMs: number;
  /** How many members hear of it in a round. Default 3 (seed). */
  readonly gossipNodes: number;
  /**
   * How long a dead member is still told, so that it may refute, and kept, ms.
   * Default 30,000 (memberlist).
   */
  readonly gossipToTheDeadMs: number;
  /**
   * A rumour is sent this times ceil(log10(n + 1)) times by each member. More reaches
   * everybody more surely; fewer costs less. Default 4 (memberlist).
   */
  readonly retransmitMult: number;
  /**
   * Between two full exchanges of state with a random member, ms, stretched above 32
   * members by ceil(log2(n / 32)) + 1. Heals what gossip lost. 0 turns it off.
   * Default 30,000 (memberlist).
   */
  readonly pushPullIntervalMs: number;
  /**
   * A dead member's name may be taken at another address after so long, ms. 0: never;
   * a member that left may return elsewhere at once in any case. Default 0 (memberlist).
   */
  readonly deadNodeReclaimMs: number;
  /** The largest packet that is sent, bytes. Below the path's MTU. Default 1400 (memberlist). */
  readonly packetBytes: number;
  /** Compress packets where that makes them smaller: less bandwidth, more CPU. Default false; memberlist does. */
  readonly compressPackets: boolean;
  /** The same for streams. Default true (memberlist). */
  readonly compressStreams: boolean;
  /** Add a CRC to packets for members that understand it. Default true (memberlist). */
  readonly checksums: boolean;
  /** Accept packets and streams in plain text although there is a key: only while a cluster takes up encryption. Default false. */
  readonly acceptPlaintext: boolean;
  /** Send plain text although there is a key: only while a cluster takes up encryption. Default false. */
  readonly sendPlaintext: boolean;
  /**
   * Acks count only if they come from the address of the member asked. False where
   * addresses are translated on the way. Default true.
   */
  readonly checkAckSource: boolean;
  /**
   * A timer that fires this much late means that this process stood still, ms: what it
   * missed counts against nobody. Default 250.
   */
  readonly pauseMs: number;
  /** Lag of the event loop from which on local health suffers, ms. Default 250: half a probe time-out. */
  readonly lagMs: number;
  /**
   * A member that has heard nobody for so many probe intervals takes itself to be cut
   * off: the silence counts against nobody, so its suspicions stand still, until it has
   * lasted for the time of the longest suspicion. Larger errs more often about others,
   * smaller delays verdicts where it is quiet. 0 turns it off. Default 2.
   */
  readonly deafPeriods: number;
  /** Members known at most, this node included; more are refused. Default 65,536. */
  readonly maxMembers: number;
  /** Packets a second sent at the request of others: acks to strangers, and pings for others. Default 512. */
  readonly maxFavoursPerSecond: number;
  /** Push/pulls answered at a time. Default 128 (memberlist). */
  readonly maxStreams: number;
  /** The largest state or message accepted over a stream, bytes, as sent and as unpacked. Default 20 MiB (memberlist). */
  readonly maxStreamBytes: number;
}

/** The project's defaults: quick at small size, memberlist's bounds at scale. */
const defaults: SwimConfig = Object.freeze({
  probeIntervalMs: 1000,
  probeTimeoutMs: 500,
  indirectChecks: 3,
  streamFallback: true,
  streamTimeoutMs: 10_000,
  awarenessMax: 8,
  suspicionMult: 4,
  suspicionMinMs: 1000,
  suspicionMaxMult: 6,
  smallMembers: 32,
  smallSuspicionMaxMs: 5000,
  suspicionConfirmations: 3,
  tellSuspects: true,
  gossipIntervalMs: 200,
  gossipNodes: 3,
  gossipToTheDeadMs: 30_000,
  retransmitMult: 4,
  pushPullIntervalMs: 30_000,
  deadNodeReclaimMs: 0,
  packetBytes: 1400,
  compressPackets: false,
  compressStreams: true,
  checksums: true,
  acceptPlaintext: false,
  sendPlaintext: false,
  checkAckSource: true,
  pauseMs: 250,
  lagMs: 250,
  deafPeriods: 2,
  maxMembers: 65_536,
  maxFavoursPerSecond: 512,
  maxStreams: 128,
  maxStreamBytes: 20 * 1024 * 1024,
});

/** memberlist's bounds for one network: suspicion from 4 to 24 s up to ten members, from 8 to 48 s at a hundred. */
const lan: SwimConfig = Object.freeze({
  ...defaults,
  suspicionMinMs: 4000,
  smallMembers: 0,
});

/** Across long distances: slower, more patient (memberlist's values). */
const wan: SwimConfig = Object.freeze({
  ...lan,
  probeIntervalMs: 5000,
  probeTimeoutMs: 3000,
  streamTimeoutMs: 30_000,
  suspicionMult: 6,
  suspicionMinMs: 30_000,
  suspicionConfirmations: 4,
  gossipIntervalMs: 500,
  gossipNodes: 4,
  gossipToTheDeadMs: 60_000,
  pushPullIntervalMs: 60_000,
  pauseMs: 1500,
  lagMs: 1500,
});

/** On one machine: quick and thrifty (memberlist's values). */
const local: SwimConfig = Object.freeze({
  ...lan,
  probeTimeoutMs: 200,
  indirectChecks: 1,
  streamTimeoutMs: 1000,
  suspicionMult: 3,
  suspicionMinMs: 3000,
  suspicionConfirmations: 1,
  gossipIntervalMs: 100,
  gossipToTheDeadMs: 15_000,
  retransmitMult: 2,
  pushPullIntervalMs: 15_000,
  pauseMs: 100,
  lagMs: 100,
});

/** The presets by name. */
export const swimPresets: Readonly<Record<"default" | "lan" | "wan" | "local", SwimConfig>> = Object
  .freeze({ default: defaults, lan, wan, local });
