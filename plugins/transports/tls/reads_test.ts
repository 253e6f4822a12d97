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
  return Reflect.get(socket, "_handle");
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
  Reflect.deleteProperty(socket, symbol);
}

/** A connection whose client's end is not read yet. */
interface Unread {
  readonly socket: TLSSocket;
  readonly raw: Socket;
  readonly flow: Flow;
}

/** Connections to a server that sends to each what is its, and ends. */
async function withServer(
  sent: readonly Uint8Array[],
  use: (connections: readonly Unread[]) => Promise<void>,
): Promise<void> {
  const { certificate: cert, privateKey: key, authorities: ca } = await cluster.credentials(
    "node-a",
  );
  let next = 0;
  const server = createServer({ cert, key, ca }, (socket) => socket.end(sent[next++]));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const connections: Unread[] = [];
  for (let i = 0; i < sent.length; i++) {
    const raw = connectTcp((server.address() as AddressInfo).port, "127.0.0.1");
    const socket = connectTls({ socket: raw, ca, checkServerIdentity: () => undefined });
    await once(socket, "secureConnect");
    // As a connection does, which reads nothing before it is opened.
    const flow = new Flow(raw);
    flow.stop();
    connections.push({ socket, raw, flow });
  }
  await use(connections);
  server.close();
  await once(server, "close");
}

/** Reads all that comes, and tells each time that something did. */
async function readAll({ socket, raw, flow }: Unread, told = () => {}): Promise<Uint8Array> {
  const parts: BlobPart[] = [];
  const ended = once(socket, "close");
  receive(socket, raw, (bytes) => {
    assert.equal(bytes.constructor, Uint8Array, "no Buffer, whose slice is no copy");
    told();
    parts.push(new Uint8Array(bytes));
  });
  flow.start();
  await ended;
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

const sent = new Uint8Array(400_000).map((_, at) => at % 251);

/** Whether the TLS socket, and the TCP socket beneath, read into a buffer of ours. */
interface Reused {
  readonly tls: boolean;
  readonly tcp: boolean;
}

// The TLS handle's `receive` cannot be taken away: node:tls itself calls it.
const cases: [string, (socket: TLSSocket, raw: Socket) => void, Reused][] = [
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
    await withServer([sent], async ([connection]) => {
      const { socket, raw } = connection!;
      take(socket, raw);
      const beneath = handleOf(raw).onread;
      const all = readAll(connection!);
      assert.deepEqual({
        tls: socket.listenerCount("data") === 0,
        tcp: handleOf(raw).onread !== beneath,
      }, reused);
      assert.deepEqual(await all, sent);
    });
  });
}

Deno.test("sockets share what they decrypt into, and each gets its own, though others are stirred meanwhile", async () => {
  const others = sent.map((byte) => byte ^ 0xff);
  await withServer([sent, others], async ([a, b]) => {
    const stir = ({ socket, flow }: Unread) => () => {
      flow.stop();
      flow.start();
      socket.resume();
      socket.read(0);
    };
    const [first, second] = await Promise.all([readAll(a!, stir(b!)), readAll(b!, stir(a!))]);
    assert.deepEqual(first, sent);
    assert.deepEqual(second, others);
  });
});
