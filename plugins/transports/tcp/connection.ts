/**
 * A TCP connection.
 *
 * One loop reads into one reused buffer, which begins small and grows to 64 KiB
 * as soon as a read fills it: idle links stay cheap, busy ones read in large
 * pieces. A write that the kernel takes in parts is repeated with the rest.
 *
 * Ending politely takes two: `close` finishes the write, shuts this direction
 * and reads (and drops) until the other end has shut its own, because closing a
 * socket with unread bytes resets it and may cost the peer the last bytes that
 * were sent to it. An end of the peer's stream is answered in kind. Both are
 * bounded by a timer.
 */
import type {
  Connection,
  ConnectionHandlers,
  PeerAuthentication,
} from "../../../core/contracts/transport.ts";
import { MycnetError } from "../../../core/kernel/errors.ts";
import type { Host, Timer } from "../../../core/kernel/host.ts";
import { formatHostPort } from "../../../core/node/net/address.ts";

const smallestBufferBytes = 4096;
const largestBufferBytes = 65_536;

/**
 * After so many bytes everything else has its turn: what is there already is read within the same
 * one, and as long as the other end writes fast enough, there always is more.
 */
const turnBytes = 256 * 1024;

/** What a connection is made of. */
export interface TcpConnectionOptions {
  readonly host: Host;
  /** The instance id of the transport. */
  readonly transport: string;
  readonly socket: Deno.TcpConn;
  readonly closeTimeoutMs: number;
  /** Runs once when the socket is closed. */
  readonly gone: (connection: TcpConnection) => void;
}

/** One TCP connection. */
export class TcpConnection implements Connection {
  readonly transport: string;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly authentication: PeerAuthentication = { kind: "fiat" };
  readonly encryption = "none";
  readonly #host: Host;
  readonly #socket: Deno.TcpConn;
  readonly #closeTimeoutMs: number;
  readonly #onGone: (connection: TcpConnection) => void;
  #handlers: ConnectionHandlers | undefined;
  #written: (() => void) | undefined;
  #rest: Uint8Array | undefined;
  #reading = false;
  #paused = false;
  #wake: (() => void) | undefined;
  #closing: Timer | undefined;
  #shut = false;
  #peerEnded = false;
  #gone = false;
  #error: Error | undefined;
  readonly #wrote = (count: number): void => {
    const rest = this.#rest;
    if (rest === undefined) return;
    if (count < rest.length) {
      this.#rest = rest.subarray(count);
      this.#send();
      return;
    }
    const written = this.#written!;
    this.#rest = this.#written = undefined;
    if (!this.#gone) written();
    if (this.#closing !== undefined && this.#rest === undefined) this.#shutDown();
  };
  readonly #failed = (error: unknown): void => this.#end(error);

  constructor(options: TcpConnectionOptions) {
    const { localAddr, remoteAddr } = options.socket;
    this.transport = options.transport;
    this.localAddress = formatHostPort(localAddr.hostname, localAddr.port);
    this.remoteAddress = formatHostPort(remoteAddr.hostname, remoteAddr.port);
    this.#host = options.host;
    this.#socket = options.socket;
    this.#closeTimeoutMs = options.closeTimeoutMs;
    this.#onGone = options.gone;
    try {
      options.socket.setNoDelay(true);
    } catch {
      // It is closed already; the first read or write tells.
    }
  }

  open(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
    if (this.#gone) this.#tellClosed();
    else this.#startReading();
  }

  write(bytes: Uint8Array, written: () => void): void {
    if (this.#rest !== undefined) throw new Error("one write at a time");
    if (this.#gone || this.#closing !== undefined) return;
    this.#rest = bytes;
    this.#written = written;
    this.#send();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#wake?.();
  }

  close(): void {
    if (this.#gone || this.#closing !== undefined) return;
    this.#closing = this.#host.after(this.#closeTimeoutMs, () => this.destroy());
    if (this.#rest === undefined) this.#shutDown();
    // Nobody listens any more, but the end of the peer's stream must be seen.
    this.#startReading();
    this.resume();
  }

  destroy(): void {
    this.#end(undefined);
  }

  #send(): void {
    this.#socket.write(this.#rest!).then(this.#wrote, this.#failed);
  }

  #startReading(): void {
    if (this.#reading) return;
    this.#reading = true;
    void this.#read();
  }

  async #read(): Promise<void> {
    let buffer = new Uint8Array(smallestBufferBytes);
    let sinceTurn = 0;
    try {
      while (!this.#gone) {
        if (this.#paused) {
          await new Promise<void>((wake) => this.#wake = wake);
          this.#wake = undefined;
          continue;
        }
        const count = await this.#socket.read(buffer);
        if (count === null) break;
        if (this.#closing === undefined && !this.#gone) {
          this.#handlers?.data(buffer.subarray(0, count));
        }
        if (count === buffer.length && count < largestBufferBytes) {
          buffer = new Uint8Array(largestBufferBytes);
        }
        sinceTurn += count;
        if (sinceTurn >= turnBytes) {
          sinceTurn = 0;
          await this.#host.barrier();
        }
      }
      this.#peerEnded = true;
      if (this.#shut) this.#end(undefined);
      else this.close();
    } catch (error) {
      this.#end(error);
    }
  }

  /** This direction is over; the socket closes once the other is too. */
  #shutDown(): void {
    if (this.#shut || this.#gone) return;
    this.#shut = true;
    this.#socket.closeWrite().then(
      () => this.#peerEnded && this.#end(undefined),
      // The peer is gone already, with everything we sent.
      () => this.#end(undefined),
    );
  }

  #end(error: unknown): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#rest = this.#written = undefined;
    this.#closing?.[Symbol.dispose]();
    // What breaks after the end was begun on purpose is no failure.
    if (error !== undefined && this.#closing === undefined) this.#error = this.#lost(error);
    try {
      this.#socket.close();
    } catch {
      // Closed already.
    }
    this.#wake?.();
    this.#onGone(this);
    if (this.#handlers !== undefined) this.#tellClosed();
  }

  #tellClosed(): void {
    const handlers = this.#handlers!;
    queueMicrotask(() => handlers.closed(this.#error));
  }

  #lost(cause: unknown): Error {
    const why = cause instanceof Error ? cause.message : String(cause);
    return new MycnetError("link_lost", `The connection to ${this.remoteAddress} broke: ${why}`, {
      cause,
    });
  }
}
