/**
 * The membership of this node: the contract over the machines.
 *
 * Commands go down into the layer; what the layer tells becomes topics, hints,
 * memory, and calls of handlers. Handlers of events and queries are the user's:
 * they run outside the machine's call, and what they throw is logged.
 */
import type { GossipKeyring } from "@mycnet/protocols/swim";
import {
  type GossipMessage,
  type KeyringReply,
  type Member,
  type MemberEvent,
  memberEvent,
  type Membership,
  type QueryOptions,
  type QueryReply,
  userEvent,
} from "../../../core/contracts/membership.ts";
import type { MemberStates, NodeState } from "../../../core/contracts/peers.ts";
import { MycnetError } from "../../../core/kernel/errors.ts";
import type { Host } from "../../../core/kernel/host.ts";
import { errorFields } from "../../../core/kernel/logger.ts";
import type { GossipDriver } from "./driver.ts";
import type { MemberHints } from "./hints.ts";
import { type KeySource, parseKey } from "./keys.ts";
import type { Layer, LayerHandler, LayerMember, LayerQuery } from "./layer.ts";
import { repliesOf, shownMember } from "./member_view.ts";
import type { GossipMemory } from "./memory.ts";
import { PhiBoard } from "./phi_board.ts";
import { RareLog } from "./rare_log.ts";
import type { Tags } from "./tags.ts";

/** Tags that differ at run time from the configuration's. */
type TagChanges = Readonly<Record<string, string | undefined>>;
type QueryHandler = (
  message: GossipMessage,
) => Uint8Array | undefined | Promise<Uint8Array | undefined>;

/** What it is made with. */
export interface GossipParts {
  readonly host: Host;
  /** This node's id. */
  readonly self: string;
  readonly cluster: string;
  readonly driver: GossipDriver;
  readonly memory: GossipMemory;
  readonly hints: MemberHints;
  readonly keyring: GossipKeyring;
  readonly keys: KeySource;
  /** Between two probes, for how often a member should answer. */
  readonly probeIntervalMs: number;
  /** All tags of this node, with the user's changes laid over. @throws when they do not fit. */
  readonly tags: (changes: TagChanges) => Tags;
  /** Makes the machines. */
  readonly layer: (handler: LayerHandler) => Layer;
}

/** See the head of this file. */
export class Gossip implements Membership, MemberStates {
  readonly layer: Layer;
  readonly #parts: GossipParts;
  readonly #phi = new PhiBoard();
  readonly #eventHandlers = new Map<string, Set<(message: GossipMessage) => void>>();
  readonly #queryHandlers = new Map<string, QueryHandler>();
  #tagChanges: TagChanges = {};
  readonly #rareLog: RareLog;
  #conflicts = 0;
  #partitions = 0;
  #failedTogether: number[] = [];
  #toldPartition = false;
  #toldTags: string;
  #left: Promise<void> | undefined;

