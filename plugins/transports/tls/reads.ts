/**
 * Reads into the same buffers again and again: what the TCP socket beneath a TLS socket brings, and
 * what comes out of that decrypted.
 *
 * By itself node:tls allocates for either, at each read. At some hundred megabytes a second that
 * is a collection every few hundredths of a second, each of which walks the whole heap: two thirds
 * of the time of a node that receives. Node has the option `onread` against that, but not for a
 * TLS socket that is made over a socket which exists already, as a server's is. So what the option
 * does is done here, to both sockets, by what is not documented: of a socket its `_handle`, of the TCP
 * socket's handle `onread`, `useUserBuffer` and `getBytesRead`, of the TLS socket's `receive` and
 * `useUserBuffer`, and on a TLS socket two places for a buffer and its callback, at symbols that are
 * described as `kBuffer` and `kBufferCb`. Where any of it is missing, reads of that socket come as
 * events, as ever; reads_test.ts takes them away one by one. A mistake would not go unnoticed:
 * encrypted bytes that are not those that arrived end the connection, and the conformance suite of
 * transports holds us to the rest.
 */
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";

/** As much as the sockets read at a time. */
const bufferBytes = 64 * 1024;

/** What TCP sockets read into: one for all, since each read is copied out of it before the next. */
let encrypted: Uint8Array<ArrayBuffer> | undefined;
/** What TLS sockets decrypt into: one for all too, since what it holds is handed over at once. */
let decrypted: Uint8Array<ArrayBuffer> | undefined;

/** What handles of streams can do, undocumented. */
interface StreamHandle {
  onread?(bytes: unknown): void;
  useUserBuffer?(buffer: Uint8Array): void;
  /** How much it has read, ever. */
  getBytesRead?(): number;
  /** Of a TLS handle: takes what arrived for it. */
  receive?(bytes: Uint8Array): void;
}

/**
 * Hands over what arrives, as views that are valid during the call. What the socket holds already
 * comes first, within this call. The flow of the TCP socket must stand still, and may start after it.
 * @param raw the TCP socket beneath.
 */
export function receive(
  socket: TLSSocket,
  raw: Socket,
  data: (bytes: Uint8Array) => void,
): void {
  const held: Uint8Array | null = socket.read();
  if (held !== null) data(plain(held));
  reuseBeneath(handleOf(socket), handleOf(raw));
  if (!reuse(socket, data)) socket.on("data", (bytes: Uint8Array) => data(plain(bytes)));
  // Flows, or its end would not be seen.
  socket.resume();
}

/** The TCP socket reads into a buffer, of which the TLS socket takes a copy. */
function reuseBeneath(tls: StreamHandle | undefined, raw: StreamHandle | undefined): void {
  const read = raw?.onread;
  const known = [tls?.receive, read, raw?.useUserBuffer, raw?.getBytesRead];
  if (!known.every((it) => typeof it === "function")) return;
  const { buffer } = encrypted ??= new Uint8Array(bufferBytes);
  let before = raw!.getBytesRead!();
  raw!.onread = (bytes) => {
    const after = raw!.getBytesRead!();
    const count = after - before;
    before = after;
    // Ends and errors, and bytes in a buffer of their own, are for whom they were before.
    if (bytes !== undefined || count <= 0 || count > bufferBytes) read!.call(raw, bytes);
    else tls!.receive!(new Uint8Array(buffer, 0, count));
  };
  raw!.useUserBuffer!(encrypted);
}

/** The TLS socket decrypts into a buffer, and tells how much. */
function reuse(socket: TLSSocket, data: (bytes: Uint8Array) => void): boolean {
  const handle = handleOf(socket);
  const place = placeOf(socket, "kBuffer");
  const callback = placeOf(socket, "kBufferCb");
  if (typeof handle?.useUserBuffer !== "function" || !place || !callback) return false;
  const buffer = decrypted ??= new Uint8Array(bufferBytes);
  // What the option `onread` sets up, and what the socket looks at when its handle has read.
  Reflect.set(socket, place, buffer);
  Reflect.set(socket, callback, (count: number): true => {
    data(new Uint8Array(buffer.buffer, 0, count));
    return true; // Reads on: who wants to pause stops the flow beneath.
  });
  handle.useUserBuffer(buffer);
  return true;
}

/**
 * The handle, which the types of node:net leave out: undefined where there is none, as once the socket
 * is closed, and of methods that may be missing.
 */
function handleOf(socket: Socket): StreamHandle | undefined {
  const handle: StreamHandle | null | undefined = Reflect.get(socket, "_handle");
  return handle ?? undefined;
}

function placeOf(socket: TLSSocket, name: string): symbol | undefined {
  return Object.getOwnPropertySymbols(socket).find(({ description }) => description === name);
}

/** Without what Node adds: `slice` of a Buffer shares memory, where whoever gets bytes expects a copy. */
function plain({ buffer, byteOffset, length }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, length);
}
