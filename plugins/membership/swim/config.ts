/**
 * The configuration of the plugin `swim`: where it gossips, under which key,
 * whom it joins, and every setting of the protocol, laid over a preset.
 */
import { type SwimConfig, swimPresets } from "@mycnet/protocols/swim";
import { z } from "zod";
import { duration, requiredDuration } from "../../../core/kernel/config.ts";
import { parseKey } from "./keys.ts";

/** The bytes of gossip that a user event or a query may take, name and payload. */
export const maxEventBytes = 512;

const address = z.string().max(300)
  .regex(/^(\[[0-9a-fA-F:.]+\]|[^\s:/[\]]*):\d{1,5}$/, "must be host:port");
const count = (least: number, most: number) => z.int().min(least).max(most);
const span = () => requiredDuration({ maxMs: 86_400_000 });

/** Settings of the protocol as a user writes them: those of {@linkcode SwimConfig}, durations without their unit. */
const tuning = {
  probeInterval: requiredDuration({ minMs: 10, maxMs: 600_000 })
    .describe("SWIM's protocol period, between two probes."),
  probeTimeout: requiredDuration({ minMs: 5, maxMs: 600_000 })
    .describe("How long a probe may take before others are asked to help."),
  indirectChecks: count(0, 64).describe("How many members then probe for us."),
  streamFallback: z.boolean().describe("Probe over TCP as well when UDP fails."),
  streamTimeout: span().describe("For a TCP exchange, from connecting to its end."),
  awarenessMax: count(1, 64).describe("How far bad local health may stretch the probe interval."),
  suspicionMult: count(1, 100).describe("The shortest suspicion, in log10(members) intervals."),
  suspicionMin: span().describe("The shortest suspicion is never shorter."),
  suspicionMaxMult: count(1, 100).describe("The longest suspicion, in shortest ones."),
  smallMembers: count(0, 100_000).describe("Up to so many members a cluster is small; 0: none is."),
  smallSuspicionMax: span().describe("The longest suspicion in a small cluster."),
  suspicionConfirmations: count(0, 64)
    .describe("Confirmations that bring a suspicion to its shortest."),
  tellSuspects: z.boolean().describe("Tell a suspect together with its ping."),
  gossipInterval: requiredDuration({ minMs: 10, maxMs: 600_000 })
    .describe("Between two rounds of gossip."),
  gossipNodes: count(1, 64).describe("Members told in a round."),
  gossipToTheDead: span().describe("How long a dead member is still told, and kept."),
  retransmitMult: count(1, 100).describe("How often a rumour is sent on, in log10(members)."),
  pushPullInterval: span().describe("Between two exchanges of the whole state; 0: none."),
  deadNodeReclaim: span().describe("After so long another address may take a dead member's name."),
  packetBytes: count(512, 65_507).describe("The largest packet that is sent."),
  compressPackets: z.boolean().describe("Compress packets where it makes them smaller."),
  compressStreams: z.boolean().describe("Compress streams where it makes them smaller."),
  checksums: z.boolean().describe("Add a checksum to packets."),
  acceptPlaintext: z.boolean()
    .describe("Take plain text in spite of a key: only while a cluster takes up encryption."),
  sendPlaintext: z.boolean()
    .describe("Send plain text in spite of a key: only while a cluster takes up encryption."),
  checkAckSource: z.boolean().describe("Acks count only from the address that was asked."),
  pause: span().describe("A timer so late means that this process stood still."),
  lag: span().describe("From this lag of the event loop on, local health suffers."),
  deafPeriods: count(0, 10_000).describe(
    "Whoever heard nobody for so many probe intervals takes itself to be cut off; 0: never.",
  ),
  maxMembers: count(2, 1_000_000).describe("Members known at most."),
  maxFavoursPerSecond: count(1, 1_000_000).describe("Packets a second sent at others' request."),
  maxStreams: count(1, 65_536).describe("Exchanges answered at a time."),
  maxStreamBytes: count(65_536, 1024 * 1024 * 1024).describe("The largest state that is taken."),
};

