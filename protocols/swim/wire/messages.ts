/**
 * Memberlist's messages: one byte that says which, then a map.
 *
 * Keys are those of Go's structs, written in the order in which Go's codec writes
 * them (alphabetical), so that our bytes equal a memberlist's; read in any order,
 * unknown ones passed over, missing ones zero. Readers fill a fields object that
 * belongs to the caller, and names stay where they stand (offsets into the
 * packet): the machine looks them up by bytes and makes strings for nobody.
 */
import { empty, encodedKey, type MsgpackReader, type MsgpackWriter, WireError } from "./msgpack.ts";

/** The first byte of a message. */
export const messageType = Object.freeze(
  {
    ping: 0,
    indirectPing: 1,
    ack: 2,
    suspect: 3,
    alive: 4,
    dead: 5,
    pushPull: 6,
    compound: 7,
    user: 8,
    compressed: 9,
    encrypted: 10,
    nack: 11,
    crc: 12,
    error: 13,
  } as const,
);

/** The longest name of a member, in bytes. */
export const maxNameBytes = 255;
/** The longest metadata, in bytes. */
export const maxMetaBytes = 512;

/** The keys of a member's state, in the order in which they are written. */
const stateKeys = {
  addr: encodedKey("Addr"),
  meta: encodedKey("Meta"),
  name: encodedKey("Name"),
  port: encodedKey("Port"),
  state: encodedKey("State"),
  vsn: encodedKey("Vsn"),
} as const;

/** A name, or any bytes, within a packet. */
export class Span {
  start = 0;
  end = 0;

  /** How many bytes. */
  get length(): number {
    return this.end - this.start;
  }

  /** Nothing. */
  clear(): void {
    this.start = this.end = 0;
  }

  /** Reads it, up to a bound. */
  read(reader: MsgpackReader, max: number): void {
    if (reader.raw() > max) throw new WireError(`${reader.to - reader.from} bytes, at most ${max}`);
    this.start = reader.from;
    this.end = reader.to;
  }
}

/** The fields of suspect and dead. */
export class VerdictFields {
  incarnation = 0;
  readonly node: Span = new Span();
  /** Who says so. */
  readonly from: Span = new Span();

  /** @throws {WireError} */
  read(reader: MsgpackReader): this {
    if (this.#readUsual(reader)) return this;
    this.incarnation = 0;
    this.node.clear();
    this.from.clear();
    for (let left = reader.map(); left > 0; left--) {
      reader.raw();
      if (reader.is("From")) this.from.read(reader, maxNameBytes);
      else if (reader.is("Incarnation")) this.incarnation = reader.uint();
      else if (reader.is("Node")) this.node.read(reader, maxNameBytes);
      else reader.skip();
    }
    return this;
  }

  /**
   * The order and the forms in which everybody writes it: about a third of the time
   * of reading it in general, and most of what arrives is of this kind. False, and
   * the reader where it was, if this is written otherwise.
   */
  #readUsual(reader: MsgpackReader): boolean {
    const { bytes, at, end } = reader;
    let next = passUsual(bytes, at, end, verdictHead, this.from);
    if (next < 0) return false;
    next = passText(bytes, next, end, incarnationKey);
    if (next < 0 || next >= end || bytes[next]! >= 0x80) return false;
    const incarnation = bytes[next]!;
    next = passUsual(bytes, next + 1, end, nodeKey, this.node);
    if (next < 0) return false;
    this.incarnation = incarnation;
    reader.at = next;
    return true;
  }
}

const verdictHead = Uint8Array.of(0x83, 0xa4, 0x46, 0x72, 0x6f, 0x6d); // A map of 3, "From".
const incarnationKey = Uint8Array.of(
  ...[0xab, 0x49, 0x6e, 0x63, 0x61, 0x72, 0x6e, 0x61, 0x74, 0x69, 0x6f, 0x6e],
);
const nodeKey = Uint8Array.of(0xa4, 0x4e, 0x6f, 0x64, 0x65);

/** The place after `text`, or -1 if something else stands at `at`. */
function passText(bytes: Uint8Array, at: number, end: number, text: Uint8Array): number {
  const after = at + text.length;
  if (after > end) return -1;
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text[i]) return -1;
  return after;
}

