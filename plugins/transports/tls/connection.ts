/**
 * A TLS connection over node:tls, after its handshake.
 *
 * The socket does the work; this class turns its events into the contract's: one
 * `closed`, no bytes after `close`, and a limit on how long a polite end may take.
 * A write's callback comes when the kernel has the bytes, so one outstanding write
 * is all the buffering there is. Reads allocate nothing (reads.ts). Before `open`,
 * and while paused, nothing is read from the TCP socket beneath (flow.ts), and so the
 * peer feels it.
 */
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type {
  Connection,
  ConnectionHandlers,
  PeerAuthentication,
} from "../../../core/contracts/transport.ts";
import { MycnetError } from "../../../core/kernel/errors.ts";
import type { Host, Timer } from "../../../core/kernel/host.ts";
import { formatHostPort } from "../../../core/node/net/address.ts";
import { Flow } from "./flow.ts";
import { receive } from "./reads.ts";

/** What a connection is made of. */
export interface TlsConnectionOptions {
  readonly host: Host;
  /** The instance id of the transport. */
  readonly transport: string;
  readonly socket: TLSSocket;
  /** The TCP socket beneath. */
  readonly raw: Socket;
  readonly authentication: PeerAuthentication;
  readonly closeTimeoutMs: number;
  /** Runs once when the socket is closed. */
  readonly gone: (connection: TlsConnection) => void;
}

/** One TLS connection. */
export class TlsConnection implements Connection {
  readonly transport: string;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly authentication: PeerAuthentication;
  readonly encryption = "standard";
  readonly #host: Host;
  readonly #socket: TLSSocket;
  readonly #raw: Socket;
  readonly #flow: Flow;
  readonly #closeTimeoutMs: number;
  #handlers: ConnectionHandlers | undefined;
  #paused = false;
  #writing = false;
  #written: (() => void) | undefined;
  #closing: Timer | undefined;
  #over = false;
  #gone = false;
  #error: Error | undefined;
  readonly #wrote = (error?: Error | null): void => {
    const written = this.#written;
    this.#writing = false;
    this.#written = undefined;
    if (error === undefined || error === null) { if (!this.#over) written?.(); }
  };

  constructor(options: TlsConnectionOptions) {
    const { socket, gone } = options;
    this.transport = options.transport;
    this.authentication = options.authentication;
    this.localAddress = formatHostPort(socket.localAddress ?? "", socket.localPort ?? 0);
    this.remoteAddress = formatHostPort(socket.remoteAddress ?? "", socket.remotePort ?? 0);
    this.#host = options.host;
    this.#socket = socket;
    this.#raw = options.raw;
    this.#flow = new Flow(options.raw);
    this.#flow.stop();
    this.#closeTimeoutMs = options.closeTimeoutMs;
    socket.setNoDelay(true);
    socket.on("error", (error) => this.#error ??= error);
    socket.on("close", () => {
      this.#gone = this.#over = true;
      this.#closing?.[Symbol.dispose]();
      gone(this);
      if (this.#handlers !== undefined) this.#tellClosed();
    });
  }

  open(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
    if (this.#gone) return this.#tellClosed();
    receive(this.#socket, this.#raw, (bytes) => {
      if (!this.#over) handlers.data(bytes);
    });
    if (!this.#paused) this.#flow.start();
  }

  write(bytes: Uint8Array, written: () => void): void {
    if (this.#writing) throw new Error("one write at a time");
    if (this.#over) return;
    this.#writing = true;
    this.#written = written;
    this.#socket.write(bytes, this.#wrote);
  }

  pause(): void {
    this.#paused = true;
    this.#flow.stop();
  }

  resume(): void {
    this.#paused = false;
    if (this.#handlers !== undefined) this.#flow.start();
  }

  close(): void {
    if (this.#over) return;
    this.#closing = this.#host.after(this.#closeTimeoutMs, () => this.#socket.destroy());
    this.#over = true;
    this.#socket.end();
    // Nobody listens any more, but the end of the peer's stream must be seen.
    this.#socket.resume();
    this.#flow.start();
  }

  destroy(): void {
    this.#over = true;
    this.#socket.destroy();
  }

  #tellClosed(): void {
    const handlers = this.#handlers!;
    queueMicrotask(() => handlers.closed(this.#failure()));
  }

  /** What broke, unless it broke after the end was begun on purpose. */
  #failure(): Error | undefined {
    const cause = this.#error;
    if (cause === undefined || this.#closing !== undefined) return undefined;
    return new MycnetError(
      "link_lost",
      `The connection to ${this.remoteAddress} broke: ${cause.message}`,
      { cause },
    );
  }
}
