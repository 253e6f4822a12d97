/**
 * Memberlist's exchanges over streams, each a machine of one connection.
 *
 * Every exchange is at most one message each way. Push/pull: the dialler sends
 * all it knows, the other side answers with all it knows, and both merge. Ping:
 * answered by an ack; it proves that a member lives though no packet comes
 * through. User message: no answer. What cannot be read is answered with an
 * error, so that the other side can log why. What inbound streams hold of messages
 * that are not whole yet is bounded for each, and for all of them together.
 */
import type { Context } from "./context.ts";
import { KnownStates } from "./known_states.ts";
import type { Membership } from "./membership.ts";
import type { PingSource } from "./wire/messages.ts";
import type { SwimMember, SwimStream } from "./types.ts";
import { stateNames, stateOf } from "./verdicts.ts";
import { difference, readVersions, understand, type Versions } from "./versions.ts";
import { compress, sealStream } from "./wire/envelope.ts";
import { AliveFields, messageType, writeAck, writePing, writeState } from "./wire/messages.ts";
import { empty, MsgpackReader, MsgpackWriter, WireError } from "./wire/msgpack.ts";
import { type StreamMessage, StreamReader, UndecryptableError } from "./wire/stream_reader.ts";
import { formatAddress, isIp } from "./address.ts";
import { decodeUtf8 } from "../utf8.ts";

/** What an outbound stream is for. */
export type Purpose =
  | { readonly kind: "push_pull"; readonly join: boolean }
  | {
    readonly kind: "ping";
    readonly sequence: number;
    readonly name: Uint8Array;
    readonly source: PingSource;
    readonly answered: () => void;
  }
  | { readonly kind: "user"; readonly message: Uint8Array };

/** Reads states of a push/pull. */
type Each = (
  message: StreamMessage & { type: "push_pull" },
  visit: (fields: AliveFields, bytes: Uint8Array) => void,
) => void;

/** Inbound streams together hold so many times the bytes that one may. */
const maxHeldStates = 4;

/** The streams of one machine. */
export class Streams {
  readonly #c: Context;
  readonly #membership: Membership;
  /** To be called after whatever a stream changed. */
  readonly #settle: () => void;
  #inbound = 0;
  #held = 0;

  /** On the shared context. */
  constructor(context: Context, membership: Membership, settle: () => void) {
    this.#c = context;
    this.#membership = membership;
    this.#settle = settle;
  }

