import assert from "node:assert/strict";
import { copyOf, ownOf, stagedOf } from "../slab.ts";
import { Staging } from "./staging.ts";

Deno.test("a chunk is staged after one of small messages, and read where it is after one of large ones", () => {
  const counters = { messagesReceived: 0 };
  const staging = new Staging(counters);
  const chunk = new Uint8Array(2048).fill(7);
  const reads = (messages: number) => {
    const placed = staging.place(chunk);
    counters.messagesReceived += messages;
    return placed === chunk ? "there" : "staged";
  };
  assert.equal(reads(20), "there", "nothing is known yet");
  assert.equal(reads(1), "staged");
  assert.equal(reads(0), "there", "it was one of 2 KiB");
  assert.equal(reads(4), "there", "that was a piece of one");
  assert.equal(reads(4), "staged", "four of half a KiB");
});

Deno.test("the end of a large message does not have the next one staged", () => {
  const counters = { messagesReceived: 0 };
  const staging = new Staging(counters);
  const large = new Uint8Array(64 * 1024);
  const end = large.subarray(0, 100);
  for (let i = 0; i < 5; i++) {
    assert.equal(staging.place(large), large);
    assert.equal(staging.place(end), end);
    counters.messagesReceived++;
  }
});

Deno.test("what is staged outlives its chunk, and is its owner's without another copy if it is small", () => {
  const chunk = new Uint8Array(1000).fill(7);
  const staged = stagedOf(chunk);
  chunk.fill(9);
  const small = staged.subarray(10, 20);
  const large = staged.subarray(20, 900);
  assert.equal(ownOf(small), small);
  assert.notEqual(ownOf(large).buffer, staged.buffer, "it would keep much that is not its own");
  assert.notEqual(ownOf(chunk.subarray(0, 10)).buffer, chunk.buffer);
  assert.notEqual(copyOf(small).buffer, small.buffer);
  for (let i = 0; i < 200; i++) stagedOf(chunk);
  assert.deepEqual(small, new Uint8Array(10).fill(7));
  assert.ok(staged.buffer.byteLength <= 64 * 1024);
  assert.throws(() => structuredClone(staged, { transfer: [staged.buffer] }));
});
