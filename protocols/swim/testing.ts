/** Helpers of the tests; not exported by the package. */
import { swimPresets } from "./config.ts";
import { SwimMachine } from "./machine.ts";
import type { SwimConfig } from "./config.ts";
import type { SwimDelegate, SwimEvent, SwimMember, SwimOptions, SwimStream } from "./types.ts";
import type { Versions } from "./versions.ts";
import type { GossipCipher } from "./wire/keyring.ts";
import {
  AckFields,
  AliveFields,
  messageType,
  PingFields,
  type Span,
  VerdictFields,
  writeAck,
  writeAlive,
  writeIndirectPing,
  writeNack,
  writePing,
  writeVerdict,
} from "./wire/messages.ts";
import { checkCrc, crcOverhead, eachOfCompound } from "./wire/envelope.ts";
import { MsgpackReader, MsgpackWriter } from "./wire/msgpack.ts";
import { encodeUtf8 } from "../utf8.ts";

const lenient = new TextDecoder();

/** A cipher for tests: 12 bytes of nonce, the text xored with the key, 16 bytes that depend on all of it. Not a cryptographic one. */
export const toyCipher: GossipCipher = {
  seal(key, plain, additional) {
    const sealed = new Uint8Array(12 + plain.length + 16).fill(7, 0, 12);
    sealed.set(plain.map((byte, i) => byte ^ key[i % key.length]!), 12);
    sealed.set(toyTag(key, sealed.subarray(0, -16), additional), 12 + plain.length);
    return sealed;
  },
  open(key, sealed, additional) {
    const tag = toyTag(key, sealed.subarray(0, -16), additional);
    if (hex(tag) !== hex(sealed.subarray(-16))) return undefined;
    return sealed.slice(12, -16).map((byte, i) => byte ^ key[i % key.length]!);
  },
};

function toyTag(...parts: readonly Uint8Array[]): Uint8Array {
  const tag = new Uint8Array(16);
  for (let lane = 0; lane < 16; lane++) {
    let hash = 0x811c9dc5 ^ lane;
    for (const part of parts) for (const byte of part) hash = Math.imul(hash ^ byte, 0x01000193);
    tag[lane] = hash >>> 13;
  }
  return tag;
}

/** Bytes of hexadecimal digits. */
export function unhex(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.match(/../g) ?? [], (digits) => parseInt(digits, 16));
}

/** Hexadecimal digits of bytes. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Numbers that a seed determines (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = state + 0x6d2b79f5 | 0;
    let t = Math.imul(state ^ state >>> 15, 1 | state);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 4294967296;
  };
}

/** A message as tests compare it. */
export type Message = Readonly<Record<string, unknown>> & { readonly type: string };

/** The messages of a plain packet, taken apart. */
export function messagesOf(packet: Uint8Array): Message[] {
  const found: Message[] = [];
  const text = (span: Span) => lenient.decode(packet.subarray(span.start, span.end));
  const visit = (start: number, end: number): void => {
    const reader = new MsgpackReader().reset(packet, start + 1, end);
    switch (packet[start]) {
      case messageType.compound:
        return eachOfCompound(packet, start + 1, end, visit);
      case messageType.ping:
      case messageType.indirectPing: {
        const type = packet[start] === messageType.ping ? "ping" : "indirectPing";
        const { sequence, node, nack } = new PingFields().read(reader);
        found.push({ type, sequence, node: text(node), ...(type === "ping" ? {} : { nack }) });
        return;
      }
      case messageType.ack:
      case messageType.nack: {
        const type = packet[start] === messageType.ack ? "ack" : "nack";
        found.push({ type, sequence: new AckFields().read(reader).sequence });
        return;
      }
      case messageType.alive: {
        const { node, incarnation, meta } = new AliveFields().read(reader);
        found.push({ type: "alive", node: text(node), incarnation, meta: text(meta) });
        return;
      }
      case messageType.suspect:
      case messageType.dead: {
        const type = packet[start] === messageType.suspect ? "suspect" : "dead";
        const { node, from, incarnation } = new VerdictFields().read(reader);
        found.push({ type, node: text(node), incarnation, from: text(from) });
        return;
      }
      case messageType.user:
        found.push({ type: "user", text: lenient.decode(packet.subarray(start + 1, end)) });
        return;
      default:
        found.push({ type: `unknown ${packet[start]}` });
    }
  };
  visit(checkCrc(packet) ? crcOverhead : 0, packet.length);
  return found;
}

