import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Port, Sockets } from "../../core/contracts/sockets.ts";
import type { Connection } from "../../core/contracts/transport.ts";
import { codeOf } from "../../core/kernel/errors.ts";
import { startPlugin } from "../../tests/harness/start_plugin.ts";
import plugin from "./sockets.ts";
import { createHost } from "../../core/kernel/real_host.ts";
import { UdpSocket } from "./sockets/udp.ts";
import { bindDeno, bindNode } from "./sockets/udp_backends.ts";
import { advertised, preferred } from "./sockets/advertise.ts";

const signal = new AbortController().signal;
const loopback = { bindAddress: "127.0.0.1:0" };
const start = () => startPlugin<Sockets>(plugin);

/** The next datagram at a port, as numbers and the sender. */
function nextDatagram(port: Port): Promise<{ bytes: number[]; from: string }> {
  return new Promise((resolve) => {
    const receiving = port.receive((bytes, from) => {
      receiving[Symbol.dispose]();
      resolve({ bytes: [...bytes], from });
    });
  });
}

Deno.test("both ways to UDP carry packets, name the sender, and close", async () => {
  const host = createHost();
  for (const bind of [() => bindDeno(host, "127.0.0.1", 0), () => bindNode("127.0.0.1", 0)]) {
    await using a = new UdpSocket(host, await bind());
    await using b = new UdpSocket(host, await bind());
    const arrived = Promise.withResolvers<string>();
    using _receiving = b.receive((bytes, from) => arrived.resolve(`${bytes.join()} ${from}`));
    const packet = new Uint8Array([1, 2]);
    assert.equal(a.send(`127.0.0.1:${b.port}`, packet), true);
    packet.fill(9);
    assert.equal(await arrived.promise, `1,2 127.0.0.1:${a.port}`);
    await assert.rejects(bindNode("127.0.0.1", a.port), (error) => codeOf(error) === "EADDRINUSE");
  }
});

/** Everything that arrives on a connection until it ends. */
function readAll(connection: Connection): Promise<number[]> {
  const { promise, resolve, reject } = Promise.withResolvers<number[]>();
  const all: number[] = [];
  connection.open({
    data: (bytes) => void all.push(...bytes),
    closed: (error) => error === undefined ? resolve(all) : reject(error),
  });
  return promise;
}

Deno.test("a port carries datagrams and streams at one number", async () => {
  await using started = await start();
  const a = await started.value.bind(loopback);
  const b = await started.value.bind(loopback);
  assert.match(a.address, /^127\.0\.0\.1:\d+$/);
  const arriving = nextDatagram(b);
  const packet = Buffer.of(1, 2, 3); // Its own slice is no copy.
  assert.equal(a.send(b.address, packet), true);
  packet.fill(9); // The sender may use its bytes again at once.
  assert.deepEqual(await arriving, { bytes: [1, 2, 3], from: a.address });

  const accepted = new Promise<Connection>((resolve) => void b.accept(resolve));
  const near = await a.dial(b.address, { signal, timeoutMs: 5000 });
  const far = await accepted;
  const heard = readAll(far);
  const ended = readAll(near);
  near.write(new Uint8Array([4, 5]), () => near.close());
  assert.deepEqual(await heard, [4, 5]);
  assert.deepEqual(await ended, []);
});

Deno.test("one receives at a time, and what cannot be sent is refused", async () => {
  await using started = await start();
  const port = await started.value.bind(loopback);
  using _receiving = port.receive(() => {});
  assert.throws(() => port.receive(() => {}), (error) => codeOf(error) === "duplicate_handler");
  assert.throws(
    () => port.send(port.address, new Uint8Array(65_508)),
    (error) => codeOf(error) === "too_large",
  );
  assert.throws(
    () => port.send("nonsense", new Uint8Array(1)),
    (error) => codeOf(error) === "address_invalid",
  );
  await port[Symbol.asyncDispose]();
  assert.equal(port.send("127.0.0.1:9", new Uint8Array(1)), false);
});

Deno.test("a packet to nobody is no failure of the socket", async () => {
  await using started = await start();
  const a = await started.value.bind(loopback);
  const gone = await started.value.bind(loopback);
  await gone[Symbol.asyncDispose]();
  const b = await started.value.bind(loopback);
  for (let i = 0; i < 3; i++) a.send(gone.address, new Uint8Array([i]));
  const back = nextDatagram(a);
  b.send(a.address, new Uint8Array([7]));
  assert.deepEqual((await back).bytes, [7]);
});

Deno.test("a port in use, an address of another machine and a dial to nobody say what is wrong", async () => {
  await using started = await start();
  const port = await started.value.bind(loopback);
  await assert.rejects(
    started.value.bind({ bindAddress: port.address }),
    (error) => codeOf(error) === "address_in_use" && /port 0/.test((error as Error).message),
  );
  await assert.rejects(
    started.value.bind({ bindAddress: "203.0.113.1:0" }),
    (error) => codeOf(error) === "address_invalid",
  );
  const gone = await started.value.bind(loopback);
  await gone[Symbol.asyncDispose]();
  await assert.rejects(
    port.dial(gone.address, { signal, timeoutMs: 5000 }),
    (error) => codeOf(error) === "unreachable",
  );
  const stopped = new AbortController();
  stopped.abort();
  await assert.rejects(
    port.dial(gone.address, { signal: stopped.signal, timeoutMs: 5000 }),
    (error) => codeOf(error) === "aborted",
  );
});

Deno.test("what is told to others is an IP address, of the configuration or the best of this machine", async () => {
  const bound = { host: "0.0.0.0", port: 7946 };
  const interfaces = () => [
    { address: "127.0.0.1", family: "IPv4" as const },
    { address: "fe80::1", family: "IPv6" as const },
    { address: "203.0.113.7", family: "IPv4" as const },
    { address: "10.1.2.3", family: "IPv4" as const },
  ];
  const of = (advertise: string | undefined) => advertised({ bound, advertise, interfaces });
  assert.equal(await of(undefined), "10.1.2.3:7946");
  assert.equal(await of("192.0.2.9:0"), "192.0.2.9:7946");
  assert.equal(await of("[2001:db8::1]:17946"), "[2001:db8::1]:17946");
  assert.equal(await of("localhost:0"), "127.0.0.1:7946");
  await assert.rejects(of("0.0.0.0:7946"), (error) => codeOf(error) === "address_invalid");
  await assert.rejects(
    of("no-such-host.invalid:1"),
    (error) => codeOf(error) === "address_invalid",
  );
  assert.equal(preferred([]), "127.0.0.1");
  assert.equal(preferred(interfaces().slice(0, 3)), "203.0.113.7");
  assert.equal(preferred(interfaces().slice(0, 2)), "127.0.0.1");
});
