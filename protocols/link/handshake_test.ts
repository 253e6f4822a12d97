import assert from "node:assert/strict";
import { encode } from "../codec/mod.ts";
import { headerBytes, readHeader, writeHeader } from "../frame/header.ts";
import { messageTypes } from "../frame/types.ts";
import { LinkMachine } from "./machine.ts";
import { bytes, node, options, Pair, Recorder } from "./testing.ts";
import type { LinkOptions } from "./types.ts";

/** One frame. */
function frame(type: number, payload: Uint8Array, version = 0x0100): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(headerBytes + payload.length);
  writeHeader(whole, 0, version, type, payload.length);
  whole.set(payload, headerBytes);
  return whole;
}

const hello = messageTypes["link.hello"];
const accept = messageTypes["link.accept"];

/** A hello as an acceptor would like it, changed. */
function helloOf(change: Record<string, unknown> = {}): Uint8Array<ArrayBuffer> {
  return encode({
    version: 0x0100,
    minVersion: 0x0100,
    node: node("a"),
    addresses: [],
    capabilities: { codecs: ["msgpack"], compressions: ["none"], reliabilities: ["best-effort"] },
    limits: { maxFrameBytes: 65536, streamWindowBytes: 1000, maxExchanges: 10, maxStreams: 3 },
    profiles: {},
    slot: 0,
    nonce: new Uint8Array(16),
    ...change,
  });
}

/** An acceptor that is sent these bytes: what it says and how it ends. */
function answerTo(sent: Uint8Array, change: Partial<LinkOptions> = {}) {
  const events = new Recorder();
  const machine = new LinkMachine(options("acceptor", change), events, 0);
  const ours = machine.takeOutput();
  machine.handleBytes(sent, 1);
  return { events, machine, ours, output: machine.takeOutput() };
}

Deno.test("two ends come up after hello and accept both ways, whole or in single bytes", () => {
  for (const pieceBytes of [0, 1, 7]) {
    const pair = new Pair();
    pair.pieceBytes = pieceBytes;
    assert.equal(pair.dialer.state, "handshake");
    assert.equal(pair.dialer.peer, undefined);
    pair.flush();
    assert.deepEqual(pair.dialerEvents.take(), [["up", "b"]]);
    assert.deepEqual(pair.acceptorEvents.take(), [["up", "a"]]);
    assert.equal(pair.dialer.state, "up");
    assert.equal(pair.acceptor.peer?.id, "a");
    assert.deepEqual(pair.dialer.profile, pair.acceptor.profile);
    assert.equal(pair.dialer.profile?.wanted.name, "high-performance");
    assert.deepEqual(pair.dialer.profile?.inForce, {
      encryption: "standard",
      compression: "none",
      reliability: "best-effort",
    });
  }
});

Deno.test("neither end is up before it has seen the other's accept", () => {
  const pair = new Pair();
  pair.carry(pair.dialer, pair.acceptor);
  assert.equal(pair.acceptor.state, "handshake");
  pair.carry(pair.acceptor, pair.dialer); // hello and accept
  assert.equal(pair.dialer.state, "up");
  assert.equal(pair.acceptor.state, "handshake");
  pair.carry(pair.dialer, pair.acceptor);
  assert.equal(pair.acceptor.state, "up");
});

Deno.test("what the dialer queues when it comes up arrives after the acceptor is up", () => {
  const pair = new Pair();
  pair.dialerEvents.hook = ([name]) => {
    if (name === "up") pair.dialer.send(0x0301, { priority: "critical" }, bytes("first"));
  };
  pair.flush();
  assert.deepEqual(pair.acceptorEvents.take(), [["up", "a"], ["message", 0x0301, "first"]]);
});

/** A pair whose handshake fails: the code, told alike on both sides. */
function refused(dialer: Partial<LinkOptions>, acceptor: Partial<LinkOptions>) {
  const pair = new Pair(dialer, acceptor);
  pair.flush();
  const ours = pair.acceptorEvents.closedBecause;
  const theirs = pair.dialerEvents.closedBecause;
  assert(ours !== undefined && theirs !== undefined);
  return { acceptor: ours, dialer: theirs };
}