/** An alive message. The address is 10.0.0.`host`:7946. */
export function alive(
  node: string,
  host: number,
  incarnation = 1,
  meta = "",
  versions: Versions = [1, 5, 2, 2, 5, 5],
): Uint8Array {
  const writer = new MsgpackWriter();
  const ip = Uint8Array.of(10, 0, 0, host);
  writeAlive(writer, incarnation, encodeUtf8(node), ip, 7946, encodeUtf8(meta), versions);
  return writer.copy();
}

/** A suspect or dead message. */
export function verdict(
  type: "suspect" | "dead",
  node: string,
  from: string,
  incarnation = 1,
): Uint8Array {
  const writer = new MsgpackWriter();
  writeVerdict(writer, messageType[type], incarnation, encodeUtf8(node), encodeUtf8(from));
  return writer.copy();
}

/** An ack. */
export function ack(sequence: unknown): Uint8Array {
  const writer = new MsgpackWriter();
  writeAck(writer, sequence as number);
  return writer.copy();
}

/** A nack. */
export function nack(sequence: unknown): Uint8Array {
  const writer = new MsgpackWriter();
  writeNack(writer, sequence as number);
  return writer.copy();
}

/** A ping for `node` that says that it comes from 10.0.0.`host`. */
export function ping(node: string, sequence = 5, host = 0): Uint8Array {
  const writer = new MsgpackWriter();
  const source = { ip: Uint8Array.of(10, 0, 0, host), port: 7946, name: encodeUtf8("x") };
  writePing(writer, sequence, encodeUtf8(node), source);
  return writer.copy();
}

/** The request to ping `node`, said to be at 10.0.0.`target`. */
export function indirect(node: string, target: number, source = 9, nack = true): Uint8Array {
  const writer = new MsgpackWriter();
  const from = { ip: Uint8Array.of(10, 0, 0, source), port: 7946, name: encodeUtf8("x") };
  const ip = Uint8Array.of(10, 0, 0, target);
  writeIndirectPing(writer, 77, encodeUtf8(node), ip, 7946, nack, from);
  return writer.copy();
}

/** The host of a member named by one letter from `b` on, as `meet` places it. */
export function hostOf(name: unknown): number {
  return String(name).charCodeAt(0) - 96;
}

/** What one machine did, and a clock of its own. */
export class Bench {
  readonly machine: SwimMachine;
  readonly events: SwimEvent[] = [];
  readonly packets: { readonly to: string; readonly messages: Message[] }[] = [];
  readonly raw: Uint8Array[] = [];
  readonly streams: SwimStream[] = [];
  nowMs = 1000;

  /** A member named `self` at 10.0.0.1, whose random numbers are all `random` unless it is a function. */
  constructor(
    config: Partial<SwimConfig> = {},
    options: Partial<SwimOptions> = {},
    delegate: SwimDelegate = {},
    readonly encrypted = false,
  ) {
    this.machine = new SwimMachine(
      {
        self: { name: "self", ip: Uint8Array.of(10, 0, 0, 1), port: 7946 },
        config: { ...swimPresets.default, ...config },
        random: seeded(1),
        ...options,
      },
      {
        packet: (to, bytes) => {
          this.raw.push(bytes.slice());
          this.packets.push({ to, messages: encrypted ? [] : messagesOf(bytes) });
        },
        open: (stream) => this.streams.push(stream),
        event: (event) => this.events.push(event),
      },
      this.nowMs,
      delegate,
    );
  }

