/**
 * Transports: how bytes travel between two processes. A transport knows
 * nothing of frames; a link (protocols/link) turns its bytes into messages.
 */
import { type Capability, capability } from "../kernel/plugin.ts";
import type { Principal } from "@mycnet/protocols/identity";
import type { EncryptionLevel } from "@mycnet/protocols/negotiation";

/**
 * What the transport knows of the peer from its certificate.
 * `fiat`: the transport authenticates nobody (memory, tcp); the hello counts.
 * `verified`: the certificate is authorized and names this principal.
 * `rejected`: it is not, and this is why; the link answers with a refusal, because TLS alone hides the reason.
 */
export type PeerAuthentication =
  | { readonly kind: "fiat" }
  | { readonly kind: "verified"; readonly principal: Principal; readonly expiresAt: number }
  | { readonly kind: "rejected"; readonly reason: string };

/** What receives a connection's bytes. None of these may throw. */
export interface ConnectionHandlers {
  /** Bytes, in order: a plain Uint8Array, no Buffer. The view is valid during the call only: its buffer is reused. */
  data(bytes: Uint8Array): void;
  /** The connection is gone; nothing follows. `error` is absent after a clean end. Called exactly once. */
  closed(error?: Error): void;
}

/** One duplex, ordered, reliable stream of bytes. */
export interface Connection {
  /** The instance id of the transport plugin, e.g. `"tls"`. */
  readonly transport: string;
  /** This end, e.g. `"127.0.0.1:7000"`. */
  readonly localAddress: string;
  /** The other end. */
  readonly remoteAddress: string;
  /** What the transport knows of the peer. */
  readonly authentication: PeerAuthentication;
  /** `none` in the clear; `standard` mutual TLS 1.3. */
  readonly encryption: EncryptionLevel | "none";
  /** Starts delivery. Called once; until then the transport holds what arrives (bounded by the socket's buffer). */
  open(handlers: ConnectionHandlers): void;
  /**
   * Writes all of `bytes`. At most one write may be outstanding: `written` runs
   * when the bytes may be reused and the next write may start. If the
   * connection fails, `closed` runs and `written` does not.
   * `written` never runs inside `write` itself.
   */
  write(bytes: Uint8Array, written: () => void): void;
  /** Stops reading until `resume`, so that the peer feels it. Bytes already read may still arrive. */
  pause(): void;
  /** Reads on. */
  resume(): void;
  /** Sends what was written, then ends. `closed` follows (within `closeTimeoutMs` of the transport, 2 s by default). */
  close(): void;
  /** Ends at once and discards what was not sent. `closed` follows. */
  destroy(): void;
}

/** A way to reach peers and to be reached. */
export interface Transport {
  /** The instance id of the plugin. */
  readonly id: string;
  /** The kind of address it takes: `"tls"`, `"tcp"`, `"memory"`; addresses in the directory read `tls://host:port`. */
  readonly scheme: string;
  /** Where it listens, as others should dial it: `scheme://host:port`. Empty for a node that only dials. */
  readonly addresses: readonly string[];
  /**
   * Connects, up to and including the transport's own handshake.
   * @param address `host:port`, without the scheme.
   * @throws with `code` `"unreachable"`, `"timeout"` or `"aborted"`, and a message that names the address and the remedy.
   */
  dial(address: string, options: { signal: AbortSignal; timeoutMs: number }): Promise<Connection>;
  /**
   * Hands over inbound connections. Those that arrived before (at most 128;
   * more are closed) come first. One subscriber at a time.
   */
  accept(handler: (connection: Connection) => void): Disposable;
}

/** The capability token of {@linkcode Transport}; a node has any number. */
export const transport: Capability<Transport> = capability("transport");
