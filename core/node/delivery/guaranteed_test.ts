// Guaranteed messages, over links in memory, databases in memory and virtual time.
import assert from "node:assert/strict";
import type { MycnetError } from "../../kernel/errors.ts";
import { messageTypes } from "@mycnet/protocols/frame";
import { FakeNet } from "../fake_net_test.ts";
import {
  book,
  DeliveryNode,
  end,
  hasCode,
  MemoryDatabases,
  numbers,
  outbox,
  outcome,
  text,
} from "./fakes_test.ts";

/** A receiver that writes what it handles into its database, in the message's transaction. */
function keepsBook(node: DeliveryNode, fail: () => boolean = () => false): void {
  node.answer = (message) => {
    message.transaction!((database) => {
      database.exec("CREATE TABLE IF NOT EXISTS book (what TEXT)");
      database.prepare("INSERT INTO book VALUES (?)").run(text(message.body));
      if (fail()) throw new Error("on purpose");
    });
    return "taken";
  };
}

Deno.test("a guaranteed message resolves when it is on disk, though the receiver is not there", async () => {
  const net = new FakeNet();
  const a = new DeliveryNode(net, "a");
  a.node.hint("b", "b");
  const sends = numbers(1, 5).map((it) => a.send("b", it, "guaranteed"));
  assert.equal(await outcome(net, Promise.all(sends)), undefined);
  assert.equal(outbox(a), 5);
  assert.deepEqual(a.delivery.waiting(), [
    { node: "b", level: "guaranteed", priority: "normal", messages: 5 },
  ]);
  assert.equal(a.delivery.metrics().outbox_messages, 5);
  await net.host.advance(20_000);
  const b = new DeliveryNode(net, "b");
  await net.host.until(() => b.arrived.length === 5, 60_000);
  assert.deepEqual(b.arrived, numbers(1, 5));
  await net.host.until(() => outbox(a) === 0);
  assert.equal(a.delivery.metrics().outbox_messages, 0);
  assert.equal(a.delivery.metrics().outbox_bytes, 0);
  await end(net, a, b);
});

Deno.test("a thousand guaranteed messages of one turn are one transaction", async () => {
  const net = new FakeNet();
  const a = new DeliveryNode(net, "a");
  const b = new DeliveryNode(net, "b");
  a.node.hint("b", "b");
  await outcome(net, a.send("b", "0", "guaranteed"));
  const changes = () => a.databases.file().prepare("PRAGMA data_version").get();
  const before = changes();
  const sends = numbers(1, 3000).map((it) => a.send("b", it, "guaranteed"));
  assert.equal(a.databases.file().isTransaction, true);
  assert.equal(await outcome(net, Promise.all(sends)), undefined);
  assert.deepEqual(changes(), before);
  await net.host.until(() => b.arrived.length === 3001);
  assert.deepEqual(b.arrived, numbers(0, 3000), "in order, past what the window holds");
  await end(net, a, b);
});

Deno.test("sender and receiver killed again and again: nothing is lost, and what a transaction wrote is there once, in order", async () => {
  const net = new FakeNet();
  const [ofA, ofB] = [new MemoryDatabases(), new MemoryDatabases()];
  let generation = 1;
  const startA = () => {
    const node = new DeliveryNode(net, "a", { databases: ofA, generation: generation++ });
    node.node.hint("b", "b");
    return node;
  };
  const startB = () => {
    const node = new DeliveryNode(net, "b", { databases: ofB, generation: generation++ });
    keepsBook(node);
    return node;
  };
  let [a, b] = [startA(), startB()];
  const kept: string[] = [];
  for (let round = 0; round < 60; round++) {
    const sends = numbers(round * 10 + 1, round * 10 + 10).map((it) =>
      a.send("b", it, "guaranteed").then(() => void kept.push(it), () => {})
    );
    if (round % 3 !== 0) await Promise.all(sends);
    await net.host.advance(round % 7);
    if (round % 2 === 0) {
      await b.crash();
      b = startB();
    } else {
      await a.crash();
      a = startA();
    }
    await Promise.all(sends);
  }
  await net.host.until(() => outbox(a) === 0, 120_000);
  const written = book(ofB);
  assert.equal(new Set(written).size, written.length, "something was handled twice");
  assert.deepEqual(written.map(Number), written.map(Number).sort((x, y) => x - y));
  for (const it of kept) assert(written.includes(it), `${it} was promised and is lost`);
  await end(net, a, b);
});

Deno.test("without its transaction a message may be handled again, and is marked then", async () => {
  const net = new FakeNet();
  const ofB = new MemoryDatabases();
  const a = new DeliveryNode(net, "a");
  a.node.hint("b", "b");
  const b = new DeliveryNode(net, "b", { databases: ofB });
  const handling = Promise.withResolvers<void>();
  b.answer = () => handling.promise;
  await outcome(net, a.send("b", "1", "guaranteed"));
  await net.host.until(() => b.arrived.length === 1);
  await b.crash();
  const after = new DeliveryNode(net, "b", { databases: ofB, generation: 2 });
  await net.host.until(() => after.arrived.length === 1, 60_000);
  assert.deepEqual([b.arrived, after.arrived], [["1"], ["again:1"]]);
  await net.host.until(() => outbox(a) === 0, 60_000);
  await end(net, a, after);
});

