import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, createServer, type TLSSocket } from "node:tls";
import { testAuthority } from "../../../tests/harness/authority.ts";
import { Flow } from "./flow.ts";
import { receive } from "./reads.ts";

const cluster = await testAuthority(["node-a"]);
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());

type Undocumented = Record<PropertyKey, unknown>;

/** Undocumented as it is, the tests take parts of it away. */
function handleOf(socket: Socket): Undocumented {
  return (socket as unknown as { readonly _handle: Undocumented })._handle;
}

/** A method that this Deno does not have, on one handle. */
function without(socket: Socket, method: string): void {
  const handle = handleOf(socket);
  assert.equal(typeof handle[method], "function", `${method} is there to be taken away`);
  Object.defineProperty(handle, method, { value: undefined, writable: true, configurable: true });
}

/** A place for `onread` that this Deno does not have. */
function withoutPlace(socket: TLSSocket, description: string): void {
  const symbol = Object.getOwnPropertySymbols(socket).find((it) => it.description === description);
  assert.ok(symbol !== undefined, `${description} is there to be taken away`);
  delete (socket as unknown as Undocumented)[symbol];
}

/** What came of a connection whose sockets lack something. */
interface Outcome {
  /** Everything that arrived, until the end. */
  readonly bytes: Uint8Array;
  /** Whether the TLS socket, and the TCP socket beneath, read into a buffer of ours. */
  readonly reused: { readonly tls: boolean; readonly tcp: boolean };
}

/** Receives what a server sends before it ends. */
async function received(
  sent: Uint8Array,
  take: (socket: TLSSocket, raw: Socket) => void,
): Promise<Outcome> {
  const { certificate: cert, privateKey: key, authorities: ca } = await cluster.credentials(
    "node-a",
  );
  const server = createServer({ cert, key, ca }, (socket) => socket.end(sent));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const raw = connectTcp((server.address() as AddressInfo).port, "127.0.0.1");
  const socket = connectTls({ socket: raw, ca, checkServerIdentity: () => undefined });
  await once(socket, "secureConnect");
  // As a connection does, which reads nothing before it is opened.
  const flow = new Flow(raw);
  flow.stop();
  take(socket, raw);
  const beneath = handleOf(raw).onread;
  const parts: Uint8Array[] = [];
  const ended = once(socket, "close");
  receive(socket, raw, (bytes) => {
    assert.equal(bytes.constructor, Uint8Array, "no Buffer, whose slice is no copy");
    parts.push(new Uint8Array(bytes));
  });
  flow.start();
  const reused = {
    tls: socket.listenerCount("data") === 0,
    tcp: handleOf(raw).onread !== beneath,
  };
  await ended;
  server.close();
  await once(server, "close");
  return { bytes: new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer()), reused };
}

const sent = new Uint8Array(400_000).map((_, at) => at % 251);

// The TLS handle's `receive` cannot be taken away: node:tls itself calls it.
const cases: [string, (socket: TLSSocket, raw: Socket) => void, Outcome["reused"]][] = [
  ["nothing", () => {}, { tls: true, tcp: true }],
  ["the TLS handle's useUserBuffer", (it) => without(it, "useUserBuffer"), {
    tls: false,
    tcp: true,
  }],
  ["the place of the buffer", (it) => withoutPlace(it, "kBuffer"), { tls: false, tcp: true }],
  ["the place of the callback", (it) => withoutPlace(it, "kBufferCb"), { tls: false, tcp: true }],
  ["the TCP handle's useUserBuffer", (_, it) => without(it, "useUserBuffer"), {
    tls: true,
    tcp: false,
  }],
  ["the TCP handle's getBytesRead", (_, it) => without(it, "getBytesRead"), {
    tls: true,
    tcp: false,
  }],
  ["all of it", (socket, raw) => {
    without(socket, "useUserBuffer");
    without(raw, "useUserBuffer");
  }, { tls: false, tcp: false }],
];

for (const [what, take, reused] of cases) {
  Deno.test(`everything arrives, and the end, where ${what} is missing`, async () => {
    const outcome = await received(sent, take);
    assert.deepEqual(outcome.reused, reused);
    assert.deepEqual(outcome.bytes, sent);
  });
}
