/**
 * Membership among programs on bare memberlist: SWIM alone.
 *
 * Members, their metadata (read as Serf tags where they are), joins and leaving.
 * Events, queries and coordinates are Serf's, and are refused here. So are changes
 * of the keys on all members at once: each changes its own ring, as memberlist's
 * programs do.
 */
import { decodeTags, encodeTags, type SerfQueryHandle } from "@mycnet/protocols/serf";
import {
  type GossipKeyring,
  type SwimEvent,
  SwimMachine,
  type SwimMember,
} from "@mycnet/protocols/swim";
import type { KeyringReply } from "../../../core/contracts/membership.ts";
import {
  type JoinReply,
  type Layer,
  type LayerHandler,
  type LayerMember,
  notOffered,
} from "./layer.ts";
import type { Clocks } from "./memory.ts";
import { changeKeys, ownKeys } from "./own_keys.ts";
import { type LayerParts, selfOf } from "./self.ts";
import type { Tags } from "./tags.ts";

/** Joins under way, by what SWIM says of each address. */
class Joins {
  readonly #open = new Set<{
    readonly left: Set<string>;
    readonly errors: Record<string, string>;
    contacted: number;
    readonly done: (reply: JoinReply) => void;
  }>();

  begin(addresses: readonly string[], done: (reply: JoinReply) => void): void {
    const left = new Set(addresses);
    if (left.size === 0) done({ contacted: 0, errors: {} });
    else this.#open.add({ left, errors: {}, contacted: 0, done });
  }

  synced(address: string, error: string | undefined): void {
    for (const join of [...this.#open]) {
      if (!join.left.delete(address)) continue;
      if (error === undefined) join.contacted++;
      else join.errors[address] = error;
      if (join.left.size > 0) continue;
      this.#open.delete(join);
      join.done({ contacted: join.contacted, errors: join.errors });
    }
  }
}

/** See the head of this file. */
export class PlainLayer implements Layer {
  readonly swim: SwimMachine;
  readonly clocks: Clocks = { member: 0, event: 0, query: 0 };
  readonly counters: Readonly<Record<string, number>> = {};
  readonly #handler: LayerHandler;
  readonly #keyring: GossipKeyring;
  readonly #joins = new Joins();
  readonly #aliveSince = new Map<string, number>();
  readonly #failed = new Set<string>();
  readonly #startMs: number;
  #nowMs: number;
  #leaving: (() => void)[] = [];

  constructor(parts: LayerParts, handler: LayerHandler) {
    this.#handler = handler;
    this.#keyring = parts.keyring;
    this.#startMs = this.#nowMs = parts.nowMs;
    this.swim = new SwimMachine(
      {
        self: selfOf(parts),
        config: parts.config,
        incarnation: parts.incarnation,
        versions: [1, 5, 2, 0, 0, 0],
        random: parts.random,
        keyring: parts.keyring,
      },
      {
        packet: (to, bytes) => handler.packet(to, bytes),
        open: (stream) => handler.open(stream),
        event: (event) => this.#event(event),
      },
      parts.nowMs,
      {
        pingComplete: ({ name }, _rttMs, _payload, nowMs) => handler.answered(name, nowMs),
        notifyAlive: ({ name, meta }) => handler.admit(name, decodeTags(meta)),
      },
    );
  }

  get nextTimerMs(): number | undefined {
    return this.swim.nextTimerMs;
  }

  tick(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  handleTimer(nowMs: number): void {
    this.swim.handleTimer(nowMs);
  }

  members(): readonly LayerMember[] {
    return this.swim.members().map((it) => this.#shown(it));
  }

  member(name: string): LayerMember | undefined {
    const member = this.swim.member(name);
    return member === undefined ? undefined : this.#shown(member);
  }

  join(addresses: readonly string[], nowMs: number, done: (reply: JoinReply) => void): void {
    this.#joins.begin(addresses, done);
    this.swim.join(addresses, nowMs);
  }

  leave(nowMs: number, done: () => void): void {
    if (this.swim.status === "left") return done();
    this.#leaving.push(done);
    this.swim.leave(nowMs);
  }

  forceLeave(name: string): boolean {
    return this.swim.forget(name);
  }

  setTags(tags: Tags, nowMs: number): void {
    this.swim.updateMeta(encodeTags(tags), nowMs);
  }

  event(): void {
    throw notOffered("user events");
  }

  query(): SerfQueryHandle {
    throw notOffered("queries");
  }

  keyring(
    operation: "list" | "install" | "use" | "remove",
    key: Uint8Array | undefined,
    _nowMs: number,
    done: (reply: KeyringReply) => void,
  ): void {
    const { name } = this.swim.self;
    const refusal = changeKeys(this.#keyring, operation, key);
    if (refusal === undefined && operation !== "list") this.#handler.keyring();
    done(ownKeys(this.#keyring, name, operation, refusal));
  }

  distanceMs(): number | undefined {
    return undefined;
  }

  stop(): void {
    this.swim.stop();
  }

  #shown({ name, address, meta, state, incarnation, sinceMs }: SwimMember): LayerMember {
    const since = sinceMs ?? this.#aliveSince.get(name) ?? this.#startMs;
    return { name, address, tags: decodeTags(meta), state, incarnation, sinceMs: since };
  }

  #event(event: SwimEvent): void {
    const handler = this.#handler;
    switch (event.type) {
      case "joined": {
        const { name } = event.member;
        this.#aliveSince.set(name, this.#nowMs);
        const back = this.#failed.delete(name);
        return handler.member(back ? "recovered" : "joined", this.#shown(event.member));
      }
      case "recovered":
        this.#aliveSince.set(event.member.name, this.#nowMs);
        return handler.member("recovered", this.#shown(event.member));
      case "failed":
        this.#failed.add(event.member.name);
        return handler.member("failed", this.#shown(event.member));
      case "reaped":
      case "left":
        this.#aliveSince.delete(event.member.name);
        this.#failed.delete(event.member.name);
        return handler.member(event.type, this.#shown(event.member));
      case "suspected":
      case "updated":
        return handler.member(event.type, this.#shown(event.member));
      case "conflict":
        if (event.member.name === this.swim.self.name) handler.conflict(event.other.address);
        return;
      case "incarnation":
        return handler.incarnation(event.incarnation);
      case "refused":
        return handler.refused(event.address, event.reason);
      case "synced":
        return this.#joins.synced(event.address, event.error);
      case "leave_sent":
        for (const done of this.#leaving.splice(0)) done();
        return;
      case "paused":
        return handler.paused(event.ms);
    }
  }
}
