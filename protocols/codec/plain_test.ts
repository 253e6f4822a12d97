import assert from "node:assert/strict";
import fc from "fast-check";
import { extensions } from "./extensions.ts";
import { CodecError, decode, decodeViews, encode } from "./mod.ts";
import { Decoder, Encoder } from "./msgpack.ts";
import { PlainDecoder } from "./plain_decoder.ts";
import { PlainEncoder } from "./plain_encoder.ts";

// The long way, put together here once more: what the short one is measured by.
const extensionCodec = extensions({
  encode: (value) => new Encoder(options).encode(value),
  decode: (bytes) => new Decoder({ extensionCodec }).decode(bytes),
});
const options = { extensionCodec, ignoreUndefined: true, maxDepth: 65 };
const long = {
  encode: (value: unknown) => new Encoder(options).encode(value),
  decode: (bytes: Uint8Array) => new Decoder({ extensionCodec }).decode(bytes),
};
const short = {
  encoder: new PlainEncoder(long.encode, 64, 64 * 1024),
  decoder: new PlainDecoder(long.decode, 64),
};

const values = fc.anything({
  withBigInt: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withNullPrototype: true,
  maxDepth: 4,
  maxKeys: 20,
  key: fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.constantFrom("id", "name", "constructor", "0", "ключ", ""),
  ).filter((key) => key !== "__proto__"),
  values: [
    fc.string({ unit: "binary" }),
    fc.string({ unit: "grapheme-ascii", maxLength: 120 }),
    fc.string({ minLength: 90, maxLength: 300 }),
    fc.double(),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.constantFrom(
      0,
      -0,
      -32,
      -33,
      127,
      128,
      255,
      256,
      65535,
      65536,
      2 ** 31,
      2 ** 32,
      -(2 ** 31),
    ),
    fc.constantFrom(-(2 ** 31) - 1, 2 ** 53 - 1, -(2 ** 53) + 1, 2 ** 53, NaN, Infinity),
    fc.boolean(),
    fc.constantFrom(null, undefined),
    fc.uint8Array({ maxLength: 300 }),
  ],
});

Deno.test("the short way writes the very bytes of the library, and reads what it reads", () => {
  fc.assert(
    fc.property(values, (value) => {
      let expected: Uint8Array;
      try {
        expected = long.encode(value);
      } catch {
        assert.throws(() => short.encoder.encode(value));
        return;
      }
      assert.deepEqual(short.encoder.encode(value)!.slice(), expected);
      const read = short.decoder.decode(expected);
      if (read !== undefined) assert.deepEqual(read, long.decode(expected));
    }),
    { numRuns: 3000 },
  );
});

Deno.test("counts and lengths at which heads change their form are written as the library does", () => {
  for (const count of [0, 1, 15, 16, 17, 31, 32, 95, 96, 97, 255, 256, 65_535, 65_536]) {
    const keys = Array.from({ length: count }, (_, i) => [`k${i}`, i % 3 ? i : undefined]);
    for (
      const value of [
        Array(count).fill(7),
        Object.fromEntries(keys),
        { around: [Object.fromEntries(keys), "behind"] },
        "x".repeat(count),
        "é".repeat(count),
        new Uint8Array(count).fill(9),
      ]
    ) {
      const bytes = long.encode(value);
      assert.deepEqual(short.encoder.encode(value)!.slice(), bytes);
      assert.deepEqual(decode(bytes), long.decode(bytes));
    }
  }
});

Deno.test("whatever bytes arrive, the short way gives what the library gives, or nothing", () => {
  const good = fc.tuple(values, fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 3 }));
  fc.assert(
    fc.property(good, ([value, changes]) => {
      let bytes: Uint8Array;
      try {
        bytes = long.encode(value);
      } catch {
        return;
      }
      for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
      let read: unknown;
      try {
        read = short.decoder.decode(bytes);
      } catch {
        return; // What an extension or a long text says.
      }
      if (read !== undefined) assert.deepEqual(read, long.decode(bytes));
    }),
    { numRuns: 5000 },
  );
});

Deno.test("a getter that encodes something itself spoils nothing", () => {
  const value = {
    first: "one",
    get inner() {
      return encode({ nested: true }).length;
    },
    last: "three",
  };
  assert.deepEqual(decode(encode(value)), { first: "one", inner: 9, last: "three" });
});

Deno.test("keys that every object has been given do not travel", () => {
  const prototype = Object.prototype as unknown as Record<string, unknown>;
  try {
    prototype.smuggled = 1;
    assert.deepEqual(encode({ a: 1 }), new Uint8Array([0x81, 0xa1, 0x61, 0x01]));
  } finally {
    delete prototype.smuggled;
  }
});

Deno.test("keys that share a slot of the table are not mistaken for each other", () => {
  const keys = Array.from({ length: 5000 }, (_, i) => `key${(i * 2_654_435_761) % 100_003}`);
  const value = Object.fromEntries(keys.map((key, i) => [key, i]));
  const bytes = encode(value);
  assert.deepEqual(decode(bytes), value);
  assert.deepEqual(decode(bytes), value);
});

Deno.test("large bytes are the caller's own, and views where views are asked for", () => {
  const large = { data: new Uint8Array(300_000).fill(5) };
  const bytes = encode(large);
  const other = encode({ data: new Uint8Array(300_000).fill(6) });
  assert.deepEqual(decode(bytes), large);
  assert.notEqual(bytes.buffer, other.buffer);
  const { data } = decodeViews(bytes) as { data: Uint8Array };
  assert.equal(data.buffer, bytes.buffer);
  assert.notEqual((decode(bytes) as { data: Uint8Array }).data.buffer, bytes.buffer);
});

Deno.test("what the short way gives up is explained by the long one", () => {
  assert.throws(() => decode(new Uint8Array([0x92, 0x01])), (error) => {
    assert(error instanceof CodecError);
    assert.match(error.message, /ends too early/);
    return true;
  });
  assert.deepEqual(decode(new Uint8Array([0x81, 0x05, 0x06])), { 5: 6 });
});
