/**
 * A UDP socket.
 *
 * One loop receives into one reused buffer of 64 KiB, so a packet costs no
 * allocation. Sending never waits: a packet is copied, since the runtime reads
 * it later, and handed over; when too many are on their way it is dropped, as
 * the network would. Failures of single packets (no route, a refusal that comes
 * back as an ICMP message) are counted and are no failure of the socket.
 */
import { MycnetError } from "../../../core/kernel/errors.ts";
import type { Host } from "../../../core/kernel/host.ts";
import { formatHostPort, parseHostPort } from "../../../core/node/net/mod.ts";

/** The largest payload of a UDP packet over IPv4, in bytes. */
export const maxUdpBytes = 65_507;
/** Packets that are handed over to the system and not sent yet. */
const maxSending = 1024;
/** Bytes of those. */
const maxSendingBytes = 4 * 1024 * 1024;
/** Parsed addresses that are remembered. */
const maxAddresses = 65_536;
/** How long to wait after receiving failed, in ms. */
const retryMs = 100;

/** A bound UDP socket. */
export class UdpSocket implements AsyncDisposable {
  /** The port that it is bound to. */
  readonly port: number;
  /** Packets that were dropped here, or that the system refused to send. */
  dropped = 0;
  readonly #host: Host;
  readonly #socket: Deno.DatagramConn;
  readonly #receiving: Promise<void>;
  readonly #targets = new Map<string, Deno.NetAddr>();
  #handler: ((bytes: Uint8Array, from: string) => void) | undefined;
  #sending = 0;
  #sendingBytes = 0;
  #closed = false;

  /** Binds. @throws what the system says, e.g. `Deno.errors.AddrInUse`. */
  constructor(host: Host, hostname: string, port: number) {
    if (typeof Deno.listenDatagram !== "function") {
      throw new MycnetError(
        "config_invalid",
        `UDP is switched off: write "unstable": ["net"] into deno.json, or run with --unstable-net`,
      );
    }
    this.#host = host;
    this.#socket = Deno.listenDatagram({ transport: "udp", hostname, port });
    this.port = (this.#socket.addr as Deno.NetAddr).port;
    this.#receiving = this.#receive();
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
    this.#socket.send(bytes.slice(), target).then(sent, () => {
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
    this.#socket.close();
    await this.#receiving;
  }

  async #receive(): Promise<void> {
    const buffer = new Uint8Array(65_536);
    while (!this.#closed) {
      let bytes: Uint8Array;
      let from: string;
      try {
        const [received, { hostname, port }] = await this.#socket.receive(buffer) as [
          Uint8Array,
          Deno.NetAddr,
        ];
        bytes = received;
        from = formatHostPort(plain(hostname), port);
      } catch {
        if (this.#closed) return;
        // An ICMP refusal of an earlier packet surfaces here, on some systems again and again.
        await this.#host.sleep(retryMs);
        continue;
      }
      try {
        this.#handler?.(bytes, from);
      } catch (error) {
        this.#host.log.error("Handling a datagram failed.", { from, error: String(error) });
      }
    }
  }

  #target(to: string): Deno.NetAddr {
    const known = this.#targets.get(to);
    if (known !== undefined) return known;
    const { host, port } = parseHostPort(to);
    if (this.#targets.size >= maxAddresses) this.#targets.clear();
    const target: Deno.NetAddr = { transport: "udp", hostname: host, port };
    this.#targets.set(to, target);
    return target;
  }
}

/** An IPv4 address that an IPv6 socket shows as `::ffff:a.b.c.d`, as IPv4. */
function plain(hostname: string): string {
  return hostname.startsWith("::ffff:") && hostname.includes(".") ? hostname.slice(7) : hostname;
}
