import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeUtf8, encodeUtf8, utf8Length, writeUtf8 } from "./utf8.ts";

Deno.test("encodes as TextEncoder does, lone surrogates included", () => {
  const encoder = new TextEncoder();
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const bytes = encodeUtf8(text);
      assert.deepEqual(bytes, encoder.encode(text));
      assert.equal(utf8Length(text), bytes.length);
    }),
    { numRuns: 1000 },
  );
  for (
    const text of ["\ud800", "\udc00x", "a\ud800b", "\ud800\ud800\udc00", "\u0080\u07ff\u0800"]
  ) {
    assert.deepEqual(encodeUtf8(text), encoder.encode(text));
  }
});

Deno.test("decodes and refuses as a fatal TextDecoder does", () => {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 8 }), (bytes) => {
      let expected: string | undefined;
      try {
        expected = decoder.decode(bytes);
      } catch {
        assert.throws(() => decodeUtf8(bytes), TypeError);
        return;
      }
      assert.equal(decodeUtf8(bytes), expected);
    }),
    { numRuns: 20_000 },
  );
});

Deno.test("refuses overlong forms, surrogates, values beyond the last and cut sequences", () => {
  const malformed = [
    [0xc0, 0x80],
    [0xc1, 0xbf],
    [0xe0, 0x9f, 0xbf],
    [0xed, 0xa0, 0x80],
    [0xf0, 0x8f, 0xbf, 0xbf],
    [0xf4, 0x90, 0x80, 0x80],
    [0xf5, 0x80, 0x80, 0x80],
    [0xe2, 0x82],
    [0x80],
    [0xc3, 0x41],
  ];
  for (const bytes of malformed) assert.throws(() => decodeUtf8(new Uint8Array(bytes)), TypeError);
});

Deno.test("long texts survive, and parts of a buffer are read alone", () => {
  const long = "äb😀".repeat(5000);
  assert.equal(decodeUtf8(encodeUtf8(long)), long);
  const buffer = new Uint8Array(8).fill(0xff);
  const end = writeUtf8(buffer, 2, "né");
  assert.equal(end, 5);
  assert.equal(decodeUtf8(buffer, 2, end), "né");
});
