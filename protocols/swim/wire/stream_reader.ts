/**
 * The one message that each side of a memberlist stream sends, out of bytes that
 * come in any pieces.
 *
 * Nothing on the stream says how long the message is, unless it is encrypted: a
 * push/pull ends where its last member and its user state end. So it is read as
 * it comes, and what has been read is not read again when more arrives. Whatever
 * its parts announce, no more than `maxBytes` are kept, packed or unpacked.
 */
import { crcOverhead, decompress, open } from "./envelope.ts";
import type { GossipKeyring } from "./keyring.ts";
import { AckFields, AliveFields, messageType, PingFields } from "./messages.ts";
import { empty, MsgpackReader, WireError } from "./msgpack.ts";
import { decodeUtf8 } from "../../utf8.ts";

/** A whole message of a stream. Bytes are views of what was pushed last or is held, valid until the next push. */
export type StreamMessage =
  | {
    readonly type: "push_pull";
    readonly join: boolean;
    /** Members, one encoded state after the other, from `start` of `bytes` on. */
    readonly count: number;
    readonly bytes: Uint8Array;
    readonly start: number;
    readonly end: number;
    /** Where the states begin that are not {@linkcode Known}. */
    readonly news: readonly number[];
    /** All of the news announce the versions that the first one does. */
    readonly uniform: boolean;
    readonly userState: Uint8Array;
  }
  | { readonly type: "user"; readonly bytes: Uint8Array }
  | { readonly type: "ping"; readonly bytes: Uint8Array; readonly fields: PingFields }
  | { readonly type: "ack"; readonly sequence: number }
  | { readonly type: "error"; readonly message: string };

/** What a view knows already: most of a push/pull says what both sides know. */
export interface Known {
  /** How long the state is that begins at `at`, if it says what is known, byte by byte; else 0. */
  pass(bytes: Uint8Array, at: number): number;
  /** A state was read because it is not known. */
  passed(fields: AliveFields, bytes: Uint8Array): void;
}

/** A stream under no key of ours, or plain where it must not be. */
export class UndecryptableError extends WireError {}

/** A member's state takes at least so much: a count that cannot be true is refused at once. */
const minStateBytes = 20;
const maxErrorBytes = 1024;
const lengthBytes = 4;

/** Reads one message. */
export class StreamReader {
  readonly #keyring: GossipKeyring | undefined;
  readonly #acceptPlaintext: boolean;
  readonly #maxBytes: number;
  #held: Uint8Array = empty;
  #length = 0;
  /** No use trying before so much is there. */
  #wanted = 1;
  readonly #reader = new MsgpackReader();
  // A push/pull or user message that is partly read.
  #type = -1;
  #at = 0;
  #start = 0;
  #count = 0;
  #left = 0;
  #join = false;
  #tail = 0;
  readonly #state = new AliveFields();
  readonly #known: Known | undefined;
  readonly #news: number[] = [];
  /** The versions that the first of the news announces. */
  #versions: Uint8Array | undefined;
  #uniform = true;

  /** An empty or absent keyring: no encryption. Without `known` everything is news. */
  constructor(
    keyring: GossipKeyring | undefined,
    acceptPlaintext: boolean,
    maxBytes: number,
    known?: Known,
  ) {
    this.#known = known;
    this.#keyring = keyring?.primary === undefined ? undefined : keyring;
    this.#acceptPlaintext = acceptPlaintext;
    this.#maxBytes = maxBytes;
  }

  /** How much is kept. */
  get heldBytes(): number {
    return this.#length;
  }

  /**
   * Takes what arrived; the message once it is whole, and what follows it is ignored.
   * @throws {WireError} if it can never be one; {@linkcode UndecryptableError}.
   */
  push(bytes: Uint8Array): StreamMessage | undefined {
    // What comes in one piece is read where it stands.
    if (this.#length === 0 && bytes.length > 0) {
      this.#bound(bytes.length);
      const message = this.#read(bytes);
      if (message === undefined) this.#keep(bytes);
      return message;
    }
    this.#keep(bytes);
    if (this.#length < this.#wanted) return undefined;
    return this.#read(this.#held.subarray(0, this.#length));
  }

  #read(whole: Uint8Array): StreamMessage | undefined {
    if (whole[0] === messageType.encrypted) {
      const plain = this.#decrypt(whole);
      return plain === undefined ? undefined : this.#unwrap(plain, true);
    }
    if (this.#keyring !== undefined && !this.#acceptPlaintext) {
      throw new UndecryptableError("this cluster encrypts its gossip, and the stream is plain");
    }
    return this.#unwrap(whole, false);
  }

