import assert from "node:assert/strict";
import fc from "fast-check";
import { EchoSlots } from "./echo_slots.ts";
import { Exceptions } from "./exceptions.ts";
import { PlaceIndex } from "./place_index.ts";
import { Suspicions } from "./suspicions.ts";
import { stateOf } from "./verdicts.ts";

Deno.test("an index finds each row by its member, however rows come, move and go", () => {
  const step = fc.tuple(fc.boolean(), fc.nat(60));
  fc.assert(fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
    const rows = { numbers: new Int32Array(61 * 2), each: 2 };
    const index = new PlaceIndex();
    const ids: number[] = [];
    for (const [add, id] of steps) {
      const place = ids.indexOf(id);
      if (add && place < 0) {
        rows.numbers[ids.length * 2] = id;
        ids.push(id);
        index.add(rows, ids.length - 1);
      } else if (!add && place >= 0) {
        index.remove(rows, place);
        const last = ids.length - 1;
        if (place < last) {
          index.move(rows, last, place);
          rows.numbers[place * 2] = ids[last]!;
          ids[place] = ids[last]!;
        }
        ids.pop();
      }
      for (let other = 0; other <= 60; other++) {
        assert.equal(index.find(rows, other), ids.indexOf(other));
      }
    }
  }));
});

Deno.test("exceptions keep state, incarnation and time of each, as a Map of objects would", () => {
  const step = fc.record({
    id: fc.nat(30),
    state: fc.constantFrom(0, stateOf.suspect, stateOf.dead, stateOf.left),
    incarnation: fc.integer({ min: 0, max: 0xffffffff }),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const ours = new Exceptions(new EchoSlots());
    const model = new Map<number, { state: number; incarnation: number; sinceMs: number }>();
    steps.forEach(({ id, state, incarnation }, nowMs) => {
      if (state === 0) {
        ours.delete(id);
        model.delete(id);
      } else {
        const before = model.get(id);
        const sinceMs = before?.state === state ? before.sinceMs : nowMs;
        ours.set(id, state, incarnation, nowMs);
        model.set(id, { state, incarnation, sinceMs });
      }
      assert.equal(ours.size, model.size);
      for (let other = 0; other <= 30; other++) {
        const place = ours.find(other);
        const found = place < 0 ? undefined : {
          state: ours.state(place),
          incarnation: ours.incarnation(place),
          sinceMs: ours.sinceMs(place),
        };
        assert.deepEqual(found, model.get(other));
      }
    });
  }));
});

Deno.test("suspicions of different widths end each at its own time", () => {
  const suspicions = new Suspicions();
  suspicions.begin(1, 9, 0, 100, 600, 0);
  suspicions.begin(2, 9, 3, 100, 600, 0);
  suspicions.begin(3, 9, 5, 100, 600, 0);
  for (const source of [4, 5, 6]) assert.equal(suspicions.confirm(2, source), true);
  assert.equal(suspicions.wants(2, 7), false, "three are enough");
  assert.equal(suspicions.wants(3, 9), false, "it raised it");
  assert.equal(suspicions.wants(3, 7), true);
  const ended: [number, number][] = [];
  for (let nowMs = 0; suspicions.size > 0; nowMs += 50) {
    suspicions.expire(nowMs, (id) => ended.push([nowMs, id]));
  }
  assert.deepEqual(ended, [[100, 1], [100, 2], [600, 3]]);
});
