import assert from "node:assert/strict";
import fc from "fast-check";
import captured from "../testdata/agent_0_9_4.json" with { type: "json" };
import { decodeCoordinate, encodeCoordinate } from "../coordinate/coordinate.ts";
import * as decode from "./decode.ts";
import * as encode from "./messages.ts";
import { SerfReader, SerfWriter } from "./pack.ts";
import { decodeTags, encodeTags } from "./tags.ts";
import { WireError } from "../../swim/wire/msgpack.ts";

const writer = new SerfWriter();
const vectors = (kind: string): Uint8Array[] => {
  const found = captured.vectors.filter((it) => it.kind === kind).map(({ hex }) =>
    Uint8Array.fromHex(hex)
  );
  assert.ok(found.length > 0, kind);
  return found;
};
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Kinds of messages with how they are read and written. */
const codecs: Record<string, (bytes: Uint8Array) => Uint8Array> = {
  leave: (bytes) => encode.encodeIntent(writer, decode.decodeIntent(bytes, "leave")),
  join: (bytes) => encode.encodeIntent(writer, decode.decodeIntent(bytes, "join")),
  "user event": (bytes) => encode.encodeUserEvent(writer, decode.decodeUserEvent(bytes)),
  query: (bytes) => encode.encodeQuery(writer, decode.decodeQuery(bytes)),
  "query response": (bytes) =>
    encode.encodeQueryResponse(writer, decode.decodeQueryResponse(bytes)),
  relay: (bytes) => encode.encodeRelay(writer, decode.decodeRelay(bytes)),
  "ack payload": (bytes) => encodeCoordinate(writer, decodeCoordinate(bytes)),
};

for (const [kind, again] of Object.entries(codecs)) {
  Deno.test(`what a real agent sent as ${kind} is read, and written again to the byte`, () => {
    for (const bytes of vectors(kind)) assert.deepEqual(again(bytes), new Uint8Array(bytes));
  });
}

Deno.test("the intents of a real agent say who leaves and joins, and when", () => {
  assert.deepEqual(vectors("leave").map((bytes) => decode.decodeIntent(bytes, "leave")), [
    { kind: "leave", time: 2, node: "nobody", prune: false },
    { kind: "leave", time: 3, node: "beta", prune: false },
    { kind: "leave", time: 4, node: "beta", prune: true },
  ]);
  assert.deepEqual(vectors("join").map((bytes) => decode.decodeIntent(bytes, "join")), [
    { kind: "join", time: 1, node: "beta", prune: false },
  ]);
});

Deno.test("the push/pull of a real agent says what it knows, its empty ring left out", () => {
  const states = vectors("push/pull").map((bytes) => decode.decodePushPull(bytes, 100));
  const late = states.find(({ events }) => events.length > 0)!;
  assert.equal(late.time, 5);
  assert.equal(late.eventTime, 3);
  assert.equal(late.queryTime, 6);
  assert.deepEqual([...late.statusTimes], [["alpha", 0], ["dump", 0]]);
  assert.deepEqual(
    late.events.map(({ time, events }) => [
      time,
      ...events.map(({ name, payload }) => `${name}=${text(payload)}`),
    ]),
    [[1, "old=earlier"], [2, "deploy=v1.2.3", "bare="]],
  );
  for (const state of states) {
    assert.deepEqual(decode.decodePushPull(encode.encodePushPull(writer, state), 100), state);
  }
});

Deno.test("the filters of a real agent's query are read, and written again to the byte", () => {
  const query = vectors("query").map(decode.decodeQuery).find(({ filters }) => filters.length > 0)!;
  assert.equal(query.timeoutMs, 2000);
  assert.equal(query.source, "alpha");
  assert.deepEqual(query.filters.map(decode.decodeFilter), [
    { kind: "nodes", nodes: ["dump", "beta"] },
    { kind: "tag", tag: "role", expression: "^d.*" },
  ]);
  assert.deepEqual(encode.encodeNodeFilter(writer, ["dump", "beta"]), query.filters[0]);
  assert.deepEqual(encode.encodeTagFilter(writer, "role", "^d.*"), query.filters[1]);
});

Deno.test("the answers of real agents about keys and conflicts are read", () => {
  const payloads = vectors("query response").map(decode.decodeQueryResponse)
    .map(({ payload }) => payload);
  const keys = payloads.filter((payload) => payload[0] === encode.serfMessage.keyResponse);
  assert.ok(keys.length > 0);
  for (const payload of keys) {
    const response = decode.decodeKeyResponse(payload);
    assert.deepEqual(encode.encodeKeyResponse(writer, response), new Uint8Array(payload));
  }
  const listed = keys.map(decode.decodeKeyResponse).find((response) => response.keys.length === 2)!;
  assert.equal(listed.primaryKey, listed.keys[0]);
  assert.ok(keys.map(decode.decodeKeyResponse).some((it) => /not in the keyring/.test(it.message)));
  const votes = payloads.filter((payload) => payload[0] === encode.serfMessage.conflictResponse)
    .map(decode.decodeConflictVote);
  const beta = votes.find((vote) => vote !== undefined)!;
  assert.deepEqual({ ...beta, ip: [...beta.ip] }, {
    name: "beta",
    ip: [127, 0, 0, 1],
    port: 27302,
  });
  assert.ok(votes.includes(undefined));
  const asked = vectors("query").map(decode.decodeQuery)
    .find(({ name }) => name === "_serf_install-key")!;
  const key = decode.decodeKeyRequest(asked.payload);
  assert.equal(key.length, 32);
  assert.deepEqual(encode.encodeKeyRequest(writer, key), asked.payload);
});