  constructor(parts: GossipParts) {
    this.#parts = parts;
    this.#rareLog = new RareLog(parts.host);
    this.#toldTags = JSON.stringify(parts.tags({}));
    this.layer = parts.layer(this.#handler());
  }

  /** True once this node was told to leave. */
  get leaving(): boolean {
    return this.#left !== undefined;
  }

  members(): readonly Member[] {
    return this.layer.members().map((it) => this.#shown(it));
  }

  member(id: string): Member | undefined {
    const member = this.layer.member(id);
    return member === undefined ? undefined : this.#shown(member);
  }

  stateOf(id: string): NodeState | undefined {
    return this.layer.member(id)?.state;
  }

  async join(addresses: readonly string[]): Promise<number> {
    const wanted = [...new Set(addresses)];
    const { contacted, errors } = await new Promise<
      { contacted: number; errors: Readonly<Record<string, string>> }
    >((resolve) =>
      this.#parts.driver.command((layer, nowMs) => layer.join(wanted, nowMs, resolve))
    );
    if (contacted > 0 || wanted.length === 0) return contacted;
    const reasons = Object.entries(errors).slice(0, 5).map(([at, why]) => `${at}: ${why}`);
    throw new MycnetError("unreachable", `no member could be joined; ${reasons.join("; ")}`);
  }

  leave(): Promise<void> {
    return this.#left ??= new Promise((resolve) =>
      this.#parts.driver.command((layer, nowMs) => layer.leave(nowMs, resolve))
    );
  }

  async forceLeave(id: string, prune = false): Promise<void> {
    await Promise.resolve(); // Refusals reject.
    if (this.layer.member(id) === undefined) {
      throw new MycnetError("not_found", `no member is called ${JSON.stringify(id)}`);
    }
    this.#parts.driver.command((layer, nowMs) => layer.forceLeave(id, prune, nowMs));
    this.#parts.memory.forget(id);
  }

  setTags(tags: TagChanges): void {
    const changes = { ...this.#tagChanges, ...tags };
    const all = this.#parts.tags(changes);
    const told = JSON.stringify(all);
    // Saying the same again would cost everybody a rumour.
    if (told !== this.#toldTags) {
      this.#parts.driver.command((layer, nowMs) => layer.setTags(all, nowMs));
    }
    this.#toldTags = told;
    this.#tagChanges = changes;
  }

  event(name: string, payload: Uint8Array, coalesce = false): void {
    this.#parts.driver.command((layer, nowMs) => layer.event(name, payload, coalesce, nowMs));
  }

  query(
    name: string,
    payload: Uint8Array,
    { nodes, tags, ack = false, timeoutMs, signal }: QueryOptions = {},
  ): AsyncIterableIterator<QueryReply> {
    return repliesOf((listener) =>
      this.#parts.driver.command((layer, nowMs) =>
        layer.query(
          {
            name,
            payload,
            ack,
            ...(nodes === undefined ? {} : { nodes }),
            ...(tags === undefined ? {} : { tags }),
            ...(timeoutMs === undefined ? {} : { timeoutMs }),
          },
          listener,
          nowMs,
        )
      ), signal);
  }

  onMember(handler: (event: MemberEvent) => void): Disposable {
    return this.#parts.host.on(memberEvent, handler);
  }

  onEvent(name: string, handler: (message: GossipMessage) => void): Disposable {
    let handlers = this.#eventHandlers.get(name);
    if (handlers === undefined) this.#eventHandlers.set(name, handlers = new Set());
    const own = (message: GossipMessage) => handler(message); // The same one may be added twice.
    handlers.add(own);
    return {
      [Symbol.dispose]: () => {
        handlers.delete(own);
        if (handlers.size === 0 && this.#eventHandlers.get(name) === handlers) {
          this.#eventHandlers.delete(name);
        }
      },
    };
  }

  onQuery(name: string, handler: QueryHandler): Disposable {
    if (this.#queryHandlers.has(name)) {
      throw new MycnetError("duplicate_handler", `queries of "${name}" are answered already`);
    }
    this.#queryHandlers.set(name, handler);
    return {
      [Symbol.dispose]: () => {
        if (this.#queryHandlers.get(name) === handler) this.#queryHandlers.delete(name);
      },
    };
  }

  async keyring(
    operation: "list" | "install" | "use" | "remove",
    key?: string,
  ): Promise<KeyringReply> {
    const bytes = key === undefined ? undefined : parseKey(key);
    if (operation !== "list" && bytes === undefined) {
      throw new MycnetError("invalid_argument", "key: 16, 24 or 32 bytes in base64 are expected");
    }
    const { members, replies, failures, keys, primaryKeys } = await new Promise<KeyringReply>(
      (resolve) =>
        this.#parts.driver.command((layer, nowMs) =>
          layer.keyring(operation, bytes, nowMs, resolve)
        ),
    );
    // Plain objects, whatever members are called.
    return {
      members,
      replies,
      failures: { ...failures },
      keys: { ...keys },
      primaryKeys: { ...primaryKeys },
    };
  }

  distanceMs(a: string, b: string): number | undefined {
    return this.layer.distanceMs(a, b);
  }

  /** Category `topology` of the metrics (FEATURES 82). */
  metrics(): Readonly<Record<string, number>> {
    const { swim, counters } = this.layer;
    const it = swim.counters;
    return {
      ping_count: it.pingCount,
      ack_count: it.ackCount,
      suspect_count: it.suspectCount,
      failed_ping_count: it.failedPingCount,
      gossip_messages_sent: it.gossipMessagesSent,
      gossip_messages_received: it.gossipMessagesReceived,
      topology_changes: it.topologyChanges,
      partition_detections: this.#partitions,
      members: swim.size,
      members_alive: swim.liveCount,
      local_health_score: swim.healthScore,
      packets_sent: it.packetsSent,
      packets_received: it.packetsReceived,
      packets_dropped: this.#parts.driver.dropped,
      packet_bytes_sent: it.bytesSent,
      packet_bytes_received: it.bytesReceived,
      state_syncs: it.syncs,
      pauses: it.pauses,
      refutations: it.refutations,
      malformed: it.malformed,
      undecryptable: it.undecryptable,
      incarnation_jumps: it.incarnationJumps,
      rumours_refused: it.refused,
      requests_from_strangers: it.strangers,
      requests_limited: it.limited,
      name_conflicts: this.#conflicts,
      ...counters,
    };
  }

  #shown(member: LayerMember): Member {
    const { host, self } = this.#parts;
    const other = member.name !== self;
    return shownMember(host, member, {
      phi: other ? this.#phi.phi(member.name, host.now()) : undefined,
      distanceMs: other ? this.layer.distanceMs(self, member.name) : undefined,
    });
  }

