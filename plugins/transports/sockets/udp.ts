/**
 * A UDP socket.
 *
 * Sending never waits: a packet is copied, since the system reads it later, and
 * handed over; when too many are on their way it is dropped, as the network would.
 * Failures of single packets (no route, a refusal that comes back as an ICMP
 * message) are counted and are no failure of the socket.
 */
import { MycnetError } from "../../../core/kernel/errors.ts";
import type { Host } from "../../../core/kernel/host.ts";
import { parseHostPort } from "../../../core/node/net/mod.ts";
import type { UdpBackend, UdpTarget } from "./udp_backends.ts";

/** The largest payload of a UDP packet over IPv4, in bytes. */
export const maxUdpBytes = 65_507;
/** Packets that are handed over to the system and not sent yet. */
const maxSending = 1024;
/** Bytes of those. */
const maxSendingBytes = 4 * 1024 * 1024;
/** Parsed addresses that are remembered. */
const maxAddresses = 65_536;

/** A bound UDP socket. */
export class UdpSocket implements AsyncDisposable {
  /** Packets that were dropped here, or that the system refused to send. */
  dropped = 0;
  readonly #host: Host;
  readonly #backend: UdpBackend;
  readonly #receiving: Promise<void>;
  readonly #targets = new Map<string, UdpTarget>();
  #handler: ((bytes: Uint8Array, from: string) => void) | undefined;
  #sending = 0;
  #sendingBytes = 0;
  #closed = false;

  /** Takes charge of a bound socket. */
  constructor(host: Host, backend: UdpBackend) {
    this.#host = host;
    this.#backend = backend;
    this.#receiving = backend.receive((bytes, from) => this.#arrived(bytes, from));
  }

  /** The port that it is bound to. */
  get port(): number {
    return this.#backend.port;
  }

  /** See `Datagrams.send`. */
  send(to: string, bytes: Uint8Array): boolean {
    if (bytes.length > maxUdpBytes) {
      throw new MycnetError(
        "too_large",
        `a datagram of ${bytes.length} bytes exceeds the ${maxUdpBytes} that UDP carries`,
      );
    }
    const target = this.#target(to);
    if (
      this.#closed || this.#sending >= maxSending ||
      this.#sendingBytes + bytes.length > maxSendingBytes
    ) {
      this.dropped++;
      return false;
    }
    const { length } = bytes;
    this.#sending++;
    this.#sendingBytes += length;
    const sent = () => {
      this.#sending--;
      this.#sendingBytes -= length;
    };
    this.#backend.send(new Uint8Array(bytes), target).then(sent, () => {
      sent();
      this.dropped++;
    });
    return true;
  }

  /** See `Datagrams.receive`. */
  receive(handler: (bytes: Uint8Array, from: string) => void): Disposable {
    if (this.#handler !== undefined) {
      throw new MycnetError("duplicate_handler", "somebody receives datagrams already");
    }
    this.#handler = handler;
    return {
      [Symbol.dispose]: () => {
        if (this.#handler === handler) this.#handler = undefined;
      },
    };
  }

  /** Closes it. What is on its way out still leaves. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#handler = undefined;
    this.#backend.close();
    await this.#receiving;
  }

  #arrived(bytes: Uint8Array, from: string): void {
    try {
      this.#handler?.(bytes, from);
    } catch (error) {
      this.#host.log.error("Handling a datagram failed.", { from, error: String(error) });
    }
  }

  #target(to: string): UdpTarget {
    const known = this.#targets.get(to);
    if (known !== undefined) return known;
    const { host, port } = parseHostPort(to);
    if (this.#targets.size >= maxAddresses) this.#targets.clear();
    const target: UdpTarget = { hostname: host, port };
    this.#targets.set(to, target);
    return target;
  }
}
