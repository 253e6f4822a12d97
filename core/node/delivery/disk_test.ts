// Disks that are full and databases that are old copies.
import assert from "node:assert/strict";
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

Deno.test("a disk that cannot be written fails what was not promised, and what was taken comes again", async () => {
  const net = new FakeNet();
  const [a, b] = [new DeliveryNode(net, "a"), new DeliveryNode(net, "b")];
  a.node.hint("b", "b");
  await outcome(net, a.send("b", "0", "guaranteed"));
  await net.host.until(() => outbox(a) === 0);
  // A page more than there is: what does not fit fails as a full disk does.
  const full = (node: DeliveryNode) => {
    const file = node.databases.file();
    const pages = file.prepare("PRAGMA page_count").get()!.page_count;
    file.exec(`PRAGMA max_page_count = ${pages}`);
    return () => file.exec("PRAGMA max_page_count = 1000000");
  };
  const room = full(a);
  const sends = numbers(1, 2000).map((it) => a.send("b", it.padEnd(100), "guaranteed"));
  const results = await Promise.allSettled(sends);
  assert(results.some(({ status }) => status === "rejected"));
  for (const it of results) if (it.status === "rejected") hasCode(it.reason, "unavailable");
  room();
  await outcome(net, a.send("b", "after", "guaranteed"));
  await net.host.until(() => b.texts.includes("after"), 60_000);
  const kept = results.filter(({ status }) => status === "fulfilled").length;
  assert.equal(b.arrived.length, 2 + kept, "what was refused was sent");
  // And at the receiver: what it could not note is not acknowledged, and comes again.
  let refuse = true;
  b.answer = (message) => {
    try {
      message.transaction!((database) => {
        database.exec("CREATE TABLE IF NOT EXISTS book (what TEXT)");
        if (refuse) database.prepare("INSERT INTO book VALUES (?)").run("x".repeat(100_000));
        database.prepare("INSERT INTO book VALUES (?)").run(text(message.body));
      });
    } catch (error) {
      return Promise.reject(error);
    }
    return "taken";
  };
  const roomAtB = full(b);
  for (const it of ["p", "q"]) await outcome(net, a.send("b", it, "guaranteed"));
  await net.host.advance(500);
  refuse = false;
  roomAtB();
  await net.host.until(() => outbox(a) === 0, 120_000);
  assert.deepEqual(book(b.databases), ["p", "q"]);
  await end(net, a, b);
});

Deno.test("a disk that does not let go of what was acknowledged is asked again, now and then", async () => {
  const net = new FakeNet();
  const [a, b] = [new DeliveryNode(net, "a"), new DeliveryNode(net, "b")];
  a.node.hint("b", "b");
  await outcome(net, a.send("b", "0", "guaranteed"));
  await net.host.until(() => outbox(a) === 0);
  const file = a.databases.file();
  file.exec("CREATE TRIGGER full BEFORE DELETE ON outbox BEGIN SELECT RAISE(ABORT, 'full'); END");
  await outcome(net, a.send("b", "1", "guaranteed"));
  await net.host.advance(10_000);
  assert.equal(outbox(a), 1);
  const told = a.node.host.lines.filter(({ fields }) => fields.error === "full").length;
  assert(told >= 5 && told <= 12, `it was tried ${told} times`);
  file.exec("DROP TRIGGER full");
  await net.host.until(() => outbox(a) === 0);
  assert.deepEqual(b.texts, ["0", "1"]);
  await end(net, a, b);
});

Deno.test("what a disk does not give for a while is sent when it does, and lost by no other link", async () => {
  const net = new FakeNet();
  const a = new DeliveryNode(net, "a");
  const texts = numbers(1, 1500);
  await outcome(net, Promise.all(texts.map((it) => a.send("b", it, "guaranteed"))));
  const ofB = new MemoryDatabases();
  const first = new DeliveryNode(net, "b", { databases: ofB });
  const file = a.databases.file();
  file.exec("ALTER TABLE outbox RENAME TO unreadable");
  a.node.hint("b", "b");
  // What was in memory goes out; there is nothing then that an answer could come to.
  await net.host.until(() => first.texts.length === 1024);
  await net.host.advance(5000);
  const [waiting] = a.delivery.waiting();
  assert.equal(waiting?.messages, 476);
  await first.crash();
  await net.host.advance(5000);
  const second = new DeliveryNode(net, "b", { databases: ofB, generation: 2 });
  file.exec("ALTER TABLE unreadable RENAME TO outbox");
  await outcome(net, a.send("b", "after", "guaranteed"));
  await net.host.until(() => second.texts.includes("after"));
  assert.deepEqual([...first.texts, ...second.texts], [...texts, "after"]);
  await net.host.until(() => outbox(a) === 0);
  await end(net, a, second);
});

Deno.test("a receiver that cannot read how far it was keeps the link, and takes nothing until it can", async () => {
  const net = new FakeNet();
  const [a, b] = [new DeliveryNode(net, "a"), new DeliveryNode(net, "b")];
  b.node.hint("a", "a");
  await outcome(net, b.send("a", "opens the database", "guaranteed"));
  await net.host.until(() => a.texts.length === 1);
  const file = b.databases.file();
  file.exec("ALTER TABLE inbox RENAME TO unreadable");
  await outcome(net, a.send("b", "1", "guaranteed"));
  await net.host.advance(5000);
  assert.equal(net.wires.length, 1, "a link was given up");
  assert.deepEqual(b.texts, []);
  assert.equal(await outcome(net, a.send("b", "high")), undefined);
  file.exec("ALTER TABLE unreadable RENAME TO inbox");
  await net.host.until(() => b.texts.includes("1"), 120_000);
  assert.deepEqual(b.texts, ["high", "1"]);
  await end(net, a, b);
});

Deno.test("an old copy of the sender's database is noticed: its messages do not pass for earlier ones", async () => {
  const net = new FakeNet();
  const b = new DeliveryNode(net, "b");
  const ofA = new MemoryDatabases();
  const first = new DeliveryNode(net, "a", { databases: ofA });
  first.node.hint("b", "b");
  await outcome(net, first.send("b", "0", "guaranteed"));
  await net.host.until(() => outbox(first) === 0);
  for (const it of numbers(1, 20)) await outcome(net, first.send("b", it, "guaranteed"));
  await net.host.until(() => outbox(first) === 0);
  await first.crash();
  // What a backup of the first moment would say.
  ofA.file().exec("UPDATE outgoing SET next = 2");
  // And a disk that does half of what follows from that, for a while.
  const half =
    "BEFORE UPDATE ON outbox WHEN old.sequence < 0 BEGIN SELECT RAISE(ABORT, 'half'); END";
  ofA.file().exec(`CREATE TRIGGER half ${half}`);
  const second = new DeliveryNode(net, "a", { databases: ofA, generation: 2 });
  second.node.hint("b", "b");
  for (const it of ["new1", "new2"]) await outcome(net, second.send("b", it, "guaranteed"));
  await net.host.advance(5000);
  const rows = ofA.file().prepare("SELECT sequence FROM outbox ORDER BY sequence").all();
  assert.deepEqual(rows.map(({ sequence }) => sequence), [2, 3], "half of it was kept");
  ofA.file().exec("DROP TRIGGER half");
  await net.host.until(() => b.texts.includes("new2"), 60_000);
  assert.deepEqual(b.texts.slice(-2), ["new1", "new2"]);
  await net.host.until(() => outbox(second) === 0);
  await end(net, second, b);
});
