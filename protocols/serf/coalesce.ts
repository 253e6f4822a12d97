/**
 * Changes of members, coalesced as a Serf agent does for its handlers: when a rack
 * loses power, whoever asked hears once of forty members, not forty times of one.
 *
 * A change waits until none came for a while, and never longer than a maximum. Of
 * each member only where it stands in the end is told, and nothing if that is where
 * it stood when it was last told of: whoever failed and was back within the wait is
 * no news. A description that changed is news by itself, and part of any other.
 */
import type { SerfMemberChange } from "./types.ts";

/** Members of one kind of change, in the order in which they changed first. */
export interface CoalescedChange<M> {
  /** What happened to all of them. */
  readonly type: SerfMemberChange;
  /** As each was at its last change. */
  readonly members: readonly M[];
}

/** How a {@linkcode MemberCoalescer} waits. */
export interface CoalesceOptions {
  /** Changes are told when none came for so long, ms. Default 1000, a Serf agent's. */
  readonly quietMs?: number;
  /** And never later than this after the first, ms. Default 3000, a Serf agent's. */
  readonly maxMs?: number;
  /** Members that are remembered; beyond it changes are told at once. Default 65,536. */
  readonly maxMembers?: number;
}

interface Pending<M> {
  type: SerfMemberChange;
  member: M;
}

/** Joining and recovering lead to the same place. */
const standing = (type: SerfMemberChange) => type === "recovered" ? "joined" : type;

/** See the head of this file. The driver calls `take` at `nextMs`. */
export class MemberCoalescer<M> {
  readonly #quietMs: number;
  readonly #maxMs: number;
  readonly #maxMembers: number;
  readonly #pending: Map<string, Pending<M>> = new Map();
  /** Where members stood when they were last told of. */
  readonly #told: Map<string, SerfMemberChange> = new Map();
  #quietAtMs = Infinity;
  #latestAtMs = Infinity;

  /** Waits for changes. */
  constructor({ quietMs = 1000, maxMs = 3000, maxMembers = 65_536 }: CoalesceOptions = {}) {
    this.#quietMs = quietMs;
    this.#maxMs = maxMs;
    this.#maxMembers = maxMembers;
  }

  /** When to call `take`; Infinity while nothing waits. */
  get nextMs(): number {
    return Math.min(this.#quietAtMs, this.#latestAtMs);
  }

  /** Something happened to a member. */
  add(type: SerfMemberChange, name: string, member: M, nowMs: number): void {
    const pending = this.#pending.get(name);
    if (pending === undefined) this.#pending.set(name, { type, member });
    else {
      if (type !== "updated") pending.type = type;
      pending.member = member;
    }
    this.#quietAtMs = this.#pending.size > this.#maxMembers ? nowMs : nowMs + this.#quietMs;
    if (this.#latestAtMs === Infinity) this.#latestAtMs = nowMs + this.#maxMs;
  }

  /** What is to be told now, by kind of change; nothing before its time. */
  take(nowMs: number): CoalescedChange<M>[] {
    if (nowMs < this.nextMs) return [];
    const groups = new Map<SerfMemberChange, M[]>();
    for (const [name, { type, member }] of this.#pending) {
      if (!this.#isNews(name, type)) continue;
      const group = groups.get(type);
      if (group === undefined) groups.set(type, [member]);
      else group.push(member);
    }
    this.#pending.clear();
    this.#quietAtMs = this.#latestAtMs = Infinity;
    return [...groups].map(([type, members]) => ({ type, members }));
  }

  #isNews(name: string, type: SerfMemberChange): boolean {
    if (type === "updated") return true;
    const stands = standing(type);
    if (this.#told.get(name) === stands) return false;
    if (type === "reaped") this.#told.delete(name);
    else if (this.#told.has(name) || this.#told.size < this.#maxMembers) {
      this.#told.set(name, stands);
    }
    return true;
  }
}
