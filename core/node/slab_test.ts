import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { copyOf } from "./slab.ts";

Deno.test("copies say what their originals said, whatever becomes of those and of other copies", () => {
  const original = fc.uint8Array({ maxLength: 700 });
  fc.assert(
    fc.property(fc.array(original, { maxLength: 60 }), (originals) => {
      const said = originals.map((it) => [...it]);
      const copies = originals.map(copyOf);
      for (const it of originals) it.fill(0xee);
      copies.forEach((copy, i) => {
        assert.deepEqual([...copy], said[i]);
        copy.fill(i); // The owner's right; the copies that follow do not notice.
      });
    }),
  );
});

Deno.test("a copy of a Buffer, whose own slice is none, is one, and plain", () => {
  for (const length of [0, 1, 512, 513, 100_000]) {
    const original = Buffer.alloc(length, 7);
    const copy = copyOf(original);
    original.fill(8);
    assert.equal(Object.getPrototypeOf(copy), Uint8Array.prototype);
    assert.equal(copy.length, length);
    assert.ok(copy.every((byte) => byte === 7), `${length} bytes`);
  }
});

Deno.test("a small copy cannot be transferred, since its buffer holds others too", () => {
  const copy = copyOf(Uint8Array.of(1, 2, 3));
  const other = copyOf(Uint8Array.of(4, 5, 6));
  assert.throws(() => structuredClone(copy, { transfer: [copy.buffer] }));
  assert.throws(() => copy.buffer.transfer());
  assert.deepEqual([...copy, ...other], [1, 2, 3, 4, 5, 6]);
  // What one does instead.
  const { buffer } = copy.slice();
  assert.deepEqual(structuredClone(buffer, { transfer: [buffer] }), Uint8Array.of(1, 2, 3).buffer);
});

Deno.test("a small copy that is kept keeps no more than its slab, and a large one nothing else", () => {
  assert.ok(copyOf(new Uint8Array(64)).buffer.byteLength <= 8192);
  assert.equal(copyOf(new Uint8Array(4096)).buffer.byteLength, 4096);
});
