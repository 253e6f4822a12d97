import assert from "node:assert/strict";
import { noFields } from "../frame/fields.ts";
import { kind } from "../frame/prefix.ts";
import { messageTypes } from "../frame/types.ts";
import type { LinkMachine } from "./machine.ts";
import { bytes, forged, Pair } from "./testing.ts";
import { LinkError } from "./types.ts";

const call = messageTypes["service.call"];
const none = new Uint8Array(0);

const code = (expected: string) => (error: unknown) =>
  error instanceof LinkError && error.code === expected;

/** Grants everything that arrives at once, as a consumer without a queue would. */
function consume(pair: Pair, machine: LinkMachine): void {
  const events = machine === pair.dialer ? pair.dialerEvents : pair.acceptorEvents;
  events.hook = ([name, stream], body) => {
    if (name === "item") machine.grant(stream as number, body!.length);
  };
}

Deno.test("messages arrive with their type, fields and bytes, both ways", () => {
  const pair = Pair.up();
  pair.dialer.send(call, { route: "a/b", deadlineMs: 50 }, bytes("one"));
  pair.acceptor.send(messageTypes.custom, noFields, bytes("two"));
  pair.flush();
  assert.deepEqual(pair.acceptorEvents.take(), [["message", call, "one"]]);
  assert.deepEqual(pair.dialerEvents.take(), [["message", messageTypes.custom, "two"]]);
  const [fields] = pair.acceptorEvents.fields;
  assert.equal(fields!.route, "a/b");
  assert.equal(fields!.deadlineMs, 50);
  assert.equal(pair.dialerEvents.fields[0], noFields);
});

Deno.test("a request is answered on its stream, odd from the dialer and even from the acceptor", () => {
  const pair = Pair.up();
  const odd = pair.dialer.open(call, noFields, bytes("q1"), false, 0);
  const even = pair.acceptor.open(call, noFields, bytes("q2"), false, 0);
  assert.deepEqual([odd, even], [1, 2]);
  pair.flush();
  assert.deepEqual(pair.acceptorEvents.take(), [["request", 1, call, "q1", false]]);
  assert.deepEqual(pair.dialerEvents.take(), [["request", 2, call, "q2", false]]);
  pair.acceptor.respond(odd, { loadHint: 7 }, bytes("a1"));
  pair.dialer.fail(even, noFields, bytes("a2"));
  assert.equal(pair.dialer.exchanges, 1);
  pair.flush();
  assert.deepEqual(pair.dialerEvents.take(), [["response", 1, "a1"]]);
  assert.equal(pair.dialerEvents.fields.at(-1)!.loadHint, 7);
  assert.deepEqual(pair.acceptorEvents.take(), [["failure", 2, "a2"]]);
  assert.deepEqual([pair.dialer.exchanges, pair.acceptor.exchanges], [0, 0]);
});

Deno.test("a handler may answer, ask and send out of its own callback", () => {
  const pair = Pair.up();
  pair.acceptorEvents.hook = ([name, stream]) => {
    if (name !== "request") return;
    pair.acceptor.respond(stream as number, noFields, bytes("done"));
    pair.acceptor.send(call, noFields, bytes("by the way"));
  };
  pair.dialerEvents.hook = ([name, stream]) => {
    if (name === "response" && (stream as number) < 9) {
      pair.dialer.open(call, noFields, none, false, 0);
    }
  };
  pair.dialer.open(call, noFields, none, false, 0);
  pair.flush();
  assert.equal(pair.dialerEvents.events.filter(([name]) => name === "response").length, 5);
  assert.equal(pair.dialerEvents.events.filter(([name]) => name === "message").length, 5);
});

Deno.test("calling handleBytes out of a handler of the same link is a mistake that is told", () => {
  const pair = Pair.up();
  pair.acceptorEvents.hook = ([name]) => {
    if (name === "message") pair.acceptor.handleBytes(none, 0);
  };
  pair.dialer.send(call, noFields, none);
  assert.throws(() => pair.flush(), /handleBytes was called out of a handler/);
  assert.equal(pair.acceptorEvents.closedBecause?.code, "internal");
});

