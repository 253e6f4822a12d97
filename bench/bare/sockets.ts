/**
 * The sockets beneath, each with as little around it as it can have.
 *
 * `deno` is Deno.connect with a reused buffer of 64 KiB; `net` is node:net;
 * `tls` is node:tls, TLS 1.3 with certificates on both sides; `memory` is two
 * ends in one process, each chunk handed over on a turn of the event loop.
 */
import { readFileSync } from "node:fs";
import net from "node:net";
import tls from "node:tls";

/** One end of a connection. */
export interface BareSocket {
  /** Starts reading. The bytes are valid during the call only. */
  open(data: (bytes: Uint8Array) => void): void;
  /** Writes all of `bytes`; `written` runs when they may be reused, never within the call. */
  write(bytes: Uint8Array, written: () => void): void;
  /** Ends the connection. */
  close(): void;
}

/** What listens. */
export interface BareListener extends Disposable {
  /** `host:port` of loopback. */
  readonly address: string;
}

/** The kinds of sockets that reach another process. */
export const socketKinds = ["deno", "net", "tls"] as const;
/** One of {@linkcode socketKinds}. */
export type SocketKind = (typeof socketKinds)[number];

/** Where one side's certificate is: PEM files. */
export interface CertificateFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const host = "127.0.0.1";

/** Listens on a free port of loopback. */
export async function listen(
  kind: SocketKind,
  files: CertificateFiles | undefined,
  accept: (socket: BareSocket) => void,
): Promise<BareListener> {
  if (kind === "deno") {
    const listener = Deno.listen({ hostname: host, port: 0 });
    (async () => {
      for await (const conn of listener) accept(denoSocket(conn));
    })();
    return { address: `${host}:${listener.addr.port}`, [Symbol.dispose]: () => listener.close() };
  }
  const server = kind === "net"
    ? net.createServer({ noDelay: true }, (socket) => accept(nodeSocket(socket)))
    : tls.createServer(
      { ...credentials(files), requestCert: true, rejectUnauthorized: true },
      (socket) => {
        socket.setNoDelay(true);
        accept(nodeSocket(socket));
      },
    );
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(0, host, resolve);
  await promise;
  const { port } = server.address() as net.AddressInfo;
  return { address: `${host}:${port}`, [Symbol.dispose]: () => void server.close() };
}

/** Connects to what {@linkcode listen} listens on. */
export async function connect(
  kind: SocketKind,
  files: CertificateFiles | undefined,
  address: string,
): Promise<BareSocket> {
  const port = Number(address.split(":")[1]);
  if (kind === "deno") {
    const conn = await Deno.connect({ hostname: host, port });
    conn.setNoDelay(true);
    return denoSocket(conn);
  }
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = kind === "net"
    ? net.connect({ host, port, noDelay: true }, resolve)
    : tls.connect({ ...credentials(files), host, port, servername: "localhost" }, resolve);
  socket.once("error", reject);
  await promise;
  if (kind === "tls") socket.setNoDelay(true);
  return nodeSocket(socket);
}

/** Two ends within this process. */
export function memoryPair(): [BareSocket, BareSocket] {
  const ends = [new MemoryEnd(), new MemoryEnd()] as const;
  ends[0].other = ends[1];
  ends[1].other = ends[0];
  return [...ends];
}

class MemoryEnd implements BareSocket {
  other: MemoryEnd | undefined;
  data: ((bytes: Uint8Array) => void) | undefined;

  open(data: (bytes: Uint8Array) => void): void {
    this.data = data;
  }

  write(bytes: Uint8Array, written: () => void): void {
    setImmediate(() => {
      this.other?.data?.(bytes);
      written();
    });
  }

  close(): void {
    this.other = undefined;
  }
}

function credentials(files: CertificateFiles | undefined): tls.SecureContextOptions {
  if (files === undefined) throw new Error("tls needs certificates");
  return {
    ca: readFileSync(files.ca),
    cert: readFileSync(files.cert),
    key: readFileSync(files.key),
    minVersion: "TLSv1.3",
  };
}

function denoSocket(conn: Deno.Conn): BareSocket {
  const write = async (bytes: Uint8Array, written: () => void) => {
    try {
      for (let at = 0; at < bytes.length;) at += await conn.write(at ? bytes.subarray(at) : bytes);
      written();
    } catch {
      // The other end went first.
    }
  };
  return {
    async open(data) {
      const buffer = new Uint8Array(64 * 1024);
      try {
        for (let size; (size = await conn.read(buffer)) !== null;) data(buffer.subarray(0, size));
      } catch {
        // The other end went first.
      }
    },
    write,
    close: () => conn.close(),
  };
}

function nodeSocket(socket: net.Socket): BareSocket {
  socket.on("error", () => {}); // The other end went first.
  return {
    open: (data) => void socket.on("data", data),
    write: (bytes, written) => void socket.write(bytes, () => written()),
    close: () => void socket.destroy(),
  };
}
