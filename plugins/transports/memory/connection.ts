/**
 * Two ends of a connection within one process.
 *
 * A write is handed to the other end without a copy: it reads straight from the
 * writer's buffer, in slices, and `written` runs when the last slice was read,
 * so the buffer is free again exactly when the contract says so, and a reader
 * that pauses is felt at once. Each write crosses the event loop (`host.barrier`)
 * before it is delivered: no call returns into its caller, and two nodes that
 * talk without end leave timers and sockets their turn.
 *
 * An end lives until both sides know: `close` waits for the outstanding write,
 * then ends both; `destroy` drops it. `closed` comes a turn later, once.
 */
import type {
  Connection,
  ConnectionHandlers,
  PeerAuthentication,
} from "../../../core/contracts/transport.ts";
import { MycnetError } from "../../../core/kernel/errors.ts";
import type { Host, Timer } from "../../../core/kernel/host.ts";

/** The most bytes handed over in one call. */
const sliceBytes = 65_536;

/** What one end is made of. */
export interface MemoryEndOptions {
  /** Whose end it is. */
  readonly host: Host;
  /** The instance id of the transport. */
  readonly transport: string;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly closeTimeoutMs: number;
  /** Runs once when the end is over. */
  readonly gone: () => void;
}

/** One end. */
export class MemoryEnd implements Connection {
  readonly transport: string;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly authentication: PeerAuthentication = { kind: "fiat" };
  readonly encryption = "none";
  readonly #host: Host;
  readonly #closeTimeoutMs: number;
  readonly #onGone: () => void;
  /** Until joined, an end is its own peer. */
  #peer: MemoryEnd = this;
  #handlers: ConnectionHandlers | undefined;
  #paused = false;
  /** The outstanding write, and how much of it the peer has read. */
  #outgoing: { readonly bytes: Uint8Array; readonly written: () => void; read: number } | undefined;
  /** A delivery to this end is on its way across the event loop, or running. */
  #delivering = false;
  #closing: Timer | undefined;
  #gone = false;
  #error: Error | undefined;

  constructor(options: MemoryEndOptions) {
    this.#host = options.host;
    this.transport = options.transport;
    this.localAddress = options.localAddress;
    this.remoteAddress = options.remoteAddress;
    this.#closeTimeoutMs = options.closeTimeoutMs;
    this.#onGone = options.gone;
  }

  /** Ties two ends together; before anything else. */
  static join(a: MemoryEnd, b: MemoryEnd): void {
    a.#peer = b;
    b.#peer = a;
  }

  open(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
    if (this.#gone) this.#tellClosed();
    else this.#read();
  }

  write(bytes: Uint8Array, written: () => void): void {
    if (this.#outgoing !== undefined) throw new Error("one write at a time");
    if (this.#gone || this.#closing !== undefined) return;
    this.#outgoing = { bytes, written, read: 0 };
    this.#peer.#read();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#read();
  }

  close(): void {
    if (this.#gone || this.#closing !== undefined) return;
    this.#closing = this.#host.after(this.#closeTimeoutMs, () => this.destroy());
    if (this.#outgoing === undefined) this.#end();
  }

  destroy(): void {
    this.#end();
  }

  /** Reads what the peer has written, after a turn of the event loop. */
  #read(): void {
    if (this.#delivering || !this.#readable) return;
    this.#delivering = true;
    void this.#host.barrier().then(() => this.#deliver());
  }

  get #readable(): boolean {
    return !this.#gone && !this.#paused && this.#handlers !== undefined &&
      this.#peer.#outgoing !== undefined;
  }

  #deliver(): void {
    const writer = this.#peer;
    const outgoing = writer.#outgoing;
    while (this.#readable && outgoing !== undefined && outgoing.read < outgoing.bytes.length) {
      const slice = outgoing.bytes.subarray(outgoing.read, outgoing.read + sliceBytes);
      outgoing.read += slice.length;
      // After `close` this end listens no more, but the peer's bytes still have to go somewhere.
      if (this.#closing === undefined) this.#handlers!.data(slice);
    }
    this.#delivering = false;
    if (this.#gone || outgoing === undefined || outgoing.read < outgoing.bytes.length) return;
    writer.#outgoing = undefined;
    outgoing.written();
    if (writer.#closing !== undefined && writer.#outgoing === undefined) writer.#end();
  }

  /** Both ends are over. */
  #end(): void {
    if (this.#gone) return;
    this.#leave();
    this.#peer.#peerLeft();
  }

  #peerLeft(): void {
    if (this.#gone) return;
    if (this.#outgoing !== undefined) {
      this.#error = new MycnetError("link_lost", `${this.remoteAddress} closed the connection`);
    }
    this.#leave();
  }

  #leave(): void {
    this.#gone = true;
    this.#outgoing = undefined;
    this.#closing?.[Symbol.dispose]();
    this.#onGone();
    if (this.#handlers !== undefined) this.#tellClosed();
  }

  #tellClosed(): void {
    const handlers = this.#handlers!;
    void this.#host.barrier().then(() => handlers.closed(this.#error));
  }
}
