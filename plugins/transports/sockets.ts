/**
 * Sockets of the system: UDP and TCP at one port, in the clear.
 *
 * Gossip is what they are for: it encrypts by itself, to a key that a cluster
 * shares, and expects datagrams and streams at the same number. With port 0 the
 * system chooses for UDP, and if TCP's half of that number is taken, again.
 */
import { z } from "zod";
import {
  type Port,
  type PortOptions,
  type Sockets,
  sockets,
} from "../../core/contracts/sockets.ts";
import type { Connection } from "../../core/contracts/transport.ts";
import { definePlugin } from "../../core/kernel/define_plugin.ts";
import { codeOf } from "../../core/kernel/errors.ts";
import type { Host } from "../../core/kernel/host.ts";
import type { Plugin } from "../../core/kernel/plugin.ts";
import { AcceptQueue, asListenError, attempt, parseHostPort } from "../../core/node/net/mod.ts";
import { advertised } from "./sockets/advertise.ts";
import { maxUdpBytes, UdpSocket } from "./sockets/udp.ts";
import { bindBackend } from "./sockets/udp_backends.ts";
import { TcpConnection } from "./tcp/connection.ts";

/** How often another free port is tried. */
const maxTries = 20;
/** How long to wait after the system refused an inbound stream (no descriptors left), in ms. */
const acceptRetryMs = 100;
/** How long a stream may take to send what is left when it is closed, in ms. */
const closeTimeoutMs = 2000;
/** Inbound streams open at once; more are closed at once. */
const maxInbound = 1024;

/** The plugin. */
const plugin: Plugin<Sockets> = definePlugin({
  name: "sockets",
  summary: "UDP and TCP at one port, for protocols that encrypt by themselves.",
  provides: sockets,
  needs: {},
  config: z.strictObject({}),
  permissions: () => ({ net: true, sys: ["networkInterfaces"] }),
  setup({ id, host, own }): Sockets {
    const ports = new Set<SystemPort>();
    own({
      [Symbol.asyncDispose]: async () => {
        await Promise.all([...ports].map((it) => it[Symbol.asyncDispose]()));
      },
    });
    return {
      id,
      bind: async (options) => {
        const port = await SystemPort.bind(id, host, options, () => ports.delete(port));
        ports.add(port);
        return port;
      },
    };
  },
});
export default plugin;

/** See {@linkcode Port}. */
class SystemPort implements Port {
  readonly id: string;
  readonly maxBytes = maxUdpBytes;
  readonly address: string;
  readonly #host: Host;
  readonly #udp: UdpSocket;
  readonly #listener: Deno.TcpListener;
  readonly #queue: AcceptQueue;
  readonly #stopping = new AbortController();
  readonly #connections = new Set<TcpConnection>();
  readonly #accepting: Promise<void>;
  readonly #closed: () => void;
  #inbound = 0;
  #stopped: Promise<void> | undefined;

  private constructor(
    id: string,
    host: Host,
    address: string,
    udp: UdpSocket,
    tcp: Deno.TcpListener,
    closed: () => void,
  ) {
    this.id = id;
    this.#closed = closed;
    this.#host = host;
    this.address = address;
    this.#udp = udp;
    this.#listener = tcp;
    this.#queue = new AcceptQueue(host.log);
    this.#accepting = this.#accept();
  }

  /** @param closed runs when the port is closed. */
  static async bind(
    id: string,
    host: Host,
    options: PortOptions,
    closed: () => void,
  ): Promise<SystemPort> {
    const { bindAddress, advertiseAddress } = options;
    const wanted = parseHostPort(bindAddress, "bindAddress");
    const hostname = wanted.host === "" ? "0.0.0.0" : wanted.host;
    for (let tries = 1;; tries++) {
      await using undo = new AsyncDisposableStack();
      try {
        const udp = undo.use(
          new UdpSocket(host, await bindBackend(host, hostname, wanted.port)),
        );
        const tcp = undo.use(Deno.listen({ hostname, port: udp.port }));
        const address = await advertised({
          bound: { host: wanted.host, port: udp.port },
          advertise: advertiseAddress,
          interfaces: () => Deno.networkInterfaces(),
        });
        const port = new SystemPort(id, host, address, udp, tcp, closed);
        undo.move();
        return port;
      } catch (error) {
        const taken = error instanceof Deno.errors.AddrInUse || codeOf(error) === "EADDRINUSE";
        if (!taken || wanted.port !== 0 || tries >= maxTries) {
          throw asListenError(error, bindAddress);
        }
      }
    }
  }

  send(to: string, bytes: Uint8Array): boolean {
    return this.#udp.send(to, bytes);
  }

  receive(handler: (bytes: Uint8Array, from: string) => void): Disposable {
    return this.#udp.receive(handler);
  }

  dial(to: string, options: { signal: AbortSignal; timeoutMs: number }): Promise<Connection> {
    return attempt({ host: this.#host, address: to, ...options }, (attempt) => {
      const { host, port } = parseHostPort(to);
      if (this.#stopping.signal.aborted) throw new Error("the port is closed");
      const signal = AbortSignal.any([attempt.signal, this.#stopping.signal]);
      Deno.connect({ hostname: host === "" ? "127.0.0.1" : host, port, signal }).then((socket) => {
        if (signal.aborted) return socket.close();
        attempt.succeed(this.#connection(socket, () => {}));
      }, attempt.fail);
    });
  }

  accept(handler: (connection: Connection) => void): Disposable {
    return this.#queue.accept(handler);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  async #stop(): Promise<void> {
    this.#stopping.abort();
    this.#listener.close();
    this.#queue[Symbol.dispose]();
    for (const connection of [...this.#connections]) connection.destroy();
    await Promise.all([this.#accepting, this.#udp[Symbol.asyncDispose]()]);
    this.#closed();
  }

  async #accept(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        const socket = await this.#listener.accept();
        if (this.#queue.full || this.#inbound >= maxInbound) {
          socket.close();
          continue;
        }
        this.#inbound++;
        this.#queue.push(this.#connection(socket, () => this.#inbound--));
      } catch (error) {
        if (signal.aborted) return;
        this.#host.log.warn("An inbound stream could not be taken.", {
          error: (error as Error).message,
        });
        await this.#host.sleep(acceptRetryMs, signal).catch(() => {});
      }
    }
  }

  #connection(socket: Deno.TcpConn, gone: () => void): TcpConnection {
    const connection: TcpConnection = new TcpConnection({
      host: this.#host,
      transport: this.id,
      socket,
      closeTimeoutMs,
      gone: () => {
        this.#connections.delete(connection);
        this.#queue.forget(connection);
        gone();
      },
    });
    this.#connections.add(connection);
    return connection;
  }
}