Deno.test("the metadata of real agents is tags, and ours is the same bytes", () => {
  const all = vectors("metadata").map((meta) => ({ ...decodeTags(meta) }));
  assert.ok(all.some((tags) => tags.role === "web" && tags.dc === "ams"));
  const [meta] = vectors("metadata").filter((it) => decodeTags(it).role === "db");
  assert.deepEqual(encodeTags(decodeTags(meta!)), new Uint8Array(meta!));
});

Deno.test("tags survive, raw metadata is a role, and malformed metadata harms nobody", () => {
  const tags = fc.dictionary(fc.string({ maxLength: 8 }), fc.string({ maxLength: 12 }), {
    maxKeys: 6,
  });
  fc.assert(fc.property(tags, (tags) => {
    const clean = Object.fromEntries(
      Object.entries(tags).map(([k, v]) => [k.toWellFormed(), v.toWellFormed()]),
    );
    assert.deepEqual({ ...decodeTags(encodeTags(clean)) }, { ...clean });
  }));
  assert.deepEqual({ ...decodeTags(new TextEncoder().encode("web")) }, { role: "web" });
  assert.deepEqual({ ...decodeTags(new Uint8Array(0)) }, {});
  fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
    decodeTags(bytes);
    decodeTags(Uint8Array.of(0xff, ...bytes));
  }));
  const evil = decodeTags(encodeTags(JSON.parse('{"__proto__": "x"}')));
  assert.equal(Object.getPrototypeOf(evil), null);
  assert.deepEqual(Object.keys(evil), ["__proto__"]);
});

Deno.test("tags that do not fit are refused, naming the longest", () => {
  assert.throws(() => encodeTags({ a: "x", zone: "y".repeat(600) }), /shorten "zone"/);
  assert.equal(encodeTags({ a: "x".repeat(512 - 7) }).length, 512);
});

Deno.test("numbers of all sizes survive, negative ones too", () => {
  const reader = new SerfReader();
  const roundTrip = (value: number) =>
    reader.reset(writer.reset().uint64(value).copy()) && reader.uint64();
  for (const value of [0, 127, 128, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) {
    assert.equal(roundTrip(value), value);
  }
  const signed = (hex: string) => {
    reader.reset(Uint8Array.fromHex(hex));
    return reader.int64();
  };
  assert.equal(signed("ff"), -1);
  assert.equal(signed("d080"), -128);
  assert.equal(signed("d1ff00"), -256);
  assert.equal(signed("d2ffffffff"), -1);
  assert.equal(signed("d3ffffffffffffffff"), -1);
  assert.equal(signed("d37fffffffffffffff"), 2 ** 63);
  assert.throws(() => signed("d3ffff"), WireError);
  reader.reset(Uint8Array.fromHex("cfffffffffffffffff"));
  assert.equal(reader.uint64(), 2 ** 64);
});

const decoders: readonly ((bytes: Uint8Array) => unknown)[] = [
  (bytes) => decode.decodeIntent(bytes, "leave"),
  decode.decodeUserEvent,
  decode.decodeQuery,
  decode.decodeFilter,
  decode.decodeQueryResponse,
  (bytes) => decode.decodePushPull(bytes, 1000),
  decode.decodeConflictVote,
  decode.decodeKeyRequest,
  decode.decodeKeyResponse,
  decode.decodeRelay,
  decodeCoordinate,
];

/** Reads bytes with every decoder: each succeeds or says what is wrong. */
function readAll(bytes: Uint8Array): void {
  for (const read of decoders) {
    try {
      read(bytes);
    } catch (error) {
      assert.ok(error instanceof WireError, String(error));
    }
  }
}

Deno.test("mutated messages of real agents are read or refused, nothing else", () => {
  const all = captured.vectors.map(({ hex }) => Uint8Array.fromHex(hex));
  const change = fc.tuple(fc.nat(2000), fc.nat(255));
  fc.assert(
    fc.property(
      fc.constantFrom(...all),
      fc.array(change, { minLength: 1, maxLength: 4 }),
      fc.nat(2000),
      (vector, changes, cut) => {
        const bytes = vector.slice(0, cut % 3 === 0 ? cut % (vector.length + 1) : undefined);
        for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
        readAll(bytes);
      },
    ),
    { numRuns: 3000 },
  );
});

Deno.test("random bytes are read or refused, nothing else", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), readAll), { numRuns: 3000 });
});

Deno.test("a few bytes cannot claim a large list, map or text", () => {
  const claims = ["ddffffffff", "dfffffffff", "dcffff", "deffff", "dbffffffff", "c6ffffffff"];
  for (const claim of claims) {
    for (
      const field of ["LeftMembers", "StatusLTimes", "Events", "Filters", "Name", "Keys", "IP"]
    ) {
      const head = writer.reset().byte(2).map(1).key(field).copy();
      readAll(Uint8Array.of(...head, ...Uint8Array.fromHex(claim)));
    }
  }
  const many = writer.reset().byte(2).map(1).key("LeftMembers").items(11);
  for (let i = 0; i < 11; i++) many.text("x");
  assert.throws(() => decode.decodePushPull(many.copy(), 10), /at most 10/);
  const name = writer.reset().byte(0).map(1).key("Node").text("x".repeat(256)).copy();
  assert.throws(() => decode.decodeIntent(name, "leave"), /at most 255/);
});
