/** What the rooms of one SWIM machine share. */
import { Awareness } from "./awareness.ts";
import { CardStore } from "./cards.ts";
import type { SwimConfig } from "./config.ts";
import { Suspicions } from "./suspicions.ts";
import { MemberTable } from "./table.ts";
import { TransmitQueue } from "./transmit_queue.ts";
import type { SwimCounters, SwimDelegate, SwimEvent, SwimHandler, SwimOptions } from "./types.ts";
import type { Versions } from "./versions.ts";
import { isIp } from "./address.ts";
import { maxMetaBytes, maxNameBytes } from "./wire/messages.ts";
import { empty } from "./wire/msgpack.ts";
import type { GossipKeyring } from "./wire/keyring.ts";
import { encodeUtf8 } from "../utf8.ts";

/** What a Serf agent of memberlist 0.2 announces. */
const serfVersions: Versions = [1, 5, 2, 2, 5, 5];

/** Shared by the rooms; created once per machine. */
export class Context {
  readonly config: SwimConfig;
  readonly handler: SwimHandler;
  readonly delegate: SwimDelegate;
  readonly random: () => number;
  readonly store: CardStore;
  readonly table: MemberTable;
  readonly queue: TransmitQueue;
  readonly suspicions: Suspicions = new Suspicions();
  readonly awareness: Awareness;
  readonly counters: SwimCounters = noCounters();
  readonly versions: Versions;
  /** The number of this node's own name. */
  readonly selfId: number;
  /** Now, in the driver's clock: set on every way in. */
  nowMs = 0;
  /** When somebody was heard last. */
  heardMs = 0;
  /** Nobody was heard for a while, and now somebody is: it is time to ask what was missed. */
  missedNews = false;
  status: "active" | "leaving" | "left" | "stopped" = "active";
  readonly #keyring: GossipKeyring | undefined;

  /** @throws {RangeError} naming the option that is out of range. */
  constructor(options: SwimOptions, handler: SwimHandler, delegate: SwimDelegate) {
    const { self, config, incarnation = 1, versions = serfVersions } = options;
    check(options);
    this.config = config;
    this.handler = handler;
    this.delegate = delegate;
    this.random = options.random;
    this.versions = versions;
    this.#keyring = options.keyring;
    this.store = options.cards ?? new CardStore();
    this.table = new MemberTable(this.store, options.random, options.expectedMembers ?? 16);
    // One rumour for each member at most, since they are keyed by name.
    this.queue = new TransmitQueue(config.maxMembers);
    this.awareness = new Awareness(config.awarenessMax);
    const name = encodeUtf8(self.name);
    const card = this.store.hold(
      name,
      0,
      name.length,
      self.ip,
      self.port,
      self.meta ?? empty,
      versions,
      incarnation,
    );
    this.selfId = card.nameId;
    this.table.add(card);
  }

  /** The keys, if gossip is encrypted. */
  get keyring(): GossipKeyring | undefined {
    return this.#keyring?.primary === undefined ? undefined : this.#keyring;
  }

  /** Which version of encryption others expect of us. */
  get sealVersion(): 0 | 1 {
    return this.versions[2] === 1 ? 0 : 1;
  }

  /** Tells the driver. Callers ask `listening` first where making the event costs something. */
  emit(event: SwimEvent): void {
    this.handler.event?.(event);
  }

  /** True if anybody hears events. */
  get listening(): boolean {
    return this.handler.event !== undefined;
  }

  /** Moves local health. */
  adjustHealth(delta: number): void {
    if (this.awareness.apply(delta) && this.listening) {
      this.emit({ type: "health", score: this.awareness.score });
    }
  }
}

function check({ self, config, incarnation = 1 }: SwimOptions): void {
  const nameBytes = encodeUtf8(self.name).length;
  const rules: readonly (readonly [boolean, string])[] = [
    [
      nameBytes >= 1 && nameBytes <= maxNameBytes,
      `self.name must have 1 to ${maxNameBytes} bytes, not ${nameBytes}`,
    ],
    [isIp(self.ip), `self.ip must have 4 or 16 bytes, not ${self.ip.length}`],
    [
      Number.isInteger(self.port) && self.port >= 1 && self.port <= 0xffff,
      `self.port must be 1 to 65535, not ${self.port}`,
    ],
    [
      (self.meta?.length ?? 0) <= maxMetaBytes,
      `self.meta must have at most ${maxMetaBytes} bytes, not ${self.meta?.length}`,
    ],
    [
      Number.isInteger(incarnation) && incarnation >= 1 && incarnation <= 0xffffffff,
      `incarnation must be 1 to 2^32 - 1, not ${incarnation}`,
    ],
    [
      config.probeTimeoutMs > 0 && config.probeTimeoutMs < config.probeIntervalMs,
      `probeTimeoutMs (${config.probeTimeoutMs}) must be less than probeIntervalMs (${config.probeIntervalMs})`,
    ],
    [
      config.packetBytes >= 576 && config.packetBytes <= 65_507,
      `packetBytes must be 576 to 65507, not ${config.packetBytes}`,
    ],
    [config.gossipIntervalMs > 0, `gossipIntervalMs must be more than 0`],
    [config.awarenessMax >= 1, `awarenessMax must be at least 1, not ${config.awarenessMax}`],
  ];
  for (const [holds, message] of rules) if (!holds) throw new RangeError(message);
}

function noCounters(): SwimCounters {
  return {
    pingCount: 0,
    ackCount: 0,
    suspectCount: 0,
    failedPingCount: 0,
    gossipMessagesSent: 0,
    gossipMessagesReceived: 0,
    topologyChanges: 0,
    packetsSent: 0,
    packetsReceived: 0,
    bytesSent: 0,
    bytesReceived: 0,
    syncs: 0,
    relays: 0,
    pauses: 0,
    refutations: 0,
    malformed: 0,
    undecryptable: 0,
    incarnationJumps: 0,
    refused: 0,
    strangers: 0,
    limited: 0,
    unmatchedAcks: 0,
  };
}
