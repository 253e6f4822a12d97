/**
 * One member of a SWIM cluster: packets, bytes and times in; packets, bytes and events out.
 *
 * This is the face of the machine; each room behind it has its own header.
 * Memory: table.ts (who is there), cards.ts (what they say of themselves),
 * suspicions.ts. Decisions: membership.ts (rumours) by verdicts.ts (their order),
 * prober.ts (failure detection), favours.ts (what others ask of us). Spreading:
 * transmit_queue.ts, gossip.ts, outbox.ts. Wire: inbox.ts, streams.ts and wire/.
 *
 * The driver brings datagrams, drives streams, and arms one timer for
 * `nextTimerMs`, read after each call. Nothing that arrives makes a method throw.
 * The machine notices by itself when it was called much later than it had asked:
 * then this process stood still, the time is taken out of every wait, and nobody
 * is blamed.
 */
import { Context } from "./context.ts";
import { Favours } from "./favours.ts";
import { Gossip } from "./gossip.ts";
import { Inbox } from "./inbox.ts";
import { Membership } from "./membership.ts";
import { Outbox } from "./outbox.ts";
import { OwnWord } from "./own_word.ts";
import { Prober } from "./prober.ts";
import { Rumours } from "./rumours.ts";
import { Streams } from "./streams.ts";
import type {
  Swim,
  SwimCounters,
  SwimDelegate,
  SwimHandler,
  SwimMember,
  SwimOptions,
  SwimStream,
} from "./types.ts";
import { stateOf } from "./verdicts.ts";
import { maxMetaBytes, messageType } from "./wire/messages.ts";

/** One member of a SWIM cluster. See {@linkcode SwimOptions}, {@linkcode SwimHandler}, {@linkcode SwimDelegate}. */
export class SwimMachine implements Swim {
  /** What has been counted. */
  readonly counters: Readonly<SwimCounters>;
  readonly #c: Context;
  readonly #membership: Membership;
  readonly #own: OwnWord;
  readonly #outbox: Outbox;
  readonly #prober: Prober;
  readonly #favours: Favours;
  readonly #gossip: Gossip;
  readonly #inbox: Inbox;
  readonly #streams: Streams;
  #promisedMs: number;
  #lagUntilMs = -Infinity;
  #leaveSent = false;

