import assert from "node:assert/strict";
import type { IncomingExchange, PeerLink } from "../../contracts/peers.ts";
import { codeOf } from "../../kernel/errors.ts";
import { noFields } from "@mycnet/protocols/frame";
import { connectionPair, FakeHost } from "../fakes_test.ts";
import { bytes, empty, End, linked, noting, quiet, text, type } from "./ends_test.ts";

Deno.test("a goodbye lets both sides' exchanges finish, then closes cleanly", async () => {
  await using t = await linked({}, 5);
  const held: IncomingExchange[] = [];
  for (const end of [t.a, t.b]) {
    end.handlers.set(type, {
      request: (exchange) => {
        held.push(exchange);
        return quiet;
      },
    });
  }
  const notes: string[] = [];
  t.a.link.open(type, noFields, empty, false, noting(notes));
  await t.host.until(() => held.length === 1);
  // The other side asks at the very moment of the goodbye.
  t.b.link.open(type, noFields, empty, false, noting(notes));
  const drained = t.a.link.goodbye("recycled", "for the test");
  assert.equal(t.a.link.usable, false);
  assert.throws(
    () => t.a.link.open(type, noFields, empty, false, noting([])),
    (error) => codeOf(error) === "unavailable",
  );
  await t.host.until(() => held.length === 2);
  assert.equal(t.b.link.info.state, "draining");
  for (const exchange of held) exchange.respond(bytes("finished"));
  await t.host.until(() => notes.length === 2);
  await t.host.until(() => t.a.events.includes("gone") && t.b.events.includes("gone"));
  await drained;
  assert.deepEqual(notes, ["response finished", "response finished"]);
  assert.equal(t.a.reason?.kind, "goodbye");
  assert.equal(t.b.reason?.kind, "goodbye");
  assert.deepEqual(t.a.events.slice(1), ["draining recycled us", "down", "gone"]);
  assert.deepEqual(t.b.events.slice(1), ["draining recycled peer", "down", "gone"]);
});

Deno.test("a goodbye waits no longer than its time for an exchange that never ends", async () => {
  await using t = await linked({ drainTimeoutMs: 300 });
  t.b.handlers.set(type, { request: () => quiet });
  const notes: string[] = [];
  t.a.link.open(type, noFields, empty, false, noting(notes));
  await t.host.barrier();
  const startMs = t.host.now();
  t.a.link.goodbye("recycled", "for the test");
  await t.host.until(() => t.a.events.includes("gone"));
  assert(t.host.now() - startMs < 400);
  assert.deepEqual(notes, ["closed link_lost sent"]);
});

Deno.test("a full link makes senders wait, lets them go in order, one message's room at a time", async () => {
  await using t = await linked({ outputHighWaterBytes: 1000 });
  const received: number[] = [];
  t.b.handlers.set(type, { message: (_link, _fields, body) => void received.push(body[0]) });
  t.pair.acceptor.pause();
  let most = 0;
  const sender = async (number: number) => {
    await t.a.link.writable();
    t.a.link.send(type, noFields, new Uint8Array(400).fill(number));
    if (t.a.link.full) most++;
  };
  const senders = Array.from({ length: 50 }, (_, number) => sender(number));
  await t.host.barrier();
  assert(t.a.link.full);
  assert(most <= 3, `the mark was passed ${most} times while nothing was read`);
  t.pair.acceptor.resume();
  await Promise.all(senders);
  await t.host.until(() => received.length === 50);
  assert.deepEqual(received, Array.from({ length: 50 }, (_, number) => number));
});

Deno.test("waiting for room ends with the signal or with the link", async () => {
  await using t = await linked({ outputHighWaterBytes: 1000 });
  t.pair.acceptor.pause();
  t.a.link.send(type, noFields, new Uint8Array(2000));
  await t.host.barrier();
  assert.equal(t.a.link.send(type, noFields, new Uint8Array(2000)), false);
  const abort = new AbortController();
  const aborted = assert.rejects(t.a.link.writable(abort.signal), /enough/);
  const lost = assert.rejects(t.a.link.writable(), (error) => codeOf(error) === "unavailable");
  abort.abort(new Error("enough"));
  await aborted;
  t.a.link.destroy("cut");
  await lost;
  await assert.rejects(t.a.link.writable(), (error) => codeOf(error) === "unavailable");
});

