import assert from "node:assert/strict";
import { noFields } from "../frame/fields.ts";
import { headerBytes, readHeader, writeU16, writeU32 } from "../frame/header.ts";
import { flag } from "../frame/flags.ts";
import { kind } from "../frame/prefix.ts";
import { runLength } from "../frame/testing.ts";
import { messageTypes } from "../frame/types.ts";
import { bytes, capabilities, control, forged, Pair } from "./testing.ts";
import type { LinkCompression, LinkOptions } from "./types.ts";

const call = messageTypes["service.call"];
const bulk = messageTypes["bulk.data"];

/** Both ends speak zstd, or what this test takes for it. */
function compressing(hook: LinkCompression = runLength): Partial<LinkOptions> {
  return {
    capabilities: { ...capabilities, compressions: ["zstd", "none"] },
    compression: () => hook,
  };
}

/** The bodies that the acceptor gets, in order. */
function bodies(pair: Pair): Uint8Array[] {
  const seen: Uint8Array[] = [];
  pair.acceptorEvents.hook = (_event, body) => {
    if (body !== undefined) seen.push(body.slice());
  };
  return seen;
}

const pattern = (size: number) =>
  Uint8Array.from({ length: size }, (_, i) => (i * 31 + i / 251) & 0xff);

Deno.test("a message of any size arrives as it was sent, as a message, request, item and answer", () => {
  for (const size of [0, 1, 16_383, 16_384, 65_536, 65_537, 200_000, 1_000_000]) {
    for (const pieceBytes of [0, 65_536]) {
      const pair = Pair.up();
      pair.pieceBytes = pieceBytes;
      const body = pattern(size);
      const seen = bodies(pair);
      pair.dialer.send(call, { route: "big" }, body);
      const stream = pair.dialer.open(call, noFields, body, true, 0);
      pair.dialer.item(stream, body);
      pair.flush();
      assert.deepEqual(seen, [body, body, body]);
      assert.equal(pair.acceptorEvents.fields[0]!.route, "big");
      let answer: Uint8Array | undefined;
      pair.dialerEvents.hook = (_event, body) => answer = body?.slice();
      pair.acceptor.respond(stream, noFields, body);
      pair.flush();
      assert.deepEqual(answer, body);
      assert.equal(pair.acceptor.inputBytes, 0);
    }
  }
});

Deno.test("what is critical overtakes a large message between its fragments", () => {
  const pair = Pair.up();
  pair.dialer.send(bulk, { priority: "low" }, pattern(1_000_000));
  pair.carry(pair.dialer, pair.acceptor);
  pair.dialer.send(call, { priority: "critical" }, bytes("now"));
  pair.carry(pair.dialer, pair.acceptor);
  assert.deepEqual(pair.acceptorEvents.take(), [["message", call, "now"]]);
  assert(pair.acceptor.inputBytes >= 65_536, "the other is on its way");
});

Deno.test("a goodbye stands behind a large message of any lane", () => {
  const pair = Pair.up();
  const seen = bodies(pair);
  pair.dialer.send(bulk, { priority: "low" }, pattern(500_000));
  pair.dialer.send(bulk, { priority: "high" }, pattern(300_000));
  pair.dialer.goodbye("leaving", "done", 0);
  pair.flush();
  assert.deepEqual(seen.map(({ length }) => length), [300_000, 500_000]);
  assert.equal(pair.acceptorEvents.closedBecause?.code, "leaving");
});

Deno.test("bodies are compressed from the threshold on, where both ends can and it pays", () => {
  for (const size of [1023, 1024, 16_383, 16_384, 65_536, 65_537, 500_000]) {
    const pair = Pair.up(compressing(), compressing());
    assert.equal(pair.dialer.profile!.inForce.compression, "zstd");
    const seen = bodies(pair);
    const plain = new Uint8Array(size).fill(3);
    const before = pair.dialer.counters.bytesSent;
    pair.dialer.send(call, { route: "r", metadata: bytes("m") }, plain);
    const stream = pair.dialer.open(call, noFields, plain, true, 0);
    pair.dialer.item(stream, plain);
    pair.flush();
    const sent = pair.dialer.counters.bytesSent - before;
    if (size < 1024) assert(sent > 3 * size);
    else assert(sent < 1000, `${sent} bytes for three times ${size}`);
    assert.deepEqual(seen, [plain, plain, plain]);
    assert.deepEqual(pair.acceptorEvents.fields[0]!.metadata, bytes("m"));
    const noisy = pattern(size);
    seen.length = 0;
    pair.dialer.send(call, noFields, noisy);
    pair.flush();
    assert.deepEqual(seen, [noisy]);
  }
});

