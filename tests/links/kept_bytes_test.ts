// What handlers are given is theirs: over mutual TLS, whatever arrives later and whatever others do
// with what is theirs, kept bytes stay as they were sent.
import assert from "node:assert/strict";
import { clusterTest } from "../harness/leaks.ts";
import { FileNodes } from "../cluster/bulk_nodes.ts";

const sizes = [1, 100, 512, 513, 4000, 20_000, 65_536, 100_000, 102_400];
const count = 120;

/** Message number `i`: bytes that no other one has at the same place. */
function message(i: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizes[i % sizes.length]);
  for (let at = 0; at < bytes.length; at++) bytes[at] = (i + at * 7) & 0xff;
  bytes[0] = i;
  return bytes;
}

clusterTest("bytes that a handler keeps stay what was sent, over TLS too", async () => {
  await using nodes = await FileNodes.start();
  const { ada, bob } = nodes;
  const kept = new Map<number, Uint8Array>();
  await using _kept = bob.handle("custom.kept", (bytes) => {
    kept.set(bytes[0]!, bytes);
    return bytes;
  });
  // Somebody else's messages in between, who makes use of the right to change what is his.
  await using _spoilt = bob.handle("custom.spoilt", (bytes) => {
    new Uint8Array(bytes).fill(0xee);
    bytes.fill(0xee);
    return bytes;
  });
  const asked = Array.from({ length: count }, async (_, i) => {
    const [answer] = await Promise.all([
      ada.request("bob", "custom.kept", message(i)),
      ada.request("bob", "custom.spoilt", message(i)),
    ]);
    return answer;
  });
  const answers = await Promise.all(asked);
  for (let i = 0; i < count; i++) {
    assert.deepEqual(kept.get(i), message(i), `message ${i} as its handler kept it`);
    assert.deepEqual(answers[i], message(i), `the answer to message ${i}`);
    assert.equal(Object.getPrototypeOf(kept.get(i)), Uint8Array.prototype);
  }
  // Nobody else has a hand on the memory of a large one: it can be given away whole.
  const large = kept.get(sizes.indexOf(102_400))!;
  assert.equal(large.buffer.byteLength, large.length);
});
