/**
 * The transport `memory`: nodes of one process, without sockets.
 *
 * Addresses are names: a node listens under its id unless told otherwise. It
 * authenticates nobody and keeps nothing secret, as everything in it is one
 * process anyhow. Its uses are tests, and several nodes in one program.
 */
import { z } from "zod";
import { settings } from "../../core/contracts/settings.ts";
import { type Connection, type Transport, transport } from "../../core/contracts/transport.ts";
import { duration } from "../../core/kernel/config.ts";
import { definePlugin } from "../../core/kernel/define_plugin.ts";
import type { Host } from "../../core/kernel/host.ts";
import type { Plugin } from "../../core/kernel/plugin.ts";
import { AcceptQueue } from "../../core/node/net/accept_queue.ts";
import { attempt } from "../../core/node/net/attempt.ts";
import { MemoryEnd } from "./memory/connection.ts";
import { MemoryNetwork, sharedNetwork } from "./memory/network.ts";

export { MemoryNetwork };

const config = z.strictObject({
  address: z.string().regex(/^[^\s/]{1,255}$/, "must be 1 to 255 characters without / and spaces")
    .optional().describe("The name to listen under. Default: the node's id; a hyphae listens not."),
  network: z.unknown().optional()
    .refine(
      (value) => value === undefined || isNetwork(value),
      "must be a MemoryNetwork, passed by value",
    )
    .describe("A namespace of its own, passed by value. Default: that of the process."),
  closeTimeout: duration("2s").describe("How long close() may take to be read by the other end."),
});

/** By shape, not by class: it may come from another copy of the runtime. */
function isNetwork(value: unknown): value is MemoryNetwork {
  const it = value as Partial<Record<keyof MemoryNetwork, unknown>> | null;
  return typeof it === "object" && it !== null && typeof it.listen === "function" &&
    typeof it.find === "function" && typeof it.nextNumber === "function";
}

/** The plugin. */
const memoryTransport: Plugin<Transport> = definePlugin({
  name: "memory",
  summary: "Nodes of one process, without sockets.",
  provides: transport,
  needs: { settings },
  config,
  setup({ id, config, needs: { settings }, host, own }) {
    const network = config.network === undefined
      ? sharedNetwork()
      : config.network as MemoryNetwork;
    const listens = config.address !== undefined || settings.bindAddress !== undefined;
    const name = config.address ?? settings.id;
    const made = own(new MemoryTransport(id, network, name, listens, config.closeTimeout, host));
    if (listens) own(network.listen(name, (end) => made.take(end)));
    return made;
  },
});
export default memoryTransport;

class MemoryTransport implements Transport, Disposable {
  readonly id: string;
  readonly scheme = "memory";
  readonly addresses: readonly string[];
  readonly #network: MemoryNetwork;
  readonly #name: string;
  readonly #closeTimeoutMs: number;
  readonly #host: Host;
  readonly #queue: AcceptQueue;
  readonly #ends = new Set<MemoryEnd>();
  #stopped = false;

  constructor(
    id: string,
    network: MemoryNetwork,
    name: string,
    listens: boolean,
    closeTimeoutMs: number,
    host: Host,
  ) {
    this.id = id;
    this.#network = network;
    this.#name = name;
    this.addresses = listens ? [`memory://${name}`] : [];
    this.#closeTimeoutMs = closeTimeoutMs;
    this.#host = host;
    this.#queue = new AcceptQueue(host.log);
  }

  dial(address: string, options: { signal: AbortSignal; timeoutMs: number }): Promise<Connection> {
    return attempt({ host: this.#host, address: `memory://${address}`, ...options }, (attempt) => {
      // A turn later, as anywhere else: a dial never completes within the call.
      void this.#host.barrier().then(() => {
        if (attempt.signal.aborted) return;
        const listener = this.#network.find(address);
        if (this.#stopped) return attempt.fail(new Error("the transport has stopped"));
        if (listener === undefined) {
          return attempt.fail(new Error("no node of this process listens there"));
        }
        const near = this.#end(`${this.#name}#${this.#network.nextNumber()}`, address);
        if (!listener(near)) {
          near.destroy();
          return attempt.fail(new Error("it has no room for more connections"));
        }
        if (!attempt.succeed(near)) near.destroy();
      });
    });
  }

  accept(handler: (connection: Connection) => void): Disposable {
    return this.#queue.accept(handler);
  }

  /** An inbound connection. False: no room. */
  take(dialler: MemoryEnd): boolean {
    if (this.#stopped || this.#queue.full) return false;
    const end = this.#end(dialler.remoteAddress, dialler.localAddress);
    MemoryEnd.join(dialler, end);
    this.#queue.push(end);
    return true;
  }

  [Symbol.dispose](): void {
    this.#stopped = true;
    this.#queue[Symbol.dispose]();
    for (const end of [...this.#ends]) end.destroy();
  }

  #end(localAddress: string, remoteAddress: string): MemoryEnd {
    const end = new MemoryEnd({
      host: this.#host,
      transport: this.id,
      localAddress,
      remoteAddress,
      closeTimeoutMs: this.#closeTimeoutMs,
      gone: () => {
        this.#ends.delete(end);
        this.#queue.forget(end);
      },
    });
    this.#ends.add(end);
    return end;
  }
}