Deno.test("a link compresses nothing where one end cannot", () => {
  const pair = Pair.up(compressing());
  const seen = bodies(pair);
  const plain = new Uint8Array(500_000);
  pair.dialer.send(call, noFields, plain);
  pair.flush();
  assert.deepEqual(seen, [plain]);
  assert(pair.dialer.counters.bytesSent > 500_000);
});

/** A message whose body says it was compressed. */
function compressedMessage(algorithm: number, originalSize: number): Uint8Array {
  const field = new Uint8Array(5);
  field[0] = algorithm;
  writeU32(field, 1, originalSize);
  const frame = forged(kind.message, 0, new Uint8Array([...field, 7]));
  frame[headerBytes] = flag.compressed >> 8;
  writeU16(frame, headerBytes + 2, 15);
  return frame;
}

Deno.test("compressed bytes that are not what they say end the link, as the peer's fault", () => {
  const wrong = (decompress: LinkCompression["decompress"]) =>
    compressing({ ...runLength, decompress });
  const fragment = control(
    "link.fragment",
    new Uint8Array([0, 7, 3, 1, 0, 0, 0, 9, 0, 0, 0, 9, 1]),
  );
  const twice = compressedMessage(1, 50).subarray(headerBytes);
  const cases: [Uint8Array, Partial<LinkOptions>, RegExp][] = [
    [compressedMessage(1, 50), {}, /on a link without compression/],
    [fragment, {}, /on a link without compression/],
    [compressedMessage(2, 50), compressing(), /compressed by algorithm 2/],
    [compressedMessage(1, 2 ** 24 + 1), compressing(), /16777217 bytes before compression/],
    [compressedMessage(1, 50), wrong(() => new Uint8Array(51)), /should be 50 and are 51/],
    [
      compressedMessage(1, 50),
      wrong(() => {
        throw new Error("a bomb");
      }),
      /cannot be read: a bomb/,
    ],
    [fragment, wrong(() => new Uint8Array(0)), /should be 9 and are 0/],
    [
      control(
        "link.fragment",
        new Uint8Array([0, 3, 3, 1, 0, 0, 0, twice.length, ...twice]),
      ),
      compressing(),
      /compressed twice/,
    ],
  ];
  for (const [sent, options, message] of cases) {
    const pair = Pair.up(compressing(), options);
    pair.acceptor.handleBytes(sent, 0);
    const reason = pair.acceptorEvents.closedBecause;
    assert.deepEqual([reason?.kind, reason?.by], ["protocol", "us"]);
    assert.match(reason!.message, message);
  }
});

Deno.test("a flag that is reserved for later is a newer version's to use", () => {
  const reserved = forged(kind.message, 0, bytes("after"));
  reserved[headerBytes] = flag.more >> 8;
  const pair = Pair.up();
  const newer = reserved.slice();
  newer[5] = 1;
  pair.acceptor.handleBytes(newer, 0);
  assert.deepEqual(pair.acceptorEvents.take(), [["message", call, "after"]]);
  pair.acceptor.handleBytes(reserved, 0);
  assert.match(pair.acceptorEvents.closedBecause!.message, /unknown flags/);
});

Deno.test("what was under way at the end knows whether it can have left", () => {
  const pair = Pair.up();
  const half = pair.dialer.open(call, noFields, pattern(200_000), false, 0);
  const queued = pair.dialer.open(call, noFields, bytes("behind it"), false, 0);
  const other = pair.dialer.open(call, { priority: "low" }, bytes("in another lane"), false, 0);
  const first = pair.dialer.takeOutput()!;
  assert.equal(readHeader(first).type, messageTypes["link.fragment"]);
  pair.dialer.handleTransportClosed("cut", 1);
  assert.deepEqual(
    new Map(pair.dialerEvents.lostStreams),
    new Map([[half, true], [queued, false], [other, false]]),
  );
});
