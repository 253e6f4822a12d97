/**
 * Simulated connections: what a transport gives to a link, over two pipes.
 *
 * An end belongs to one incarnation of a process and obeys the contract of
 * core/contracts/transport.ts to the letter, and where the contract leaves
 * room it is as unkind as sockets are: bytes arrive cut and joined at random
 * places, `written` waits for the window, what a handler sees is overwritten
 * when it returns, and a write's bytes are read only while the write is
 * outstanding. A connection dies by goodbye (close), by reset (destroy, a
 * process that crashed, an end that no longer exists), by giving up (the
 * sender's retransmissions), or not at all: if the other machine lost power,
 * or the network is cut, an idle end hears nothing for ever.
 */
import { crc32 } from "node:zlib";
import type { ConnectionHandlers, PeerAuthentication } from "../contracts/transport.ts";
import { MycnetError } from "../kernel/errors.ts";
import type { Timer } from "../kernel/host.ts";
import type { Loop } from "./loop.ts";
import type { End, Machine, StreamFacts } from "./machine.ts";
import type { Network } from "./network.ts";
import { Pipe } from "./pipe.ts";

/** How many connections wait for a process that does not take them. */
export const backlog = 128;
/** How long the other side may take to answer a goodbye. */
export const closeTimeoutMs = 2000;
/** At most so much is sent or delivered in one piece. */
const maxPieceBytes = 65_536;
/** One segment in so many is cut in two at a random place. */
const cutEvery = 16;
/** The last day of the year 9999: simulated certificates do not expire. */
const neverExpires = 253_402_214_400_000;

interface PendingWrite {
  readonly bytes: Uint8Array;
  readonly written: () => void;
  offset: number;
}

/** What both ends are made of. */
interface EndParts {
  readonly network: Network;
  readonly machine: Machine;
  readonly loop: Loop;
  readonly facts: StreamFacts;
  readonly localAddress: string;
  readonly remoteAddress: string;
}

/** One end of a connection. */
export class StreamEnd implements End {
  readonly #parts: EndParts;
  readonly authentication: PeerAuthentication;
  #other!: StreamEnd;
  #out!: Pipe;
  #in!: Pipe;
  #inbox: (Uint8Array | undefined)[] = [];
  #handlers: ConnectionHandlers | undefined;
  #pending: PendingWrite | undefined;
  #paused = false;
  #reading = false;
  #closing = false;
  #finished = false;
  /** The connection no longer exists here. */
  #gone = false;
  #error: Error | undefined;
  #told = false;
  #closeTimer: Timer | undefined;

  private constructor(parts: EndParts, authentication: PeerAuthentication) {
    this.#parts = parts;
    this.authentication = authentication;
    parts.machine.ends.add(this);
  }

  /** Makes both ends. Nothing arrives at the second before `secondOpensAt`. */
  static pair(first: EndParts, second: EndParts, secondOpensAt: number): [StreamEnd, StreamEnd] {
    const { network } = first;
    const a = new StreamEnd(first, authenticate(first.facts, second.facts));
    const b = new StreamEnd(second, authenticate(second.facts, first.facts));
    const now = network.scheduler.now;
    const ab = new Pipe(network, first.machine, second.machine, secondOpensAt, ends(a, b));
    const ba = new Pipe(network, second.machine, first.machine, now, ends(b, a));
    a.#join(b, ab, ba);
    b.#join(a, ba, ab);
    return [a, b];
  }

