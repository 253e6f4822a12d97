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
 */
import type { MessageFields } from "../frame/fields.ts";
import { FrameError, readU32 } from "../frame/header.ts";
import { kind, laneOf, normalLane, writeMessage } from "../frame/prefix.ts";
import { PrefixReader } from "../frame/prefix_reader.ts";
import type { FrameWriter, OutputLane } from "../frame/writer.ts";
import type { AnnouncedLimits } from "../negotiation/hello.ts";
import { needPayload, readReset, writeCredit, writeReset } from "./control.ts";
import { type Exchange, ExchangeTable, itemCost } from "./exchanges.ts";
import {
  type LinkCounters,
  LinkError,
  type LinkHandler,
  type LinkLimits,
  type ResetCode,
} from "./types.ts";

const criticalLane = 0;
const nothing = new Uint8Array(0);
const maxCredit = 0x7fff_ffff;

/** The exchanges of one link. */
export class Streams {
  /** Set once the peer has said goodbye: it promised no new requests. */
  closedToPeer = false;
  readonly #writer: FrameWriter;
  readonly #lanes: readonly OutputLane[];
  readonly #handler: LinkHandler;
  readonly #limits: LinkLimits;
  readonly #counters: LinkCounters;
  readonly #table: ExchangeTable;
  readonly #ended: () => void;
  readonly #prefix: PrefixReader = new PrefixReader();
  #version = 0;
  // What the peer accepts, from its hello.
  #maxFrameBytes = 0;
  #windowBytes = 0;
  #maxOutgoing = 0;
  #roomWaiters: number[] = [];

  /** @param ended runs after an exchange has ended and its handler was told. */
  constructor(
    parity: 0 | 1,
    writer: FrameWriter,
    handler: LinkHandler,
    limits: LinkLimits,
    counters: LinkCounters,
    ended: () => void,
  ) {
    this.#table = new ExchangeTable(parity);
    this.#writer = writer;
    this.#lanes = writer.lanes;
    this.#handler = handler;
    this.#limits = limits;
    this.#counters = counters;
    this.#ended = ended;
  }

  /** The handshake is done: this is what both agreed on. */
  start(version: number, peer: AnnouncedLimits): void {
    this.#version = version;
    this.#maxFrameBytes = Math.min(this.#limits.maxFrameBytes, peer.maxFrameBytes);
    this.#windowBytes = peer.streamWindowBytes;
    this.#maxOutgoing = Math.min(this.#limits.maxExchanges, peer.maxExchanges);
  }

  /** How many are under way. */
  get size(): number {
    return this.#table.size;
  }

  /** Forgets everything: the link is closed. */
  clear(): void {
    this.#table.clear();
    this.#roomWaiters.length = 0;
  }

  /** See {@linkcode LinkMachine.send}. */
  send(type: number, fields: MessageFields, body: Uint8Array): void {
    this.#mayQueue(type, body);
    this.#write(kind.message, type, lane(fields), 0, false, fields, body);
  }