Deno.test("urgent messages overtake, and the frames of one exchange never overtake each other", () => {
  const pair = Pair.up();
  const low = pair.dialer.open(call, { priority: "low" }, bytes("open"), true, 0);
  pair.dialer.item(low, bytes("item"));
  pair.dialer.send(call, { priority: "normal" }, bytes("normal"));
  pair.dialer.send(call, { priority: "critical" }, bytes("critical"));
  pair.dialer.reset(low, "cancelled", "enough");
  pair.flush();
  assert.deepEqual(pair.acceptorEvents.take(), [
    ["message", call, "critical"],
    ["message", call, "normal"],
    ["request", low, call, "open", true],
    ["item", low, "item"],
    ["reset", low, "cancelled", "enough"],
  ]);
  const urgent = pair.dialer.open(call, { priority: "high" }, none, false, 0);
  pair.flush();
  pair.acceptor.send(call, noFields, bytes("slow"));
  pair.acceptor.respond(urgent, noFields, bytes("fast"));
  pair.flush();
  assert.deepEqual(pair.dialerEvents.take(), [["response", urgent, "fast"], [
    "message",
    call,
    "slow",
  ]]);
});

Deno.test("items flow both ways on one exchange, which the answer ends", () => {
  const pair = Pair.up();
  const stream = pair.dialer.open(call, noFields, bytes("in"), true, 0);
  pair.dialer.item(stream, bytes("up1"));
  pair.dialer.item(stream, none);
  pair.dialer.end(stream);
  pair.flush();
  pair.acceptor.item(stream, bytes("down1"));
  pair.acceptor.item(stream, bytes("down2"));
  pair.acceptor.end(stream);
  pair.flush();
  assert.equal(pair.dialer.exchanges, 1, "an end alone ends nothing");
  pair.acceptor.respond(stream, noFields, bytes("out"));
  pair.flush();
  assert.deepEqual(pair.acceptorEvents.take(), [
    ["request", stream, call, "in", true],
    ["item", stream, "up1"],
    ["item", stream, ""],
    ["end", stream],
  ]);
  assert.deepEqual(pair.dialerEvents.take(), [
    ["item", stream, "down1"],
    ["item", stream, "down2"],
    ["end", stream],
    ["response", stream, "out"],
  ]);
});

Deno.test("a sender stops at its credit, and goes on when it is given back", () => {
  const limits = { streamWindowBytes: 1000 };
  const pair = Pair.up({}, { limits });
  const stream = pair.dialer.open(call, noFields, none, true, 0);
  assert.equal(pair.dialer.item(stream, new Uint8Array(600)), true);
  assert.equal(pair.dialer.item(stream, new Uint8Array(5000)), false, "one item may overdraw");
  assert.throws(() => pair.dialer.item(stream, bytes("x")), code("overloaded"));
  pair.flush();
  pair.acceptorEvents.take();
  pair.acceptor.grant(stream, 600);
  pair.flush();
  assert.deepEqual(pair.dialerEvents.take(), [], "still overdrawn");
  pair.acceptor.grant(stream, 5000);
  pair.flush();
  assert.deepEqual(pair.dialerEvents.take(), [["writable", stream]]);
  assert.equal(pair.dialer.item(stream, bytes("x")), true);
});

Deno.test("a long stream flows through a small window, in either direction, and nothing is lost", () => {
  const limits = { streamWindowBytes: 700 };
  for (const up of [true, false]) {
    const pair = Pair.up({ limits }, { limits });
    pair.pieceBytes = 97;
    const stream = pair.dialer.open(call, noFields, none, up, 0);
    pair.flush();
    const [from, to] = up ? [pair.dialer, pair.acceptor] : [pair.acceptor, pair.dialer];
    const events = up ? pair.dialerEvents : pair.acceptorEvents;
    consume(pair, to);
    let sent = 0;
    let bytesSent = 0;
    const pump = () => {
      while (sent < 500) {
        const size = sent * 7 % 300;
        sent++;
        bytesSent += size;
        if (!from.item(stream, new Uint8Array(size))) return;
      }
    };
    events.hook = ([name]) => {
      if (name === "writable") pump();
    };
    pump();
    pair.flush();
    assert.equal(sent, 500);
    const received = (up ? pair.acceptorEvents : pair.dialerEvents).events.filter(([name]) =>
      name === "item"
    );
    assert.equal(received.length, 500);
    assert.equal(from.counters.messagesSent, to.counters.messagesReceived);
    assert(bytesSent > 50_000);
  }
});

Deno.test("empty items take credit too, and give it back", () => {
  const limits = { streamWindowBytes: 4 };
  const pair = Pair.up({ limits }, { limits });
  const stream = pair.dialer.open(call, noFields, none, true, 0);
  const accepted = [1, 2, 3, 4].map(() => pair.dialer.item(stream, none));
  assert.deepEqual(accepted, [true, true, true, false]);
  pair.flush();
  for (let i = 0; i < 4; i++) pair.acceptor.grant(stream, 0);
  pair.flush();
  assert.deepEqual(pair.dialerEvents.take(), [["writable", stream]]);
  assert.deepEqual([1, 2, 3, 4].map(() => pair.dialer.item(stream, none)), accepted);
});

