import assert from "node:assert/strict";
import type { SwimStream } from "@mycnet/protocols/swim";
import type { Connection, ConnectionHandlers } from "../../../core/contracts/transport.ts";
import { FakeHost } from "../../../core/node/fakes_test.ts";
import { StreamDriver } from "./streams.ts";

/** A stream of the machine's that writes down what it is told. */
class FakeStream implements SwimStream {
  readonly kind = "push_pull";
  readonly to = "10.0.0.2:7946";
  readonly heard: string[] = [];
  readonly out: Uint8Array[] = [];
  done = false;
  throws = false;

  constructor(readonly deadlineMs: number) {}

  handleConnected(): void {
    this.heard.push("connected");
    this.out.push(new Uint8Array([1, 2, 3]));
  }
  handleBytes(bytes: Uint8Array): void {
    if (this.throws) throw new Error("must not happen");
    this.heard.push(`bytes ${bytes.join()}`);
    if (bytes[0] === 9) this.done = true;
  }
  handleClosed(error: string | undefined): void {
    this.heard.push(`closed ${error ?? "cleanly"}`);
  }
  takeOutput(): Uint8Array | undefined {
    return this.out.shift();
  }
}

class FakeConnection implements Connection {
  readonly transport = "fake";
  readonly localAddress = "10.0.0.1:1";
  readonly remoteAddress = "10.0.0.2:7946";
  readonly authentication = { kind: "fiat" } as const;
  readonly encryption = "none";
  readonly told: string[] = [];
  handlers!: ConnectionHandlers;
  written: (() => void) | undefined;

  open(handlers: ConnectionHandlers): void {
    this.handlers = handlers;
  }
  write(bytes: Uint8Array, written: () => void): void {
    assert.equal(this.written, undefined, "one write at a time");
    this.told.push(`write ${bytes.join()}`);
    this.written = written;
  }
  /** The bytes are on their way. */
  flush(): void {
    const written = this.written!;
    this.written = undefined;
    written();
  }
  pause(): void {}
  resume(): void {}
  close(): void {
    this.told.push("close");
  }
  destroy(): void {
    this.told.push("destroy");
  }
}

function driver(host: FakeHost, dial: () => Promise<Connection>) {
  const made = new StreamDriver({
    host,
    port: { dial },
    enter: (run) => {
      try {
        run(host.now());
        return true;
      } catch {
        return false;
      }
    },
  });
  return made;
}

Deno.test("a stream is dialled, written one piece at a time, and closed when it is done", async () => {
  const host = new FakeHost();
  const connection = new FakeConnection();
  const stream = new FakeStream(host.now() + 1000);
  using streams = driver(host, () => Promise.resolve(connection));
  streams.open(stream);
  await host.barrier();
  assert.deepEqual(connection.told, ["write 1,2,3"]);
  stream.out.push(new Uint8Array([4]));
  connection.handlers.data(new Uint8Array([7]));
  assert.deepEqual(connection.told, ["write 1,2,3"], "the next piece waits");
  connection.flush();
  assert.deepEqual(connection.told, ["write 1,2,3", "write 4"]);
  connection.handlers.data(new Uint8Array([9]));
  assert.ok(!connection.told.includes("close"), "not before everything is written");
  connection.flush();
  assert.deepEqual(connection.told, ["write 1,2,3", "write 4", "close"]);
  connection.handlers.closed();
  await host.advance(5000);
  assert.deepEqual(stream.heard, ["connected", "bytes 7", "bytes 9"]);
});

Deno.test("a dial that fails, a peer that goes, and a deadline that passes are told once each", async () => {
  const host = new FakeHost();
  const failing = new FakeStream(host.now() + 1000);
  using refused = driver(host, () => Promise.reject(new Error("nobody is there")));
  refused.open(failing);
  await host.barrier();
  await host.advance(5000);
  assert.deepEqual(failing.heard, ["closed nobody is there"]);

  const connection = new FakeConnection();
  const cut = new FakeStream(host.now() + 1000);
  using streams = driver(host, () => Promise.resolve(connection));
  streams.open(cut);
  await host.barrier();
  connection.handlers.closed(new Error("reset"));
  await host.advance(5000);
  assert.deepEqual(cut.heard, ["connected", "closed reset"]);

  const late = new FakeStream(host.now() + 1000);
  const silent = new FakeConnection();
  streams.accepted(late, silent);
  await host.advance(1000);
  assert.deepEqual([late.heard, silent.told], [["closed timed out"], ["destroy"]]);
  silent.handlers.data(new Uint8Array([1]));
  assert.deepEqual(late.heard, ["closed timed out"]);
});

Deno.test("a dial that succeeds too late leaves no connection behind, and neither does the end", async () => {
  const host = new FakeHost();
  const { promise, resolve } = Promise.withResolvers<Connection>();
  const stream = new FakeStream(host.now() + 1000);
  using slow = driver(host, () => promise);
  slow.open(stream);
  await host.advance(1000);
  const connection = new FakeConnection();
  resolve(connection);
  await host.barrier();
  assert.deepEqual(connection.told, ["destroy"]);

  const open = new FakeConnection();
  const ending = driver(host, () => Promise.resolve(open));
  ending.open(new FakeStream(host.now() + 1000));
  await host.barrier();
  ending[Symbol.dispose]();
  assert.equal(open.told.at(-1), "destroy");
  const refused = new FakeConnection();
  ending.accepted(new FakeStream(0), refused);
  assert.deepEqual(refused.told, ["destroy"]);
});

Deno.test("a machine that throws over a stream loses that stream only", () => {
  const host = new FakeHost();
  using streams = driver(host, () => Promise.reject(new Error("unused")));
  const stream = new FakeStream(host.now() + 1000);
  stream.throws = true;
  const connection = new FakeConnection();
  streams.accepted(stream, connection);
  connection.handlers.data(new Uint8Array([1]));
  assert.deepEqual(connection.told, ["destroy"]);
});
