import assert from "node:assert/strict";
import fc from "fast-check";
import type { MessageFields } from "./fields.ts";
import { noFields } from "./fields.ts";
import { FrameError, headerBytes, writeHeader } from "./header.ts";
import { fieldLimits, kind, laneOf, priorities, writeMessage } from "./prefix.ts";
import { PrefixReader } from "./prefix_reader.ts";
import { FrameReader } from "./reader.ts";
import { type Message, plain, readAll, written } from "./testing.ts";
import { FrameWriter } from "./writer.ts";
import { messageTypes } from "./types.ts";
import { encodeUtf8 } from "../utf8.ts";

const version = 0x0100;
const hex = (bytes: Uint8Array) => bytes.toHex();

const key = (limit: number) =>
  fc.string({ maxLength: limit }).filter((text) => encodeUtf8(text).length <= limit);
const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const nodeRef = fc.record(
  { id: key(63).filter((id) => id !== ""), generation: count },
  { noNullPrototype: true },
);
const anyFields: fc.Arbitrary<MessageFields> = fc.record({
  priority: fc.constantFrom(...priorities),
  route: key(fieldLimits.route),
  deadlineMs: fc.integer({ min: 1, max: 0xffffffff }),
  retryBudget: fc.nat(255),
  sequence: count,
  durable: fc.constant(true),
  redelivered: fc.constant(true),
  idempotencyKey: key(fieldLimits.key),
  affinityKey: key(fieldLimits.key),
  source: nodeRef,
  target: nodeRef,
  hopLimit: fc.nat(255),
  fencingEpoch: count,
  loadHint: fc.nat(65535),
  trace: fc.record({
    traceId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    spanId: fc.uint8Array({ minLength: 8, maxLength: 8 }),
    flags: fc.nat(255),
  }, { noNullPrototype: true }),
  metadata: fc.uint8Array({ maxLength: 300 }),
}, { requiredKeys: [], noNullPrototype: true }).map((fields) => {
  if (fields.sequence !== undefined) return fields;
  // They are marks of a sequence.
  const { durable: _durable, redelivered: _redelivered, ...rest } = fields;
  return rest;
});
const anyMessage: fc.Arbitrary<Message> = fc.record({
  type: fc.integer({ min: 0x0100, max: 0xffff }),
  kind: fc.nat(5),
  stream: fc.nat(0xffffffff),
  upload: fc.boolean(),
  fields: anyFields,
  body: fc.uint8Array({ maxLength: 100 }),
}, { noNullPrototype: true });

// The bytes on the wire. A change here is a change of the protocol: raise its version.
Deno.test("golden: a request without fields", () => {
  const request: Message = {
    type: messageTypes["service.call"],
    kind: kind.request,
    stream: 7,
    upload: false,
    fields: noFields,
    body: encodeUtf8("hi"),
  };
  assert.equal(
    hex(written(request)),
    "4d59434e" + "0100" + "0301" + "0000000c" + // header
      "0000" + "000a" + "01" + "02" + "00000007" + // flags, headerSize, kind, priority, stream
      "6869",
  );
});

Deno.test("golden: a message with every field", () => {
  const message: Message = {
    type: messageTypes.custom,
    kind: kind.message,
    stream: 0,
    upload: true,
    fields: {
      priority: "critical",
      route: "né",
      deadlineMs: 1500,
      retryBudget: 3,
      sequence: 2 ** 53 - 1,
      idempotencyKey: "k1",
      affinityKey: "k2",
      source: { id: "a", generation: 1 },
      target: { id: "b", generation: 2 ** 32 },
      hopLimit: 4,
      fencingEpoch: 5,
      loadHint: 0xfffe,
      trace: {
        traceId: new Uint8Array(16).fill(0xaa),
        spanId: new Uint8Array(8).fill(0xbb),
        flags: 1,
      },
      metadata: new Uint8Array([9, 8]),
    },
    body: new Uint8Array([0xff]),
  };
  const bytes = written(message);
  assert.equal(
    hex(bytes),
    "4d59434e" + "0100" + "03ff" + "0000005e" +
      "3fff" + "005d" + "00" + "00" + "00000000" +
      "03" + "6ec3a9" + // route
      "000005dc" + // deadline
      "03" + // retry budget
      "001fffffffffffff" + // sequence
      "02" + "6b31" + // idempotency key
      "02" + "6b32" + // affinity key
      "01" + "61" + "0000000000000001" + // source
      "01" + "62" + "0000000100000000" + // target
      "04" + // hop limit
      "0000000000000005" + // fencing epoch
      "fffe" + // load hint
      "aa".repeat(16) + "bb".repeat(8) + "01" + // trace
      "0002" + "0908" + // metadata
      "ff",
  );
  assert.deepEqual(readAll(bytes), [message]);
});