/** The place after `text` and fewer than 32 bytes of value, which go into `span`; or -1. */
function passUsual(
  bytes: Uint8Array,
  at: number,
  end: number,
  text: Uint8Array,
  span: Span,
): number {
  const after = passText(bytes, at, end, text);
  if (after < 0 || after >= end || (bytes[after]! & 0xe0) !== 0xa0) return -1;
  span.start = after + 1;
  span.end = span.start + (bytes[after]! & 0x1f);
  return span.end <= end ? span.end : -1;
}

/** The fields of alive, and of one member's state in a push/pull. */
export class AliveFields {
  incarnation = 0;
  port = 0;
  /** Of a push/pull: 0 alive, 1 suspect, 2 dead, 3 left. */
  state = 0;
  readonly node: Span = new Span();
  readonly ip: Span = new Span();
  readonly meta: Span = new Span();
  /** Empty, or six bytes. */
  readonly versions: Span = new Span();

  /** @throws {WireError} */
  read(reader: MsgpackReader): this {
    this.incarnation = this.port = this.state = 0;
    this.node.clear();
    this.ip.clear();
    this.meta.clear();
    this.versions.clear();
    let left = reader.map();
    if (left > 0 && reader.passKey(stateKeys.addr)) {
      this.ip.read(reader, 16);
      left--;
    }
    if (left > 0 && reader.passKey(incarnationKey)) {
      this.incarnation = reader.uint();
      left--;
    }
    if (left > 0 && reader.passKey(stateKeys.meta)) {
      this.meta.read(reader, 0xffff);
      left--;
    }
    if (left > 0 && (reader.passKey(stateKeys.name) || reader.passKey(nodeKey))) {
      this.node.read(reader, maxNameBytes);
      left--;
    }
    if (left > 0 && reader.passKey(stateKeys.port)) {
      this.port = reader.uint();
      left--;
    }
    if (left > 0 && reader.passKey(stateKeys.state)) {
      this.state = reader.uint();
      left--;
    }
    if (left > 0 && reader.passKey(stateKeys.vsn)) {
      this.versions.read(reader, 16);
      left--;
    }
    for (; left > 0; left--) {
      reader.raw();
      if (reader.is("Addr")) this.ip.read(reader, 16);
      else if (reader.is("Incarnation")) this.incarnation = reader.uint();
      // Metadata beyond the limit is read, so that the machine can name the culprit.
      else if (reader.is("Meta")) this.meta.read(reader, 0xffff);
      else if (reader.is("Node") || reader.is("Name")) this.node.read(reader, maxNameBytes);
      else if (reader.is("Port")) this.port = reader.uint();
      else if (reader.is("State")) this.state = reader.uint();
      else if (reader.is("Vsn")) this.versions.read(reader, 16);
      else reader.skip();
    }
    if (this.port > 0xffff) throw new WireError(`port ${this.port}`);
    return this;
  }
}

/** The fields of ping and indirect ping. */
export class PingFields {
  sequence = 0;
  /** Who is meant; may be empty. */
  readonly node: Span = new Span();
  readonly sourceIp: Span = new Span();
  sourcePort = 0;
  readonly source: Span = new Span();
  /** Indirect only. */
  readonly target: Span = new Span();
  /** Indirect only. */
  port = 0;
  /** Indirect only: a nack is wanted. */
  nack = false;

  /** @throws {WireError} */
  read(reader: MsgpackReader): this {
    this.sequence = this.sourcePort = this.port = 0;
    this.nack = false;
    this.node.clear();
    this.sourceIp.clear();
    this.source.clear();
    this.target.clear();
    for (let left = reader.map(); left > 0; left--) {
      reader.raw();
      if (reader.is("SeqNo")) this.sequence = reader.uint();
      else if (reader.is("Node")) this.node.read(reader, maxNameBytes);
      else if (reader.is("SourceAddr")) this.sourceIp.read(reader, 16);
      else if (reader.is("SourcePort")) this.sourcePort = reader.uint();
      else if (reader.is("SourceNode")) this.source.read(reader, maxNameBytes);
      else if (reader.is("Target")) this.target.read(reader, 16);
      else if (reader.is("Port")) this.port = reader.uint();
      else if (reader.is("Nack")) this.nack = reader.bool();
      else reader.skip();
    }
    return this;
  }
}