/** The name of each field in the machine's configuration. */
const machineNames: Readonly<Record<keyof typeof tuning, keyof SwimConfig>> = {
  probeInterval: "probeIntervalMs",
  probeTimeout: "probeTimeoutMs",
  indirectChecks: "indirectChecks",
  streamFallback: "streamFallback",
  streamTimeout: "streamTimeoutMs",
  awarenessMax: "awarenessMax",
  suspicionMult: "suspicionMult",
  suspicionMin: "suspicionMinMs",
  suspicionMaxMult: "suspicionMaxMult",
  smallMembers: "smallMembers",
  smallSuspicionMax: "smallSuspicionMaxMs",
  suspicionConfirmations: "suspicionConfirmations",
  tellSuspects: "tellSuspects",
  gossipInterval: "gossipIntervalMs",
  gossipNodes: "gossipNodes",
  gossipToTheDead: "gossipToTheDeadMs",
  retransmitMult: "retransmitMult",
  pushPullInterval: "pushPullIntervalMs",
  deadNodeReclaim: "deadNodeReclaimMs",
  packetBytes: "packetBytes",
  compressPackets: "compressPackets",
  compressStreams: "compressStreams",
  checksums: "checksums",
  acceptPlaintext: "acceptPlaintext",
  sendPlaintext: "sendPlaintext",
  checkAckSource: "checkAckSource",
  pause: "pauseMs",
  lag: "lagMs",
  deafPeriods: "deafPeriods",
  maxMembers: "maxMembers",
  maxFavoursPerSecond: "maxFavoursPerSecond",
  maxStreams: "maxStreams",
  maxStreamBytes: "maxStreamBytes",
};

/** The schema of the plugin's configuration. */
export const swimConfig = z.strictObject({
  bindAddress: address.optional().describe(
    "Where to gossip, over UDP and TCP; port 0 for any that is free. Default: the host of node.bindAddress, 946 ports above it.",
  ),
  advertiseAddress: address.optional().describe(
    "How other members reach it; port 0 stands for the bound one. Default: the host of node.advertiseAddress, else where it is bound.",
  ),
  interop: z.enum(["serf", "memberlist"]).default("serf").describe(
    "Whom this cluster may be mixed with: Serf agents, or programs on bare memberlist. They refuse each other.",
  ),
  preset: z.enum(["default", "lan", "wan", "local"]).default("default")
    .describe("What the settings of the protocol start from."),
  join: z.array(address).max(256).default([])
    .describe("Gossip addresses of members, tried until one answers, for as long as it takes."),
  joinDiscovered: z.boolean().default(true).describe(
    "Try whoever is linked, where its hello says that it gossips, and what discovery finds, at its metadata's `gossip` address; where neither says, at this bindAddress's port, else 946 ports above its links.",
  ),
  rejoin: z.boolean().default(false).describe(
    "Seek the members of before even after this node was told to leave; join and joinDiscovered hold in any case.",
  ),
  tags: z.record(z.string().min(1).max(63), z.string().max(255)).default({})
    .describe("Serf tags of this node, beside those that the runtime sets."),
  encryptKey: z.string()
    .refine((it) => parseKey(it) !== undefined, "must be 16, 24 or 32 bytes in base64")
    .optional()
    .describe("The gossip key. Better kept in the keyring file."),
  keyringPath: z.string().min(1).optional()
    .describe("The file of gossip keys. Default: gossip.keyring in the state folder."),
  insecure: z.boolean().default(false)
    .describe("Gossip in plain text: anybody who reaches the port may take part."),
  leaveTimeout: duration("5s", { maxMs: 600_000 })
    .describe("How long leaving may take when the node stops."),
  reconnectInterval: duration("30s", { minMs: 100, maxMs: 86_400_000 })
    .describe("Between two attempts to reach members that failed, and seeds."),
  reconnectTimeout: duration("24h", { maxMs: 365 * 86_400_000 })
    .describe("How long a failed member is shown as such."),
  tombstoneTimeout: duration("24h", { maxMs: 365 * 86_400_000 })
    .describe("How long a member that left is shown as such."),
  ...tuning,
}).partial(
  Object.fromEntries(Object.keys(tuning).map((key) => [key, true])) as {
    [K in keyof typeof tuning]: true;
  },
).superRefine(({ encryptKey, keyringPath, insecure }, context) => {
  const issue = (path: string, message: string) =>
    context.addIssue({ code: "custom", path: [path], message });
  if (encryptKey !== undefined && keyringPath !== undefined) {
    issue("encryptKey", "stands beside keyringPath; write one of them");
  }
  if (insecure && (encryptKey !== undefined || keyringPath !== undefined)) {
    issue("insecure", "gossips in plain text, but there is a key; leave one of them out");
  }
});

/** The parsed configuration. Durations are in ms. */
export type SwimPluginConfig = z.output<typeof swimConfig>;

/** What the machine is configured with: the preset, and what is set beside it. */
export function machineConfig(config: SwimPluginConfig): SwimConfig {
  const set = Object.entries(machineNames)
    .map(([key, name]) => [name, config[key as keyof typeof tuning]] as const)
    .filter(([, value]) => value !== undefined);
  return { ...swimPresets[config.preset], ...Object.fromEntries(set) };
}
