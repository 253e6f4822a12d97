/**
 * Two link machines back to back on a clock of the test's own, with every event
 * recorded. For tests; not exported by the package.
 */
import type { MessageFields } from "../frame/fields.ts";
import { noFields } from "../frame/fields.ts";
import { headerBytes, writeHeader, writeU32 } from "../frame/header.ts";
import { writeMessage } from "../frame/prefix.ts";
import { messageTypes } from "../frame/types.ts";
import { FrameWriter } from "../frame/writer.ts";
import type { NodeDescription } from "../identity/principal.ts";
import type { LinkCapabilities } from "../negotiation/hello.ts";
import { decodeUtf8, encodeUtf8 } from "../utf8.ts";
import { LinkMachine } from "./machine.ts";
import type { LinkCloseReason, LinkHandler, LinkOptions } from "./types.ts";

/** A digest for tests: 32 bytes that every byte of the input moves. Not a cryptographic one. */
export function toyDigest(bytes: Uint8Array): Uint8Array {
  const digest = new Uint8Array(32);
  for (let lane = 0; lane < 8; lane++) {
    let hash = 0x811c9dc5 ^ lane;
    for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
    writeU32(digest, lane * 4, hash >>> 0);
  }
  return digest;
}

/** A node of cluster `test`. */
export function node(id: string, change: Partial<NodeDescription> = {}): NodeDescription {
  return { cluster: "test", type: "sclerotia", id, generation: 1, version: "0.1.0", ...change };
}

/** What both ends can do, whatever later builds learn: these tests have exact bytes. */
export const capabilities: LinkCapabilities = Object.freeze({
  codecs: ["msgpack"],
  compressions: ["none"],
  reliabilities: ["best-effort"],
});

/** Options that make a link between `a` (the dialler) and `b`. */
export function options(
  role: LinkOptions["role"],
  change: Partial<LinkOptions> = {},
): LinkOptions {
  return {
    role,
    self: node(role === "dialer" ? "a" : "b"),
    authentication: { kind: "fiat" },
    encryption: "standard",
    capabilities,
    profiles: {},
    addresses: [],
    nonce: new Uint8Array(16).fill(role === "dialer" ? 1 : 2),
    digest: toyDigest,
    ...change,
  };
}

/** One event as the recorder writes it down; short bodies as text. */
export type Recorded = readonly unknown[];

/** A handler that writes everything down and lets a test hook in. */
export class Recorder implements LinkHandler {
  readonly events: Recorded[] = [];
  readonly fields: MessageFields[] = [];
  closedBecause: LinkCloseReason | undefined;
  /** Runs after the event has been recorded. */
  hook: ((event: Recorded, body: Uint8Array | undefined) => void) | undefined;

  up(peer: NodeDescription): void {
    this.#add(["up", peer.id]);
  }
  message(type: number, fields: MessageFields, body: Uint8Array): void {
    this.fields.push(fields);
    this.#add(["message", type, text(body)], body);
  }
  request(
    stream: number,
    type: number,
    fields: MessageFields,
    body: Uint8Array,
    upload: boolean,
  ): undefined {
    this.fields.push(fields);
    this.#add(["request", stream, type, text(body), upload], body);
  }
  response(stream: number, fields: MessageFields, body: Uint8Array): void {
    this.fields.push(fields);
    this.#add(["response", stream, text(body)], body);
  }
  failure(stream: number, fields: MessageFields, body: Uint8Array): void {
    this.fields.push(fields);
    this.#add(["failure", stream, text(body)], body);
  }
  item(stream: number, body: Uint8Array): void {
    this.#add(["item", stream, text(body)], body);
  }
  end(stream: number): void {
    this.#add(["end", stream]);
  }
  reset(stream: number, code: string, message: string): void {
    this.#add(["reset", stream, code, message]);
  }
  writable(stream: number): void {
    this.#add(["writable", stream]);
  }
  health(status: string): void {
    this.#add(["health", status]);
  }
  ack(payload: Uint8Array): void {
    this.#add(["ack", payload.slice()]);
  }
  roundTrip(ms: number): void {
    this.#add(["roundTrip", ms]);
  }
  goodbye(code: string, message: string): void {
    this.#add(["goodbye", code, message]);
  }
  /** Streams under way at the end; in no order, so apart from the events. */
  readonly lostStreams: [stream: number, sent: boolean][] = [];
  lost(stream: number, sent: boolean): void {
    this.lostStreams.push([stream, sent]);
  }
  closed(reason: LinkCloseReason): void {
    if (this.closedBecause !== undefined) throw new Error("closed was told twice");
    this.closedBecause = reason;
    this.#add(["closed", reason.kind, reason.code, reason.by]);
  }