/** The fields of ack and nack. */
export class AckFields {
  sequence = 0;
  readonly payload: Span = new Span();

  /** @throws {WireError} */
  read(reader: MsgpackReader): this {
    this.sequence = 0;
    this.payload.clear();
    for (let left = reader.map(); left > 0; left--) {
      reader.raw();
      if (reader.is("SeqNo")) this.sequence = reader.uint();
      else if (reader.is("Payload")) this.payload.read(reader, 0xffff);
      else reader.skip();
    }
    return this;
  }
}

/** Who asks for an ack, and where to send it. */
export interface PingSource {
  readonly ip: Uint8Array;
  readonly port: number;
  readonly name: Uint8Array;
}

/** Writes a ping to `node`. */
export function writePing(
  writer: MsgpackWriter,
  sequence: number,
  node: Uint8Array,
  source: PingSource,
): void {
  writer.byte(messageType.ping).map(5).key("Node").raw(node).key("SeqNo").uint(sequence);
  writeSource(writer, source);
}

/** Writes the request that the receiver ping `node`. */
export function writeIndirectPing(
  writer: MsgpackWriter,
  sequence: number,
  node: Uint8Array,
  ip: Uint8Array,
  port: number,
  nack: boolean,
  source: PingSource,
): void {
  writer.byte(messageType.indirectPing).map(8).key("Nack").bool(nack).key("Node").raw(node);
  writer.key("Port").uint(port).key("SeqNo").uint(sequence);
  writeSource(writer, source);
  writer.key("Target").raw(ip);
}

function writeSource(writer: MsgpackWriter, source: PingSource): void {
  writer.key("SourceAddr").raw(source.ip).key("SourceNode").raw(source.name);
  writer.key("SourcePort").uint(source.port);
}

/** Writes an ack. */
export function writeAck(
  writer: MsgpackWriter,
  sequence: number,
  payload: Uint8Array = empty,
): void {
  writer.byte(messageType.ack).map(2).key("Payload").rawOrNil(payload);
  writer.key("SeqNo").uint(sequence);
}

/** Writes a nack. */
export function writeNack(writer: MsgpackWriter, sequence: number): void {
  writer.byte(messageType.nack).map(1).key("SeqNo").uint(sequence);
}

/** Writes that `node` is suspect or dead; a dead one that says so itself has left. */
export function writeVerdict(
  writer: MsgpackWriter,
  type: typeof messageType.suspect | typeof messageType.dead,
  incarnation: number,
  node: Uint8Array,
  from: Uint8Array,
): void {
  writer.byte(type).map(3).key("From").raw(from).key("Incarnation").uint(incarnation);
  writer.key("Node").raw(node);
}

/** Writes that `node` is alive. */
export function writeAlive(
  writer: MsgpackWriter,
  incarnation: number,
  node: Uint8Array,
  ip: Uint8Array,
  port: number,
  meta: Uint8Array,
  versions: Uint8Array | readonly number[],
): void {
  writer.byte(messageType.alive).map(6).key("Addr").raw(ip);
  writer.key("Incarnation").uint(incarnation).key("Meta").rawOrNil(meta);
  writer.key("Node").raw(node).key("Port").uint(port).key("Vsn");
  writeVersions(writer, versions);
}

/** Writes one member's state of a push/pull. `state`: 0 alive, 1 suspect, 2 dead, 3 left. */
export function writeState(
  writer: MsgpackWriter,
  { ip, port, meta, versions }: {
    readonly ip: Uint8Array;
    readonly port: number;
    readonly meta: Uint8Array;
    readonly versions: readonly number[];
  },
  name: Uint8Array,
  incarnation: number,
  state: number,
): void {
  writer.map(7).key("Addr").raw(ip).key("Incarnation").uint(incarnation);
  writer.key("Meta").rawOrNil(meta).key("Name").raw(name);
  writer.key("Port").uint(port).key("State").uint(state).key("Vsn");
  writeVersions(writer, versions);
}

/** Writes six versions as bytes. */
export function writeVersions(
  writer: MsgpackWriter,
  versions: Uint8Array | readonly number[],
): void {
  writer.rawHead(versions.length);
  for (let i = 0; i < versions.length; i++) writer.byte(versions[i]!);
}
