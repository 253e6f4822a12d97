/**
 * Serf's protocol above SWIM: one member, as agents of delegate versions 2 to 5 know it.
 *
 * The machine has a delegate for a SWIM machine: by it it hears that machine's user
 * messages, push/pulls, acks and events, and speaks through it. This is its face;
 * the rooms behind it have their own headers: members.ts (who is there, intents),
 * events.ts, asking.ts and answering.ts (queries), internal.ts, keys.ts and
 * conflict.ts (the cluster's own queries), joining.ts and departure.ts, coordinate/
 * (Vivaldi), wire/. Lamport clocks order intents, events and queries, each kind its
 * own; a clock that jumps too far is refused with all that comes with it.
 *
 * The driver makes this machine, then a SWIM machine with its `delegate` and `meta`, then
 * calls `start`. It hands SWIM's events to `handleSwimEvent`, packets and streams to
 * the SWIM machine, and arms one timer for `nextTimerMs`, which covers both.
 */
import { Answering } from "./answering.ts";
import { Asking } from "./asking.ts";
import { conflictQuery, conflictVotes } from "./conflict.ts";
import { Context } from "./context.ts";
import { type Coordinate, distance } from "./coordinate/coordinate.ts";
import { Coordinates } from "./coordinate/coordinates.ts";
import { Delegate } from "./delegate.ts";
import { Departure } from "./departure.ts";
import { UserEvents } from "./events.ts";
import { answerInternal } from "./internal.ts";
import { Joining } from "./joining.ts";
import { type KeyOperation, keyQuery, keyTally } from "./keys.ts";
import { LamportClock } from "./lamport.ts";
import { Members } from "./members.ts";
import {
  type SerfClocks,
  type SerfCounters,
  SerfError,
  type SerfHandler,
  type SerfJoinReply,
  type SerfKeyReply,
  type SerfMember,
  type SerfOptions,
  type SerfQueryHandle,
  type SerfQueryListener,
  type SerfQueryRequest,
} from "./types.ts";
import type { Swim, SwimDelegate, SwimEvent, SwimMember } from "../swim/types.ts";
import { encodeIntent, maxNodeNameBytes } from "./wire/messages.ts";
import { encodeTags, type Tags } from "./wire/tags.ts";
import { utf8Length } from "../utf8.ts";

/** One member of a Serf cluster. See {@linkcode SerfOptions}, {@linkcode SerfHandler}. */
export class SerfMachine {
  /** What the SWIM machine below is made with. */
  readonly delegate: SwimDelegate;
  /** What has been counted. */
  readonly counters: Readonly<SerfCounters>;
  readonly #c: Context;
  readonly #clock: LamportClock;
  readonly #queryClock: LamportClock;
  readonly #members: Members;
  readonly #events: UserEvents;
  readonly #asking: Asking;
  readonly #answering: Answering;
  readonly #departure: Departure;
  readonly #joining: Joining;
  readonly #coordinates: Coordinates;
  #tags: Tags;
  #meta: Uint8Array<ArrayBuffer>;
  #resolving = false;
  #reapAtMs = Infinity;
  #reconnectAtMs = Infinity;