  /** The events since the last call, without round trips. */
  take(): Recorded[] {
    return this.events.splice(0).filter(([name]) => name !== "roundTrip");
  }

  #add(event: Recorded, body?: Uint8Array): void {
    this.events.push(event);
    this.hook?.(event, body);
  }
}

/** Two machines, a clock, and a wire that delivers when told. */
export class Pair {
  nowMs = 1000;
  /** Bytes are cut into pieces of this size on their way; 0 for whole. */
  pieceBytes = 0;
  readonly dialerEvents: Recorder = new Recorder();
  readonly acceptorEvents: Recorder = new Recorder();
  readonly dialer: LinkMachine;
  readonly acceptor: LinkMachine;

  constructor(dialer: Partial<LinkOptions> = {}, acceptor: Partial<LinkOptions> = {}) {
    this.dialer = new LinkMachine(options("dialer", dialer), this.dialerEvents, this.nowMs);
    this.acceptor = new LinkMachine(options("acceptor", acceptor), this.acceptorEvents, this.nowMs);
  }

  /** Delivers what is queued, both ways, until nothing is. */
  flush(): void {
    for (let i = 0; i < 10_000; i++) {
      const one = this.carry(this.dialer, this.acceptor);
      const other = this.carry(this.acceptor, this.dialer);
      if (!one && !other) return;
    }
    throw new Error("the machines never stop talking");
  }

  /** Delivers what `from` has queued. False if nothing was. */
  carry(from: LinkMachine, to: LinkMachine): boolean {
    const output = from.takeOutput();
    if (output === undefined) return false;
    const size = this.pieceBytes || output.length;
    for (let at = 0; at < output.length; at += size) {
      to.handleBytes(output.subarray(at, at + size), this.nowMs);
    }
    from.giveBack(output);
    return true;
  }

  /** Lets time pass, firing timers at their time and delivering what they queue. */
  advance(ms: number, deliver: boolean = true): void {
    const end = this.nowMs + ms;
    for (let i = 0; i < 100_000; i++) {
      const next = Math.min(
        this.dialer.nextTimerMs ?? Infinity,
        this.acceptor.nextTimerMs ?? Infinity,
      );
      if (next > end) {
        this.nowMs = end;
        return;
      }
      this.nowMs = Math.max(this.nowMs, next);
      this.dialer.handleTimer(this.nowMs);
      this.acceptor.handleTimer(this.nowMs);
      if (deliver) this.flush();
    }
    throw new Error("timers never stop");
  }

  /** The handshake, with the events it makes dropped. */
  static up(dialer: Partial<LinkOptions> = {}, acceptor: Partial<LinkOptions> = {}): Pair {
    const pair = new Pair(dialer, acceptor);
    pair.flush();
    if (pair.dialer.state !== "up" || pair.acceptor.state !== "up") {
      throw new Error(`not up: ${JSON.stringify(pair.acceptorEvents.events)}`);
    }
    pair.dialerEvents.take();
    pair.acceptorEvents.take();
    return pair;
  }
}

/** The UTF-8 of a text. */
export function bytes(text: string): Uint8Array<ArrayBuffer> {
  return encodeUtf8(text);
}

/** A body as it is written down: its text, or of a long one how long it is. */
function text(body: Uint8Array): string | number {
  return body.length > 64 ? body.length : decodeUtf8(body);
}

/** A message frame as a peer might forge it. */
export function forged(
  kindNumber: number,
  stream: number,
  body: Uint8Array = new Uint8Array(),
  upload = false,
): Uint8Array<ArrayBuffer> {
  const writer = new FrameWriter();
  const lane = writer.lanes[2]!;
  const call = messageTypes["service.call"];
  writeMessage(lane, 0x0100, call, kindNumber, 2, stream, upload, noFields, body, 2 ** 24);
  return writer.take()!;
}

/** A control frame as a peer might forge it. */
export function control(
  name: keyof typeof messageTypes,
  payload: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(headerBytes + payload.length);
  writeHeader(frame, 0, 0x0100, messageTypes[name], payload.length);
  frame.set(payload, headerBytes);
  return frame;
}
