/**
 * The raw limit: an echo of small frames, and nothing else.
 *
 * A frame is what any request needs: magic 4, version 2, type 2, size 4, number
 * 4, then the body; with 64 bytes of body it is 80 long. The server reads each
 * frame and answers it with a frame of its own; the caller finds the call by
 * its number and starts the next. Both write as a link does: everything of one
 * turn goes into one growing buffer, flushed by a microtask, one write
 * outstanding, two buffers in turn. There are no promises, no deadlines, no
 * names and no fields: what those cost is what the figures beside this one show.
 * A *coded* call has MessagePack besides, encoded and decoded on both sides. A
 * *one-way* frame is read and not answered.
 */
import { decode, encodeShared } from "@mycnet/protocols/codec";
import type { BareSocket } from "./sockets.ts";

const magic = 0x4d59434e;
const rawFrame = 0x0100_0100;
const codedFrame = 0x0100_0101;
const oneWayFrame = 0x0100_0102;
const headerBytes = 16;
const firstBytes = 64 * 1024;
/** What a flood keeps ready for the socket. */
const aheadBytes = 128 * 1024;
const nothing = new Uint8Array(0);

/** Coalesces frames and writes them. */
class Output {
  readonly #socket: BareSocket;
  #buffer: Uint8Array = nothing;
  #spare: Uint8Array = nothing;
  #length = 0;
  #scheduled = false;
  #writing = false;
  readonly #flush = () => {
    this.#scheduled = false;
    if (this.#writing || this.#length === 0) return;
    const full = this.#buffer;
    const bytes = full.subarray(0, this.#length);
    this.#buffer = this.#spare;
    this.#spare = full;
    this.#length = 0;
    this.#writing = true;
    this.#socket.write(bytes, this.#written);
  };
  readonly #written = () => {
    this.#writing = false;
    this.#flush();
    this.#resume?.();
    this.#resume = undefined;
  };
  #resume: (() => void) | undefined;

  constructor(socket: BareSocket) {
    this.#socket = socket;
  }

  frame(type: number, number: number, from: Uint8Array, start: number, end: number): void {
    const size = end - start;
    if (this.#length + headerBytes + size > this.#buffer.length) this.#grow(headerBytes + size);
    const buffer = this.#buffer;
    let at = this.#length;
    writeU32(buffer, at, magic);
    writeU32(buffer, at + 4, type);
    writeU32(buffer, at + 8, size);
    writeU32(buffer, at + 12, number);
    at += headerBytes;
    for (let i = start; i < end; i++) buffer[at++] = from[i];
    this.#length = at;
    if (this.#scheduled || this.#writing) return;
    this.#scheduled = true;
    queueMicrotask(this.#flush);
  }

  /** Bytes that wait for the write that is under way. */
  get waiting(): number {
    return this.#length;
  }

  /** Resolves after the next write. */
  next(): Promise<void> {
    return new Promise((resolve) => this.#resume = resolve);
  }

  #grow(wanted: number): void {
    const size = Math.max(firstBytes, this.#buffer.length * 2, this.#length + wanted);
    const grown = new Uint8Array(size);
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}

/** What receives a frame: its type and number, and its body between two offsets. */
type Sink = (type: number, number: number, bytes: Uint8Array, start: number, end: number) => void;

/** Cuts what arrives into frames; only a frame that the end of a chunk cuts is copied. */
function frames(sink: Sink): (bytes: Uint8Array) => void {
  let held: Uint8Array = nothing;
  const whole = (bytes: Uint8Array): number => {
    let at = 0;
    while (bytes.length - at >= headerBytes) {
      if (readU32(bytes, at) !== magic) throw new Error("the other end does not speak frames");
      const end = at + headerBytes + readU32(bytes, at + 8);
      if (end > bytes.length) break;
      sink(readU32(bytes, at + 4), readU32(bytes, at + 12), bytes, at + headerBytes, end);
      at = end;
    }
    return at;
  };
  return (bytes) => {
    if (held.length > 0) {
      const joined = new Uint8Array(held.length + bytes.length);
      joined.set(held);
      joined.set(bytes, held.length);
      bytes = joined;
    }
    const at = whole(bytes);
    held = at === bytes.length ? nothing : bytes.slice(at);
  };
}

/** Answers every frame of a connection with a frame of the same body. */
export function serveEcho(socket: BareSocket): void {
  const output = new Output(socket);
  socket.open(frames((type, number, bytes, start, end) => {
    if (type === rawFrame) output.frame(type, number, bytes, start, end);
    else if (type === codedFrame) {
      const body = encodeShared(decode(bytes.subarray(start, end)));
      output.frame(type, number, body, 0, body.length);
    }
  }));
}

/** Makes calls over one connection. */
export class EchoCaller {
  readonly #output: Output;
  readonly #done: ((() => void) | undefined)[] = [];
  readonly #free: number[] = [];

  /** Takes the connection over. */
  constructor(socket: BareSocket) {
    this.#output = new Output(socket);
    socket.open(frames((type, number, bytes, start, end) => {
      if (type === codedFrame) decode(bytes.subarray(start, end));
      const done = this.#done[number];
      if (done === undefined) throw new Error("an answer to no call");
      this.#done[number] = undefined;
      this.#free.push(number);
      done();
    }));
  }

  /** Sends `body` and runs `done` when the answer is there. */
  call(body: Uint8Array, done: () => void): void {
    this.#send(rawFrame, body, done);
  }

  /** The same with a value for a body. */
  callCoded(value: unknown, done: () => void): void {
    this.#send(codedFrame, encodeShared(value), done);
  }

  /** Sends `body` over and over for `ms`, wanting no answers; how many a second had arrived when all had. */
  async flood(body: Uint8Array, ms: number): Promise<number> {
    const began = performance.now();
    let sent = 0;
    while (performance.now() - began < ms) {
      while (this.#output.waiting < aheadBytes) {
        this.#output.frame(oneWayFrame, 0, body, 0, body.length);
        sent++;
      }
      await this.#output.next();
    }
    await new Promise<void>((resolve) => this.call(body, resolve));
    return sent / (performance.now() - began) * 1000;
  }

  #send(type: number, body: Uint8Array, done: () => void): void {
    const number = this.#free.pop() ?? this.#done.length;
    this.#done[number] = done;
    this.#output.frame(type, number, body, 0, body.length);
  }
}

function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3]) >>> 0;
}

function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
