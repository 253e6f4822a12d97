/**
 * The membership of this node: the contract over the machines.
 *
 * Commands go down into the layer; what the layer tells becomes topics, hints,
 * memory, and calls of handlers. Handlers of events and queries are the user's:
 * they run outside the machine's call, and what they throw is logged.
 */
import type { GossipKeyring } from "@mycnet/protocols/swim";
import {
  type CoalesceTimes,
  type GossipMessage,
  type KeyringReply,
  type Member,
  type MemberChanges,
  type MemberEvent,
  memberEvent,
  type Membership,
  type QueryOptions,
  type QueryReply,
} from "../../../core/contracts/membership.ts";
import type { MemberStates, NodeState } from "../../../core/contracts/peers.ts";
import { MycnetError } from "../../../core/kernel/errors.ts";
import type { Host } from "../../../core/kernel/host.ts";
import { followCoalesced } from "./coalesced.ts";
import type { GossipDriver } from "./driver.ts";
import type { MemberHints } from "./hints.ts";
import { type KeySource, parseKey } from "./keys.ts";
import type { Layer, LayerHandler, LayerMember } from "./layer.ts";
import { repliesOf, shownMember } from "./member_view.ts";
import type { GossipMemory } from "./memory.ts";
import { topologyMetrics } from "./metrics.ts";
import { PhiBoard } from "./phi_board.ts";
import { RareLog } from "./rare_log.ts";
import type { Tags } from "./tags.ts";
import { type QueryHandler, UserHandlers } from "./user_handlers.ts";

/** Tags that differ at run time from the configuration's. */
type TagChanges = Readonly<Record<string, string | undefined>>;

/** Addresses that one call joins. */
const maxJoined = 256;

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
  readonly #handlers: UserHandlers;
  #tagChanges: TagChanges = {};
  readonly #rareLog: RareLog;
  #conflicts = 0;
  #nameLost = false;
  #partitions = 0;
  #failedTogether: number[] = [];
  #toldPartition = false;
  #toldTags: string;
  #left: Promise<void> | undefined;

  constructor(parts: GossipParts) {
    this.#parts = parts;
    this.#rareLog = new RareLog(parts.host);
    this.#handlers = new UserHandlers(parts.host, (run) => void parts.driver.enter(run));
    this.#toldTags = JSON.stringify(parts.tags({}));
    this.layer = parts.layer(this.#handler());
  }

  /** True when the cluster has decided that this node's id belongs to another. */
  get nameLost(): boolean {
    return this.#nameLost;
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
    if (wanted.length > maxJoined) {
      throw new MycnetError(
        "invalid_argument",
        `addresses: at most ${maxJoined} at a time, not ${wanted.length}; one that answers is enough`,
      );
    }
    const { contacted, errors } = await new Promise<
      { contacted: number; errors: Readonly<Record<string, string>> }
    >((resolve) =>
      this.#parts.driver.command((layer, nowMs) => layer.join(wanted, nowMs, resolve))
    );
    if (contacted > 0 || wanted.length === 0) return contacted;
    const reasons = Object.entries(errors).slice(0, 5).map(([at, why]) => `${at}: ${why}`);
    throw new MycnetError("unreachable", `no member could be joined; ${reasons.join("; ")}`);
  }

  async leave(): Promise<void> {
    this.#parts.memory.left();
    await this.depart();
  }

  /** Leaves so that nobody takes it for a failure; the next start is no rejoining. */
  depart(): Promise<void> {
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

  onMembers(handler: (changes: MemberChanges) => void, times: CoalesceTimes = {}): Disposable {
    return followCoalesced(this.#parts.host, handler, times);
  }

  onEvent(name: string, handler: (message: GossipMessage) => void): Disposable {
    return this.#handlers.onEvent(name, handler);
  }

  onQuery(name: string, handler: QueryHandler): Disposable {
    return this.#handlers.onQuery(name, handler);
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

  /** Category `topology` of the metrics. */
  metrics(): Readonly<Record<string, number>> {
    return topologyMetrics(this.layer, {
      partitions: this.#partitions,
      dropped: this.#parts.driver.dropped,
      conflicts: this.#conflicts,
    });
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
      userEvent: (name, payload, time) => {
        memory.ticked();
        this.#handlers.event({ name, payload, time });
      },
      query: (query) => {
        memory.ticked();
        void this.#handlers.query(query);
      },
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
        this.#nameLost = true;
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
    if (!this.leaving && (type === "joined" || type === "recovered")) memory.returned();
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
