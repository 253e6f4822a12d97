import assert from "node:assert/strict";
import type { IncomingExchange } from "../../contracts/peers.ts";
import { noFields } from "@mycnet/protocols/frame";
import { bytes, empty, linked, noting, quiet, text, type } from "./ends_test.ts";

Deno.test("a request reaches the handler of its type and the answer reaches the asker", async () => {
  await using t = await linked();
  t.b.handlers.set(type, {
    request: (exchange, fields, body) => {
      exchange.respond(bytes(`${fields.route}: ${text(body)}`));
      return undefined;
    },
  });
  const notes: string[] = [];
  t.a.link.open(type, { route: "echo" }, bytes("hello"), false, noting(notes));
  assert.equal(t.a.link.info.exchanges, 1);
  await t.host.barrier();
  assert.deepEqual(notes, ["response echo: hello"]);
  assert.equal(t.a.link.info.exchanges, 0);
  assert.equal(t.b.link.info.exchanges, 0);
});

Deno.test("everything sent within one turn leaves in one write", async () => {
  await using t = await linked();
  let received = 0;
  t.b.handlers.set(type, { message: () => void received++ });
  const before = t.pair.dialer.writes;
  for (let i = 0; i < 300; i++) t.a.link.send(type, noFields, bytes("small"));
  await t.host.barrier();
  assert.equal(received, 300);
  assert.equal(t.pair.dialer.writes - before, 1);
});

Deno.test("messages set no host timers", async () => {
  await using t = await linked();
  t.b.handlers.set(type, {
    request: (exchange, _fields, body) => (exchange.respond(body), undefined),
  });
  const before = t.host.timersSet;
  for (let i = 0; i < 200; i++) {
    t.a.link.open(type, noFields, bytes("x"), false, noting([]));
    await t.host.barrier();
  }
  assert(t.host.timersSet - before <= 4, `${t.host.timersSet - before} timers`);
});

Deno.test("streams flow both ways, held back by credit, until the answer", async () => {
  await using t = await linked({ streamWindowBytes: 64 });
  const got: string[] = [];
  t.b.handlers.set(type, {
    request: (exchange) => ({
      ...quiet,
      item: (body) => {
        got.push(text(body));
        exchange.grant(body.length);
        exchange.item(bytes(`saw ${got.length}`));
      },
      end: () => void exchange.respond(bytes("all")),
    }),
  });
  const notes: string[] = [];
  let left = 20;
  const feed = () => {
    while (left > 0) {
      left--;
      if (!exchange.item(bytes(`item number ${left}`))) return;
    }
    exchange.end();
  };
  const exchange = t.a.link.open(
    type,
    noFields,
    empty,
    true,
    noting(notes, {
      item: (body) => {
        notes.push(text(body));
        exchange.grant(body.length);
      },
      writable: feed,
    }),
  );
  feed();
  assert(left > 10, "credit holds the sender back");
  await t.host.until(() => notes.includes("response all"));
  assert.equal(got.length, 20);
  assert.equal(notes.filter((note) => note.startsWith("saw")).length, 20);
});

Deno.test("what nobody handles is reset as unhandled", async () => {
  await using t = await linked();
  const notes: string[] = [];
  t.a.link.open(type, noFields, empty, false, noting(notes));
  t.a.link.send(type, noFields, empty);
  await t.host.barrier();
  assert.deepEqual(notes, ["closed unhandled sent"]);
});

Deno.test("a handler that throws is logged and reset as internal; the link and the others go on", async () => {
  await using t = await linked();
  t.b.handlers.set(type, {
    message: () => {
      throw new Error("bad message handler");
    },
    request: (exchange, { route }) => {
      if (route === "throws") throw new Error("bad request handler");
      if (route === "forgets") return undefined;
      exchange.respond(bytes("fine"));
      return undefined;
    },
  });
  const notes: string[] = [];
  t.a.link.send(type, noFields, empty);
  t.a.link.open(type, { route: "throws" }, empty, false, noting(notes));
  t.a.link.open(type, { route: "forgets" }, empty, false, noting(notes));
  t.a.link.open(type, { route: "answers" }, empty, false, noting(notes));
  await t.host.barrier();
  assert.deepEqual(notes, ["closed internal sent", "closed internal sent", "response fine"]);
  assert.equal(t.host.lines.filter(({ level }) => level === "error").length, 3);
  assert(t.a.link.usable && t.b.link.usable);
});

Deno.test("an asker's callback that throws is logged and hurts nobody else", async () => {
  await using t = await linked();
  t.b.handlers.set(type, {
    request: (exchange) => {
      exchange.item(bytes("one"));
      return { ...quiet, closed: ({ code }) => void t.b.events.push(`reset ${code}`) };
    },
  });
  const notes: string[] = [];
  t.a.link.open(
    type,
    noFields,
    empty,
    false,
    noting(notes, {
      item: () => {
        throw new Error("bad item callback");
      },
    }),
  );
  await t.host.barrier();
  assert.equal(t.a.link.info.exchanges, 0);
  assert(t.b.events.includes("reset internal"));
  assert(t.a.link.usable);
});

Deno.test("a reset is told to the other side once, and methods afterwards do nothing", async () => {
  await using t = await linked();
  let incoming: IncomingExchange | undefined;
  const notes: string[] = [];
  t.b.handlers.set(type, {
    request: (exchange) => {
      incoming = exchange;
      return { ...quiet, closed: ({ code, message }) => void notes.push(`${code}: ${message}`) };
    },
  });
  const mine: string[] = [];
  const exchange = t.a.link.open(type, noFields, empty, true, noting(mine));
  await t.host.barrier();
  exchange.reset("cancelled", "not needed");
  exchange.reset("cancelled");
  assert.equal(exchange.item(empty), false);
  exchange.end();
  await t.host.barrier();
  assert.deepEqual(notes, ["cancelled: not needed"]);
  assert.equal(incoming!.respond(bytes("late")), true);
  incoming!.fail(empty);
  incoming!.grant(1);
  await t.host.barrier();
  assert.deepEqual(mine, []);
});

Deno.test("a lost link tells each exchange once, and whether its bytes may have left", async () => {
  await using t = await linked();
  t.b.handlers.set(type, { request: () => quiet });
  const sent: string[] = [];
  const unsent: string[] = [];
  t.a.link.open(type, noFields, empty, false, noting(sent));
  await t.host.barrier();
  // The connection breaks in the turn in which this one is queued.
  t.a.link.open(type, noFields, empty, false, noting(unsent));
  t.a.link.destroy("cut");
  assert.deepEqual(sent, ["closed link_lost sent"]);
  assert.deepEqual(unsent, ["closed link_lost unsent"]);
  await t.host.barrier();
  assert.equal(t.b.reason?.kind, "transport");
  assert.deepEqual(t.b.events.slice(-2), ["down", "gone"]);
});

Deno.test("what waits behind a write that is outstanding has not been sent", async () => {
  await using t = await linked();
  t.pair.acceptor.pause();
  const first: string[] = [];
  const second: string[] = [];
  t.a.link.open(type, noFields, empty, false, noting(first));
  await t.host.barrier();
  t.a.link.open(type, noFields, empty, false, noting(second));
  await t.host.barrier();
  t.pair.dialer.cut();
  await t.host.barrier();
  assert.deepEqual([first, second], [["closed link_lost sent"], ["closed link_lost unsent"]]);
});
