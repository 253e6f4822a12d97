/**
 * UDP by the runtime's own call, which carries twice as much, or by node:dgram
 * where that is not switched on (`"unstable": ["net"]` in deno.json).
 */
import { createSocket, type Socket } from "node:dgram";
import { isIP } from "node:net";
import type { Host } from "../../../core/kernel/host.ts";
import { formatHostPort } from "../../../core/node/net/mod.ts";

/** Where a packet goes. */
export interface UdpTarget {
  readonly hostname: string;
  readonly port: number;
}

/** A bound socket, as bare as the system has it. */
export interface UdpBackend {
  /** The port that it is bound to. */
  readonly port: number;
  /** Sends one packet; the bytes are read until the promise settles. Rejects when the system refuses it. */
  send(bytes: Uint8Array, to: UdpTarget): Promise<unknown>;
  /** Calls `packet` for each that arrives, its bytes valid during the call, until closed; then resolves. */
  receive(packet: (bytes: Uint8Array, from: string) => void): Promise<void>;
  close(): void;
}

/** How long to wait after receiving failed, in ms. */
const retryMs = 100;

/** The faster one, if it is switched on. */
export function bindBackend(host: Host, hostname: string, port: number): Promise<UdpBackend> {
  return typeof Deno.listenDatagram === "function"
    ? bindDeno(host, hostname, port)
    : bindNode(hostname, port);
}

/** By `Deno.listenDatagram`. @throws what the system says. */
// deno-lint-ignore require-await -- what the system refuses must reject, as with the other.
export async function bindDeno(host: Host, hostname: string, port: number): Promise<UdpBackend> {
  const socket = Deno.listenDatagram({ transport: "udp", hostname, port });
  let closed = false;
  return {
    port: (socket.addr as Deno.NetAddr).port,
    send: (bytes, to) => socket.send(bytes, { transport: "udp", ...to }),
    async receive(packet) {
      const buffer = new Uint8Array(65_536);
      while (!closed) {
        try {
          const [bytes, from] = await socket.receive(buffer);
          const { hostname, port } = from as Deno.NetAddr;
          packet(bytes, formatHostPort(plain(hostname), port));
        } catch {
          // An ICMP refusal of an earlier packet surfaces here, on some systems again and again.
          if (!closed) await host.sleep(retryMs);
        }
      }
    },
    close() {
      closed = true;
      socket.close();
    },
  };
}

/** By node:dgram. @throws what the system says, with its code. */
export async function bindNode(hostname: string, port: number): Promise<UdpBackend> {
  // No buffer sizes: setting one makes every packet cost an allocation of that size.
  const socket: Socket = createSocket({ type: isIP(hostname) === 6 ? "udp6" : "udp4" });
  const ended = Promise.withResolvers<void>();
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(port, hostname, () => {
      socket.off("error", reject);
      resolve();
    });
  });
  socket.on("error", () => {}); // A packet that came back as refused is no failure of the socket.
  socket.once("close", () => ended.resolve());
  return {
    port: socket.address().port,
    send: (bytes, to) =>
      new Promise<void>((resolve, reject) =>
        socket.send(bytes, to.port, to.hostname, (error) => error ? reject(error) : resolve())
      ),
    receive(packet) {
      socket.on(
        "message",
        // Without what Node adds: `slice` of a Buffer shares memory.
        ({ buffer, byteOffset, length }: Uint8Array, { address, port }) =>
          packet(new Uint8Array(buffer, byteOffset, length), formatHostPort(plain(address), port)),
      );
      return ended.promise;
    },
    close: () => void socket.close(),
  };
}

/** An IPv4 address that an IPv6 socket shows as `::ffff:a.b.c.d`, as IPv4. */
function plain(hostname: string): string {
  return hostname.startsWith("::ffff:") && hostname.includes(".") ? hostname.slice(7) : hostname;
}
