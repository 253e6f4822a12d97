/**
 * Messages and exchanges on a link that is up: what the commands queue, what
 * arriving message, credit and reset frames come to.
 *
 * Order holds within a lane, and all frames of an exchange travel in one lane,
 * so nothing of an exchange overtakes anything of it. Frames for an exchange
 * that is over are late, not wrong: the two ends end it at different moments.
 * What no honest peer sends throws a FrameError, which ends the link; a peer
 * that breaks the rules of one stream (items without credit, after their end)
 * loses that stream.
 *
 * An exchange becomes a stream by `upload`, or with the first item either way.
 * Streams hold more than requests do, so fewer of them may be under way.
 */
import type { MessageFields } from "../frame/fields.ts";
import { FrameError, readU32 } from "../frame/header.ts";
import type { OutputLane } from "../frame/lane.ts";
import { kind } from "../frame/prefix.ts";
import { PrefixReader } from "../frame/prefix_reader.ts";
import type { FrameWriter } from "../frame/writer.ts";
import type { AnnouncedLimits } from "../negotiation/hello.ts";
import type { BodyCompression } from "./compression.ts";
import { needPayload, readReset, writeCredit, writeReset } from "./control.ts";
import { type Exchange, ExchangeTable, itemCost } from "./exchanges.ts";
import { Inbox } from "./inbox.ts";
import { laneFor, Outbox } from "./outbox.ts";
import { RoomWaiters } from "./room_waiters.ts";
import {
  type LinkCloseReason,
  type LinkCounters,
  LinkError,
  type LinkHandler,
  type LinkLimits,
  type ResetCode,
} from "./types.ts";

const nothing = new Uint8Array(0);
const maxCredit = 0x7fff_ffff;

/** The exchanges of one link. */
export class Streams<Owner> {
  /** Set once the peer has said goodbye: it promised no new requests. */
  closedToPeer = false;
  /** What arrives, on its way to whole messages. */
  readonly inbox: Inbox;
  readonly #outbox: Outbox;
  readonly #lanes: readonly OutputLane[];
  readonly #control: OutputLane;
  readonly #handler: LinkHandler<Owner>;
  readonly #limits: LinkLimits;
  readonly #counters: LinkCounters;
  readonly #table: ExchangeTable<Owner>;
  readonly #ended: () => void;
  readonly #prefix: PrefixReader = new PrefixReader();
  #version = 0;
  // What the peer accepts, from its hello.
  #windowBytes = 0;
  #maxOutgoing = 0;
  // Streams opened by either side; both ends come to the same number.
  #maxStreams = 0;
  readonly #roomWaiters: RoomWaiters<Owner> = new RoomWaiters();

  /** @param ended runs after an exchange has ended and its handler was told. */
  constructor(
    parity: 0 | 1,
    writer: FrameWriter,
    handler: LinkHandler<Owner>,
    limits: LinkLimits,
    counters: LinkCounters,
    ended: () => void,
  ) {
    this.#table = new ExchangeTable(parity);
    this.inbox = new Inbox(limits.maxFrameBytes);
    this.#outbox = new Outbox(writer, limits, counters);
    this.#lanes = writer.lanes;
    this.#control = writer.control;
    this.#handler = handler;
    this.#limits = limits;
    this.#counters = counters;
    this.#ended = ended;
  }

