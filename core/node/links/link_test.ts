import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type {
  ExchangeHandlers,
  IncomingExchange,
  MessageHandler,
  PeerLink,
} from "../../contracts/peers.ts";
import { codeOf } from "../../kernel/errors.ts";
import { noFields } from "@mycnet/protocols/frame";
import type { LinkCloseReason, LinkLimits } from "@mycnet/protocols/link";
import { defaultCapabilities } from "@mycnet/protocols/negotiation";
import { connectionPair, type FakeConnection, FakeHost } from "../fakes_test.ts";
import { Link } from "./link.ts";

const type = 0x03ff;
const empty = new Uint8Array(0);
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (body: Uint8Array) => new TextDecoder().decode(body);

class End {
  readonly handlers = new Map<number, MessageHandler>();
  readonly events: string[] = [];
  link!: Link;
  reason: LinkCloseReason | undefined;

  start(
    host: FakeHost,
    connection: FakeConnection,
    role: "dialer" | "acceptor",
    limits: Partial<LinkLimits> = {},
  ) {
    this.link = Link.start({
      id: role,
      host,
      connection,
      handlers: this.handlers,
      options: {
        role,
        self: {
          cluster: "test",
          type: "sclerotia",
          id: role,
          generation: 1,
          version: "0.1.0",
        },
        authentication: connection.authentication,
        encryption: connection.encryption,
        capabilities: defaultCapabilities,
        profiles: {},
        addresses: [],
        nonce: host.randomBytes(16),
        digest: (input) => createHash("sha256").update(input).digest(),
        limits,
      },
      events: {
        up: () => void this.events.push("up"),
        draining: (_link, code, _message, by) => void this.events.push(`draining ${code} ${by}`),
        health: (link) => void this.events.push(`health ${link.health}`),
        down: (_link, reason) => {
          this.reason = reason;
          this.events.push("down");
        },
        gone: () => void this.events.push("gone"),
      },
    });
  }
}

/** Two ends of one link that is up. */
async function linked(limits: Partial<LinkLimits> = {}, delayMs = 0) {
  const host = new FakeHost();
  const pair = connectionPair(host, { delayMs });
  const a = new End();
  const b = new End();
  a.start(host, pair.dialer, "dialer", limits);
  b.start(host, pair.acceptor, "acceptor", limits);
  await host.until(() => a.link.usable && b.link.usable);
  return {
    host,
    pair,
    a,
    b,
    async [Symbol.asyncDispose]() {
      a.link.destroy("the test is over");
      b.link.destroy("the test is over");
      await host.advance(20);
      await Promise.all([a.link.gone, b.link.gone]);
      assert.equal(host.pendingTimers, 0, "a timer was left behind");
    },
  };
}

/** Handlers that note what they are told. */
function noting(notes: string[], more: Partial<ExchangeHandlers> = {}): ExchangeHandlers {
  return {
    item: (body) => void notes.push(`item ${text(body)}`),
    end: () => void notes.push("end"),
    writable: () => void notes.push("writable"),
    response: (_fields, body) => void notes.push(`response ${text(body)}`),
    failure: (_fields, body) => void notes.push(`failure ${text(body)}`),
    closed: ({ code, sent }) => void notes.push(`closed ${code} ${sent ? "sent" : "unsent"}`),
    ...more,
  };
}

const quiet = { item() {}, end() {}, writable() {}, closed() {} };

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
  for (let i = 0; i < 500; i++) t.a.link.send(type, noFields, bytes("small"));
  await t.host.barrier();
  assert.equal(received, 500);
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
  t.a.link.send(type, noFields, bytes("now"));
  await t.host.barrier();
  assert.equal(seen, "now");
  assert.notEqual(text(kept!), "now");
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
