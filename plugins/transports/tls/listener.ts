/**
 * The listening side of `tls`.
 *
 * A plain TCP server stands in front and hands each socket to the TLS server,
 * because only so are unfinished handshakes ours to count and to end: at most
 * `maxHandshakes` at a time, each within `handshakeTimeoutMs`. A failed handshake
 * costs its own socket and a debug line. New credentials replace the server's
 * context; connections that exist keep theirs.
 */
import { createServer as createTcpServer, type Server as TcpServer, type Socket } from "node:net";
import {
  createServer as createTlsServer,
  type Server as TlsServer,
  type TLSSocket,
} from "node:tls";
import type { AddressInfo } from "node:net";
import type { Host, Timer } from "../../../core/kernel/host.ts";
import type { HostPort } from "../../../core/node/net/address.ts";
import { protocolName, type TlsContext } from "./context.ts";

/** How many handshakes may be under way at once; more connections are closed. */
export const maxHandshakes = 256;

/** What a listener needs. */
export interface TlsListenerOptions {
  readonly host: Host;
  readonly context: TlsContext;
  readonly handshakeTimeoutMs: number;
  /** True if one more connection would be turned away anyway. */
  readonly full: () => boolean;
  /** Takes a connection whose handshake is done, and the TCP socket beneath it. */
  readonly accept: (socket: TLSSocket, raw: Socket) => void;
}

/** Listens, and does the server's side of the handshake. */
export class TlsListener implements AsyncDisposable {
  readonly #options: TlsListenerOptions;
  readonly #front: TcpServer;
  readonly #tls: TlsServer;
  /** Sockets before the end of their handshake, by the address of the other end. */
  readonly #handshakes = new Map<string, { readonly socket: Socket; readonly timer: Timer }>();

  constructor(options: TlsListenerOptions) {
    this.#options = options;
    this.#tls = createTlsServer({
      ...options.context.options,
      requestCert: true,
      // The reason for a refusal is told in our own protocol; see authenticate.ts.
      rejectUnauthorized: false,
      ALPNProtocols: [protocolName],
      // Ours, below, ends the socket too.
      handshakeTimeout: options.handshakeTimeoutMs + 1000,
    });
    this.#tls.on("secureConnection", (socket) => this.#secured(socket));
    this.#tls.on("tlsClientError", (error) => {
      options.host.log.debug("A TLS handshake failed", { error: error.message });
    });
    this.#front = createTcpServer({ noDelay: true }, (socket) => this.#connected(socket));
  }

  /** How many handshakes are under way. */
  get handshakes(): number {
    return this.#handshakes.size;
  }

  /** Begins to listen and gives the real port. Rejects with the system's error. */
  listen({ host, port }: HostPort): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#front.once("error", reject);
    this.#front.listen({ host: host === "" ? "0.0.0.0" : host, port }, () => {
      this.#front.off("error", reject);
      this.#front.on("error", (error) => {
        this.#options.host.log.warn("An inbound connection could not be taken", {
          error: error.message,
        });
      });
      resolve((this.#front.address() as AddressInfo).port);
    });
    return promise;
  }

  /** New handshakes use these credentials. */
  renew(context: TlsContext): void {
    this.#tls.setSecureContext(context.options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#front.close(() => resolve()));
    for (const { socket } of this.#handshakes.values()) socket.destroy();
    await closed;
  }

  #connected(socket: Socket): void {
    socket.on("error", () => {}); // The TLS side hears of it too.
    if (this.#handshakes.size >= maxHandshakes || this.#options.full()) {
      socket.destroy();
      return;
    }
    const key = addressOf(socket);
    const timer = this.#options.host.after(
      this.#options.handshakeTimeoutMs,
      () => socket.destroy(),
    );
    this.#handshakes.set(key, { socket, timer });
    socket.once("close", () => this.#done(key, socket));
    this.#tls.emit("connection", socket);
  }

  #secured(socket: TLSSocket): void {
    const handshake = this.#handshakes.get(addressOf(socket));
    // Its time was over, or the listener is closing.
    if (handshake === undefined) return void socket.destroy();
    this.#done(addressOf(socket), handshake.socket);
    if (socket.alpnProtocol !== protocolName) return void socket.destroy();
    this.#options.accept(socket, handshake.socket);
  }

  #done(key: string, socket: Socket): void {
    const handshake = this.#handshakes.get(key);
    if (handshake?.socket !== socket) return;
    handshake.timer[Symbol.dispose]();
    this.#handshakes.delete(key);
  }
}

/** Both ends of a socket: what tells it apart from all others of this listener. */
function addressOf(socket: Socket | TLSSocket): string {
  return `${socket.remoteAddress}#${socket.remotePort}>${socket.localAddress}`;
}