Deno.test("a handler that fails is called again, ever more seldom; what follows waits; it is logged once", async () => {
  const net = new FakeNet();
  const [a, b] = [new DeliveryNode(net, "a"), new DeliveryNode(net, "b")];
  a.node.hint("b", "b");
  let failures = 5;
  const attempts: number[] = [];
  b.answer = ({ body }) => {
    if (text(body) !== "bad") return "taken";
    attempts.push(net.host.now());
    return failures-- > 0 ? Promise.reject(new Error("on purpose")) : Promise.resolve();
  };
  for (const it of ["1", "bad", "2"]) await outcome(net, a.send("b", it, "guaranteed"));
  const high = a.send("b", "other", "high");
  assert.equal(await outcome(net, high), undefined, "other levels do not wait");
  await net.host.until(() => b.texts.includes("2"), 60_000);
  const waits = attempts.slice(1).map((at, index) => Math.round(at - attempts[index]));
  assert.deepEqual(waits, [100, 200, 400, 800, 1600]);
  assert.deepEqual(b.texts.filter((it) => it !== "bad" && it !== "other"), ["1", "2"]);
  const lines = b.node.host.lines.filter((it) => JSON.stringify(it).includes("not handled yet"));
  assert.equal(lines.length, 1);
  assert.match(JSON.stringify(lines[0]), /on purpose/);
  assert.equal(b.delivery.metrics().guaranteed_failures, 5);
  await end(net, a, b);
});

Deno.test("a transaction that fails leaves nothing behind; one that went through counts, whatever comes after", async () => {
  const net = new FakeNet();
  const [a, b] = [new DeliveryNode(net, "a"), new DeliveryNode(net, "b")];
  a.node.hint("b", "b");
  let fail = true;
  const errors: unknown[] = [];
  b.answer = (message) => {
    try {
      message.transaction!((database) => {
        database.exec("CREATE TABLE IF NOT EXISTS book (what TEXT)");
        database.prepare("INSERT INTO book VALUES (?)").run(text(message.body));
        if (fail) throw new Error("on purpose");
      });
    } catch (error) {
      errors.push(error);
      return Promise.reject(error);
    } finally {
      fail = false;
    }
    try {
      message.transaction!(() => {});
    } catch (error) {
      errors.push(error);
    }
    return Promise.reject(new Error("too late"));
  };
  await outcome(net, a.send("b", "1", "guaranteed"));
  await net.host.until(() => b.databases.exists("delivery.db") && outbox(a) === 0, 60_000);
  assert.deepEqual(book(b.databases), ["1"]);
  assert.equal((errors[0] as Error).message, "on purpose");
  hasCode(errors[1], "invalid_argument");
  await end(net, a, b);
});

Deno.test("a transaction is over with its message, and its work is done when it returns", async () => {
  const net = new FakeNet();
  const [a, b] = [new DeliveryNode(net, "a"), new DeliveryNode(net, "b")];
  a.node.hint("b", "b");
  let late: (() => void) | undefined;
  let promised: unknown;
  b.answer = (message) => {
    late ??= () => message.transaction!(() => {});
    try {
      message.transaction!(() => Promise.resolve());
    } catch (error) {
      promised = error;
    }
    return "taken";
  };
  await outcome(net, a.send("b", "1", "guaranteed"));
  await net.host.until(() => outbox(a) === 0);
  hasCode(promised, "invalid_argument");
  assert.throws(() => late!(), { code: "closed" });
  await end(net, a, b);
});

Deno.test("a message that nobody handles yet waits for its handler, and is handled as soon as there is one", async () => {
  const net = new FakeNet();
  const [a, b] = [new DeliveryNode(net, "a"), new DeliveryNode(net, "b")];
  a.node.hint("b", "b");
  b.answer = () => "unhandled";
  await outcome(net, a.send("b", "1", "guaranteed"));
  await net.host.advance(30_000);
  assert.deepEqual(b.arrived, []);
  b.answer = () => "taken";
  b.delivery.retryUnhandled();
  assert.deepEqual(b.texts, ["1"]);
  await net.host.until(() => outbox(a) === 0);
  await end(net, a, b);
});