  #handler(): LayerHandler {
    const { host, driver, memory, keyring, keys, self, cluster } = this.#parts;
    return {
      packet: (to, bytes) => driver.packet(to, bytes),
      open: (stream) => driver.open(stream),
      member: (type, member) => this.#memberChanged(type, member),
      answered: (name, nowMs) => {
        const others = Math.max(1, this.layer.swim.liveCount - 1);
        this.#phi.heard(name, nowMs, others * this.#parts.probeIntervalMs);
      },
      paused: (ms) => {
        this.#phi.excuse(ms);
        host.log.warn("This process stood still; nobody is blamed for that time.", { ms });
      },
      incarnation: (incarnation) => memory.incarnated(incarnation),
      userEvent: (name, payload, time) => this.#userEvent({ name, payload, time }),
      query: (query) => void this.#answer(query),
      keyring: () => keys.changed(keyring),
      refused: (address, reason) =>
        this.#rareLog.say("warn", "Somebody's gossip was refused: it is of another cluster.", {
          address,
          reason,
          remedy: "Check its interop and that of this node, and whom it joins.",
        }),
      conflict: (address) => {
        this.#conflicts++;
        this.#rareLog.say(
          "error",
          "Another member uses this node's id: give one of them another.",
          {
            node: self,
            address,
          },
        );
      },
      nameLost: () => {
        host.log.error("The cluster holds another member for the owner of this node's id.", {
          node: self,
        });
      },
      admit: (name, tags) =>
        tags.cluster === undefined || tags.cluster === cluster
          ? undefined
          : `"${name}" is of the cluster "${tags.cluster}", not of "${cluster}"`,
    };
  }

  #memberChanged(type: MemberEvent["type"], member: LayerMember): void {
    const { host, self, memory, hints } = this.#parts;
    const { name, address, state } = member;
    if (type === "joined" || type === "recovered" || type === "updated") memory.saw(name, address);
    if (type === "left") memory.forget(name);
    if (type === "reaped") this.#phi.forget(name);
    if (type === "failed") this.#noteFailure();
    if (name === self) return;
    hints.update(member);
    if (type === "reaped") hints.remove(name);
    const level = type === "failed" ? "warn" : type === "suspected" ? "debug" : "info";
    host.log[level](sentences[type], { node: name, address, state });
    host.emit(memberEvent, { type, member: this.#shown(member) });
  }

  /** A partition shows as several members lost within a suspicion, at least a third of the view. */
  #noteFailure(): void {
    const { host } = this.#parts;
    const now = host.now();
    const { liveCount } = this.layer.swim;
    const before = this.#failedTogether.length;
    this.#failedTogether = this.#failedTogether.filter((at) => now - at < partitionWithinMs);
    if (before > 0 && this.#failedTogether.length === 0) this.#toldPartition = false;
    this.#failedTogether.push(now);
    const lost = this.#failedTogether.length;
    if (this.#toldPartition || lost < 2 || lost * 3 < liveCount + lost) return;
    this.#toldPartition = true;
    this.#partitions++;
    host.log.warn("Many members were lost at once: perhaps the network is cut.", {
      lost,
      left: liveCount,
    });
  }

  #userEvent(message: GossipMessage): void {
    const { host, memory } = this.#parts;
    memory.ticked();
    host.emit(userEvent, message);
    for (const handler of [...this.#eventHandlers.get(message.name) ?? []]) {
      queueMicrotask(() => {
        try {
          handler(message);
        } catch (error) {
          host.log.error("A handler of user events threw.", {
            event: message.name,
            ...errorFields(error),
          });
        }
      });
    }
  }

  async #answer(query: LayerQuery): Promise<void> {
    const { host, driver, memory } = this.#parts;
    const { name, payload, time } = query;
    memory.ticked();
    const handler = this.#queryHandlers.get(name);
    if (handler === undefined) return;
    await Promise.resolve(); // Outside the machine's call.
    try {
      const answer = await handler({ name, payload, time });
      if (answer === undefined) return;
      let result = "";
      driver.enter((nowMs) => void (result = query.respond(answer, nowMs)));
      if (result !== "sent") {
        host.log.warn("An answer to a query was not sent.", { query: name, result });
      }
    } catch (error) {
      host.log.error("A handler of queries threw.", { query: name, ...errorFields(error) });
    }
  }
}

/** Failures so close together may have one cause, in ms. */
const partitionWithinMs = 30_000;

const sentences: Readonly<Record<MemberEvent["type"], string>> = {
  joined: "A member joined.",
  left: "A member left.",
  failed: "A member failed.",
  recovered: "A member recovered.",
  suspected: "A member is under suspicion.",
  updated: "A member changed what it says of itself.",
  reaped: "A member is forgotten.",
};
