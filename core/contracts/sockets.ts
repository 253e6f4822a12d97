/**
 * Sockets: a port of one's own, for protocols that bring their own protection.
 *
 * A transport carries links between nodes and says who is at the other end. A
 * port carries bytes and says nothing: datagrams and byte streams from and to
 * anybody, at one number, as gossip wants it. Whoever binds one trusts nothing
 * that arrives at it.
 */
import { type Capability, capability } from "../kernel/plugin.ts";
import type { Datagrams } from "./datagrams.ts";
import type { Connection } from "./transport.ts";

/** Which port. */
export interface PortOptions {
  /** `host:port`; port 0 for any that is free for both. */
  readonly bindAddress: string;
  /** How others reach it, if not where it is bound: `host:port`; port 0 stands for the bound one. A name is resolved once. */
  readonly advertiseAddress?: string | undefined;
}

/** A bound port: datagrams, and byte streams at the same number. Dispose of it to close everything. */
export interface Port extends Datagrams, AsyncDisposable {
  /**
   * Opens a stream.
   * @param to `host:port`; a name is resolved.
   * @throws with `code` `"unreachable"`, `"timeout"` or `"aborted"`.
   */
  dial(to: string, options: { signal: AbortSignal; timeoutMs: number }): Promise<Connection>;
  /** Hands over inbound streams. Those that arrived before (at most 128) come first. One subscriber at a time. */
  accept(handler: (connection: Connection) => void): Disposable;
}

/** Where ports are bound. */
export interface Sockets {
  /** The instance id of the plugin. */
  readonly id: string;
  /**
   * Binds a port. Its `address` is a literal IP address and the port, as others should send to it.
   * @throws with `code` `"address_in_use"` or `"address_invalid"`.
   */
  bind(options: PortOptions): Promise<Port>;
}

/** The capability token of {@linkcode Sockets}. */
export const sockets: Capability<Sockets> = capability("sockets");