  /** Asks the driver to connect. */
  open(to: string, purpose: Purpose, deadlineMs?: number): void {
    const { config, nowMs, handler } = this.#c;
    handler.open(
      new Stream(this.#c, this, to, purpose, deadlineMs ?? nowMs + config.streamTimeoutMs),
    );
  }

  /** Somebody connected; undefined if there are too many. */
  accept(from: string): SwimStream | undefined {
    const { config, nowMs, counters, status } = this.#c;
    if (this.#inbound >= config.maxStreams || status === "stopped") {
      counters.limited++;
      return undefined;
    }
    this.#inbound++;
    return new Stream(this.#c, this, from, undefined, nowMs + config.streamTimeoutMs);
  }

  /** An inbound stream takes in so much more. False: all of them hold too much. */
  hold(bytes: number): boolean {
    const { config, counters } = this.#c;
    if (this.#held + bytes > maxHeldStates * config.maxStreamBytes) {
      counters.limited++;
      return false;
    }
    this.#held += bytes;
    return true;
  }

  /** An inbound stream is over, which held so much. */
  freed(bytes: number): void {
    this.#inbound--;
    this.#held -= bytes;
  }

  /** The clock moves on every way in. */
  enter(nowMs: number): void {
    this.#c.nowMs = Math.max(this.#c.nowMs, nowMs);
  }

  /** The other side of a stream says something. */
  heard(): void {
    this.#membership.heard();
  }

  /** Every way out. */
  settle(): void {
    this.#settle();
  }

  /** All that this node knows, and the state of the layer above, as a message. */
  localState(join: boolean): Uint8Array {
    const { table, store, delegate } = this.#c;
    const userState = delegate.localState?.(join) ?? empty;
    const writer = store.bench.state.reset();
    writer.byte(messageType.pushPull).map(3).key("Join").bool(join);
    writer.key("Nodes").uint(table.size).key("UserStateLen").uint(userState.length);
    table.each((id) => {
      const card = table.card(id);
      if (table.isAlive(card)) return void writer.put(store.state(card));
      writeState(
        writer,
        card,
        store.nameBytes(id),
        table.incarnation(id),
        table.state(id) - stateOf.alive,
      );
    });
    return writer.put(userState).view(); // Until the next one: it is copied on its way out.
  }

  /** Merges the other side's state. Returns why not, if it was refused. */
  merge(message: StreamMessage & { type: "push_pull" }): string | undefined {
    const { delegate, counters, nowMs } = this.#c;
    const refusal = this.#refusal(message);
    if (refusal !== undefined) {
      counters.refused++;
      return refusal;
    }
    this.#eachNews(message, (fields, bytes) => this.#membership.hearState(fields, bytes));
    if (message.userState.length > 0) {
      delegate.mergeRemoteState?.(message.userState, message.join, nowMs);
    }
    counters.syncs++;
    return undefined;
  }

  /** One member that we cannot speak with makes the whole state foreign: these are two clusters. */
  #refusal(message: StreamMessage & { type: "push_pull" }): string | undefined {
    const { delegate, versions: own } = this.#c;
    let refusal: string | undefined;
    const members: SwimMember[] = [];
    const asked = message.join && delegate.notifyMerge !== undefined;
    if (message.uniform && !asked && this.#understandsFirst(message)) return undefined;
    const each = asked ? this.#eachState : this.#eachNews;
    each(message, (fields, bytes) => {
      const versions = readVersions(own, bytes, fields.versions);
      if (fields.state === 0 && !understand(own, versions)) {
        refusal ??= `${nameIn(fields, bytes)} speaks other versions: ${difference(own, versions)}`;
      }
      if (asked) {
        const member = memberOf(fields, bytes, versions);
        if (member !== undefined) members.push(member);
      }
    });
    return refusal ?? (asked ? delegate.notifyMerge?.(members) : undefined);
  }

  /** Where all announce the same, the first speaks for ten thousand. */
  #understandsFirst(message: StreamMessage & { type: "push_pull" }): boolean {
    const { versions: own } = this.#c;
    let understood = true;
    this.#eachNews({ ...message, news: message.news.slice(0, 1) }, (fields, bytes) => {
      understood = understand(own, readVersions(own, bytes, fields.versions));
    });
    return understood;
  }

  readonly #eachState: Each = ({ bytes, start, end, count }, visit) => {
    const fields = new AliveFields();
    const reader = new MsgpackReader().reset(bytes, start, end);
    for (let i = 0; i < count; i++) visit(fields.read(reader), bytes);
  };

  readonly #eachNews: Each = ({ bytes, end, news }, visit) => {
    const fields = new AliveFields();
    const reader = new MsgpackReader();
    for (const at of news) visit(fields.read(reader.reset(bytes, at, end)), bytes);
  };
}

/** One connection. */
class Stream implements SwimStream {
  readonly to: string;
  readonly deadlineMs: number;
  done = false;
  readonly #c: Context;
  readonly #streams: Streams;
  readonly #purpose: Purpose | undefined;
  readonly #reader: StreamReader;
  #output: Uint8Array | undefined;
  /** Bytes taken in, of an inbound stream. */
  #held = 0;

