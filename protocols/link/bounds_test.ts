import assert from "node:assert/strict";
import { noFields } from "../frame/fields.ts";
import { writeU32 } from "../frame/header.ts";
import { kind } from "../frame/prefix.ts";
import { messageTypes } from "../frame/types.ts";
import type { LinkMachine } from "./machine.ts";
import { bytes, control, forged, Pair } from "./testing.ts";
import { LinkError } from "./types.ts";

const call = messageTypes["service.call"];
const none = new Uint8Array(0);

const code = (expected: string) => (error: unknown) =>
  error instanceof LinkError && error.code === expected;

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
    [control("link.hello", none), /link\.hello frame/],
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
  const newControl = control("link.hello", none);
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

Deno.test("when a stream that waited fills the link again, the others wait on, and go first", () => {
  const pair = Pair.up({ limits: { outputHighWaterBytes: 1000 } });
  const streams = [1, 2, 3].map(() => pair.dialer.open(call, noFields, none, true, 0));
  const big = new Uint8Array(1500);
  pair.dialerEvents.hook = ([name, stream]) => {
    if (name === "writable") pair.dialer.item(stream as number, big);
  };
  for (const stream of streams) assert.equal(pair.dialer.item(stream, big), false);
  const turns = [1, 2, 3, 4].map(() => {
    pair.dialer.giveBack(pair.dialer.takeOutput()!);
    return pair.dialerEvents.take().map(([, stream]) => stream);
  });
  assert.deepEqual(turns, [[1], [3], [5], [1]]);
});

Deno.test("credit without measure lets a sender go on, and lets no more wait than without", () => {
  const limits = { maxFrameBytes: 2048, outputHighWaterBytes: 4096, maxOutputBytes: 10_000 };
  const pair = Pair.up({ limits }, { limits });
  const stream = pair.dialer.open(call, noFields, none, true, 0);
  const grant = new Uint8Array(8);
  writeU32(grant, 0, stream);
  writeU32(grant, 4, 0xffff_ffff);
  const credit = control("link.credit", grant);
  const unknown = control("link.credit", new Uint8Array(8).fill(0xff));
  for (let i = 0; i < 100; i++) {
    pair.dialer.handleBytes(credit, pair.nowMs);
    pair.dialer.handleBytes(unknown, pair.nowMs);
  }
  // The sum overflows nothing: the credit stays, and is worth what it is.
  let sent = 0;
  while (pair.dialer.item(stream, new Uint8Array(1000))) sent++;
  assert(sent >= 3 && sent <= 4, `${sent} items until the link is full`);
  for (let i = 0; i < 400; i++) {
    pair.dialer.giveBack(pair.dialer.takeOutput()!);
    assert.deepEqual(pair.dialerEvents.take(), [["writable", stream]]);
    while (pair.dialer.item(stream, new Uint8Array(1000)));
    assert(pair.dialer.outputBytes <= 6000, `${pair.dialer.outputBytes} bytes wait`);
  }
  assert.equal(pair.dialer.state, "up");
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

Deno.test("the bytes of accept, goodbye and refuse are these", () => {
  const pair = new Pair();
  pair.acceptor.takeOutput();
  pair.carry(pair.dialer, pair.acceptor);
  const accept = pair.acceptor.takeOutput()!.toHex();
  assert.equal(accept.slice(0, 24), "4d59434e01000002" + "00000074");
  assert.equal(accept.slice(24, 24 + 28), "82" + "aa7472616e736372697074" + "c420");
  assert.equal(
    accept.slice(24 + 28 + 64),
    "a7696e466f726365" + "83" +
      "aa656e6372797074696f6e" + "a87374616e64617264" +
      "ab636f6d7072657373696f6e" + "a46e6f6e65" +
      "ab72656c696162696c697479" + "ab626573742d6566666f7274",
  );
  const reason = "82" + "a4636f6465" + "a469646c65" + "a76d657373616765" + "a26e6f";
  const up = Pair.up();
  up.dialer.goodbye("idle", "no", 0);
  assert.equal(up.dialer.takeOutput()!.toHex(), "4d59434e01000009" + "00000016" + reason);
  const refusing = new Pair({}, { admit: () => ({ code: "full", message: "no" }) });
  refusing.acceptor.takeOutput();
  refusing.carry(refusing.dialer, refusing.acceptor);
  assert.equal(
    refusing.acceptor.takeOutput()!.toHex(),
    "4d59434e01000003" + "00000016" + reason.replace("69646c65", "66756c6c"),
  );
});

Deno.test("what is said with a reset or a goodbye is cut at 500 characters", () => {
  const pair = Pair.up();
  const stream = pair.dialer.open(call, noFields, none, false, 0);
  pair.flush();
  pair.acceptor.reset(stream, "internal", "x".repeat(10_000));
  pair.acceptor.goodbye("leaving", "y".repeat(10_000), pair.nowMs);
  pair.flush();
  const said = pair.dialerEvents.take().flat().filter((it) => /^[xy]+…?$/.test(String(it)));
  assert.deepEqual([...new Set(said)], [`${"x".repeat(499)}…`, `${"y".repeat(499)}…`]);
});