Deno.test("what all that wait hold together is bounded, and given back as they go", async () => {
  await using t = await linked({ outputHighWaterBytes: 1000, maxOutputBytes: 5000 });
  t.pair.acceptor.pause();
  t.a.link.send(type, noFields, new Uint8Array(2000));
  await t.host.barrier();
  t.a.link.send(type, noFields, new Uint8Array(2000));
  assert(t.a.link.full);
  const abort = new AbortController();
  const first = assert.rejects(t.a.link.writable(abort.signal, 3000), /enough/);
  const second = t.a.link.writable(undefined, 2000);
  const tooMuch = (error: unknown) => codeOf(error) === "overloaded";
  await assert.rejects(t.a.link.writable(undefined, 1), tooMuch);
  const third = t.a.link.writable();
  abort.abort(new Error("enough"));
  await first;
  const fourth = t.a.link.writable(undefined, 3000);
  await assert.rejects(t.a.link.writable(undefined, 1), tooMuch);
  t.pair.acceptor.resume();
  await Promise.all([second, third, fourth]);
  await t.a.link.writable(undefined, 5000);
});

Deno.test("a peer that never reads costs bounded memory, then the link is given up", async () => {
  await using t = await linked({
    maxFrameBytes: 64 * 1024,
    outputHighWaterBytes: 64 * 1024,
    maxOutputBytes: 256 * 1024,
  });
  t.pair.dialer.blackhole();
  let refused = 0;
  for (let i = 0; i < 100; i++) {
    try {
      t.a.link.send(type, noFields, new Uint8Array(16 * 1024));
    } catch (error) {
      // A sender that ignores `full` ends up here.
      assert.match(codeOf(error) ?? "", /overloaded|unavailable/);
      refused++;
    }
    if (i % 10 === 0) await t.host.barrier();
  }
  assert(refused > 50, `${refused} were refused`);
  await t.host.until(() => t.a.events.includes("gone"), 10_000);
  assert(t.a.reason !== undefined);
});

Deno.test("garbage ends the link with a reason and touches nothing else", async () => {
  const host = new FakeHost();
  const pair = connectionPair(host);
  const b = new End();
  b.start(host, pair.acceptor, "acceptor");
  pair.dialer.open({ data: () => {}, closed: () => {} });
  pair.dialer.write(bytes("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"), () => {});
  await host.until(() => b.events.includes("gone"));
  assert.equal(b.reason?.kind, "protocol");
  assert.equal(b.events.includes("up"), false);
  assert.equal(host.pendingTimers, 0);
});

Deno.test("a peer that connects and says nothing is given up after the handshake's time", async () => {
  const host = new FakeHost();
  const pair = connectionPair(host);
  const b = new End();
  b.start(host, pair.acceptor, "acceptor", { handshakeTimeoutMs: 200 });
  const startMs = host.now();
  await host.until(() => b.events.includes("gone"));
  assert.equal(b.reason?.kind, "timeout");
  // Its time, and the time to write the refusal to somebody who does not read it.
  assert(host.now() - startMs <= 200 + 2000 + 20);
  assert.equal(host.pendingTimers, 0);
});

Deno.test("bytes that a handler was given are its own only during the call; the rest is copied by whoever keeps it", async () => {
  await using t = await linked();
  let kept: Uint8Array | undefined;
  let seen = "";
  t.b.handlers.set(type, {
    message: (_link: PeerLink, _fields, body) => {
      kept = body;
      seen = text(body);
    },
  });
  const large = "now".repeat(300);
  for (let i = 0; i < 2; i++) {
    t.a.link.send(type, noFields, bytes(large));
    await t.host.barrier();
  }
  assert.equal(seen, large);
  assert.notEqual(text(kept!), large);
});

Deno.test("idle time counts from the last message, and pings do not count", async () => {
  await using t = await linked();
  t.b.handlers.set(type, { message: () => {} });
  t.a.link.idleMs();
  await t.host.advance(3000);
  assert(t.a.link.idleMs() >= 3000);
  t.a.link.send(type, noFields, empty);
  await t.host.advance(500);
  assert.equal(t.a.link.idleMs(), 0);
  await t.host.advance(700);
  assert.equal(t.a.link.idleMs(), 700);
  assert(t.a.link.roundTripMs !== undefined, "pings went on meanwhile");
});
