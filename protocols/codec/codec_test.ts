import assert from "node:assert/strict";
import fc from "fast-check";
import { CodecError, codecLimits, decode, encode, encodeShared } from "./mod.ts";

const roundTrip = (value: unknown) => decode(encode(value));

Deno.test("what goes in comes out: plain values, Map, Set, BigInt, Date, bytes", () => {
  const value = {
    text: "ÅA😀",
    number: -1.5,
    big: 2n ** 80n,
    negative: -(2n ** 70n),
    map: new Map<unknown, unknown>([["a", 1], [2, new Set(["x"])], [{ k: 1 }, null]]),
    set: new Set([1, "two", new Map()]),
    when: new Date(1_700_000_000_123),
    before: new Date(-86_400_001),
    bytes: new Uint8Array([0, 255]),
    list: [true, false, null, [], {}],
  };
  assert.deepEqual(roundTrip(value), value);
});

Deno.test("shared bytes are those of encode, until the next value is encoded", () => {
  const value = { map: new Map([["a", new Set([1n])]]), list: [1, "two"] };
  const first = encodeShared(value);
  assert.deepEqual(first.slice(), encode(value));
  const kept = encode("kept");
  const shared = encodeShared("other");
  assert.deepEqual(decode(shared), "other");
  assert.deepEqual(decode(kept), "kept");
  assert.throws(() => encodeShared({ f: () => {} }, "input"), /input\.f/);
});

Deno.test("an Error keeps its name, message and code, and loses its stack", () => {
  const error = Object.assign(new TypeError("no such thing"), { code: "not_found" });
  const copy = roundTrip(error) as Error & { code: string };
  assert(copy instanceof Error);
  assert.deepEqual([copy.name, copy.message, copy.code, copy.stack], [
    "TypeError",
    "no such thing",
    "not_found",
    undefined,
  ]);
});

Deno.test("undefined leaves a key out and is null elsewhere", () => {
  assert.deepEqual(roundTrip({ a: undefined, b: [undefined] }), { b: [null] });
  assert.equal(roundTrip(undefined), null);
});

