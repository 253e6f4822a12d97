import assert from "node:assert/strict";
import fc from "fast-check";
import { Recent } from "./recent.ts";

const same = (a: number, b: number) => a === b;

Deno.test("an item is new once, and old when it falls out of the ring", () => {
  const recent = new Recent<number>(4, 100, same);
  assert.equal(recent.add(10, 1, 11), "new");
  assert.equal(recent.add(10, 1, 11), "seen");
  assert.equal(recent.add(10, 2, 11), "new");
  assert.equal(recent.add(14, 1, 15), "new");
  assert.equal(recent.add(10, 3, 15), "old");
  assert.equal(recent.add(11, 3, 15), "new");
  assert.deepEqual([...recent.all()].map(({ time }) => time).sort(), [11, 14]);
  assert.equal(recent.size, 2);
});

Deno.test("what lies before a minimum is old", () => {
  const recent = new Recent<number>(8, 100, same, 5);
  assert.equal(recent.add(4, 1, 5), "old");
  assert.equal(recent.add(5, 1, 6), "new");
  recent.ignoreBefore(7);
  recent.ignoreBefore(6);
  assert.equal(recent.add(6, 1, 8), "old");
});

Deno.test("whatever comes, no more is held than allowed and nothing is new twice", () => {
  const arrivals = fc.array(fc.tuple(fc.nat(40), fc.nat(5)), { maxLength: 200 });
  fc.assert(fc.property(arrivals, fc.integer({ min: 1, max: 12 }), (items, most) => {
    const recent = new Recent<number>(8, most, same);
    const told = new Set<string>();
    let clock = 1;
    for (const [time, item] of items) {
      clock = Math.max(clock, time + 1);
      if (recent.add(time, item, clock) === "new") {
        assert.equal(told.has(`${time}/${item}`), false);
        told.add(`${time}/${item}`);
      }
      assert.ok(recent.size <= most);
      let held = 0;
      for (const slot of recent.all()) held += slot.items.length;
      assert.equal(held, recent.size);
    }
  }));
});