  #bound(length: number): void {
    if (length > this.#maxBytes + crcOverhead) {
      throw new WireError(`more than ${this.#maxBytes} bytes on one stream`);
    }
  }

  #keep(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    this.#bound(length);
    if (length > this.#held.length) {
      const grown = new Uint8Array(Math.max(1024, length, 2 * this.#held.length));
      grown.set(this.#held.subarray(0, this.#length));
      this.#held = grown;
    }
    this.#held.set(bytes, this.#length);
    this.#length = length;
  }

  #decrypt(bytes: Uint8Array): Uint8Array | undefined {
    if (this.#keyring === undefined) {
      throw new UndecryptableError("the stream is encrypted, and no gossip key is set");
    }
    const head = 1 + lengthBytes;
    if (bytes.length < head) return void (this.#wanted = head);
    const length = (bytes[1]! << 24 | bytes[2]! << 16 | bytes[3]! << 8 | bytes[4]!) >>> 0;
    if (length > this.#maxBytes) throw new WireError(`${length} bytes announced on a stream`);
    if (bytes.length < head + length) return void (this.#wanted = head + length);
    const plain = open(
      this.#keyring,
      bytes.subarray(head, head + length),
      bytes.subarray(0, head),
    );
    if (plain === undefined) throw new UndecryptableError("no gossip key opens the stream");
    return plain;
  }

  /** `whole`: nothing more can come. */
  #unwrap(bytes: Uint8Array, whole: boolean): StreamMessage | undefined {
    try {
      if (bytes[0] !== messageType.compressed) return this.#message(bytes, whole);
      if (!whole && !this.#compressedIsWhole(bytes)) return undefined;
      const plain = decompress(this.#reader.reset(bytes, 1), this.#maxBytes);
      return this.#message(plain, true);
    } catch (error) {
      if (error instanceof WireError && error.incomplete && !whole) return undefined;
      throw error;
    }
  }

  /** So that a long one is not unpacked again with every piece. */
  #compressedIsWhole(bytes: Uint8Array): boolean {
    const reader = this.#reader.reset(bytes, 1);
    for (let left = reader.map(); left > 0; left--) {
      reader.raw();
      if (!reader.is("Buf")) {
        reader.skip();
        continue;
      }
      const length = reader.rawLength();
      if (length > this.#maxBytes) throw new WireError(`${length} bytes announced on a stream`);
      this.#wanted = reader.at + length;
      if (bytes.length < this.#wanted) return false;
      reader.at += length;
    }
    return true;
  }

  #message(bytes: Uint8Array, whole: boolean): StreamMessage | undefined {
    const reader = this.#reader.reset(bytes, 1);
    switch (bytes[0]) {
      case messageType.pushPull:
      case messageType.user:
        return this.#long(bytes, whole);
      case messageType.ping:
        return { type: "ping", bytes, fields: new PingFields().read(reader) };
      case messageType.ack:
        return { type: "ack", sequence: new AckFields().read(reader).sequence };
      case messageType.error:
        return { type: "error", message: readError(reader) };
    }
    throw new WireError(
      bytes.length === 0 ? "an empty message" : `a stream cannot begin with ${bytes[0]}`,
    );
  }

  #long(bytes: Uint8Array, whole: boolean): StreamMessage | undefined {
    const reader = this.#reader;
    if (this.#type < 0) {
      this.#header(reader, bytes[0]!);
      this.#type = bytes[0]!;
      this.#at = this.#start = reader.at;
    }
    while (this.#left > 0) {
      const length = this.#known?.pass(bytes, this.#at) ?? 0;
      if (length > 0) {
        this.#at += length;
        this.#left--;
        continue;
      }
      this.#state.read(reader.reset(bytes, this.#at));
      this.#known?.passed(this.#state, bytes);
      this.#news.push(this.#at);
      this.#at = reader.at;
      this.#left--;
      const { start, end } = this.#state.versions;
      this.#versions ??= bytes.slice(start, end);
      this.#uniform &&= spanIs(bytes, start, end, this.#versions);
    }
    const end = this.#at + this.#tail;
    if (bytes.length < end) {
      if (whole) throw new WireError("the message is cut off");
      this.#wanted = end;
      return undefined;
    }
    const tail = bytes.subarray(this.#at, end);
    if (this.#type === messageType.user) return { type: "user", bytes: tail };
    return {
      type: "push_pull",
      join: this.#join,
      count: this.#count,
      bytes,
      start: this.#start,
      end: this.#at,
      news: this.#news,
      uniform: this.#uniform,
      userState: tail,
    };
  }

  #header(reader: MsgpackReader, type: number): void {
    let nodes = 0;
    let tail = 0;
    let join = false;
    for (let left = reader.map(); left > 0; left--) {
      reader.raw();
      if (reader.is("Nodes")) nodes = reader.uint();
      else if (reader.is("UserStateLen") || reader.is("UserMsgLen")) tail = reader.uint();
      else if (reader.is("Join")) join = reader.bool();
      else reader.skip();
    }
    if (nodes * minStateBytes > this.#maxBytes) throw new WireError(`${nodes} members announced`);
    if (tail > this.#maxBytes) throw new WireError(`${tail} bytes of user state announced`);
    this.#count = this.#left = type === messageType.pushPull ? nodes : 0;
    this.#tail = tail;
    this.#join = join;
  }
}

function spanIs(bytes: Uint8Array, start: number, end: number, other: Uint8Array): boolean {
  if (end - start !== other.length) return false;
  for (let i = 0; i < other.length; i++) if (bytes[start + i] !== other[i]) return false;
  return true;
}

function readError(reader: MsgpackReader): string {
  let message = "";
  for (let left = reader.map(); left > 0; left--) {
    reader.raw();
    if (!reader.is("Error")) {
      reader.skip();
      continue;
    }
    reader.raw();
    try {
      message = decodeUtf8(
        reader.bytes,
        reader.from,
        Math.min(reader.to, reader.from + maxErrorBytes),
      );
    } catch {
      message = "(not readable)";
    }
  }
  return message;
}
