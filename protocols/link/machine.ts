/**
 * One end of a link: bytes in, bytes and events out.
 *
 * This is the face of the machine; lifecycle.ts tells how a link lives and
 * streams.ts how messages and exchanges travel on it. The machine knows no
 * socket and no clock: the driver brings bytes and times, arms one timer for
 * `nextTimerMs`, and writes what `takeOutput` gives. Deadlines of calls are the
 * driver's. Nothing that arrives makes a method throw; every queue has a bound.
 *
 * Bodies of `referencedBytes` (16 KiB, or a slice) and more that are given to `send`, `open`,
 * `respond`, `fail` and `item` are not copied: they belong to the machine, and must not
 * change, until `takeOutput` has handed out the last of them or the link is closed.
 */
import type { MessageFields } from "../frame/fields.ts";
import { kind } from "../frame/prefix.ts";
import { FrameWriter } from "../frame/writer.ts";
import type { NodeDescription } from "../identity/principal.ts";
import type { NegotiatedProfile } from "../negotiation/profile.ts";
import { Lifecycle } from "./lifecycle.ts";
import type { Streams } from "./streams.ts";
import { TypeCounters } from "./type_counters.ts";
import {
  defaultLimits,
  type GoodbyeCode,
  type LinkCounters,
  LinkError,
  type LinkHandler,
  type LinkHealth,
  type LinkLimits,
  type LinkOptions,
  type LinkState,
  type ResetCode,
} from "./types.ts";

/** One end of a link. See {@linkcode LinkOptions}, {@linkcode LinkHandler}. */
export class LinkMachine<Owner = undefined> {
  /** What the link has carried. */
  readonly counters: Readonly<LinkCounters>;
  /** Bodies of this size and more are not copied by the commands. */
  readonly referencedBytes: number;
  readonly #counters: LinkCounters;
  readonly #limits: LinkLimits;
  readonly #writer: FrameWriter;
  readonly #life: Lifecycle<Owner>;
  readonly #streams: Streams<Owner>;