  constructor(
    context: Context,
    streams: Streams,
    to: string,
    purpose: Purpose | undefined,
    deadlineMs: number,
  ) {
    const { keyring, config } = context;
    this.#c = context;
    this.#streams = streams;
    this.to = to;
    this.#purpose = purpose;
    this.deadlineMs = deadlineMs;
    this.#reader = new StreamReader(
      keyring,
      config.acceptPlaintext,
      config.maxStreamBytes,
      new KnownStates(context),
    );
  }

  get kind(): SwimStream["kind"] {
    return this.#purpose?.kind ?? "inbound";
  }

  handleConnected(nowMs: number): void {
    const purpose = this.#purpose;
    if (this.done || purpose === undefined) return;
    this.#streams.enter(nowMs);
    const writer = new MsgpackWriter();
    switch (purpose.kind) {
      case "push_pull":
        this.#send(this.#streams.localState(purpose.join));
        break;
      case "ping":
        writePing(writer, purpose.sequence, purpose.name, purpose.source);
        this.#send(writer.view());
        break;
      case "user":
        writer.byte(messageType.user).map(1).key("UserMsgLen").uint(purpose.message.length);
        this.#send(writer.put(purpose.message).view());
        this.#finish(undefined);
    }
    this.#streams.settle();
  }

  handleBytes(bytes: Uint8Array, nowMs: number): void {
    if (this.done) return;
    this.#streams.enter(nowMs);
    if (this.#purpose === undefined) {
      if (!this.#streams.hold(bytes.length)) return this.#finish("too much is under way");
      this.#held += bytes.length;
    }
    this.#streams.heard();
    try {
      const message = this.#reader.push(bytes);
      if (message !== undefined) {
        if (this.#purpose === undefined) this.#serve(message);
        else this.#hear(message, this.#purpose);
      }
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      const { counters } = this.#c;
      if (error instanceof UndecryptableError) counters.undecryptable++;
      else counters.malformed++;
      if (this.#purpose === undefined) {
        const writer = new MsgpackWriter().byte(messageType.error).map(1).key("Error");
        this.#send(writer.text(error.message).view());
      }
      this.#finish(error.message);
    }
    this.#streams.settle();
  }

  handleClosed(error: string | undefined, nowMs: number): void {
    if (this.done) return;
    this.#streams.enter(nowMs);
    this.#finish(error ?? "the connection ended early");
    this.#streams.settle();
  }

  takeOutput(): Uint8Array | undefined {
    const output = this.#output;
    this.#output = undefined;
    return output;
  }

  /** The other side asks. */
  #serve(message: StreamMessage): void {
    const { delegate, nowMs, store, selfId, status } = this.#c;
    if (status === "stopped") return this.#finish("stopped");
    switch (message.type) {
      case "push_pull": {
        // What we knew before: the other side knows its own.
        this.#send(this.#streams.localState(message.join));
        const reason = this.#streams.merge(message);
        if (reason !== undefined) this.#c.emit({ type: "refused", address: this.to, reason });
        break;
      }
      case "user":
        delegate.notifyMsg?.(message.bytes, nowMs);
        break;
      case "ping": {
        const { node, sequence } = message.fields;
        if (node.length > 0 && store.find(message.bytes, node.start, node.end) !== selfId) {
          this.#c.counters.strangers++;
          break;
        }
        const writer = new MsgpackWriter();
        writeAck(writer, sequence);
        this.#send(writer.view());
        break;
      }
      default:
        throw new WireError(`a stream cannot begin with ${message.type}`);
    }
    this.#finish(undefined);
  }

  /** The other side answers. */
  #hear(message: StreamMessage, purpose: Purpose): void {
    if (message.type === "error") return this.#finish(`the other side: ${message.message}`);
    if (purpose.kind === "push_pull" && message.type === "push_pull") {
      return this.#finish(this.#streams.merge(message));
    }
    if (purpose.kind === "ping" && message.type === "ack") {
      if (message.sequence === purpose.sequence) purpose.answered();
      return this.#finish(undefined);
    }
    throw new WireError(`${message.type} is no answer to ${purpose.kind}`);
  }

  #send(message: Uint8Array): void {
    const { config, keyring, sealVersion } = this.#c;
    const packed = config.compressStreams ? compress(message) : message.slice();
    this.#output = keyring === undefined || config.sendPlaintext
      ? packed
      : sealStream(keyring, sealVersion, packed);
  }

  #finish(error: string | undefined): void {
    if (this.done) return;
    this.done = true;
    const purpose = this.#purpose;
    if (purpose === undefined) return this.#streams.freed(this.#held);
    const address = this.to;
    const failed = error === undefined ? {} : { error };
    if (purpose.kind === "push_pull") {
      this.#c.emit({ type: "synced", address, join: purpose.join, ...failed });
    } else if (purpose.kind === "user") this.#c.emit({ type: "sent", address, ...failed });
  }
}

function nameIn({ node }: AliveFields, bytes: Uint8Array): string {
  try {
    return decodeUtf8(bytes, node.start, node.end);
  } catch {
    return "(a name that is not readable)";
  }
}

function memberOf(
  fields: AliveFields,
  bytes: Uint8Array,
  versions: Versions,
): SwimMember | undefined {
  const ip = bytes.slice(fields.ip.start, fields.ip.end);
  if (!isIp(ip) || fields.state > 3) return undefined;
  return {
    name: nameIn(fields, bytes),
    address: formatAddress(ip, fields.port),
    ip,
    port: fields.port,
    meta: bytes.slice(fields.meta.start, fields.meta.end),
    state: stateNames[fields.state + stateOf.alive]!,
    incarnation: fields.incarnation,
    versions,
  };
}