Deno.test("messages survive the wire, however it cuts them", () => {
  fc.assert(
    fc.property(
      fc.array(anyMessage, { maxLength: 5 }),
      fc.array(fc.nat(3000), { maxLength: 20 }),
      (messages, cuts) => {
        const stream = new Uint8Array(messages.flatMap((message) => [...written(message)]));
        const expected = messages.map((message) => ({ ...message, fields: plain(message.fields) }));
        assert.deepEqual(readAll(stream, cuts.toSorted((a, b) => a - b)), expected);
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("fields of flags that a newer minor version added are skipped", () => {
  const bytes = written({
    type: 0x0301,
    kind: kind.message,
    stream: 0,
    upload: false,
    fields: { route: "r", metadata: new Uint8Array([1]) },
    body: encodeUtf8("body"),
  });
  const extra = [0xde, 0xad, 0xbe];
  const headerSize = 10 + 2 + 3;
  const newer = new Uint8Array([
    ...bytes.slice(0, headerBytes + headerSize),
    ...extra,
    ...bytes.slice(headerBytes + headerSize),
  ]);
  writeHeader(newer, 0, 0x0101, 0x0301, newer.length - headerBytes);
  newer[headerBytes] = newer[headerBytes]! | 0x80;
  newer[headerBytes + 3] = headerSize + extra.length;
  const [message] = readAll(newer);
  assert.equal(message!.fields.route, "r");
  assert.deepEqual(message!.fields.metadata, new Uint8Array([1]));
  assert.deepEqual(message!.body, encodeUtf8("body"));
});

Deno.test("marks of a sequence stand in its top byte; unknown ones mean nothing", () => {
  const message = (fields: MessageFields): Message => ({
    type: 0x0301,
    kind: kind.message,
    stream: 0,
    upload: false,
    fields,
    body: new Uint8Array(),
  });
  const at = headerBytes + 10;
  const marked = (fields: MessageFields) =>
    hex(written(message({ sequence: 2 ** 53 - 1, ...fields })).subarray(at, at + 8));
  assert.equal(marked({}), "001fffffffffffff");
  assert.equal(marked({ durable: true }), "011fffffffffffff");
  assert.equal(marked({ redelivered: true }), "021fffffffffffff");
  assert.equal(marked({ durable: true, redelivered: true }), "031fffffffffffff");
  const bytes = written(message({ sequence: 7, durable: true }));
  bytes[at] = bytes[at]! | 0xfc;
  assert.deepEqual(readAll(bytes)[0]!.fields, { priority: "normal", sequence: 7, durable: true });
  bytes[at + 1] = 0x20;
  assert.throws(() => readAll(bytes), /sequence above 2\^53-1/);
});

Deno.test("a route that repeats is decoded once", () => {
  const prefix = new PrefixReader();
  const read = (route: string, priority: "normal" | "high" = "normal") => {
    const bytes = written({
      type: 0x0301,
      kind: 1,
      stream: 1,
      upload: false,
      fields: { route, priority },
      body: new Uint8Array(),
    });
    prefix.read(bytes, headerBytes, bytes.length);
    return prefix.fields(bytes);
  };
  assert.equal(read("greeter/hello"), read("greeter/hello"));
  assert.equal(read("greeter/hello").route, "greeter/hello");
  assert.equal(read("greeter/hello", "high").priority, "high");
  fc.assert(fc.property(fc.array(key(40), { maxLength: 60 }), (routes) => {
    for (const route of [...routes, ...routes]) assert.equal(read(route).route, route);
  }));
});

Deno.test("values out of range are refused by name, and nothing is queued", () => {
  const bad: readonly (readonly [MessageFields, RegExp])[] = [
    [{ route: "x".repeat(256) }, /^route: at most 255/],
    [{ route: "ä".repeat(128) }, /^route: at most 255/],
    [{ deadlineMs: 0 }, /^deadlineMs: above 0/],
    [{ deadlineMs: NaN }, /^deadlineMs/],
    [{ retryBudget: 256 }, /^retryBudget: an integer from 0 to 255/],
    [{ sequence: 2 ** 53 }, /^sequence: an integer/],
    [{ durable: true }, /^sequence: a number beside durable/],
    [{ redelivered: true }, /^sequence: a number beside durable/],
    [{ idempotencyKey: "x".repeat(65) }, /^idempotencyKey: at most 64/],
    [{ affinityKey: "😀".repeat(17) }, /^affinityKey: at most 64/],
    [{ source: { id: "", generation: 1 } }, /^source\.id/],
    [{ target: { id: "a", generation: -1 } }, /^target\.generation/],
    [{ hopLimit: 1.5 }, /^hopLimit/],
    [{ fencingEpoch: Infinity }, /^fencingEpoch/],
    [{ loadHint: 65536 }, /^loadHint/],
    [{ trace: { traceId: new Uint8Array(1), spanId: new Uint8Array(8), flags: 0 } }, /traceId/],
    [{ metadata: new Uint8Array(fieldLimits.metadata + 1) }, /^metadata: at most 8192/],
  ];
  for (const [fields, message] of bad) {
    const writer = new FrameWriter();
    assert.throws(
      () =>
        writeMessage(
          writer.lanes[2]!,
          version,
          0x0301,
          0,
          2,
          0,
          false,
          fields,
          encodeUtf8("x"),
          99,
        ),
      (error) => error instanceof FrameError && error.fault === "us" && message.test(error.message),
    );
    assert.equal(writer.bytes, 0);
  }
  assert.throws(() => laneOf("urgent" as "high"), /^FrameError: priority: one of critical/);
});

Deno.test("a deadline with little left is rounded up, one beyond the range to its end", () => {
  const deadline = (deadlineMs: number) =>
    readAll(written({
      type: 0x0301,
      kind: 0,
      stream: 0,
      upload: false,
      fields: { deadlineMs },
      body: new Uint8Array(),
    }))[0]!.fields.deadlineMs;
  assert.equal(deadline(0.2), 1);
  assert.equal(deadline(1e12), 0xffffffff);
});

Deno.test("a message larger than the peer takes is refused, and nothing is queued", () => {
  const message = (body: number): Message => ({
    type: 0x0301,
    kind: 0,
    stream: 0,
    upload: false,
    fields: noFields,
    body: new Uint8Array(body),
  });
  assert.equal(written(message(90), 100).length, headerBytes + 100);
  assert.throws(
    () => written(message(91), 100),
    (error) => error instanceof FrameError && error.tooLarge,
  );
});

Deno.test("mutated streams are read or refused with a FrameError of the peer's", () => {
  const prefix = new PrefixReader();
  let held = 0;
  fc.assert(
    fc.property(
      fc.array(anyMessage, { minLength: 1, maxLength: 3 }),
      fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { minLength: 1, maxLength: 8 }),
      fc.nat(1000),
      (messages, changes, cut) => {
        const stream = new Uint8Array(messages.flatMap((message) => [...written(message)]));
        for (const [at, value] of changes) stream[at % stream.length] = value;
        const reader = new FrameReader({
          frame(_version, _type, bytes, start, end) {
            prefix.read(bytes, start, end);
            prefix.fields(bytes);
            assert(prefix.bodyStart >= start + 10 && prefix.bodyStart <= end);
            return true;
          },
        }, 4096);
        try {
          reader.push(stream.subarray(0, cut % stream.length));
          reader.push(stream.subarray(cut % stream.length));
        } catch (error) {
          assert(error instanceof FrameError && error.fault === "peer", String(error));
        }
        held = Math.max(held, reader.capacityBytes);
      },
    ),
    { numRuns: 5000 },
  );
  assert(held <= 4096 + headerBytes);
});
