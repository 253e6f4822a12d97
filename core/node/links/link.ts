/**
 * A link: the pure link machine (protocols/link) driven over a connection.
 *
 * Bytes that arrive go to the machine, which calls back with messages,
 * requests and their answers; those are handed to whoever registered for the
 * frame type, or to the exchange they belong to. What the machine queues is
 * written once per turn (writer.ts); its times share one host timer (timer.ts);
 * senders that found no room wait (room.ts). Nothing a handler throws gets out
 * of here: it is logged, and answered with a reset.
 *
 * A link ends twice. It is *down* once the machine is closed: every exchange has
 * been told, nobody may send. It is *gone* once the connection is closed too.
 * Queued output is bounded: whoever sends waits for room above the high-water
 * mark, and past the machine's `maxOutputBytes` (its users did not wait, its peer
 * does not read) the machine takes no more and gives the peer up.
 */
import {
  type ExchangeHandlers,
  type LinkInfo,
  type MessageHandler,
  type PeerLink,
  sequencedMessages,
} from "../../contracts/peers.ts";
import type { Connection } from "../../contracts/transport.ts";
import { MycnetError } from "../../kernel/errors.ts";
import type { Host, Timer } from "../../kernel/host.ts";
import type { MessageFields } from "@mycnet/protocols/frame";
import type { NodeDescription } from "@mycnet/protocols/identity";
import type { Hello } from "@mycnet/protocols/negotiation";
import {
  defaultLimits,
  type GoodbyeCode,
  type LinkCloseReason,
  type LinkHandler,
  LinkMachine,
  type LinkOptions,
} from "@mycnet/protocols/link";
import { type CompressionCounters, compressionOf, type ZstdCompression } from "./compression.ts";
import { kept, type LinkExchange } from "./exchange.ts";
import { describe, Exchanges, translate } from "./exchanges.ts";
import { linkInfo } from "./info.ts";
import type { LatencyMeter } from "../latency/meter.ts";
import { Room } from "./room.ts";
import { Staging } from "./staging.ts";
import { LazyTimer } from "./timer.ts";
import { type Batch, LinkWriter } from "./writer.ts";

/** What happens to a link as a whole. None of these may throw. */
export interface LinkEvents {
  /** The handshake is done: it takes messages. */
  up(link: Link, hello: Hello): void;
  /** It takes no more messages: one side said goodbye. Not called when it breaks at once. */
  draining(link: Link, code: string, message: string, by: "us" | "peer"): void;
  /** Its health changed. */
  health(link: Link): void;
  /** The peer acknowledged messages. */
  ack(link: Link, payload: Uint8Array): void;
  /** It is over; `up` may never have been called. Exactly once. */
  down(link: Link, reason: LinkCloseReason): void;
  /** Its connection is closed, after `down`. Exactly once. */
  gone(link: Link): void;
}

/** What a link is made of. */
export interface LinkSetup {
  /** Unique within the process. */
  readonly id: string;
  readonly host: Host;
  readonly connection: Connection;
  /** For the machine. */
  readonly options: LinkOptions;
  /** Who handles which frame type; read at each message. */
  readonly handlers: ReadonlyMap<number, MessageHandler>;
  /** Where the times of requests are recorded, for all links of a node together. */
  readonly latency: LatencyMeter;
  /** Where all links of a node count what compression comes to. Absent: this link does not compress. */
  readonly compression?: CompressionCounters;
  /** When what is queued is written. Default: at the end of each turn. */
  readonly batch?: Partial<Batch>;
  readonly events: LinkEvents;
}

/** How long a closed link may take to write its rest before its connection is destroyed, in ms. */
const closeTimeoutMs = 2000;
/** What an exchange under way weighs beside bytes that wait. */
const exchangeLoad = 256;

/** One link. Made by {@linkcode Link.start}. */
export class Link implements PeerLink {
  readonly id: string;
  readonly connection: Connection;
  readonly direction: "dialled" | "accepted";
  /** Which of the links to the peer it is, as its dialler says; on an accepted one known once the peer's hello is. */
  slot: number;
  /** Resolves once the connection is closed. */
  readonly gone: Promise<void>;
  /** Why it is down, once it is. */
  ended: LinkCloseReason | undefined;
  /** The goodbye code, once one side said it. */
  goodbyeSaid: { readonly code: string; readonly by: "us" | "peer" } | undefined;
  /** Monotonic time at which the handshake was done; undefined before. */
  upAtMs: number | undefined;
  /** Monotonic time at which something last arrived. */
  heardAtMs: number;