  /** See {@linkcode LinkMachine.open}. */
  open(type: number, fields: MessageFields, body: Uint8Array, upload: boolean): number {
    this.#mayQueue(type, body);
    const table = this.#table;
    if (table.outgoing >= this.#maxOutgoing) {
      throw new LinkError("overloaded", `${this.#maxOutgoing} exchanges are under way already`);
    }
    const priority = lane(fields);
    const exchange = table.open(type, priority, upload, this.#windowBytes);
    const { stream } = exchange;
    try {
      this.#write(kind.request, type, priority, stream, upload, fields, body);
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
    const exchange = this.#table.get(stream);
    if (exchange === undefined || !exchange.incoming) return;
    this.#write(answerKind, exchange.type, exchange.lane, stream, false, fields, body);
    this.#table.remove(exchange);
    this.#ended();
  }

  /** See {@linkcode LinkMachine.item}. */
  item(stream: number, body: Uint8Array): boolean {
    const exchange = this.#table.get(stream);
    if (exchange === undefined || !exchange.sendOpen) return true;
    if (exchange.credit <= 0) {
      throw new LinkError("overloaded", `stream ${stream} has no credit: wait until writable`);
    }
    this.#mayQueue(exchange.type, body);
    this.#write(kind.item, exchange.type, exchange.lane, stream, false, undefined, body);
    exchange.credit -= itemCost(body.length);
    if (exchange.credit <= 0) exchange.waiting = "credit";
    else if (this.#full) this.#awaitRoom(exchange);
    return exchange.waiting === "none";
  }

  /** See {@linkcode LinkMachine.end}. */
  end(stream: number): void {
    const exchange = this.#table.get(stream);
    if (exchange === undefined || !exchange.sendOpen) return;
    exchange.sendOpen = false;
    this.#write(kind.end, exchange.type, exchange.lane, stream, false, undefined, nothing);
  }

  /** See {@linkcode LinkMachine.grant}. */
  grant(stream: number, bytes: number): void {
    const exchange = this.#table.get(stream);
    if (exchange === undefined || !exchange.receiveOpen) return;
    exchange.owed += Math.min(itemCost(bytes), exchange.unpaid - exchange.owed);
    // A quarter of the window at a time: few frames, and the sender seldom runs dry.
    if (exchange.owed * 4 < this.#limits.streamWindowBytes) return;
    exchange.unpaid -= exchange.owed;
    writeCredit(this.#lanes[criticalLane]!, this.#version, stream, exchange.owed);
    exchange.owed = 0;
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
    if (this.#roomWaiters.length === 0 || this.#full) return;
    const waiters = this.#roomWaiters;
    this.#roomWaiters = [];
    for (const [i, stream] of waiters.entries()) {
      // Filled up again: the rest goes first the next time.
      if (this.#full) {
        this.#roomWaiters.unshift(...waiters.slice(i));
        return;
      }
      const exchange = this.#table.get(stream);
      if (exchange?.waiting !== "room") continue;
      exchange.waiting = "none";
      this.#handler.writable(stream);
    }
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
    this.#counters.messagesReceived++;
    const { stream } = prefix;
    switch (prefix.kind) {
      case kind.message:
        if (stream !== 0) throw new FrameError("peer", `a message on stream ${stream}`);
        this.#handler.message(type, prefix.fields(bytes), bytes.subarray(prefix.bodyStart, end));
        return;
      case kind.request:
        this.#handleRequest(type, bytes, end);
        return;
      case kind.response:
      case kind.failure: {
        const exchange = this.#table.get(stream);
        if (exchange === undefined) {
          this.#counters.late++;
          return;
        }
        if (exchange.incoming) {
          throw new FrameError("peer", `an answer on stream ${stream}, which the peer opened`);
        }
        const failed = prefix.kind === kind.failure;
        const fields = prefix.fields(bytes);
        const body = bytes.subarray(prefix.bodyStart, end);
        this.#table.remove(exchange);
        if (failed) this.#handler.failure(stream, fields, body);
        else this.#handler.response(stream, fields, body);
        this.#ended();
        return;
      }
      case kind.item:
        this.#handleItem(stream, bytes.subarray(prefix.bodyStart, end));
        return;
      case kind.end: {
        const exchange = this.#table.get(stream);
        if (exchange === undefined) this.#counters.late++;
        else if (!exchange.receiveOpen) this.#breach(exchange, "a second end of the stream");
        else {
          exchange.receiveOpen = false;
          this.#handler.end(stream);
        }
        return;
      }
      default:
        if (!newer) throw new FrameError("peer", `a message of unknown kind ${prefix.kind}`);
    }
  }

  /** A credit frame arrived. */
  handleCredit(bytes: Uint8Array, start: number, end: number): void {
    needPayload("credit", start + 8, end);
    const exchange = this.#table.get(readU32(bytes, start));
    if (exchange === undefined) return;
    exchange.credit = Math.min(exchange.credit + readU32(bytes, start + 4), maxCredit);
    if (exchange.waiting !== "credit" || exchange.credit <= 0) return;
    if (this.#full) this.#awaitRoom(exchange);
    else {
      exchange.waiting = "none";
      this.#handler.writable(exchange.stream);
    }
  }

  /** A reset frame arrived. */
  handleReset(bytes: Uint8Array, start: number, end: number): void {
    const { stream, code, message } = readReset(bytes, start, end);
    const exchange = this.#table.get(stream);
    if (exchange === undefined) return;
    this.#table.remove(exchange);
    this.#handler.reset(stream, code, message);
    this.#ended();
  }

  #handleRequest(type: number, bytes: Uint8Array, end: number): void {
    const prefix = this.#prefix;
    const { stream, priority, upload } = prefix;
    const table = this.#table;
    if (!table.isPeers(stream)) {
      throw new FrameError(
        "peer",
        `a request on stream ${stream}, which is not the peer's to open`,
      );
    }
    if (table.get(stream) !== undefined) {
      throw new FrameError("peer", `a request on stream ${stream}, which is in use`);
    }
    const fields = prefix.fields(bytes);
    if (this.closedToPeer || table.incoming >= this.#limits.maxExchanges) {
      const code = this.closedToPeer ? "shutting_down" : "overloaded";
      writeReset(this.#lanes[priority]!, this.#version, stream, code, "");
      return;
    }
    table.accept(stream, type, priority, upload, this.#windowBytes);
    this.#handler.request(stream, type, fields, bytes.subarray(prefix.bodyStart, end), upload);
  }

  #handleItem(stream: number, body: Uint8Array): void {
    const exchange = this.#table.get(stream);
    if (exchange === undefined) {
      this.#counters.late++;
      return;
    }
    if (!exchange.receiveOpen) {
      this.#breach(exchange, "an item where none may come");
      return;
    }
    if (exchange.unpaid >= this.#limits.streamWindowBytes) {
      this.#breach(exchange, "an item without credit");
      return;
    }
    exchange.unpaid += itemCost(body.length);
    this.#handler.item(stream, body);
  }

  /** The peer broke the rules of a stream: both ends lose it. */
  #breach(exchange: Exchange, message: string): void {
    const { stream } = exchange;
    writeReset(this.#lanes[exchange.lane]!, this.#version, stream, "protocol", message);
    this.#table.remove(exchange);
    this.#handler.reset(stream, "protocol", message);
    this.#ended();
  }

  get #full(): boolean {
    return this.#writer.bytes >= this.#limits.outputHighWaterBytes;
  }

  #awaitRoom(exchange: Exchange): void {
    if (exchange.waiting === "room") return;
    exchange.waiting = "room";
    this.#roomWaiters.push(exchange.stream);
  }

  #mayQueue(type: number, body: Uint8Array): void {
    if (!(type >= 0x0100 && type <= 0xffff)) {
      throw new LinkError("invalid", `type: 0x0100 to 0xffff expected, found ${type}`);
    }
    const waiting = this.#writer.bytes;
    if (waiting + body.length > this.#limits.maxOutputBytes) {
      throw new LinkError("overloaded", `${waiting} bytes wait to be written already`);
    }
  }

  #write(
    kindNumber: number,
    type: number,
    priority: number,
    stream: number,
    upload: boolean,
    fields: MessageFields | undefined,
    body: Uint8Array,
  ): void {
    try {
      writeMessage(
        this.#lanes[priority]!,
        this.#version,
        type,
        kindNumber,
        priority,
        stream,
        upload,
        fields,
        body,
        this.#maxFrameBytes,
      );
    } catch (error) {
      throw asLinkError(error);
    }
    this.#counters.messagesSent++;
  }
}

function lane({ priority }: MessageFields): number {
  if (priority === undefined) return normalLane;
  try {
    return laneOf(priority);
  } catch (error) {
    throw asLinkError(error);
  }
}

function asLinkError(error: unknown): unknown {
  if (!(error instanceof FrameError)) return error;
  return new LinkError(error.tooLarge ? "too_large" : "invalid", error.message);
}
