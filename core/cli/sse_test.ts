import assert from "node:assert/strict";
import fc from "fast-check";
import { codeOf } from "../kernel/errors.ts";
import { maxEventLength, readEvents } from "./sse.ts";

/** A body that arrives in the given pieces. */
function body(pieces: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  return ReadableStream.from(pieces);
}

Deno.test("events read the same however the bytes are cut", async () => {
  const text =
    ': hello\n\nevent: item\ndata: "é"\n\n:\n\ndata:1\ndata: 2\r\n\r\nevent: end\ndata: {}\n\nevent: torn';
  const bytes = new TextEncoder().encode(text);
  await fc.assert(fc.asyncProperty(
    fc.array(fc.nat(bytes.length), { maxLength: 20 }),
    async (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      const pieces = at.slice(1).map((end, i) => bytes.subarray(at[i], end));
      assert.deepEqual(await Array.fromAsync(readEvents(body(pieces))), [
        { name: "item", data: '"é"' },
        { name: "message", data: "1\n2" },
        { name: "end", data: "{}" },
      ]);
    },
  ));
});

Deno.test("an event in very many small pieces is read in time in proportion to its length", async () => {
  // Looking at everything again for each piece would take minutes here.
  const piece = new TextEncoder().encode("0123456789abcdef");
  const count = 262_144;
  const bytes = (function* () {
    yield new TextEncoder().encode("data: ");
    for (let at = 0; at < count; at++) yield piece;
    yield new TextEncoder().encode("\n\n");
  })();
  const [event, ...more] = await Array.fromAsync(readEvents(ReadableStream.from(bytes)));
  assert.equal(event.data.length, count * piece.length);
  assert.deepEqual(more, []);
});

Deno.test("an event that never ends is given up, whether in one line or in many empty ones", async () => {
  const mebibyte = 1024 * 1024;
  const endless = (piece: string) => {
    const bytes = new TextEncoder().encode(piece);
    let read = 0;
    const pieces = (function* () {
      yield new TextEncoder().encode("data: ");
      for (;; read += bytes.length) yield bytes;
    })();
    return { body: ReadableStream.from(pieces), read: () => read };
  };
  for (const piece of ["x".repeat(mebibyte), "data\n".repeat(mebibyte)]) {
    const { body, read } = endless(piece);
    await assert.rejects(
      Array.fromAsync(readEvents(body)),
      (error) => codeOf(error) === "too_large",
    );
    assert.ok(read() <= maxEventLength + 10 * mebibyte, `read ${read()}`);
  }
});
