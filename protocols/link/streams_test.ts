import assert from "node:assert/strict";
import fc from "fast-check";
import { headerBytes, writeHeader, writeU32 } from "../frame/header.ts";
import { kind, writeMessage } from "../frame/prefix.ts";
import { noFields } from "../frame/fields.ts";
import { messageTypes } from "../frame/types.ts";
import { FrameWriter } from "../frame/writer.ts";
import { ExchangeTable } from "./exchanges.ts";
import type { LinkMachine } from "./machine.ts";
import { bytes, Pair } from "./testing.ts";
import { LinkError } from "./types.ts";

const call = messageTypes["service.call"];
const none = new Uint8Array(0);

const code = (expected: string) => (error: unknown) =>
  error instanceof LinkError && error.code === expected;

/** A message frame as a peer might forge it. */
function forged(
  kindNumber: number,
  stream: number,
  body: Uint8Array = none,
  upload = false,
): Uint8Array<ArrayBuffer> {
  const writer = new FrameWriter();
  const lane = writer.lanes[2]!;
  writeMessage(lane, 0x0100, call, kindNumber, 2, stream, upload, noFields, body, 2 ** 24);
  return writer.take()!;
}

function control(name: keyof typeof messageTypes, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(headerBytes + payload.length);
  writeHeader(frame, 0, 0x0100, messageTypes[name], payload.length);
  frame.set(payload, headerBytes);
  return frame;
}

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

Deno.test("exchanges are bounded by the smaller of what both accept", () => {
  const pair = Pair.up({ limits: { maxExchanges: 5 } }, { limits: { maxExchanges: 3 } });
  const open = (machine: LinkMachine) => machine.open(call, noFields, none, false, 0);
  const streams = [1, 2, 3].map(() => open(pair.dialer));
  assert.throws(() => open(pair.dialer), code("overloaded"));
  assert.equal([1, 2, 3].map(() => open(pair.acceptor)).length, 3);
  assert.throws(() => open(pair.acceptor), code("overloaded"));
  pair.flush();
  pair.acceptor.respond(streams[0]!, noFields, none);
  assert.throws(() => open(pair.dialer), code("overloaded"));
  pair.flush();
  open(pair.dialer);
});

Deno.test("a peer that opens more than it may is reset as overloaded, and its others go on", () => {
  const pair = Pair.up({}, { limits: { maxExchanges: 2 } });
  for (const stream of [101, 103, 105]) pair.acceptor.handleBytes(forged(kind.request, stream), 0);
  assert.deepEqual(pair.acceptorEvents.take().map(([name, stream]) => [name, stream]), [
    ["request", 101],
    ["request", 103],
  ]);
  assert.equal(pair.acceptor.exchanges, 2);
  assert.equal(pair.acceptor.state, "up");
  const output = pair.acceptor.takeOutput()!;
  assert.equal(output[7], messageTypes["link.reset"]);
});

