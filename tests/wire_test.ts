/** Golden vectors of the wire against what Deno brings, which protocols/ itself may not use. */
import assert from "node:assert/strict";
import { zstdDecompressSync } from "node:zlib";
import vectors from "../protocols/link/vectors/frames.json" with { type: "json" };

Deno.test("compressed bytes in the golden vectors are zstd, and give what they announce", () => {
  let compressed = 0;
  for (const { says } of vectors) {
    if (!("originalSize" in says)) continue;
    compressed++;
    const bytes = Uint8Array.fromHex(String("body" in says ? says.body : says.bytes).slice(4));
    const plain = zstdDecompressSync(bytes);
    assert.equal(plain.length, says.originalSize);
    assert(plain.every((byte) => byte === "a".charCodeAt(0)));
  }
  assert.equal(compressed, 3);
});