  /**
   * Starts alive and alone.
   * @throws {RangeError} naming the option that is out of range.
   */
  constructor(
    options: SwimOptions,
    handler: SwimHandler,
    nowMs: number,
    delegate: SwimDelegate = {},
  ) {
    const c = new Context(options, handler, delegate);
    c.nowMs = c.heardMs = nowMs;
    this.#c = c;
    this.counters = c.counters;
    const rumours = new Rumours(c.store, c.queue);
    this.#own = new OwnWord(c, rumours);
    this.#membership = new Membership(c, rumours, this.#own);
    this.#outbox = new Outbox(c);
    this.#streams = new Streams(c, this.#membership, () => this.#settle());
    this.#prober = new Prober(
      c,
      this.#membership,
      this.#own,
      this.#outbox,
      (address, sequence, name, deadlineMs, answered) => {
        const { source } = this.#prober;
        this.#streams.open(
          address,
          { kind: "ping", sequence, name, source, answered },
          deadlineMs,
        );
      },
      nowMs,
    );
    this.#favours = new Favours(c, this.#outbox, this.#prober, nowMs);
    this.#gossip = new Gossip(
      c,
      this.#outbox,
      (address) => this.#streams.open(address, { kind: "push_pull", join: false }),
      nowMs,
    );
    this.#inbox = new Inbox(c, this.#membership, this.#prober, this.#favours);
    this.#promisedMs = Infinity;
    this.#settle();
  }

  /** This node. */
  get self(): SwimMember {
    return this.#c.table.snapshot(this.#c.selfId);
  }

  /** Members that are alive or suspect, this node included. */
  get liveCount(): number {
    return this.#c.table.live;
  }

  /** Members known in any state, this node included. */
  get size(): number {
    return this.#c.table.size;
  }

  /** 0 is healthy; `awarenessMax - 1` is the worst. */
  get healthScore(): number {
    return this.#c.awareness.score;
  }

  /** `active`, then `leaving` once told to leave, then `left`; `stopped` at the end. */
  get status(): "active" | "leaving" | "left" | "stopped" {
    return this.#c.status;
  }

  /** How many rumours wait to be sent. */
  get queued(): number {
    return this.#c.queue.size;
  }

  /** Bytes that the view of the members takes, the shared store not counted. */
  get viewBytes(): number {
    return this.#c.table.bytes;
  }

  /** When `handleTimer` wants to be called; undefined once stopped. Read it after each call. */
  get nextTimerMs(): number | undefined {
    return this.#promisedMs === Infinity ? undefined : this.#promisedMs;
  }

  /** Everybody known, dead and left included, this node too; in no order. */
  members(): SwimMember[] {
    const members: SwimMember[] = [];
    this.#c.table.each((id) => members.push(this.#c.table.snapshot(id)));
    return members;
  }

  /** One of them. */
  member(name: string): SwimMember | undefined {
    const id = this.#find(name);
    return id < 0 ? undefined : this.#c.table.snapshot(id);
  }

  /** Who has this gossip address, alive or suspect. */
  memberAt(address: string): SwimMember | undefined {
    const id = this.#favours.memberAt(address);
    return id < 0 ? undefined : this.#c.table.snapshot(id);
  }

  /** A datagram arrived; the bytes may be reused after the call. */
  handlePacket(bytes: Uint8Array, from: string, nowMs: number): void {
    if (!this.#enter(nowMs)) return;
    this.#inbox.receive(bytes, from);
    this.#settle();
  }

  /** The time that `nextTimerMs` named has come, or any other time has. */
  handleTimer(nowMs: number): void {
    if (!this.#enter(nowMs)) return;
    this.#favours.timer();
    this.#prober.timer();
    this.#membership.expire();
    this.#gossip.timer();
    this.#settle();
  }

  /** Somebody connected. Undefined: too many streams; close it. */
  accept(from: string, nowMs: number): SwimStream | undefined {
    this.#enter(nowMs);
    return this.#streams.accept(from);
  }

  /** Opens a joining push/pull to each address (`host:port`); a `synced` event tells how each went. */
  join(addresses: readonly string[], nowMs: number): void {
    if (!this.#enter(nowMs)) return;
    for (const address of addresses) {
      this.#streams.open(address, { kind: "push_pull", join: true });
    }
    this.#settle();
  }

  /** A push/pull with one address that is not a join. */
  sync(address: string, nowMs: number): void {
    if (!this.#enter(nowMs)) return;
    this.#streams.open(address, { kind: "push_pull", join: false });
    this.#settle();
  }

  /** Tells everybody that this node leaves; `leave_sent` follows. Probing ends; pings are still answered. */
  leave(nowMs: number): void {
    if (!this.#enter(nowMs) || this.#c.status !== "active") return;
    this.#c.status = "leaving";
    this.#own.leave(() => this.#leaveSent = true);
    this.#settle();
  }

  /** Ends everything: no timer, no answers. What was known can still be read. */
  stop(): void {
    this.#c.status = "stopped";
    this.#c.queue.clear();
    this.#c.suspicions.clear();
    this.#favours.clear();
    this.#promisedMs = Infinity;
  }

  /**
   * New metadata for this node: a new incarnation.
   * @throws {RangeError} above 512 bytes.
   */
  updateMeta(meta: Uint8Array, nowMs: number): void {
    if (meta.length > maxMetaBytes) {
      throw new RangeError(`metadata has at most ${maxMetaBytes} bytes, not ${meta.length}`);
    }
    if (!this.#enter(nowMs) || this.#c.status !== "active") return;
    this.#own.updateMeta(meta);
    this.#settle();
  }

  /** Probes a member once, outside the round; a `pinged` event tells. False if it is unknown or dead. */
  ping(name: string, nowMs: number): boolean {
    if (!this.#enter(nowMs)) return false;
    const id = this.#find(name);
    const asked = this.#isLive(id) && id !== this.#c.selfId && this.#favours.pingFor(id);
    this.#settle();
    return asked;
  }

  /** Raises a suspicion, as a failed probe would: for other detectors. False if it is not alive. */
  suspect(name: string, nowMs: number): boolean {
    if (!this.#enter(nowMs)) return false;
    const { table, selfId, store } = this.#c;
    const id = this.#find(name);
    if (table.state(id) !== stateOf.alive || id === selfId) return false;
    this.#membership.suspect(id, table.incarnation(id), selfId, store.nameBytes(selfId));
    this.#settle();
    return true;
  }

  /** Forgets a member that is dead or left, before its time. */
  forget(name: string): boolean {
    const id = this.#find(name);
    if (id < 0 || id === this.#c.selfId || this.#isLive(id)) return false;
    this.#membership.forget(id);
    return true;
  }

  /** One user message to one address, in a packet. False if it does not fit. */
  sendBestEffort(to: string, message: Uint8Array, nowMs: number): boolean {
    if (!this.#enter(nowMs) || 1 + message.length > this.#outbox.room) return false;
    this.#outbox.message.reset().byte(messageType.user).put(message);
    this.#outbox.sendBare(to);
    this.#settle();
    return true;
  }

  /** One user message to one address, over a stream; `sent` tells. False above the bound. */
  sendReliable(to: string, message: Uint8Array, nowMs: number): boolean {
    if (!this.#enter(nowMs) || message.length > this.#c.config.maxStreamBytes / 2) return false;
    this.#streams.open(to, { kind: "user", message: message.slice() });
    this.#settle();
    return true;
  }

  /** The layer above has something to broadcast: keeps the gossip timer running. */
  wake(nowMs: number): void {
    if (this.#enter(nowMs)) this.#settle();
  }

  /** The event loop was late by so much: local health takes it into account, once a period. */
  noteLag(ms: number, nowMs: number): void {
    if (!this.#enter(nowMs)) return;
    const { config } = this.#c;
    if (ms >= config.lagMs && nowMs >= this.#lagUntilMs) {
      this.#lagUntilMs = nowMs + config.probeIntervalMs;
      this.#c.adjustHealth(ms >= config.probeTimeoutMs ? 2 : 1);
    }
    this.#settle();
  }

  /**
   * Makes machines on one shared {@linkcode CardStore} know each other, alive and
   * without news, as long after all have joined: for simulations that start from a
   * formed cluster.
   * @throws {TypeError} if the stores differ.
   */
  static form(machines: readonly SwimMachine[]): void {
    const [first] = machines;
    if (first === undefined) return;
    const { table, store } = first.#c;
    for (const machine of machines) {
      const c = machine.#c;
      if (c.store !== store) throw new TypeError("the machines must share a CardStore");
      c.queue.clear();
      const { id, nameId } = c.table.card(c.selfId);
      if (table.state(nameId) !== stateOf.unknown) continue;
      store.retain(id);
      table.add(store.card(id));
    }
    for (const machine of machines) {
      if (machine !== first) machine.#c.table.copy(table);
      machine.#settle();
    }
  }

  #find(name: string): number {
    const id = this.#c.store.findName(name);
    return this.#c.table.state(id) === stateOf.unknown ? -1 : id;
  }

  #isLive(id: number): boolean {
    const state = this.#c.table.state(id);
    return state === stateOf.alive || state === stateOf.suspect;
  }

  /** Every way in. False once stopped. */
  #enter(nowMs: number): boolean {
    const c = this.#c;
    if (c.status === "stopped") return false;
    c.nowMs = Math.max(c.nowMs, nowMs);
    const lateMs = c.nowMs - this.#promisedMs;
    if (lateMs > c.config.pauseMs) this.#paused(lateMs);
    return true;
  }

  #paused(ms: number): void {
    const c = this.#c;
    c.counters.pauses++;
    c.suspicions.postpone(ms);
    c.heardMs += ms;
    this.#prober.paused();
    this.#favours.paused(ms);
    this.#gossip.paused(ms);
    c.adjustHealth(1);
    c.emit({ type: "paused", ms });
  }

  /** Every way out. */
  #settle(): void {
    const c = this.#c;
    if (this.#leaveSent && c.status === "leaving") {
      // Told here and not where it happens, which is in the middle of a packet.
      c.status = "left";
      c.emit({ type: "leave_sent" });
    }
    if (c.status === "stopped") return;
    this.#gossip.arm();
    const nextMs = Math.min(
      this.#prober.nextMs,
      this.#favours.nextMs,
      this.#gossip.nextMs,
      this.#membership.nextMs,
    );
    // A confirmation may end a suspicion in the past: that is no time slept through.
    this.#promisedMs = Math.max(nextMs, c.nowMs);
  }
}
