import assert from "node:assert/strict";
import fc from "fast-check";
import { Inbox } from "./inbox.ts";

function inbox(): { items: Inbox<number>; granted: () => number; abandoned: () => boolean } {
  let granted = 0;
  let abandoned = false;
  const items = new Inbox<number>({
    consumed: (bytes) => granted += bytes,
    abandoned: () => abandoned = true,
  });
  return { items, granted: () => granted, abandoned: () => abandoned };
}

Deno.test("items come out in order, however pushing and reading interleave", async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(fc.oneof(fc.constant("push"), fc.constant("read")), { maxLength: 200 }),
    async (steps) => {
      const { items } = inbox();
      const reads: Promise<IteratorResult<number, undefined>>[] = [];
      let pushed = 0;
      for (const step of steps) {
        if (step === "push") items.push(pushed++, 1);
        else reads.push(items.next());
      }
      items.end();
      const got = (await Promise.all(reads)).flatMap((it) => it.done ? [] : [it.value]);
      for await (const rest of items) got.push(rest);
      assert.deepEqual(got, Array.from({ length: pushed }, (_, i) => i));
    },
  ));
});

Deno.test("what was consumed is given back whenever the reader runs dry, so a small window never stalls", async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1, maxLength: 50 }),
    async (sizes) => {
      const { items, granted } = inbox();
      let total = 0;
      for (const size of sizes) {
        items.push(size, size);
        total += size;
      }
      for (const _ of sizes) await items.next();
      const pending = items.next();
      assert.equal(granted(), total);
      items.end();
      await pending;
    },
  ));
});

Deno.test("a failure comes after the items before it, and once", async () => {
  const { items } = inbox();
  items.push(1, 1);
  items.fail(new Error("lost"));
  items.push(2, 1);
  assert.deepEqual(await items.next(), { value: 1, done: false });
  await assert.rejects(items.next(), /lost/);
  assert.equal((await items.next()).done, true);
});

Deno.test("a reader that leaves early is noticed, one that read to the end is not", async () => {
  const early = inbox();
  early.items.push(1, 1);
  early.items.push(2, 1);
  for await (const _ of early.items) break;
  assert.equal(early.abandoned(), true);
  assert.equal((await early.items.next()).done, true);
  const whole = inbox();
  whole.items.push(1, 1);
  whole.items.end();
  for await (const _ of whole.items);
  assert.equal(whole.abandoned(), false);
});