  /** The handshake is done: this is what both agreed on. */
  start(version: number, peer: AnnouncedLimits, compression: BodyCompression | undefined): void {
    this.#version = version;
    this.inbox.compression = compression;
    const maxFrameBytes = Math.min(this.#limits.maxFrameBytes, peer.maxFrameBytes);
    this.#outbox.start(version, maxFrameBytes, compression);
    this.#maxStreams = Math.min(this.#limits.maxStreams, peer.maxStreams);
    this.#windowBytes = peer.streamWindowBytes;
    this.#maxOutgoing = Math.min(this.#limits.maxExchanges, peer.maxExchanges);
  }

  /** How many are under way. */
  get size(): number {
    return this.#table.size;
  }

  /** How many bytes of unfinished messages are kept. */
  get heldBytes(): number {
    return this.inbox.heldBytes;
  }

  /** The link is closed: tells of all that was under way, and forgets it. */
  close(reason: LinkCloseReason): void {
    this.inbox.clear();
    this.#roomWaiters.clear();
    // Exchanges are used again as soon as they are free, so what matters is copied.
    const lost = this.#table.all().map(({ stream, lane, queuedAt, owner }) => ({
      stream,
      sent: this.#lanes[lane]!.taken > queuedAt,
      owner,
    }));
    this.#table.clear();
    for (const { stream, sent, owner } of lost) {
      this.#handler.lost(stream, sent, reason, owner as Owner);
    }
  }

  /** See {@linkcode LinkMachine.send}. */
  send(type: number, fields: MessageFields, body: Uint8Array): void {
    this.#outbox.check(type, body);
    this.#outbox.write(kind.message, type, laneFor(fields), 0, false, fields, body);
  }

  /** See {@linkcode LinkMachine.open}. */
  open(
    type: number,
    fields: MessageFields,
    body: Uint8Array,
    upload: boolean,
    owner: Owner,
  ): number {
    this.#outbox.check(type, body);
    const table = this.#table;
    if (table.outgoing >= this.#maxOutgoing) {
      throw new LinkError("overloaded", `${this.#maxOutgoing} exchanges are under way already`);
    }
    if (upload && table.outgoingStreams >= this.#maxStreams) {
      throw new LinkError("overloaded", this.#tooManyStreams());
    }
    const priority = laneFor(fields);
    const exchange = table.open(type, priority, upload, this.#windowBytes);
    const { stream } = exchange;
    exchange.owner = owner;
    exchange.queuedAt = this.#lanes[priority]!.position;
    if (upload) table.streams(exchange);
    try {
      this.#outbox.write(kind.request, type, priority, stream, upload, fields, body);
    } catch (error) {
      table.remove(exchange);
      throw error;
    }
    return stream;
  }

  /** See {@linkcode LinkMachine.respond} and {@linkcode LinkMachine.fail}. */
  answer(
    answerKind: typeof kind.response | typeof kind.failure,
    stream: number,
    fields: MessageFields,
    body: Uint8Array,
  ): void {
    const table = this.#table;
    const exchange = table.take(stream);
    if (exchange === undefined) return;
    if (!exchange.incoming) return table.putBack(exchange);
    try {
      this.#outbox.write(answerKind, exchange.type, exchange.lane, stream, false, fields, body);
    } catch (error) {
      table.putBack(exchange);
      throw error;
    }
    table.release(exchange);
    this.#ended();
  }

  /** See {@linkcode LinkMachine.item}. */
  item(stream: number, body: Uint8Array): boolean {
    const exchange = this.#table.get(stream);
    if (exchange === undefined || !exchange.sendOpen) return true;
    if (exchange.credit <= 0) {
      throw new LinkError("overloaded", `stream ${stream} has no credit: wait until writable`);
    }
    this.#outbox.check(exchange.type, body);
    if (!exchange.streaming && this.#table.incomingStreams >= this.#maxStreams) {
      this.#giveUp(exchange, "overloaded", this.#tooManyStreams());
      return true;
    }
    this.#outbox.write(kind.item, exchange.type, exchange.lane, stream, false, undefined, body);
    if (!exchange.streaming) this.#table.streams(exchange);
    exchange.credit -= itemCost(body.length);
    if (exchange.credit <= 0) exchange.waiting = "credit";
    else if (this.#outbox.full) this.#roomWaiters.wait(exchange);
    return exchange.waiting === "none";
  }

  /** See {@linkcode LinkMachine.end}. */
  end(stream: number): void {
    const exchange = this.#table.get(stream);
    if (exchange === undefined || !exchange.sendOpen) return;
    exchange.sendOpen = false;
    this.#outbox.write(kind.end, exchange.type, exchange.lane, stream, false, undefined, nothing);
  }

  /** See {@linkcode LinkMachine.grant}. */
  grant(stream: number, bytes: number): void {
    const exchange = this.#table.get(stream);
    if (exchange === undefined || !exchange.receiveOpen) return;
    exchange.owed += Math.min(itemCost(bytes), exchange.unpaid - exchange.owed);
    // A quarter of the window at a time: few frames, and the sender seldom runs dry.
    if (exchange.owed * 4 < this.#limits.streamWindowBytes + exchange.widened) return;
    exchange.unpaid -= exchange.owed;
    writeCredit(this.#control, this.#version, stream, exchange.owed);
    exchange.owed = 0;
  }

  /** See {@linkcode LinkMachine.widen}. */
  widen(stream: number, bytes: number): void {
    const exchange = this.#table.get(stream);
    if (exchange === undefined || !exchange.receiveOpen) return;
    exchange.widened += bytes;
    writeCredit(this.#control, this.#version, stream, bytes);
  }

  /** See {@linkcode LinkMachine.reset}. */
  reset(stream: number, code: ResetCode, message: string): void {
    const exchange = this.#table.get(stream);
    if (exchange === undefined) return;
    writeReset(this.#lanes[exchange.lane]!, this.#version, stream, code, message);
    this.#table.remove(exchange);
    this.#ended();
  }

  /** There may be room in the output again. */
  room(): void {
    this.#roomWaiters.release(this.#table, this.#outbox, this.#handler);
  }

  /** A message frame of any kind arrived. `newer`: from a peer of a higher minor version. */
  handleMessage(
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    newer: boolean,
  ): void {
    const prefix = this.#prefix;
    prefix.read(bytes, start, end);
    if (prefix.unknownFlags && !newer) throw new FrameError("peer", "a message of unknown flags");
    this.#counters.messagesReceived++;
    this.#counters.types.received(type);
    const { stream } = prefix;
    switch (prefix.kind) {
      case kind.message:
        if (stream !== 0) throw new FrameError("peer", `a message on stream ${stream}`);
        this.#handler.message(type, prefix.fields(bytes), this.inbox.body(prefix, bytes, end));
        return;
      case kind.request:
        this.#handleRequest(type, bytes, end);
        return;
      case kind.response:
      case kind.failure:
        this.#handleAnswer(stream, bytes, end);
        return;
      case kind.item:
        if (prefix.compressed) prefix.fields(bytes);
        this.#handleItem(stream, this.inbox.body(prefix, bytes, end));
        return;
      case kind.end: {
        const exchange = this.#table.get(stream);
        if (exchange === undefined) this.#counters.late++;
        else if (!exchange.receiveOpen) {
          this.#giveUp(exchange, "protocol", "a second end of the stream");
        } else {
          exchange.receiveOpen = false;
          this.#handler.end(stream, exchange.owner as Owner);
        }
        return;
      }
      default:
        if (!newer) throw new FrameError("peer", `a message of unknown kind ${prefix.kind}`);
    }
  }

  /** A fragment arrived. `newer` as for a message. */
  handleFragment(bytes: Uint8Array, start: number, end: number, newer: boolean): void {
    const whole = this.inbox.fragment(bytes, start, end);
    if (whole !== undefined) this.handleMessage(whole.type, whole.bytes, 0, whole.end, newer);
  }

  /** A credit frame arrived. */
  handleCredit(bytes: Uint8Array, start: number, end: number): void {
    needPayload("credit", start + 8, end);
    const exchange = this.#table.get(readU32(bytes, start));
    if (exchange === undefined) return;
    exchange.credit = Math.min(exchange.credit + readU32(bytes, start + 4), maxCredit);
    if (exchange.waiting !== "credit" || exchange.credit <= 0) return;
    if (this.#outbox.full) this.#roomWaiters.wait(exchange);
    else {
      exchange.waiting = "none";
      this.#handler.writable(exchange.stream, exchange.owner as Owner);
    }
  }

  /** A reset frame arrived. */
  handleReset(bytes: Uint8Array, start: number, end: number): void {
    const { stream, code, message } = readReset(bytes, start, end);
    const exchange = this.#table.get(stream);
    if (exchange === undefined) return;
    const owner = exchange.owner as Owner;
    this.#table.remove(exchange);
    this.#handler.reset(stream, code, message, owner);
    this.#ended();
  }

  #handleRequest(type: number, bytes: Uint8Array, end: number): void {
    const prefix = this.#prefix;
    const { stream, priority, upload } = prefix;
    const table = this.#table;
    if (!table.isPeers(stream)) {
      throw new FrameError("peer", `a request on stream ${stream}, which is not the peer's`);
    }
    if (table.get(stream) !== undefined) {
      throw new FrameError("peer", `a request on stream ${stream}, which is in use`);
    }
    const fields = prefix.fields(bytes);
    const body = this.inbox.body(prefix, bytes, end);
    if (
      this.closedToPeer || table.incoming >= this.#limits.maxExchanges ||
      upload && table.incomingStreams >= this.#maxStreams
    ) {
      const code = this.closedToPeer ? "shutting_down" : "overloaded";
      const message = code === "overloaded" && upload ? this.#tooManyStreams() : "";
      writeReset(this.#lanes[priority]!, this.#version, stream, code, message);
      return;
    }
    const exchange = table.accept(stream, type, priority, upload, this.#windowBytes);
    if (upload) table.streams(exchange);
    const owner = this.#handler.request(stream, type, fields, body, upload);
    // It may be over by now, and the object another exchange's.
    if (owner !== undefined && exchange.stream === stream) exchange.owner = owner;
  }

  #handleAnswer(stream: number, bytes: Uint8Array, end: number): void {
    const prefix = this.#prefix;
    const fields = prefix.fields(bytes);
    const body = this.inbox.body(prefix, bytes, end);
    const exchange = this.#table.take(stream);
    if (exchange === undefined) return void this.#counters.late++;
    if (exchange.incoming) {
      this.#table.putBack(exchange);
      throw new FrameError("peer", `an answer on stream ${stream}, which the peer opened`);
    }
    const owner = exchange.owner as Owner;
    this.#table.release(exchange);
    if (prefix.kind === kind.failure) this.#handler.failure(stream, fields, body, owner);
    else this.#handler.response(stream, fields, body, owner);
    this.#ended();
  }

  #handleItem(stream: number, body: Uint8Array): void {
    const exchange = this.#table.get(stream);
    if (exchange === undefined) {
      this.#counters.late++;
      return;
    }
    if (!exchange.receiveOpen) {
      return this.#giveUp(exchange, "protocol", "an item where none may come");
    }
    if (exchange.unpaid >= this.#limits.streamWindowBytes + exchange.widened) {
      return this.#giveUp(exchange, "protocol", "an item without credit");
    }
    if (!exchange.streaming) {
      if (this.#table.outgoingStreams >= this.#maxStreams) {
        return this.#giveUp(exchange, "overloaded", this.#tooManyStreams());
      }
      this.#table.streams(exchange);
    }
    exchange.unpaid += itemCost(body.length);
    this.#handler.item(stream, body, exchange.owner as Owner);
  }

  /** Both ends lose an exchange. */
  #giveUp(exchange: Exchange<Owner>, code: ResetCode, message: string): void {
    const { stream } = exchange;
    const owner = exchange.owner as Owner;
    writeReset(this.#lanes[exchange.lane]!, this.#version, stream, code, message);
    this.#table.remove(exchange);
    this.#handler.reset(stream, code, message, owner);
    this.#ended();
  }

  #tooManyStreams(): string {
    return `maxStreams: ${this.#maxStreams} streams are under way already`;
  }
}