Deno.test("what no honest peer sends ends the link and names the reason", () => {
  const u32 = (...values: number[]) => {
    const payload = new Uint8Array(4 * values.length);
    values.forEach((value, i) => writeU32(payload, 4 * i, value));
    return payload;
  };
  const wrongVersion = forged(kind.message, 0);
  wrongVersion[4] = 2;
  const cases: [Uint8Array, RegExp][] = [
    [forged(kind.message, 5), /a message on stream 5/],
    [forged(kind.request, 0), /stream 0, which is not the peer's/],
    [forged(kind.request, 4), /stream 4, which is not the peer's/],
    [
      new Uint8Array([...forged(kind.request, 9), ...forged(kind.request, 9)]),
      /9, which is in use/,
    ],
    [new Uint8Array([...forged(kind.request, 9), ...forged(kind.response, 9)]), /an answer on/],
    [forged(6, 0), /unknown kind 6/],
    [wrongVersion, /version 2 of the wire/],
    [control("link.hello", none), /link\.hello frame on a link that is up/],
    [control("link.ack", none), /link\.ack frame/],
    [control("link.ping", u32().subarray(0, 3)), /ping frame that is too short/],
    [control("link.pong", none), /pong frame that is too short/],
    [control("link.credit", u32(1)), /credit frame that is too short/],
    [control("link.reset", u32(1)), /reset frame that is too short/],
    [control("link.goodbye", none), /malformed goodbye/],
    [control("link.goodbye", new Uint8Array([0x80])), /goodbye frame without a code/],
    [bytes("garbage and more"), /looks like text/],
  ];
  for (const [sent, message] of cases) {
    const pair = Pair.up();
    pair.acceptor.handleBytes(sent, 0);
    const reason = pair.acceptorEvents.closedBecause;
    assert.deepEqual([reason?.kind, reason?.code, reason?.by], ["protocol", "protocol", "us"]);
    assert.match(reason!.message, message);
    pair.flush();
    assert.deepEqual(pair.dialerEvents.take(), [
      ["goodbye", "protocol", reason!.message],
      ["closed", "goodbye", "protocol", "peer"],
    ]);
  }
});

Deno.test("kinds and control frames of a newer minor version are passed over", () => {
  const pair = Pair.up();
  const newKind = forged(9, 0);
  newKind[5] = 1;
  const newControl = control("link.ack", none);
  newControl[5] = 1;
  newControl[7] = 0x42;
  pair.acceptor.handleBytes(new Uint8Array([...newKind, ...newControl]), 0);
  pair.acceptor.handleBytes(forged(kind.message, 0, bytes("after")), 0);
  assert.deepEqual(pair.acceptorEvents.take(), [["message", call, "after"]]);
});

Deno.test("commands fail before the link is up and after it is over", () => {
  const pair = new Pair();
  assert.throws(() => pair.dialer.send(call, noFields, none), code("closed"));
  assert.throws(() => pair.dialer.open(call, noFields, none, false, 0), code("closed"));
  pair.flush();
  pair.dialer.close("leaving", "");
  assert.throws(() => pair.dialer.send(call, noFields, none), code("closed"));
  assert.throws(() => pair.dialer.open(call, noFields, none, false, 0), code("closed"));
});

Deno.test("a command that fails changes nothing", () => {
  const pair = Pair.up({}, { limits: { maxFrameBytes: 2000 } });
  const big = new Uint8Array(2000);
  assert.throws(() => pair.dialer.send(call, noFields, big), code("too_large"));
  assert.throws(() => pair.dialer.open(call, noFields, big, false, 0), code("too_large"));
  assert.throws(() => pair.dialer.send(call, { hopLimit: -1 }, none), code("invalid"));
  assert.throws(() => pair.dialer.send(3, noFields, none), code("invalid"));
  assert.throws(
    () => pair.dialer.open(call, { priority: "x" as "low" }, none, false, 0),
    code("invalid"),
  );
  assert.deepEqual([pair.dialer.outputBytes, pair.dialer.exchanges], [0, 0]);
  const stream = pair.acceptor.open(call, noFields, none, false, 0);
  pair.flush();
  assert.throws(() => pair.dialer.respond(stream, noFields, big), code("too_large"));
  pair.dialer.fail(stream, noFields, bytes("the answer is too large"));
  pair.flush();
  assert.deepEqual(pair.acceptorEvents.take(), [["failure", stream, "the answer is too large"]]);
});

Deno.test("a full link says so, and tells streams that waited when there is room", () => {
  const pair = Pair.up({ limits: { outputHighWaterBytes: 1000 } });
  const stream = pair.dialer.open(call, noFields, none, true, 0);
  assert.equal(pair.dialer.item(stream, new Uint8Array(500)), true);
  assert.equal(pair.dialer.item(stream, new Uint8Array(500)), false);
  assert(pair.dialer.full);
  assert.equal(pair.dialer.item(stream, new Uint8Array(10)), false, "queued nevertheless");
  const output = pair.dialer.takeOutput()!;
  assert.deepEqual(pair.dialerEvents.take(), []);
  pair.dialer.giveBack(output);
  assert.deepEqual(pair.dialerEvents.take(), [["writable", stream]]);
  assert(!pair.dialer.full);
});

Deno.test("output is bounded against users that do not wait and peers that do not read", () => {
  const limits = { maxFrameBytes: 2048, outputHighWaterBytes: 4096, maxOutputBytes: 10_000 };
  const pair = Pair.up({ limits }, { limits });
  const body = new Uint8Array(1000);
  assert.throws(() => {
    for (let i = 0; i < 100; i++) pair.dialer.send(call, noFields, body);
  }, code("overloaded"));
  assert(pair.dialer.outputBytes <= 11_000);
  assert.equal(pair.dialer.state, "up");
  // The acceptor answers, and nobody takes its answers.
  for (let stream = 1; stream < 99 && pair.acceptor.state === "up"; stream += 2) {
    pair.acceptor.handleBytes(forged(kind.request, stream), 0);
    pair.acceptor.respond(stream, noFields, body);
  }
  assert.equal(pair.acceptorEvents.closedBecause?.kind, "unhealthy");
  assert.match(pair.acceptorEvents.closedBecause!.message, /the peer does not read/);
  assert(pair.acceptor.outputBytes <= 12_000);
});

Deno.test("a flood of pings that reads no pongs gets few of them", () => {
  const pair = Pair.up();
  pair.advance(0);
  for (let i = 0; i < 1000; i++) {
    pair.acceptor.handleBytes(control("link.ping", new Uint8Array(4)), 0);
  }
  assert(pair.acceptor.outputBytes <= 16 * 16);
});

Deno.test("stream ids wrap and pass over those in use", () => {
  const table = new ExchangeTable(1, 7);
  const open = () => table.open(call, 2, false, 0);
  const [one, three] = [open(), open()];
  assert.deepEqual([one.stream, three.stream], [1, 3]);
  assert.deepEqual([open().stream, open().stream], [5, 7]);
  table.remove(three);
  assert.equal(open().stream, 3);
  const even = new ExchangeTable(0, 7);
  const streams = [1, 2, 3].map(() => even.open(call, 2, false, 0).stream);
  assert.deepEqual(streams, [2, 4, 6]);
  even.remove(even.get(2)!);
  assert.equal(even.open(call, 2, false, 0).stream, 2);
  assert.equal(even.isPeers(1), true);
  assert.equal(even.isPeers(0), false);
  assert.equal(even.isPeers(4), false);
});

Deno.test("the table of exchanges finds what is in it, however ids collide", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom("open", "accept", "remove"), fc.nat(3000)), {
        maxLength: 300,
      }),
      (steps) => {
        const table = new ExchangeTable(1, 1200);
        const model = new Map<number, boolean>();
        for (const [step, number] of steps) {
          if (step === "open") {
            const { stream } = table.open(call, 2, false, 0);
            assert(!model.has(stream) && stream % 2 === 1 && stream <= 1200);
            model.set(stream, false);
          } else if (step === "accept") {
            // Few residues, so that many meet in one slot.
            const stream = 2 + (number % 6) * 512 + (number % 4) * 2;
            if (model.has(stream)) continue;
            table.accept(stream, call, 2, false, 0);
            model.set(stream, true);
          } else {
            const stream = [...model.keys()][number % (model.size || 1)];
            if (stream === undefined) continue;
            table.remove(table.get(stream)!);
            model.delete(stream);
          }
          assert.equal(table.size, model.size);
          assert.equal(table.incoming, [...model.values()].filter((incoming) => incoming).length);
        }
        for (let stream = 0; stream < 3100; stream++) {
          assert.equal(table.get(stream)?.stream, model.has(stream) ? stream : undefined);
        }
        table.clear();
        assert.equal(table.size, 0);
        for (const stream of model.keys()) assert.equal(table.get(stream), undefined);
      },
    ),
  );
});

Deno.test("the bytes of ping, credit and reset are these", () => {
  const pair = Pair.up({}, { limits: { streamWindowBytes: 8 } });
  pair.acceptor.handleTimer(pair.acceptor.nextTimerMs!);
  assert.equal(pair.acceptor.takeOutput()!.toHex(), "4d59434e01000004" + "00000004" + "00000001");
  const stream = pair.dialer.open(call, noFields, none, true, 0);
  pair.dialer.item(stream, new Uint8Array(8));
  pair.flush();
  pair.acceptor.grant(stream, 8);
  pair.acceptor.reset(stream, "overloaded", "no");
  assert.equal(
    pair.acceptor.takeOutput()!.toHex(),
    "4d59434e01000007" + "00000008" + "00000001" + "00000008" +
      "4d59434e01000008" + "00000007" + "00000001" + "03" + "6e6f",
  );
});