  /** Starts alone; call `start`. @throws {RangeError} naming the option that is out of range, tags that are too long among them. */
  constructor(options: SerfOptions, handler: SerfHandler) {
    const c = new Context(options, handler);
    const { clocks } = options;
    this.#c = c;
    this.counters = c.counters;
    this.#tags = { ...options.tags };
    this.#meta = encodeTags(this.#tags);
    this.#clock = new LamportClock(clocks === undefined ? 1 : clocks.member + 1);
    this.#queryClock = new LamportClock(clocks === undefined ? 1 : clocks.query + 1);
    this.#coordinates = new Coordinates(c);
    this.#members = new Members(c.name, c.config, (type, member) => {
      if (type === "reaped") this.#coordinates.forget(member.name);
      c.emit({ type, member });
    });
    this.#events = new UserEvents(c, clocks?.event);
    this.#asking = new Asking(c, this.#members, this.#queryClock);
    this.#answering = new Answering(
      c,
      this.#members,
      this.#queryClock,
      {
        internal: (query) => answerInternal(c, this.#members, query),
        own: (response) => this.#asking.handleResponse(response),
      },
      clocks?.query,
    );
    this.#departure = new Departure(c);
    this.#joining = new Joining(c, () => this.#announce());
    this.delegate = new Delegate(c, {
      clock: this.#clock,
      queryClock: this.#queryClock,
      members: this.#members,
      events: this.#events,
      asking: this.#asking,
      answering: this.#answering,
      coordinates: this.#coordinates,
      active: () => this.#departure.here,
      ignoresPast: () => this.#joining.ignoresPast,
      refute: () => this.#announce(),
    });
  }

  /** The tags of this node as metadata: what the SWIM machine starts with. */
  get meta(): Uint8Array<ArrayBuffer> {
    return this.#meta;
  }

  /** The tags of this node. */
  get tags(): Tags {
    return this.#tags;
  }

  /** `active`, then `leaving`, then `left`. */
  get status(): "active" | "leaving" | "left" {
    return this.#departure.here ? "active" : this.#departure.gone ? "left" : "leaving";
  }

  /** To be persisted now and then, and given to the next life of this node. */
  get clocks(): SerfClocks {
    return {
      member: this.#clock.time - 1,
      event: this.#events.clock.time - 1,
      query: this.#queryClock.time - 1,
    };
  }

  /** Members in any state, this node included. */
  get size(): number {
    return this.#members.size;
  }

  /** Rumours that wait to be sent. */
  get queued(): number {
    return this.#c.queued;
  }

  /** Queries of this node that are open. */
  get openQueries(): number {
    return this.#asking.size;
  }

  /** This node's place in the network. */
  get coordinate(): Coordinate {
    return this.#coordinates.here;
  }

  /** When `handleTimer` wants to be called, for this machine and the one below. Read it after each call of either. */
  get nextTimerMs(): number | undefined {
    if (!this.#c.started) return undefined;
    const below = this.#c.swim.nextTimerMs;
    if (below === undefined) return undefined; // Stopped.
    return Math.min(
      below,
      this.#reapAtMs,
      this.#reconnectAtMs,
      this.#events.nextMs,
      this.#asking.nextMs,
      this.#departure.nextMs,
      this.#joining.nextMs,
    );
  }

  /** Connects the machine below, which must have been made with `delegate` and `meta`. */
  start(swim: Swim, nowMs: number): void {
    const c = this.#c;
    if (swim.self.name !== c.name) {
      throw new RangeError(`the SWIM machine is named "${swim.self.name}", not "${c.name}"`);
    }
    c.swim = swim;
    c.nowMs = nowMs;
    this.#reapAtMs = nowMs + c.config.reapIntervalMs;
    this.#reconnectAtMs = nowMs + c.config.reconnectIntervalMs;
    for (const member of swim.members()) {
      if (member.state === "alive" || member.state === "suspect") {
        this.#members.handlePresent(member, nowMs);
      }
    }
  }

  /** All members, failed and left ones until they are reaped, this node too. */
  members(): SerfMember[] {
    return [...this.#members.all()];
  }

  /** One of them. */
  member(name: string): SerfMember | undefined {
    return this.#members.get(name);
  }

  /** The estimated round trip between two members, ms; undefined until coordinates of both are known. */
  distanceMs(a: string, b: string): number | undefined {
    const from = this.#coordinates.of(a);
    const to = this.#coordinates.of(b);
    return from === undefined || to === undefined ? undefined : distance(from, to) * 1000;
  }

  /** The machine below tells something. */
  handleSwimEvent(event: SwimEvent, nowMs: number): void {
    this.#c.enter(nowMs);
    switch (event.type) {
      case "joined":
      case "updated":
        return this.#members.handlePresent(event.member, nowMs);
      case "suspected":
        return this.#members.handleSuspicion(event.member, true, nowMs);
      case "recovered":
        return this.#members.handleSuspicion(event.member, false, nowMs);
      case "failed":
        return this.#members.handleGone(event.member, false, nowMs);
      case "left":
        return this.#members.handleGone(event.member, true, nowMs);
      case "conflict":
        return this.#handleConflict(event.member, event.other);
      case "synced":
        return event.join ? this.#joining.synced(event.address, event.error) : undefined;
      case "leave_sent":
        return this.#departure.swimLeft();
    }
  }

  /** The time that `nextTimerMs` named has come, or any other time has. Covers the machine below. */
  handleTimer(nowMs: number): void {
    if (!this.#c.started) return;
    this.#c.enter(nowMs);
    const { swim, config } = this.#c;
    if (swim.nextTimerMs !== undefined && swim.nextTimerMs <= nowMs) swim.handleTimer(nowMs);
    this.#events.timer();
    this.#asking.timer();
    this.#joining.timer();
    this.#departure.timer();
    if (nowMs >= this.#reapAtMs) {
      this.#reapAtMs = nowMs + config.reapIntervalMs;
      this.#members.reap(nowMs);
    }
    if (nowMs >= this.#reconnectAtMs) {
      this.#reconnectAtMs = nowMs + config.reconnectIntervalMs;
      this.#reconnect();
    }
  }

  /**
   * Joins through addresses (`host:port`); `done` tells how it went. With `replay`, events
   * of the past are told too.
   * @throws {SerfError} `leaving`.
   */
  join(
    addresses: readonly string[],
    nowMs: number,
    options: { readonly replay?: boolean; done?(reply: SerfJoinReply): void } = {},
  ): void {
    this.#command(nowMs);
    this.#joining.begin(addresses, options.replay ?? false, (reply) => options.done?.(reply));
  }

  /** Leaves in order: `status` events tell how far that is. Later calls do nothing. */
  leave(nowMs: number): void {
    this.#c.enter(nowMs);
    if (!this.#departure.here) return;
    const intent = {
      kind: "leave" as const,
      time: this.#clock.tick(),
      node: this.#c.name,
      prune: false,
    };
    const alone = this.#members.present <= 1;
    this.#departure.begin(alone ? undefined : encodeIntent(this.#c.writer, intent));
    this.#members.handleIntent(intent, false, nowMs);
  }

  /**
   * Turns a failed member into one that left, everywhere; with `prune` it is forgotten too.
   * A member that is alive refutes. False if it is not known here; others may know it.
   * @throws {SerfError} `leaving`; `bad_name` for this node itself.
   */
  forceLeave(name: string, nowMs: number, prune = false): boolean {
    this.#command(nowMs);
    if (name === this.#c.name) throw new SerfError("bad_name", "that is this node: call leave()");
    const bytes = utf8Length(name);
    if (bytes < 1 || bytes > maxNodeNameBytes) {
      throw new SerfError("bad_name", `a name has 1 to ${maxNodeNameBytes} bytes, not ${bytes}`);
    }
    const known = this.#members.get(name);
    // Later than all that is known of it, or it would be no news.
    this.#clock.witness(known?.statusTime ?? 0);
    const intent = { kind: "leave" as const, time: this.#clock.tick(), node: name, prune };
    this.#c.broadcast("intents", encodeIntent(this.#c.writer, intent));
    this.#members.handleIntent(intent, true, nowMs);
    return known !== undefined;
  }

  /** Replaces all tags of this node. @throws {RangeError} if they do not fit into 512 bytes. */
  setTags(tags: Tags, nowMs: number): void {
    this.#c.enter(nowMs);
    const meta = encodeTags(tags);
    this.#tags = { ...tags };
    this.#meta = meta;
    if (!this.#c.started) return;
    this.#c.swim.updateMeta(meta, nowMs);
    this.#members.handlePresent(this.#c.swim.self, nowMs);
  }

  /**
   * Sends a user event to every member, this one included.
   * @throws {SerfError} `leaving`; `too_large` above 512 bytes of name and payload.
   */
  event(name: string, payload: Uint8Array, nowMs: number, coalesce = false): void {
    this.#command(nowMs);
    this.#events.send(name, payload, coalesce);
  }

  /**
   * Asks members, this one included; the listener may hear before this returns.
   * @throws {SerfError} `leaving`, `too_large`, `bad_filter`, `too_many_queries`.
   */
  query(request: SerfQueryRequest, listener: SerfQueryListener, nowMs: number): SerfQueryHandle {
    this.#command(nowMs);
    return this.#ask(request, listener);
  }

  /**
   * Lists the gossip keys of all members, or installs, uses or removes one (16, 24 or 32 bytes)
   * everywhere; `done` tells what came out.
   * @throws {SerfError} as for `query`.
   */
  keys(
    operation: KeyOperation,
    key: Uint8Array | undefined,
    nowMs: number,
    done: (reply: SerfKeyReply) => void,
  ): SerfQueryHandle {
    const request = keyQuery(operation, key ?? new Uint8Array(0));
    return this.query(request, keyTally(done), nowMs);
  }

  #command(nowMs: number): void {
    this.#c.enter(nowMs);
    if (this.#departure.here) return;
    throw new SerfError("leaving", "this node leaves or has left: make a new one");
  }

  #ask(request: SerfQueryRequest, listener: SerfQueryListener): SerfQueryHandle {
    const { message, handle } = this.#asking.ask(request, listener);
    this.#answering.handle(message);
    return handle;
  }

  /** Says that this node is here: after a join, or to refute that it leaves. */
  #announce(): void {
    const intent = {
      kind: "join" as const,
      time: this.#clock.tick(),
      node: this.#c.name,
      prune: false,
    };
    this.#members.handleIntent(intent, true, this.#c.nowMs);
    this.#c.broadcast("intents", encodeIntent(this.#c.writer, intent));
  }

  #reconnect(): void {
    const address = this.#departure.here ? this.#members.reconnect(this.#c.random) : undefined;
    if (address === undefined) return;
    this.#c.counters.reconnects++;
    this.#c.swim.join([address], this.#c.nowMs);
  }

  #handleConflict(member: SwimMember, other: SwimMember): void {
    const c = this.#c;
    if (member.name !== c.name || !this.#departure.here || this.#resolving) return;
    c.emit({ type: "conflict", address: other.address });
    if (!c.config.resolveConflicts) return;
    this.#resolving = true;
    const votes = conflictVotes(c.swim.self.address, (event) => {
      this.#resolving = false;
      c.emit(event);
    });
    try {
      this.#ask(conflictQuery(c.name), votes);
    } catch {
      this.#resolving = false; // Too many queries: the next sign of the conflict asks again.
    }
  }
}
