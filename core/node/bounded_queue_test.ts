import assert from "node:assert/strict";
import fc from "fast-check";
import { BoundedQueue, type ReaderOptions } from "./bounded_queue.ts";

type Item = number | { readonly dropped: number };
const queueOf = (options: ReaderOptions = {}, closed?: () => void) =>
  new BoundedQueue<Item>(options, (dropped) => ({ dropped }), closed);

Deno.test("a reader gets what came, in order, or learns exactly how many of the oldest it lost", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 9 }), fc.nat(30), async (capacity, count) => {
      const queue = queueOf({ capacity });
      for (let i = 0; i < count; i++) queue.push(i);
      queue.end();
      const read = await Array.fromAsync(queue.read());
      const lost = Math.max(0, count - capacity);
      const kept = Array.from({ length: count - lost }, (_, at) => lost + at);
      assert.deepEqual(read, lost === 0 ? kept : [{ dropped: lost }, ...kept]);
    }),
  );
});

Deno.test("several reads at once are answered in their order, and all of them at the end", async () => {
  const queue = queueOf();
  const reader = queue.read();
  const reads = [reader.next(), reader.next(), reader.next()];
  queue.push(1);
  queue.push(2);
  queue.end();
  assert.deepEqual((await Promise.all(reads)).map(({ value }) => value), [1, 2, undefined]);
  assert.equal((await reader.next()).done, true);
});

Deno.test("breaking out of the loop ends the queue, and its end is told once", async () => {
  let closed = 0;
  const queue = queueOf({}, () => closed++);
  queue.push(1);
  queue.push(2);
  for await (const value of queue.read()) {
    assert.equal(value, 1);
    break;
  }
  queue.push(3);
  queue.end();
  assert.equal(closed, 1);
  assert.equal((await queue.read().next()).done, true);
});

Deno.test("a signal that aborts ends it after what had come, one that had aborted before at once", async () => {
  const abort = new AbortController();
  const queue = queueOf({ signal: abort.signal });
  queue.push(1);
  abort.abort();
  queue.push(2);
  assert.deepEqual(await Array.fromAsync(queue.read()), [1]);
  const late = queueOf({ signal: abort.signal });
  assert.ok(late.ended);
  late.push(1);
  assert.deepEqual(await Array.fromAsync(late.read()), []);
});

Deno.test("a capacity that is none is refused, so that no queue is without a bound", () => {
  for (const capacity of [0, -1, 1.5, NaN, Infinity]) {
    assert.throws(() => queueOf({ capacity }), {
      code: "invalid_argument",
      message: /^capacity: .* is not a whole number of at least 1$/,
    });
  }
});