Deno.test("a foreign cluster is refused, and both ends say so", () => {
  const { acceptor, dialer } = refused({ self: node("a", { cluster: "other" }) }, {});
  assert.equal(acceptor.code, "cluster");
  assert.equal(dialer.code, "cluster");
  assert.deepEqual([acceptor.kind, dialer.kind], ["refused", "refused"]);
  assert.match(acceptor.message, /this is cluster test, not other/);
});

Deno.test("a node that dialled itself, or one that bears our id, is refused", () => {
  assert.equal(refused({ self: node("b") }, {}).acceptor.code, "self");
  assert.equal(refused({ self: node("b", { generation: 9 }) }, {}).acceptor.code, "duplicate");
});

Deno.test("a hello that contradicts the certificate is refused as identity", () => {
  const principal = { cluster: "test", type: "hyphae", id: "a" } as const;
  const { acceptor } = refused({}, { authentication: { kind: "verified", principal } });
  assert.equal(acceptor.code, "identity");
  assert.match(acceptor.message, /hello says sclerotia a, the certificate says hyphae a of test/);
  const pair = new Pair({}, {
    authentication: { kind: "verified", principal: { ...principal, type: "sclerotia" } },
  });
  pair.flush();
  assert.equal(pair.acceptor.state, "up");
});

Deno.test("a rejected certificate is answered with its reason and nothing else, not even a hello", () => {
  const pair = new Pair({}, {
    authentication: { kind: "rejected", reason: "the certificate expired" },
  });
  assert.equal(pair.acceptorEvents.closedBecause, undefined, "not out of the constructor");
  assert.equal(pair.acceptor.nextTimerMs, pair.nowMs);
  pair.advance(0);
  pair.flush();
  assert.deepEqual(pair.acceptorEvents.take(), [["closed", "refused", "unauthenticated", "us"]]);
  assert.deepEqual(pair.dialerEvents.closedBecause, {
    kind: "refused",
    code: "unauthenticated",
    message: "the certificate expired",
    by: "peer",
  });
});

Deno.test("a rejected certificate ends the link however it is touched first", () => {
  const touches: ((machine: LinkMachine) => void)[] = [
    (machine) => machine.handleTimer(0),
    (machine) => machine.handleBytes(bytes("x"), 0),
    (machine) => machine.handleTransportClosed(undefined, 0),
    (machine) => machine.close("leaving", ""),
    (machine) => machine.goodbye("leaving", "", 0),
  ];
  for (const touch of touches) {
    const events = new Recorder();
    const authentication = { kind: "rejected", reason: "why" } as const;
    const machine = new LinkMachine(options("acceptor", { authentication }), events, 0);
    touch(machine);
    assert.deepEqual(events.take(), [["closed", "refused", "unauthenticated", "us"]]);
    assert.equal(machine.nextTimerMs, undefined);
  }
});

Deno.test("another node than the one that was dialled is refused", () => {
  const { dialer } = refused({ expected: "c" }, {});
  assert.equal(dialer.code, "wrong_node");
  assert.match(dialer.message, /c was dialled and b answered/);
});

Deno.test("the node has the last say, after every other check", () => {
  const seen: string[] = [];
  const { dialer } = refused({}, {
    admit: (hello) => {
      seen.push(hello.node.id);
      return { code: "full", message: "1000 links are open already" };
    },
  });
  assert.deepEqual([dialer.code, dialer.message], ["full", "1000 links are open already"]);
  refused({ self: node("a", { cluster: "other" }) }, {
    admit: () => assert.fail("asked about a foreign cluster"),
  });
  assert.deepEqual(seen, ["a"]);
});

Deno.test("an encryption that was demanded and is not there is refused, by both ends alike", () => {
  const demand = { profiles: { "sclerotia-sclerotia": { encryption: "high" } } } as const;
  for (const [one, other] of [[demand, {}], [{}, demand]]) {
    const { dialer, acceptor } = refused(one, other);
    assert.deepEqual([dialer.code, acceptor.code], ["profile", "profile"]);
  }
});

