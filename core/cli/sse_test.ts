import assert from "node:assert/strict";
import fc from "fast-check";
import { readEvents } from "./sse.ts";

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