Deno.test("any value of JSON and more survives", () => {
  fc.assert(
    fc.property(
      fc.anything({
        withBigInt: true,
        withDate: true,
        withMap: true,
        withSet: true,
        withNullPrototype: false,
        maxDepth: 4,
        key: fc.string().filter((key) => key !== "__proto__"),
        values: [
          fc.string({ unit: "binary" }).filter((text) => text.isWellFormed()),
          // Zero has one encoding: -0 comes back as 0.
          fc.double({ noNaN: true }).filter((number) => !Object.is(number, -0)),
          fc.integer(),
          fc.boolean(),
          fc.constant(null),
          fc.uint8Array(),
        ],
      }),
      (value) => {
        let bytes: Uint8Array;
        try {
          bytes = encode(value);
        } catch (error) {
          // Only what the limits refuse: an invalid Date, too many Maps inside each other.
          assert.match((error as Error).message, /Date|inside each other/);
          return;
        }
        assert.deepEqual(decode(bytes), value);
        assert.deepEqual(encode(decode(bytes)), bytes);
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("what has no encoding is refused by its path", () => {
  class Point {}
  const refuses = (value: unknown, message: RegExp) =>
    assert.throws(() => encode(value, "input"), (error) => {
      assert(error instanceof CodecError);
      assert.match(error.message, message);
      return true;
    });
  refuses(
    { items: [0, 1, 2, { when: new Point() }] },
    /^input\.items\[3\]\.when: a Point has no encoding/,
  );
  refuses({ f: () => 1 }, /^input\.f: a function has no encoding$/);
  refuses([Symbol("s")], /^input\[0\]: a symbol has no encoding$/);
  refuses(new Float64Array(1), /^input: a Float64Array has no encoding/);
  refuses({ "a b": new WeakMap() }, /^input\["a b"\]: a WeakMap has no encoding/);
  refuses(new Map([["k", new Point()]]), /^input\.get\("k"\): a Point has no encoding/);
  refuses(new Set([new Point()]), /^input\{0\}: a Point has no encoding/);
  refuses({ at: new Date(NaN) }, /^input\.at: a Date has no encoding/);
  refuses(10n ** 2000n, /^input: a BigInt of too many digits$/);
});

Deno.test("a value that contains itself is refused, through Maps too", () => {
  const loop: Record<string, unknown> = {};
  loop.self = loop;
  assert.throws(() => encode(loop), /nested more than 64 deep; does it contain itself\?$/);
  const map = new Map<string, unknown>();
  map.set("self", map);
  assert.throws(() => encode(map), CodecError);
  assert.deepEqual(roundTrip(new Map([["fine", 1]])), new Map([["fine", 1]]));
});

/** Bytes whose slices share their memory, as those of Node's Buffer do. */
class SharingBytes extends Uint8Array<ArrayBuffer> {
  override slice(start?: number, end?: number): Uint8Array<ArrayBuffer> {
    return this.subarray(start, end);
  }
}

Deno.test("results never share memory with the input, a Buffer either", () => {
  const plain = { deep: [new Uint8Array([1, 2, 3])] };
  const encoded = encode({ ...plain, map: new Map([["k", [new Uint8Array([4])]]]) });
  const inputs = [SharingBytes.from(encode(plain)), SharingBytes.from(encoded), encoded];
  for (const input of inputs) {
    const value = decode(input) as { deep: [Uint8Array]; map?: Map<string, [Uint8Array]> };
    input.fill(0);
    assert.deepEqual(value.deep[0], new Uint8Array([1, 2, 3]));
    assert.equal(value.deep[0].buffer.byteLength, 3);
    if (value.map !== undefined) {
      assert.deepEqual(value.map.get("k")![0], new Uint8Array([4]));
    }
  }
});

Deno.test("depth and size are bounded", () => {
  const nested = (depth: number) => new Uint8Array([...new Array(depth).fill(0x91), 0xc0]);
  assert.doesNotThrow(() => decode(nested(codecLimits.depth)));
  assert.throws(() => decode(nested(codecLimits.depth + 1)), /nested more than 64 deep/);
  assert.throws(
    () => decode(new Uint8Array(codecLimits.bytes + 1)),
    /16777217 bytes, where at most 16777216 are decoded/,
  );
  let deepest: unknown = null;
  for (let i = 0; i < codecLimits.depth; i++) deepest = [deepest];
  assert.deepEqual(roundTrip(deepest), deepest);
  assert.throws(() => encode([deepest]), /nested more than 64 deep/);
});

Deno.test("a length that the bytes cannot hold is refused before anything is allocated", () => {
  const claims = [
    [0xdd, 0xff, 0xff, 0xff, 0xff],
    [0xdf, 0x7f, 0xff, 0xff, 0xff],
    [0xdb, 0xff, 0xff, 0xff, 0xff],
    [0xc6, 0xff, 0xff, 0xff, 0xff],
    [0xc9, 0xff, 0xff, 0xff, 0xff, 0x01],
    [0xdc, 0x00],
    [],
  ];
  for (const claim of claims) {
    assert.throws(() => decode(new Uint8Array(claim)), /ends too early/);
  }
});

Deno.test("bytes behind the end, unknown heads, unknown extensions and forged prototypes are refused", () => {
  assert.throws(() => decode(new Uint8Array([0x01, 0x02])), /1 bytes behind the end/);
  assert.throws(() => decode(new Uint8Array([0xc1])), /0xc1 at byte 0 begins no value/);
  assert.throws(() => decode(new Uint8Array([0xd4, 0x63, 0x00])), /extension type 99 is not known/);
  assert.throws(
    () => decode(new Uint8Array([0x81, 0xa9, ...new TextEncoder().encode("__proto__"), 0x80])),
    /__proto__/,
  );
});

Deno.test("mutated bytes decode or throw a CodecError, whatever they are", () => {
  const good = encode({
    a: [1, "two", new Map([[1n, new Set([new Uint8Array(9)])]]), new Date(5)],
    e: new Error("x"),
  });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
      fc.nat(good.length),
      (changes, length) => {
        const bytes = good.slice(0, length === 0 ? good.length : length);
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        try {
          decode(bytes);
        } catch (error) {
          assert(error instanceof CodecError, String(error));
        }
      },
    ),
    { numRuns: 5000 },
  );
});