Deno.test("ends that believe in different encryption find out by the transcript", () => {
  const { dialer } = refused({ encryption: "none" }, { encryption: "standard" });
  assert.equal(dialer.code, "transcript");
});

Deno.test("the slot of a link is the dialler's, whatever the acceptor has in mind", () => {
  const pair = new Pair({ slot: 3 }, { slot: 7 });
  assert.deepEqual([pair.dialer.slot, pair.acceptor.slot], [3, 0]);
  pair.flush();
  assert.deepEqual([pair.dialer.slot, pair.acceptor.slot], [3, 3]);
});

Deno.test("a hello that was changed on its way is found out by the transcript", () => {
  const pair = new Pair();
  const sent = pair.dialer.takeOutput()!;
  // The last byte of the nonce.
  sent[sent.length - 1] = sent[sent.length - 1]! ^ 1;
  pair.acceptor.handleBytes(sent, 0);
  pair.flush();
  assert.equal(pair.dialerEvents.closedBecause?.code, "transcript");
  assert.equal(pair.acceptorEvents.closedBecause?.code, "transcript");
});

Deno.test("versions that do not overlap are refused with advice", () => {
  const { events } = answerTo(
    frame(hello, helloOf({ version: 0x0200, minVersion: 0x0200 }), 0x0200),
  );
  assert.equal(events.closedBecause?.code, "version");
  assert.match(events.closedBecause!.message, /a speaks versions 2\.0 to 2\.0 .* upgrade b$/);
});

Deno.test("a newer version that still speaks ours is welcome", () => {
  const { machine, events } = answerTo(frame(hello, helloOf({ version: 0x0203 }), 0x0203));
  assert.equal(machine.state, "handshake");
  assert.equal(events.closedBecause, undefined);
});

Deno.test("a hello of another major version that cannot be read is refused as version", () => {
  const { events } = answerTo(frame(hello, encode({ other: 1 }), 0x0300));
  assert.equal(events.closedBecause?.code, "version");
});

Deno.test("a malformed hello is refused by field", () => {
  const wrong: [Uint8Array, RegExp][] = [
    [new Uint8Array([0xc1]), /hello: 0xc1/],
    [encode([]), /hello\.value: an object/],
    [helloOf({ node: { ...node("a"), id: "A" } }), /hello\.node\.id/],
    [helloOf({ nonce: new Uint8Array(15) }), /hello\.nonce: 16 bytes/],
    [helloOf({ version: "1" }), /hello\.version/],
    [helloOf({ minVersion: 0x0101 }), /hello\.minVersion/],
    [helloOf({ addresses: new Array(17).fill("x") }), /hello\.addresses/],
    ...[
      7946,
      "",
      ":7946",
      "10.0.0.1",
      "10.0.0.1:0",
      "h:65536",
      "tls://h:1",
      "h:1\n",
      "h".repeat(300),
    ]
      .map((gossip): [Uint8Array, RegExp] => [helloOf({ gossip }), /hello\.gossip: host:port/]),
    [helloOf({ slot: 64 }), /hello\.slot: an integer from 0 to 63/],
    [helloOf({ limits: { maxFrameBytes: 1 } }), /hello\.limits\.maxFrameBytes/],
    [helloOf({ capabilities: { codecs: [3] } }), /hello\.capabilities\.codecs/],
    [
      helloOf({ profiles: { "sclerotia-hyphae": { encryption: "quantum" } } }),
      /hello\.profiles\.sclerotia-hyphae\.encryption: one of/,
    ],
  ];
  for (const [payload, message] of wrong) {
    const { events, output } = answerTo(frame(hello, payload));
    assert.equal(events.closedBecause?.kind, "protocol");
    assert.match(events.closedBecause!.message, message);
    assert.equal(readHeader(output!).type, messageTypes["link.refuse"]);
  }
});