Deno.test("granting more than was consumed gives nothing away", () => {
  const pair = Pair.up({}, { limits: { streamWindowBytes: 1000 } });
  const stream = pair.dialer.open(call, noFields, none, true, 0);
  pair.dialer.item(stream, new Uint8Array(1000));
  pair.flush();
  pair.acceptor.grant(stream, 1_000_000);
  pair.flush();
  assert.equal(pair.dialer.item(stream, new Uint8Array(999)), true);
  assert.equal(pair.dialer.item(stream, new Uint8Array(1)), false);
});

Deno.test("a peer that sends without credit loses the stream and nothing else", () => {
  const pair = Pair.up({}, { limits: { streamWindowBytes: 100 } });
  const stream = pair.dialer.open(call, noFields, none, true, 0);
  const other = pair.dialer.open(call, noFields, none, false, 0);
  pair.flush();
  pair.acceptorEvents.take();
  pair.acceptor.handleBytes(forged(kind.item, stream, new Uint8Array(200)), 0);
  pair.acceptor.handleBytes(forged(kind.item, stream, new Uint8Array(1)), 0);
  assert.deepEqual(pair.acceptorEvents.take(), [
    ["item", stream, 200],
    ["reset", stream, "protocol", "an item without credit"],
  ]);
  pair.flush();
  assert.deepEqual(pair.dialerEvents.take(), [
    ["reset", stream, "protocol", "an item without credit"],
  ]);
  pair.acceptor.respond(other, noFields, bytes("fine"));
  pair.flush();
  assert.deepEqual(pair.dialerEvents.take(), [["response", other, "fine"]]);
});

Deno.test("items after the end, a second end, and items nobody announced end the stream", () => {
  const cases: [boolean, number[]][] = [
    [true, [kind.end, kind.item]],
    [true, [kind.end, kind.end]],
    [false, [kind.item]],
    [false, [kind.end]],
  ];
  for (const [upload, kinds] of cases) {
    const pair = Pair.up();
    const stream = pair.dialer.open(call, noFields, none, upload, 0);
    pair.flush();
    for (const number of kinds) pair.acceptor.handleBytes(forged(number, stream), 0);
    const [name, , why] = pair.acceptorEvents.take().at(-1)!;
    assert.deepEqual([name, why], ["reset", "protocol"]);
    assert.equal(pair.acceptor.exchanges, 0);
    assert.equal(pair.acceptor.state, "up");
  }
});

Deno.test("answers, items and resets for an exchange that is over are late, not wrong", () => {
  const pair = Pair.up();
  const stream = pair.dialer.open(call, noFields, none, true, 0);
  pair.flush();
  pair.dialer.item(stream, bytes("crossing"));
  pair.dialer.end(stream);
  pair.acceptor.respond(stream, noFields, bytes("already"));
  pair.acceptor.respond(stream, noFields, bytes("again"));
  pair.acceptor.item(stream, bytes("again"));
  pair.acceptor.end(stream);
  pair.acceptor.grant(stream, 5);
  pair.acceptor.reset(stream, "internal");
  pair.flush();
  assert.deepEqual(pair.dialerEvents.take(), [["response", stream, "already"]]);
  assert.equal(pair.acceptor.counters.late, 2);
  pair.dialer.handleBytes(forged(kind.response, 1), 0);
  pair.dialer.handleBytes(forged(kind.failure, 77), 0);
  assert.equal(pair.dialer.counters.late, 2);
  assert.equal(pair.dialer.state, "up");
});

Deno.test("either end may reset, and the other is told the code and a sentence", () => {
  const pair = Pair.up();
  const one = pair.dialer.open(call, noFields, none, false, 0);
  const two = pair.dialer.open(call, noFields, none, false, 0);
  pair.flush();
  pair.acceptorEvents.take();
  pair.dialer.reset(one, "deadline_exceeded");
  pair.acceptor.reset(two, "unhandled", "no handler: ü".padEnd(900, "."));
  pair.flush();
  assert.deepEqual(pair.acceptorEvents.take(), [["reset", one, "deadline_exceeded", ""]]);
  const [[name, stream, why, message]] = pair.dialerEvents.take() as [unknown[]];
  assert.deepEqual([name, stream, why], ["reset", two, "unhandled"]);
  assert.match(message as string, /^no handler: ü\.+…$/);
  assert.deepEqual([pair.dialer.exchanges, pair.acceptor.exchanges], [0, 0]);
});
