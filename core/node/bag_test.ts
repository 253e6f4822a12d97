import assert from "node:assert/strict";
import fc from "fast-check";
import { Bag, type Member } from "./bag.ts";

interface Thing extends Member {
  readonly name: number;
}

const thing = (name: number): Thing => ({ name, place: -1 });

Deno.test("a bag holds what a Set would, whatever comes and goes", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 20 }), { maxLength: 200 }), (turns) => {
      const things = Array.from({ length: 21 }, (_, name) => thing(name));
      const bag = new Bag<Thing>();
      const model = new Set<Thing>();
      for (const turn of turns) {
        const it = things[turn];
        if (model.delete(it)) bag.delete(it);
        else {
          bag.add(it);
          model.add(it);
        }
        assert.equal(bag.size, model.size);
      }
      const names = (all: Iterable<Thing>) => [...all].map((it) => it.name).sort();
      assert.deepEqual(names(bag), names(model));
    }),
  );
});

Deno.test("members may leave a bag while it is gone through, and leaving twice changes nothing", () => {
  const bag = new Bag<Thing>();
  const things = Array.from({ length: 10 }, (_, name) => thing(name));
  for (const it of things) bag.add(it);
  const seen: number[] = [];
  for (const it of bag) {
    seen.push(it.name);
    bag.delete(it);
    bag.delete(it);
  }
  assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.equal(bag.size, 0);
});
