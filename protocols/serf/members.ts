/**
 * Who is in the cluster as Serf sees it: SWIM's verdicts and the intents of members,
 * put together.
 *
 * SWIM tells that a member is there or gone; an intent, ordered by Lamport time,
 * tells whether it meant to go. Gone after a leave intent is *left*, gone without
 * is *failed* and worth reconnecting to. Intents and verdicts come in any order: an
 * intent about somebody unknown is kept for a while, a leave after the failure
 * turns failed into left, and a join newer than a leave takes it back. At equal
 * times a leave outranks a join, whichever came first, so that all agree (Serf
 * takes the first; the accused then refutes with a later time, and nobody is
 * stuck). A member that SWIM itself knows to have left has left, intent or not.
 * Failed and left members are remembered for a day, so that old news cannot bring
 * anybody back and partitions heal.
 */
import type { MemberState, SwimMember } from "../swim/types.ts";
import type { SerfConfig } from "./config.ts";
import type { SerfMember, SerfMemberChange, SerfStatus } from "./types.ts";
import type { IntentMessage } from "./wire/messages.ts";
import { decodeTags, type Tags } from "./wire/tags.ts";

interface Entry {
  swim: SwimMember;
  status: SerfStatus;
  suspect: boolean;
  time: number;
  /** The newest intent was a leave. */
  leave: boolean;
  /** To be forgotten as soon as it has left. */
  prune: boolean;
  sinceMs: number;
  view: SerfMember | undefined;
  tags: Tags | undefined;
}

interface Intent {
  readonly time: number;
  readonly leave: boolean;
  readonly atMs: number;
}

/** What an intent brought: nothing new, news to pass on, or a lie about this node. */
export type IntentResult = "old" | "news" | "refute";

/** The members of one machine. */
export class Members {
  readonly #self: string;
  readonly #config: SerfConfig;
  readonly #tell: (type: SerfMemberChange, member: SerfMember) => void;
  readonly #entries: Map<string, Entry> = new Map();
  /** Failed and left ones, by the time of their going, the oldest first. */
  readonly #gone: Map<string, Entry> = new Map();
  readonly #intents: Map<string, Intent> = new Map();
  /** Addresses of failed members that are forgotten otherwise. */
  readonly #lost: Map<string, string> = new Map();
  #failed = 0;

  /** `self` is this node's name; `tell` hears of each change. */
  constructor(
    self: string,
    config: SerfConfig,
    tell: (type: SerfMemberChange, member: SerfMember) => void,
  ) {
    this.#self = self;
    this.#config = config;
    this.#tell = tell;
  }

  /** Members in any state, this node included. */
  get size(): number {
    return this.#entries.size;
  }

  /** Members that are alive or leaving, this node included. */
  get present(): number {
    return this.#entries.size - this.#gone.size;
  }

  /** Members that failed. */
  get failed(): number {
    return this.#failed;
  }

  /** Members that left. */
  get left(): number {
    return this.#gone.size - this.#failed;
  }

  /** Intents about unknown members. */
  get intents(): number {
    return this.#intents.size;
  }

  /** One member. */
  get(name: string): SerfMember | undefined {
    const entry = this.#entries.get(name);
    return entry === undefined ? undefined : view(entry);
  }