Deno.test("what has no place in a handshake ends it: messages, pings, early or second frames, floods", () => {
  const goodHello = frame(hello, helloOf());
  const emptyAccept = frame(accept, encode({ transcript: new Uint8Array(32), inForce: {} }));
  const cases: [Uint8Array, RegExp][] = [
    [frame(0x0301, new Uint8Array(10)), /service\.call frame before the link was up/],
    [frame(messageTypes["link.ping"], new Uint8Array(4)), /link\.ping frame before/],
    [frame(0x00ff, new Uint8Array(4)), /0x00ff frame before/],
    [emptyAccept, /accept came before hello/],
    [new Uint8Array([...goodHello, ...goodHello]), /a second hello/],
    [new Uint8Array([...goodHello, ...emptyAccept]), /different hellos/],
    [new Uint8Array([...goodHello, ...frame(accept, new Uint8Array([0xc1]))]), /malformed accept/],
    [frame(hello, new Uint8Array(64 * 1024 + 1)), /at most 65536 are allowed/],
    [bytes("GET / HTTP/1.1\r\n\r\n"), /looks like text/],
  ];
  for (const [sent, message] of cases) {
    const { events, machine } = answerTo(sent);
    assert.match(events.closedBecause?.message ?? "still open", message);
    assert.equal(machine.state, "closed");
    machine.handleBytes(goodHello, 2);
    assert.equal(machine.outputBytes, 0, "a closed link answers nothing");
  }
});

Deno.test("control frames of a newer version that are not known are passed over", () => {
  const { machine } = answerTo(
    new Uint8Array([...frame(0x0042, new Uint8Array(3), 0x0101), ...frame(hello, helloOf())]),
  );
  assert.equal(machine.state, "handshake");
  assert.equal(machine.exchanges, 0);
});

Deno.test("a handshake that takes too long is refused, and one byte at a time does not help", () => {
  const events = new Recorder();
  const machine = new LinkMachine(options("acceptor"), events, 0);
  machine.takeOutput();
  const slow = frame(hello, helloOf());
  for (let ms = 0; ms < 4990; ms += 100) {
    machine.handleBytes(slow.subarray(ms / 100, ms / 100 + 1), ms);
  }
  machine.handleTimer(4999);
  assert.equal(machine.state, "handshake");
  machine.handleTimer(machine.nextTimerMs!);
  assert.deepEqual(events.take(), [["closed", "timeout", "timeout", "us"]]);
  assert.equal(readHeader(machine.takeOutput()!).type, messageTypes["link.refuse"]);
});

Deno.test("a pause of our own gives a handshake a little longer, once", () => {
  const events = new Recorder();
  const machine = new LinkMachine(options("dialer"), events, 0);
  machine.handleTimer(60_000);
  assert.equal(machine.state, "handshake");
  assert.equal(machine.nextTimerMs, 60_500);
  machine.handleTimer(90_000);
  assert.equal(events.closedBecause?.kind, "timeout");
});

Deno.test("a refusal that comes when we think we are up ends the link as refused", () => {
  const pair = Pair.up();
  pair.acceptor.handleBytes(
    frame(messageTypes["link.refuse"], encode({ code: "full", message: "no" })),
    0,
  );
  assert.deepEqual(pair.acceptorEvents.take(), [["closed", "refused", "full", "peer"]]);
});

Deno.test("closing during the handshake tells the peer that we shut down", () => {
  const pair = new Pair();
  pair.dialer.goodbye("leaving", "the node stops", 0);
  assert.deepEqual(pair.dialerEvents.take(), [["closed", "goodbye", "leaving", "us"]]);
  pair.flush();
  assert.deepEqual(pair.acceptorEvents.closedBecause, {
    kind: "refused",
    code: "shutting_down",
    message: "the node stops",
    by: "peer",
  });
});

Deno.test("the bytes of a hello begin like this", () => {
  const pair = new Pair();
  const sent = pair.dialer.takeOutput()!;
  assert.equal(sent.subarray(0, 8).toHex(), "4d59434e01000001");
  assert.equal(
    sent.subarray(12, 60).toHex(),
    "89a776657273696f6ecd0100aa6d696e56657273696f6ecd0100a46e6f646585a7636c7573746572a474657374a47479",
  );
});
