/**
 * The transport `tcp`: bytes in the clear, from anyone.
 *
 * Neither end is authenticated and anybody on the path reads along, so it starts
 * only with `insecure: true`. Use `tls` for everything but trusted machines and
 * measurements. It listens from its set-up on; inbound connections wait, within
 * bounds, for whoever accepts them.
 */
import { z } from "zod";
import { settings } from "../../core/contracts/settings.ts";
import { type Connection, type Transport, transport } from "../../core/contracts/transport.ts";
import { duration } from "../../core/kernel/config.ts";
import { definePlugin } from "../../core/kernel/define_plugin.ts";
import type { Host } from "../../core/kernel/host.ts";
import type { Plugin } from "../../core/kernel/plugin.ts";
import { AcceptQueue } from "../../core/node/net/accept_queue.ts";
import { announcedAddress, parseHostPort } from "../../core/node/net/address.ts";
import { bindField } from "../../core/node/net/field.ts";
import { attempt } from "../../core/node/net/attempt.ts";
import { asListenError } from "../../core/node/net/listen_error.ts";
import { bindingOf } from "../../core/node/net/binding.ts";
import { TcpConnection } from "./tcp/connection.ts";

const config = z.strictObject({
  insecure: z.literal(true, {
    error: "tcp neither encrypts nor authenticates: write true to allow it, or use tls",
  }).describe("Allow unencrypted, unauthenticated links. There is no other kind with tcp."),
  bindAddress: bindField().optional()
    .describe("Where to listen, host:port; port 0 for any free one. Default: node.bindAddress."),
  advertiseAddress: bindField().optional()
    .describe(
      "How others reach it, host:port. Default: node.advertiseAddress, else where it listens.",
    ),
  closeTimeout: duration("2s").describe("How long close() may take to send what is left."),
});

/** How long to wait after the system refused an inbound connection (no descriptors left), in ms. */
const acceptRetryMs = 100;

/** The plugin. */
const tcpTransport: Plugin<Transport> = definePlugin({
  name: "tcp",
  summary: "Unencrypted links between machines that trust each other.",
  provides: transport,
  needs: { settings },
  config,
  permissions: () => ({ net: true, sys: ["hostname"] }),
  setup({ id, config, needs: { settings }, host, own }) {
    const binding = bindingOf(config, settings);
    const made = own(new TcpTransport(id, config.closeTimeout, host));
    if (binding !== undefined) made.listen(binding.bind, binding.advertise);
    return made;
  },
});
export default tcpTransport;

class TcpTransport implements Transport, AsyncDisposable {
  readonly id: string;
  readonly scheme = "tcp";
  addresses: readonly string[] = [];
  readonly #closeTimeoutMs: number;
  readonly #host: Host;
  readonly #queue: AcceptQueue;
  readonly #connections = new Set<TcpConnection>();
  readonly #stopping = new AbortController();
  #listener: Deno.TcpListener | undefined;
  #accepting: Promise<void> | undefined;

  constructor(id: string, closeTimeoutMs: number, host: Host) {
    this.id = id;
    this.#closeTimeoutMs = closeTimeoutMs;
    this.#host = host;
    this.#queue = new AcceptQueue(host.log);
  }

  /** Begins to listen. @throws {MycnetError} `address_in_use`, `address_invalid`. */
  listen(bindAddress: string, advertise: string | undefined): void {
    const { host, port } = parseHostPort(bindAddress, "bindAddress");
    try {
      this.#listener = Deno.listen({ hostname: host === "" ? "0.0.0.0" : host, port });
    } catch (error) {
      throw asListenError(error, bindAddress);
    }
    const bound = { host, port: this.#listener.addr.port };
    const hostname = () => Deno.hostname();
    this.addresses = [`tcp://${announcedAddress({ bound, advertise, hostname })}`];
    this.#accepting = this.#accept(this.#listener);
  }

  dial(address: string, options: { signal: AbortSignal; timeoutMs: number }): Promise<Connection> {
    return attempt({ host: this.#host, address: `tcp://${address}`, ...options }, (attempt) => {
      const { host, port } = parseHostPort(address);
      if (this.#stopping.signal.aborted) throw new Error("the transport has stopped");
      const signal = AbortSignal.any([attempt.signal, this.#stopping.signal]);
      Deno.connect({ hostname: host === "" ? "127.0.0.1" : host, port, signal }).then((socket) => {
        if (signal.aborted) return socket.close();
        attempt.succeed(this.#connection(socket));
      }, attempt.fail);
    });
  }

  accept(handler: (connection: Connection) => void): Disposable {
    return this.#queue.accept(handler);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    this.#listener?.close();
    this.#queue[Symbol.dispose]();
    for (const connection of [...this.#connections]) connection.destroy();
    await this.#accepting;
  }

  async #accept(listener: Deno.TcpListener): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        const socket = await listener.accept();
        if (this.#queue.full) socket.close();
        else this.#queue.push(this.#connection(socket));
      } catch (error) {
        if (signal.aborted) return;
        this.#host.log.warn("An inbound connection could not be taken", {
          error: (error as Error).message,
        });
        await this.#host.sleep(acceptRetryMs, signal).catch(() => {});
      }
    }
  }

  #connection(socket: Deno.TcpConn): TcpConnection {
    const connection = new TcpConnection({
      host: this.#host,
      transport: this.id,
      socket,
      closeTimeoutMs: this.#closeTimeoutMs,
      gone: (connection) => {
        this.#connections.delete(connection);
        this.#queue.forget(connection);
      },
    });
    this.#connections.add(connection);
    return connection;
  }
}