  /** All members, in the order of their coming. */
  *all(): IterableIterator<SerfMember> {
    for (const entry of this.#entries.values()) yield view(entry);
  }

  /** The time of the newest intent about each member. */
  statusTimes(): Map<string, number> {
    const times = new Map<string, number>();
    for (const [name, entry] of this.#entries) times.set(name, entry.time);
    return times;
  }

  /** Names of those who left. */
  leftNames(): string[] {
    const names: string[] = [];
    for (const [name, entry] of this.#gone) if (entry.status === "left") names.push(name);
    return names;
  }

  /** SWIM sees a member alive: new, back, or described anew. */
  handlePresent(member: SwimMember, nowMs: number): void {
    const { name } = member;
    const known = this.#entries.get(name);
    if (known === undefined) {
      const intent = this.#intents.get(name);
      this.#intents.delete(name);
      this.#lost.delete(name);
      const entry: Entry = {
        swim: member,
        status: intent?.leave ? "leaving" : "alive",
        suspect: member.state === "suspect",
        time: intent?.time ?? 0,
        leave: intent?.leave ?? false,
        prune: false,
        sinceMs: nowMs,
        view: undefined,
        tags: undefined,
      };
      this.#entries.set(name, entry);
      this.#bound();
      return this.#tell("joined", view(entry));
    }
    const described = describe(known, member);
    if (known.status !== "failed" && known.status !== "left") {
      if (described) this.#tell("updated", view(known));
      return;
    }
    const recovered = known.status === "failed";
    this.#return(known);
    known.status = "alive";
    known.suspect = member.state === "suspect";
    known.prune = false;
    known.sinceMs = nowMs;
    known.view = undefined;
    this.#tell(recovered ? "recovered" : "joined", view(known));
  }

  /** SWIM has a member under suspicion, or no more. */
  handleSuspicion(member: SwimMember, suspect: boolean, nowMs: number): void {
    const entry = this.#entries.get(member.name);
    if (entry === undefined || this.#gone.has(member.name)) return;
    if (describe(entry, member)) this.#tell("updated", view(entry));
    if (entry.suspect === suspect) return;
    entry.suspect = suspect;
    entry.sinceMs = nowMs;
    entry.view = undefined;
    this.#tell(suspect ? "suspected" : "recovered", view(entry));
  }

  /** SWIM sees a member gone; `left`: that is what the member itself said. */
  handleGone(member: SwimMember, left: boolean, nowMs: number): void {
    const entry = this.#entries.get(member.name);
    if (entry === undefined) return;
    if (entry.status === "left") return;
    describe(entry, member);
    const goesLeft = left || entry.status === "leaving";
    if (entry.status === "failed") {
      if (goesLeft) this.#turnLeft(entry, nowMs);
      return;
    }
    entry.suspect = false;
    this.#gone.set(member.name, entry);
    this.#failed++;
    if (goesLeft) return this.#turnLeft(entry, nowMs);
    entry.status = "failed";
    entry.sinceMs = nowMs;
    entry.view = undefined;
    this.#tell("failed", view(entry));
  }

  /** A member joins or leaves, or somebody says so. `active`: this node is not leaving itself. */
  handleIntent(intent: IntentMessage, active: boolean, nowMs: number): IntentResult {
    const { node, time } = intent;
    const leave = intent.kind === "leave";
    const entry = this.#entries.get(node);
    if (entry === undefined) return this.#keep(node, time, leave, nowMs);
    if (!outranks(time, leave, entry.time, entry.leave)) return "old";
    if (leave && node === this.#self && active) return "refute";
    entry.time = time;
    entry.leave = leave;
    entry.view = undefined;
    if (!leave) {
      if (entry.status === "leaving") {
        entry.status = "alive";
        entry.prune = false;
      }
      return "news";
    }
    entry.prune ||= intent.prune;
    if (entry.status === "alive") entry.status = "leaving";
    else if (entry.status === "failed") this.#turnLeft(entry, nowMs);
    else if (entry.status === "left" && entry.prune) this.#erase(entry);
    return "news";
  }

  /** Forgets whom it is time to forget. */
  reap(nowMs: number): void {
    const { reconnectTimeoutMs, tombstoneMs, intentTimeoutMs } = this.#config;
    for (const entry of this.#gone.values()) {
      const keepMs = entry.status === "failed" ? reconnectTimeoutMs : tombstoneMs;
      if (nowMs - entry.sinceMs > keepMs) this.#erase(entry);
    }
    for (const [name, { atMs }] of this.#intents) {
      if (nowMs - atMs > intentTimeoutMs) this.#intents.delete(name);
    }
  }

  /**
   * Whom to try to reach: the address of a random failed member, so seldom that all
   * together try each once; else, as seldom, a random one of those forgotten.
   */
  reconnect(random: () => number): string | undefined {
    const candidates = this.#failed > 0 ? this.#failed : this.#lost.size;
    if (candidates === 0 || random() > candidates / Math.max(1, this.present)) return undefined;
    let at = Math.floor(random() * candidates);
    if (this.#failed === 0) return [...this.#lost.values()][at];
    for (const entry of this.#gone.values()) {
      if (entry.status === "failed" && at-- === 0) return entry.swim.address;
    }
    return undefined;
  }

  #keep(node: string, time: number, leave: boolean, nowMs: number): IntentResult {
    const known = this.#intents.get(node);
    if (known !== undefined && !outranks(time, leave, known.time, known.leave)) return "old";
    this.#intents.delete(node); // So that the newest stands last.
    this.#intents.set(node, { time, leave, atMs: nowMs });
    if (this.#intents.size > this.#config.maxIntents) {
      for (const oldest of this.#intents.keys()) {
        this.#intents.delete(oldest);
        break;
      }
    }
    return "news";
  }

  #turnLeft(entry: Entry, nowMs: number): void {
    this.#failed--;
    entry.status = "left";
    entry.sinceMs = nowMs;
    entry.view = undefined;
    // Last in the order of going again.
    this.#gone.delete(entry.swim.name);
    this.#gone.set(entry.swim.name, entry);
    this.#tell("left", view(entry));
    if (entry.prune) this.#erase(entry);
  }

  #return(entry: Entry): void {
    if (this.#gone.delete(entry.swim.name) && entry.status === "failed") this.#failed--;
  }

  #erase(entry: Entry): void {
    const { name, address } = entry.swim;
    this.#return(entry);
    this.#entries.delete(name);
    if (entry.status === "failed" && this.#config.maxLostAddresses > 0) {
      this.#lost.set(name, address);
      if (this.#lost.size > this.#config.maxLostAddresses) {
        for (const oldest of this.#lost.keys()) {
          this.#lost.delete(oldest);
          break;
        }
      }
    }
    this.#tell("reaped", view(entry));
  }

  /** Too many members: the one that has been gone longest is forgotten. */
  #bound(): void {
    if (this.#entries.size <= this.#config.maxMembers) return;
    for (const oldest of this.#gone.values()) return this.#erase(oldest);
  }
}

/** True if an intent is newer than another about the same member. */
function outranks(time: number, leave: boolean, known: number, knownLeave: boolean): boolean {
  return time > known || (time === known && time > 0 && leave && !knownLeave);
}

/** Takes over what SWIM knows of a member. True if others should hear of the difference. */
function describe(entry: Entry, member: SwimMember): boolean {
  const before = entry.swim;
  const metaChanged = !sameBytes(before.meta, member.meta);
  entry.swim = member;
  entry.view = undefined;
  if (metaChanged) entry.tags = undefined;
  return metaChanged || before.address !== member.address ||
    before.versions.some((version, i) => version !== member.versions[i]);
}

function view(entry: Entry): SerfMember {
  if (entry.view !== undefined) return entry.view;
  const { name, address, ip, port, meta, incarnation, versions } = entry.swim;
  entry.tags ??= Object.freeze(decodeTags(meta));
  return entry.view = {
    name,
    address,
    ip,
    port,
    tags: entry.tags,
    status: entry.status,
    state: stateOf(entry),
    incarnation,
    versions,
    statusTime: entry.time,
    sinceMs: entry.sinceMs,
  };
}

function stateOf({ status, suspect }: Entry): MemberState {
  if (status === "failed") return "dead";
  if (status === "left") return "left";
  return suspect ? "suspect" : "alive";
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || (a.length === b.length && a.every((byte, i) => byte === b[i]));
}
