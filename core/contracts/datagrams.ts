/**
 * Datagrams: small packets, sent and forgotten. They may be lost, doubled and
 * reordered, and the sender's address may be forged: whoever receives one
 * trusts nothing that it does not prove.
 */
import { type Capability, capability } from "../kernel/plugin.ts";

/** A bound datagram socket. It is bound when the plugin's setup resolves. */
export interface Datagrams {
  /** The instance id of the plugin. */
  readonly id: string;
  /** Where it is bound, as others should send to it: `host:port`. */
  readonly address: string;
  /** The largest datagram that it sends, in bytes. Larger ones might be cut up on the way. */
  readonly maxBytes: number;
  /**
   * Sends one datagram; the bytes may be reused at once. Never waits. False if
   * it was dropped here (the socket's buffer is full, the address does not
   * resolve, the plugin has stopped); true means no more than that it left.
   * @param to `host:port`.
   * @throws with code `too_large` above `maxBytes`, `address_invalid` if `to` is not host:port.
   */
  send(to: string, bytes: Uint8Array): boolean;
  /**
   * Receives. What arrives while nobody receives is dropped. One subscriber at
   * a time: a second one throws with code `duplicate_handler`. The handler must
   * not throw, and the bytes are valid during the call only.
   */
  receive(handler: (bytes: Uint8Array, from: string) => void): Disposable;
}

/** The capability token of {@linkcode Datagrams}. */
export const datagrams: Capability<Datagrams> = capability("datagrams");