  #join(other: StreamEnd, out: Pipe, incoming: Pipe): void {
    this.#other = other;
    this.#out = out;
    this.#in = incoming;
  }

  get transport(): string {
    return this.#parts.facts.transport;
  }

  get localAddress(): string {
    return this.#parts.localAddress;
  }

  get remoteAddress(): string {
    return this.#parts.remoteAddress;
  }

  get encryption(): "standard" | "none" {
    return this.authentication.kind === "fiat" ? "none" : "standard";
  }

  /** Which process it belongs to. */
  get loop(): Loop {
    return this.#parts.loop;
  }

  /** True once the connection no longer exists here, told or not. */
  get gone(): boolean {
    return this.#gone;
  }

  open(handlers: ConnectionHandlers): void {
    if (this.#handlers !== undefined) throw new Error("open() is called once");
    this.#handlers = handlers;
    if (this.#gone) this.#tell();
    else this.#parts.network.scheduler.after(0, pump, this); // Never inside open() itself.
  }

  write(bytes: Uint8Array, written: () => void): void {
    if (this.#gone || this.#finished || this.#closing || !this.#parts.loop.alive) return;
    if (this.#pending !== undefined) {
      throw new Error("a write is outstanding; the next may start when `written` runs");
    }
    this.#pending = { bytes, written, offset: 0 };
    this.#parts.network.scheduler.after(0, flush, this);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#parts.network.scheduler.after(0, pump, this);
  }

  close(): void {
    if (this.#gone || this.#closing || !this.#parts.loop.alive) return;
    this.#closing = true;
    this.#closeTimer = this.#parts.network.scheduler.after(closeTimeoutMs, () => this.destroy());
    if (this.#pending === undefined) this.finish();
  }

  destroy(): void {
    if (this.#gone || !this.#parts.loop.alive) return;
    this.reset();
    this.#end(undefined);
  }

  /** What the operating system does for a process that is gone: the other side hears "reset". */
  reset(): void {
    const { network, machine } = this.#parts;
    const other = this.#other;
    const to = other.#parts.machine;
    network.note(`${this.localAddress}>${this.remoteAddress} reset`);
    network.scheduler.after(network.transitMs(machine, to), () => {
      if (!network.blocked(machine, to)) other.fail("the peer reset the connection");
    });
    this.abandon();
  }

  /** Ends the outgoing direction behind what was sent. */
  finish(): void {
    if (this.#finished || this.#gone) return;
    this.#finished = true;
    this.#pending = undefined;
    this.#out.push(undefined);
  }

  /** Forgets the connection without a word to anybody: lost power. */
  abandon(): void {
    this.#gone = true;
    this.#out.kill();
    this.#forget();
  }

  /** Forgets it, but what was sent still travels: what becomes of a killed process's sockets. */
  orphan(): void {
    this.finish();
    this.#gone = true;
    this.#forget();
  }

  /** The connection broke. */
  fail(reason: string): void {
    if (this.#gone) return;
    this.abandon();
    this.#end(new MycnetError("link_lost", `${this.remoteAddress}: ${reason}`));
  }

  /** Bytes, or the end, have come. */
  arrived(bytes: Uint8Array | undefined): void {
    const { network } = this.#parts;
    if (network.traced) {
      const what = bytes === undefined ? "end" : `${bytes.length} ${crc32(bytes).toString(16)}`;
      network.note(`${this.remoteAddress}>${this.localAddress} ${what}`);
    }
    this.#inbox.push(bytes);
    this.pump();
  }

  /** Moves the outstanding write into the pipe as far as there is room. */
  flush(): void {
    const pending = this.#pending;
    const { loop, machine } = this.#parts;
    if (pending === undefined || this.#gone || !loop.alive) return;
    const { bytes } = pending;
    while (pending.offset < bytes.length) {
      const room = this.#out.room;
      if (room === 0) return this.#out.awaitRoom(() => this.flush());
      let size = Math.min(room, maxPieceBytes, bytes.length - pending.offset);
      if (size > 1 && machine.random.below(cutEvery) === 0) {
        size = 1 + machine.random.below(size - 1);
      }
      this.#out.push(bytes.slice(pending.offset, pending.offset + size));
      pending.offset += size;
    }
    this.#pending = undefined;
    if (this.#closing) this.finish();
    loop.enter(() => {
      if (!this.#told && !this.#gone) this.#guard(pending.written);
    });
  }

  /** Lets the process read, if it wants to and there is something. One entry waits at a time. */
  pump(): void {
    if (this.#reading || this.#inbox.length === 0 || !this.#wantsData()) return;
    this.#reading = true;
    this.#parts.loop.enter(() => {
      this.#reading = false;
      while (this.#inbox.length > 0 && this.#wantsData()) this.#deliver();
    });
  }

  #wantsData(): boolean {
    return this.#handlers !== undefined && !this.#paused && !this.#gone;
  }

  #deliver(): void {
    const first = this.#inbox.shift();
    this.#in.consumed(first);
    if (first === undefined) {
      this.finish(); // Nothing follows in either direction.
      this.#gone = true;
      return this.#end(undefined);
    }
    const pieces = [first];
    let size = first.length;
    while (this.#inbox.length > 0) {
      const next = this.#inbox[0];
      if (next === undefined || size + next.length > maxPieceBytes) break;
      this.#inbox.shift();
      this.#in.consumed(next);
      pieces.push(next);
      size += next.length;
    }
    const bytes = pieces.length === 1 ? first : join(pieces, size);
    this.#guard(() => this.#handlers!.data(bytes));
    bytes.fill(0xdb); // The view was valid during the call only.
  }

  /** The connection is gone; its process hears of it in an event of its own. */
  #end(error: Error | undefined): void {
    this.#error = error;
    this.#forget();
    this.#tell();
  }

  #tell(): void {
    if (this.#handlers === undefined) return; // open() will ask.
    this.#parts.network.scheduler.after(0, () => {
      this.#parts.loop.enter(() => {
        if (this.#told) return;
        this.#told = true;
        this.#guard(() => this.#handlers!.closed(this.#error));
      });
    });
  }

  #forget(): void {
    this.#inbox = [];
    this.#pending = undefined;
    this.#closeTimer?.[Symbol.dispose]();
    this.#parts.machine.ends.delete(this);
  }

  #guard(run: () => void): void {
    this.#parts.network.guard(this.#parts.loop.label, run);
  }
}

const flush = (end: StreamEnd) => end.flush();
const pump = (end: StreamEnd) => end.pump();

/** The ends of the pipe from `sender` to `receiver`. */
function ends(sender: StreamEnd, receiver: StreamEnd) {
  return {
    arrived: (bytes: Uint8Array | undefined) => receiver.arrived(bytes),
    receiverGone: () => receiver.gone,
    refuse: () => receiver.reset(),
    gaveUp: () => sender.fail("the peer has not acknowledged anything for 15 minutes"),
  };
}

function authenticate(mine: StreamFacts, theirs: StreamFacts): PeerAuthentication {
  if (mine.principal === undefined) return { kind: "fiat" };
  if (theirs.principal === undefined) {
    return { kind: "rejected", reason: "the peer presented no certificate" };
  }
  return { kind: "verified", principal: theirs.principal, expiresAt: neverExpires };
}

function join(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const piece of pieces) {
    bytes.set(piece, offset);
    piece.fill(0xdb);
    offset += piece.length;
  }
  return bytes;
}