  readonly #host: Host;
  readonly #machine: LinkMachine<LinkExchange>;
  readonly #events: LinkEvents;
  readonly #messageHandlers: ReadonlyMap<number, MessageHandler>;
  readonly #exchanges: Exchanges;
  readonly #writer: LinkWriter;
  readonly #timer: LazyTimer;
  readonly #room: Room;
  readonly #staging: Staging;
  readonly #resolveGone: () => void;
  #compression: ZstdCompression | undefined;
  #closeTimer: Timer | undefined;
  #isGone = false;
  #upAt = 0;
  #idleCount = 0;
  #idleSinceMs: number;
  #turnStartMs: number | undefined;
  readonly #turnOver = () => {
    this.#turnStartMs = undefined;
    // Requests may have moved the next check nearer; once a turn is often enough to look.
    if (this.ended === undefined) this.#timer.by(this.#machine.nextTimerMs);
  };

  private constructor(setup: LinkSetup) {
    // What closures refer to is kept as long as the link: these, and not the setup as a whole.
    const { host, connection, options, compression, latency } = setup;
    this.id = setup.id;
    this.connection = connection;
    this.direction = options.role === "dialer" ? "dialled" : "accepted";
    this.slot = options.slot ?? 0;
    this.#host = host;
    this.#events = setup.events;
    this.#messageHandlers = setup.handlers;
    this.heardAtMs = this.#idleSinceMs = host.now();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.gone = promise;
    this.#resolveGone = resolve;
    const load = { now: () => host.now(), backlog: () => this.#machine.outputBytes };
    const make: LinkOptions["compression"] = compression &&
      ((profile) => this.#compression = compressionOf(profile, compression, load));
    const all = make === undefined ? options : { ...options, compression: make };
    this.#machine = new LinkMachine(all, this.#handler(), host.now());
    this.#writer = new LinkWriter({
      source: this.#machine,
      connection,
      host,
      batch: setup.batch,
      took: () => this.#room.made(),
    });
    this.#staging = new Staging(this.#machine.counters);
    this.#timer = new LazyTimer(host, () => this.#tick());
    const { maxOutputBytes } = { ...defaultLimits, ...options.limits };
    this.#room = new Room(() => this.#machine.full, maxOutputBytes);
    this.#exchanges = new Exchanges({
      link: this,
      machine: this.#machine,
      handlers: setup.handlers,
      log: () => host.log.with({ link: this.id }),
      wrote: () => this.#wrote(),
      // Both times were read for a whole turn and a whole read anyway: a clock for each costs more.
      answered: (type, askedMs, times) =>
        latency.record(type, this.heardAtMs - askedMs, this.heardAtMs, times),
    });
  }

  /** Takes a connection over and begins the handshake. */
  static start(setup: LinkSetup): Link {
    const link = new Link(setup);
    setup.connection.open({
      data: (bytes) => link.#data(bytes),
      closed: (error) => link.#connectionClosed(error),
    });
    link.#acted();
    return link;
  }

  /** The node at the other end. Before the handshake is done, there is none. */
  get peer(): NodeDescription {
    const peer = this.#machine.peer;
    if (peer === undefined) throw new MycnetError("internal", `link ${this.id} is not up yet`);
    return peer;
  }

  get state(): LinkInfo["state"] {
    const { state } = this.#machine;
    return state === "handshake" ? "opening" : state;
  }

  get health(): LinkInfo["health"] {
    return this.#machine.health;
  }

  get roundTripMs(): number | undefined {
    return this.#machine.roundTripMs;
  }

  get usable(): boolean {
    return this.#machine.state === "up" && this.#machine.health !== "unhealthy";
  }

  get full(): boolean {
    return this.#machine.full;
  }

  /** How much it has to do, for comparison with another: bytes that wait, and something for each exchange. */
  get load(): number {
    return this.#machine.outputBytes + exchangeLoad * this.#machine.exchanges;
  }

  /** Messages and bytes so far, both ways. */
  get counters(): LinkMachine["counters"] {
    return this.#machine.counters;
  }

  get info(): LinkInfo {
    return linkInfo(this, this.#machine, this.#upAt, this.#compression?.info);
  }

  /** @throws {MycnetError} `too_large`, `unavailable` when it is closed, `overloaded` when nobody waited for room. */
  send(type: number, fields: MessageFields, body: Uint8Array, given = false): boolean {
    try {
      this.#machine.send(type, fields, kept(body, given, this.#machine.referencedBytes));
    } catch (error) {
      throw translate(error);
    }
    return this.#wrote();
  }

  open(
    type: number,
    fields: MessageFields,
    body: Uint8Array,
    upload: boolean,
    handlers: ExchangeHandlers,
  ): LinkExchange {
    const exchange = this.#exchanges.open(type, fields, body, upload, handlers, this.#turnMs());
    this.#wrote();
    return exchange;
  }

  writable(signal?: AbortSignal, heldBytes?: number): Promise<void> {
    return this.#room.wait(signal, heldBytes);
  }

  ack(payload: Uint8Array): void {
    this.#exchanges.quietly(() => this.#machine.ack(payload));
  }

  drain(reason: string): Promise<void> {
    return this.goodbye("recycled", reason);
  }

  /** Says goodbye, finishes what is under way within the machine's `drainTimeoutMs`, closes. Resolves when gone. */
  goodbye(code: GoodbyeCode, message: string): Promise<void> {
    if (this.ended === undefined && this.goodbyeSaid === undefined) {
      this.goodbyeSaid = { code, by: "us" };
      const wasUp = this.#machine.state === "up";
      this.#machine.goodbye(code, message, this.#host.now());
      if (wasUp) this.#events.draining(this, code, message, "us");
      this.#acted();
    }
    return this.gone;
  }

  /** Ends it at once: nothing more is written. Resolves when gone. */
  destroy(message: string): Promise<void> {
    if (!this.#isGone) {
      this.#writer.stop();
      this.#machine.handleTransportClosed(message, this.#host.now());
      this.connection.destroy();
    }
    return this.gone;
  }

  /** Milliseconds since it last carried a message, as of the calls to this method. 0 while an exchange is under way. */
  idleMs(): number {
    const { messagesSent, messagesReceived } = this.#machine.counters;
    const count = messagesSent + messagesReceived;
    const now = this.#host.now();
    if (count !== this.#idleCount || this.#machine.exchanges > 0) {
      this.#idleCount = count;
      this.#idleSinceMs = now;
    }
    return now - this.#idleSinceMs;
  }

  /** The time, read once a turn: all that it tells the machine is that there is traffic. */
  #turnMs(): number {
    if (this.#turnStartMs === undefined) {
      this.#turnStartMs = this.#host.now();
      queueMicrotask(this.#turnOver);
    }
    return this.#turnStartMs;
  }

  // What arrives.

  #data(bytes: Uint8Array): void {
    this.heardAtMs = this.#host.now();
    this.#writer.heard();
    try {
      this.#machine.handleBytes(this.#staging.place(bytes), this.heardAtMs);
    } catch (error) {
      // The machine answers bad input itself: what it throws is a mistake of ours, and costs this link alone.
      this.#host.log.error("A link failed on input.", { link: this.id, error: describe(error) });
      this.destroy("internal error");
    }
    this.#exchanges.tellAnswers();
    this.#acted();
  }

  #connectionClosed(error: Error | undefined): void {
    this.#writer.stop();
    this.#machine.handleTransportClosed(error?.message, this.#host.now());
    this.#timer[Symbol.dispose]();
    this.#closeTimer?.[Symbol.dispose]();
    if (this.#isGone) return;
    this.#isGone = true;
    this.#events.gone(this);
    this.#resolveGone();
  }

  #tick(): void {
    this.#machine.handleTimer(this.#host.now());
    this.#acted();
  }

  /** After anything that may have queued output or moved the machine's times. */
  #acted(): void {
    if (this.#isGone) return;
    if (this.ended === undefined) {
      if (this.#machine.outputBytes > 0) this.#writer.schedule();
      this.#timer.by(this.#machine.nextTimerMs);
    } else {
      this.#timer[Symbol.dispose]();
    }
  }

  /** After output was queued by a user. False: the link is full. */
  #wrote(): boolean {
    this.#writer.schedule();
    return !this.#machine.full;
  }

  #handler(): LinkHandler<LinkExchange> {
    return {
      up: (_peer, _profile, hello) => {
        if (this.direction === "accepted") this.slot = hello.slot;
        this.#upAt = this.#host.wallTime();
        this.upAtMs = this.#host.now();
        this.#events.up(this, hello);
      },
      message: (type, fields, body) => {
        try {
          const handledAs = fields.sequence === undefined ? type : sequencedMessages;
          this.#messageHandlers.get(handledAs)?.message?.(this, fields, body, type);
        } catch (error) {
          this.#exchanges.handlerThrew(type, error);
        }
      },
      request: (stream, type, fields, body, upload) =>
        this.#exchanges.request(stream, type, fields, body, upload),
      response: (_stream, fields, body, exchange) =>
        this.#exchanges.response(exchange, fields, body),
      failure: (_stream, fields, body, exchange) => this.#exchanges.failure(exchange, fields, body),
      item: (_stream, body, exchange) => this.#exchanges.peerItem(exchange, body),
      end: (_stream, exchange) => this.#exchanges.peerEnd(exchange),
      writable: (_stream, exchange) => this.#exchanges.writable(exchange),
      ack: (payload) => this.#events.ack(this, payload),
      reset: (_stream, code, message, exchange) =>
        this.#exchanges.peerReset(exchange, code, message),
      health: () => this.#events.health(this),
      roundTrip: () => {},
      goodbye: (code, message) => {
        if (this.goodbyeSaid !== undefined) return;
        this.goodbyeSaid = { code, by: "peer" };
        this.#events.draining(this, code, message, "peer");
      },
      lost: (_stream, sent, reason, exchange) =>
        this.#exchanges.lost(exchange, sent, reason.message),
      closed: (reason) => this.#closed(reason),
    };
  }

  #closed(reason: LinkCloseReason): void {
    if (this.ended !== undefined) return;
    this.ended = reason;
    this.#timer[Symbol.dispose]();
    this.#room.close(`the link closed: ${reason.message}`);
    this.#events.down(this, reason);
    // The rest (a goodbye, a refusal) still goes out, if the peer reads it in time.
    this.#closeTimer = this.#host.after(closeTimeoutMs, () => this.connection.destroy());
    this.#writer.finish();
  }
}