Deno.test("a node that keeps nothing on disk refuses to promise, and takes no promises", async () => {
  const net = new FakeNet();
  const a = new DeliveryNode(net, "a", { databases: MemoryDatabases.none() });
  const b = new DeliveryNode(net, "b");
  b.node.hint("a", "a");
  const error = await outcome(net, a.send("b", "1", "guaranteed"));
  hasCode(error, "unavailable");
  assert.match((error as MycnetError).remedy, /mycnet init/);
  assert.equal(await outcome(net, b.send("a", "1", "guaranteed")), undefined);
  await net.host.advance(60_000);
  assert.deepEqual(a.arrived, []);
  assert.equal(outbox(b), 1, "it is kept");
  const lines = b.node.host.lines.filter((it) =>
    JSON.stringify(it).includes("keeps nothing on disk")
  );
  assert.equal(lines.length, 1);
  await end(net, a, b);
});

Deno.test("what can never be delivered is refused before it is written", async () => {
  const net = new FakeNet();
  const a = new DeliveryNode(net, "a");
  const big = new Uint8Array(1024 * 1024 + 1);
  const send = (to: string, body: Uint8Array) =>
    outcome(net, a.delivery.send(to, "guaranteed", messageTypes.custom, {}, body, {}));
  hasCode(await send("b", big), "too_large");
  hasCode(await send("a", new Uint8Array(1)), "unknown_peer");
  hasCode(await send("No Such Name", new Uint8Array(1)), "invalid_argument");
  await end(net, a);
});

Deno.test("the outbox is bounded by messages and bytes: senders wait in order, or fail at once", async () => {
  const net = new FakeNet();
  const a = new DeliveryNode(net, "a", { delivery: { outbox: { rows: 3, bytes: 1000 } } });
  a.node.hint("b", "b");
  for (const it of numbers(1, 3)) await outcome(net, a.send("b", it, "guaranteed"));
  hasCode(await outcome(net, a.send("b", "x", "guaranteed", { wait: false })), "overloaded");
  const impatient = new AbortController();
  const aborted = outcome(net, a.send("b", "y", "guaranteed", { signal: impatient.signal }));
  const waiting = numbers(4, 9).map((it) => a.send("b", it, "guaranteed"));
  impatient.abort();
  hasCode(await aborted, "aborted");
  await net.host.advance(1000);
  assert.equal(outbox(a), 3);
  const b = new DeliveryNode(net, "b");
  assert.equal(await outcome(net, Promise.all(waiting)), undefined);
  await net.host.until(() => b.arrived.length === 9, 60_000);
  assert.deepEqual(b.texts, numbers(1, 9));
  const wide = new DeliveryNode(net, "c", { delivery: { outbox: { rows: 100, bytes: 10 } } });
  await outcome(net, wide.send("b", "123456", "guaranteed"));
  hasCode(await outcome(net, wide.send("b", "12345", "guaranteed", { wait: false })), "overloaded");
  const closed = outcome(net, wide.send("b", "12345", "guaranteed"));
  wide.delivery[Symbol.dispose]();
  hasCode(await closed, "closed");
  await end(net, a, b, wide);
});

Deno.test("the sender may change its bytes once the promise is kept", async () => {
  const net = new FakeNet();
  const a = new DeliveryNode(net, "a");
  a.node.hint("b", "b");
  const body = new TextEncoder().encode("before");
  await outcome(net, a.delivery.send("b", "guaranteed", messageTypes.custom, {}, body, {}));
  body.fill(0);
  const b = new DeliveryNode(net, "b");
  await net.host.until(() => b.arrived.length === 1, 60_000);
  assert.deepEqual(b.arrived, ["before"]);
  await end(net, a, b);
});

Deno.test("a sender whose database is new begins anew", async () => {
  const net = new FakeNet();
  const b = new DeliveryNode(net, "b");
  for (let generation = 1; generation <= 3; generation++) {
    const a = new DeliveryNode(net, "a", { generation });
    a.node.hint("b", "b");
    for (const it of numbers(1, 3)) await outcome(net, a.send("b", it, "guaranteed"));
    await net.host.until(() => outbox(a) === 0, 60_000);
    await a.crash();
    a.databases[Symbol.dispose]();
  }
  assert.deepEqual(b.texts, [1, 2, 3].flatMap(() => numbers(1, 3)));
  await end(net, b);
});

Deno.test("what a receiver holds and has not handled is bounded: more is not taken, and comes later", async () => {
  const net = new FakeNet();
  const [a, b] = [new DeliveryNode(net, "a"), new DeliveryNode(net, "b")];
  a.node.hint("b", "b");
  const gate = Promise.withResolvers<void>();
  b.answer = () => gate.promise;
  for (let at = 0; at < 12; at++) {
    const body = new Uint8Array(1024 * 1024);
    await outcome(
      net,
      a.delivery.send("b", "guaranteed", messageTypes.custom, { route: "x" }, body, {}),
    );
  }
  await net.host.advance(2000);
  assert.equal(b.arrived.length, 1, "one after the other");
  assert(b.delivery.held <= 8, `${b.delivery.held} are held`);
  gate.resolve();
  await net.host.until(() => b.arrived.length === 12, 120_000);
  await end(net, a, b);
});
