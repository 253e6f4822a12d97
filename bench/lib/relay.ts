/** A relay of TCP connections that can cut them all: no goodbye, as when a cable is pulled and the system notices. */
import net from "node:net";

const host = "127.0.0.1";

/** Made by {@linkcode Relay.listen}. Use with `await using`. */
export class Relay implements AsyncDisposable {
  /** `host:port` of loopback, where it listens. */
  readonly address: string;
  /** `host:port` of loopback where it leads; until it is set, whoever connects is cut off. */
  target: string | undefined;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();

  private constructor(server: net.Server) {
    this.#server = server;
    this.address = `${host}:${(server.address() as net.AddressInfo).port}`;
    server.on("connection", (near: net.Socket) => {
      if (this.target === undefined) return void near.destroy();
      const far = net.connect({ host, port: Number(this.target.split(":")[1]), noDelay: true });
      near.setNoDelay(true);
      this.#join(near, far);
      this.#join(far, near);
    });
  }

  /** Listens on a free port. */
  static async listen(): Promise<Relay> {
    const server = net.createServer();
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, host, resolve);
    });
    return new Relay(server);
  }

  /** Connections that run through it. */
  get connections(): number {
    return this.#sockets.size / 2;
  }

  /** Cuts all connections. How many there were. */
  cut(): number {
    const count = this.connections;
    for (const socket of this.#sockets) socket.resetAndDestroy();
    return count;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.cut();
    await closed;
  }

  #join(from: net.Socket, to: net.Socket): void {
    this.#sockets.add(from);
    from.on("error", () => {}); // `close` follows.
    from.on("close", () => {
      this.#sockets.delete(from);
      to.destroy();
    });
    from.pipe(to);
  }
}