  /**
   * Starts the handshake: hello is queued at once. To a peer whose certificate
   * was rejected nothing is said but that; `closed` follows with the next timer.
   */
  constructor(options: LinkOptions, handler: LinkHandler<Owner>, nowMs: number) {
    const limits = { ...defaultLimits, ...options.limits };
    this.#limits = {
      ...limits,
      maxOutputBytes: Math.max(
        limits.maxOutputBytes,
        2 * limits.maxFrameBytes + limits.outputHighWaterBytes,
      ),
    };
    this.#writer = new FrameWriter(limits.sliceBytes);
    this.referencedBytes = this.#writer.lanes[0]!.referencedBytes;
    this.counters = this.#counters = {
      messagesSent: 0,
      messagesReceived: 0,
      types: options.typeCounters ?? new TypeCounters(),
      bytesSent: 0,
      bytesReceived: 0,
      late: 0,
      missedPings: 0,
    };
    this.#life = new Lifecycle(
      options,
      handler,
      this.#limits,
      this.#counters,
      this.#writer,
      nowMs,
    );
    this.#streams = this.#life.streams;
  }

  /** Where the link is in its life. */
  get state(): LinkState {
    return this.#life.state;
  }

  /** Who is at the other end, once the link has been up. */
  get peer(): NodeDescription | undefined {
    return this.#life.agreed?.peer;
  }

  /** What the link is like, once it has been up. */
  get profile(): NegotiatedProfile | undefined {
    return this.#life.agreed?.profile;
  }

  /** The smoothed round trip in ms, once measured. */
  get roundTripMs(): number | undefined {
    return this.#life.live?.roundTripMs;
  }

  /** How the link does. */
  get health(): LinkHealth {
    return this.#life.health;
  }

  /** How many exchanges are under way. */
  get exchanges(): number {
    return this.#streams.size;
  }

  /** How many bytes wait for `takeOutput`. */
  get outputBytes(): number {
    return this.#writer.bytes;
  }

  /** How many bytes of unfinished frames and messages are kept. */
  get inputBytes(): number {
    return this.#life.reader.heldBytes + this.#streams.heldBytes;
  }

  /** True if something waits for `takeOutput` that is critical, or of the link itself. */
  get urgent(): boolean {
    return this.#writer.urgent;
  }

  /** True if what waits for `takeOutput` is no more than the end of the last frame, which may wait for company. */
  get lingers(): boolean {
    return this.#writer.lingers;
  }

  /** Which of the links between the two nodes this is, as the dialler says: known to an acceptor once it is up. */
  get slot(): number {
    return (this.#life.agreed ?? this.#life.handshake!).slot;
  }

  /** True once as much waits as should: hold back until it has been written. */
  get full(): boolean {
    return this.#writer.bytes >= this.#limits.outputHighWaterBytes;
  }

  /** When `handleTimer` wants to be called, in the clock of `nowMs`; undefined once closed. Read it after each call that takes `nowMs`. */
  get nextTimerMs(): number | undefined {
    return this.#life.nextTimerMs;
  }

  /** Bytes arrived, in order; they may be reused after the call. Not to be called out of a handler. */
  handleBytes(bytes: Uint8Array, nowMs: number): void {
    this.#life.handleBytes(bytes, nowMs);
    this.#streams.inbox.chunkRead();
  }

  /** The time that `nextTimerMs` named has come, or any other time has. */
  handleTimer(nowMs: number): void {
    this.#life.handleTimer(nowMs);
  }

  /** The connection is gone; `error` is absent after a clean end. */
  handleTransportClosed(error: string | undefined, nowMs: number): void {
    this.#life.handleTransportClosed(error, nowMs);
  }

  /**
   * Queues a message that wants no answer.
   * @throws {LinkError} `closed`, `overloaded`, `too_large`, `invalid`.
   */
  send(type: number, fields: MessageFields, body: Uint8Array): void {
    this.#mustBeUp();
    this.#streams.send(type, fields, body);
    this.#life.sentSinceTimer = true;
  }

  /**
   * Queues a request and returns its stream. With `upload`, items follow until `end`.
   * @param owner comes back with each event of the exchange.
   * @throws {LinkError} `closed`, `overloaded`, `too_large`, `invalid`.
   */
  open(
    type: number,
    fields: MessageFields,
    body: Uint8Array,
    upload: boolean,
    nowMs: number,
    owner?: Owner,
  ): number {
    this.#mustBeUp();
    const stream = this.#streams.open(type, fields, body, upload, owner as Owner);
    this.#life.live!.traffic(nowMs);
    return stream;
  }

  /**
   * Answers a request; the exchange is over. Does nothing if it is already.
   * @throws {LinkError} `too_large` or `invalid`; the exchange is still open then.
   */
  respond(stream: number, fields: MessageFields, body: Uint8Array): void {
    this.#streams.answer(kind.response, stream, fields, body);
    this.#life.checkOutput();
  }

  /** Fails a request, otherwise like {@linkcode LinkMachine.respond}. */
  fail(stream: number, fields: MessageFields, body: Uint8Array): void {
    this.#streams.answer(kind.failure, stream, fields, body);
    this.#life.checkOutput();
  }

  /**
   * Queues an item. False: hold the next one back until `writable`.
   * @throws {LinkError} `overloaded` (no credit, or far too much waits), `too_large`.
   */
  item(stream: number, body: Uint8Array): boolean {
    this.#life.sentSinceTimer = true;
    return this.#streams.item(stream, body);
  }

  /** Ends our items. The exchange goes on until it is answered. */
  end(stream: number): void {
    this.#streams.end(stream);
  }

  /** Gives credit back for items of `bytes` in all. An empty item counts as 1, here too. */
  grant(stream: number, bytes: number): void {
    this.#streams.grant(stream, bytes);
  }

  /** Gives the peer more credit for one stream than the window that hello announced, for as long as it lasts. */
  widen(stream: number, bytes: number): void {
    this.#streams.widen(stream, bytes);
  }

  /**
   * Queues an acknowledgement, before any message that is queued now or later: opaque here, at most
   * 1 KiB (protocols/delivery).
   * @throws {LinkError} `closed`, `too_large`, `overloaded`.
   */
  ack(payload: Uint8Array): void {
    if (this.#life.state !== "draining") this.#mustBeUp();
    this.#life.out.ack(payload);
  }

  /** Gives an exchange up. The peer is told in the lane of the stream, so that it does not overtake. */
  reset(stream: number, code: ResetCode, message = ""): void {
    this.#streams.reset(stream, code, message);
  }

  /** Says goodbye and drains: `closed` when nothing is under way, or after `drainTimeoutMs`. */
  goodbye(code: GoodbyeCode, message: string, nowMs: number): void {
    this.#life.goodbye(code, message, nowMs);
  }

  /** Ends the link at once. What is queued may still be flushed. */
  close(code: GoodbyeCode, message: string): void {
    this.#life.close(code, message);
  }

  /**
   * What to write next, or undefined: everything queued, the most urgent first, or a slice of it
   * where it is more than that. It is the caller's until given back.
   */
  takeOutput(): Uint8Array<ArrayBuffer> | undefined {
    const output = this.#writer.take();
    if (output === undefined) return undefined;
    this.#counters.bytesSent += output.length;
    this.#life.out.outputTaken();
    this.#life.live?.progress.taken();
    return output;
  }

  /** Takes back what `takeOutput` gave, once it is written; streams that waited for room are told. */
  giveBack(buffer: Uint8Array<ArrayBuffer>): void {
    this.#writer.giveBack(buffer);
    this.#life.live?.progress.written();
    this.#streams.room();
  }

  #mustBeUp(): void {
    const { state } = this.#life;
    if (state === "up") return;
    throw new LinkError(
      "closed",
      state === "handshake" ? "the link is not up yet" : `the link is ${state}`,
    );
  }
}