  /** A packet from 10.0.0.`host`. */
  hear(packet: Uint8Array, host = 9): void {
    this.machine.handlePacket(packet, `10.0.0.${host}:7946`, this.nowMs);
  }

  /** Members `b`, `c`, … at 10.0.0.2, 10.0.0.3, … and no news of them left to spread. */
  meet(...names: string[]): void {
    names.forEach((name, i) => this.hear(alive(name, i + 2)));
    this.quiet();
  }

  /** Lets all rumours out, and forgets what has happened so far. */
  quiet(): void {
    for (let i = 0; i < 100 && this.machine.queued > 0; i++) this.drain();
    this.packets.length =
      this.events.length =
      this.raw.length =
      this.streams.length =
        0;
  }

  /** Sends rumours off with acks to a member, without letting time pass. */
  drain(): void {
    const member = this.machine.members().find(({ name, state }) =>
      name !== "self" && state === "alive"
    );
    if (member === undefined) return;
    const writer = new MsgpackWriter().byte(messageType.ping).map(1).key("SeqNo").uint(1);
    this.machine.handlePacket(writer.copy(), member.address, this.nowMs);
  }

  /** Lets time pass; the timer fires whenever it should. */
  run(ms: number): void {
    const end = this.nowMs + ms;
    for (;;) {
      const next = this.machine.nextTimerMs;
      if (next === undefined || next > end) break;
      this.nowMs = Math.max(this.nowMs, next);
      this.machine.handleTimer(this.nowMs);
    }
    this.nowMs = end;
  }

  /** Lets time pass until a message of a type is sent; returns it and where it went. */
  until(type: string, maxMs = 20_000): Message & { readonly to: string } {
    const end = this.nowMs + maxMs;
    let seen = this.packets.length;
    for (;;) {
      for (; seen < this.packets.length; seen++) {
        const { to, messages } = this.packets[seen]!;
        const found = messages.find((message) => message.type === type);
        if (found !== undefined) return { ...found, to };
      }
      const next = this.machine.nextTimerMs;
      if (next === undefined || next > end) throw new Error(`no ${type} within ${maxMs} ms`);
      this.nowMs = Math.max(this.nowMs, next);
      this.machine.handleTimer(this.nowMs);
    }
  }

  /** The state of a member. */
  state(name: string): SwimMember["state"] | undefined {
    return this.machine.member(name)?.state;
  }

  /** The types of the events so far, with the member's name where there is one. */
  get told(): string[] {
    return this.events.map((event) =>
      "member" in event ? `${event.type} ${event.member.name}` : event.type
    );
  }

  /** All messages of a type sent so far. */
  sent(type: string): Message[] {
    return this.packets.flatMap(({ messages }) => messages).filter((it) => it.type === type);
  }
}

/** Carries a stream of one machine to another and back, in pieces of at most `piece` bytes. */
export function carry(stream: SwimStream, to: Bench, piece = Infinity): SwimStream | undefined {
  stream.handleConnected(to.nowMs);
  const served = to.machine.accept("10.0.0.1:50000", to.nowMs);
  const pass = (from: SwimStream, to: SwimStream, nowMs: number) => {
    const bytes = from.takeOutput();
    if (bytes === undefined) return;
    for (let at = 0; at < bytes.length; at += piece) {
      to.handleBytes(bytes.subarray(at, Math.min(bytes.length, at + piece)), nowMs);
    }
  };
  if (served === undefined) return undefined;
  pass(stream, served, to.nowMs);
  pass(served, stream, to.nowMs);
  if (!served.done) served.handleClosed(undefined, to.nowMs);
  if (!stream.done) stream.handleClosed(undefined, to.nowMs);
  return served;
}
