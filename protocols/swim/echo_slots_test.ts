import assert from "node:assert/strict";
import fc from "fast-check";
import { EchoSlots, maxAccusers } from "./echo_slots.ts";
import { Exceptions } from "./exceptions.ts";
import { stateOf } from "./verdicts.ts";

const ids = 6;
const step = fc.record({
  view: fc.nat(2),
  kind: fc.constantFrom("judge", "settle", "count", "delete", "clear", "copy"),
  id: fc.nat(ids - 1),
  state: fc.constantFrom(stateOf.alive, stateOf.suspect, stateOf.dead, stateOf.left),
  incarnation: fc.integer({ min: 1, max: 3 }),
  accuser: fc.integer({ min: 10, max: 18 }),
});

interface Verdict {
  readonly state: number;
  readonly incarnation: number;
  settled: boolean;
  accusers: Set<number>;
}

Deno.test("what views on the same slots take for an echo is one, and slots go with the last verdict", () => {
  fc.assert(fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
    const slots = new EchoSlots();
    const views = [0, 1, 2].map(() => ({
      ours: new Exceptions(slots),
      model: new Map<number, Verdict>(),
    }));
    for (const { view, kind, id, state, incarnation, accuser } of steps) {
      const { ours, model } = views[view]!;
      const verdict = model.get(id);
      if (kind === "judge") {
        ours.set(id, state, incarnation, 0);
        model.set(id, { state, incarnation, settled: false, accusers: new Set() });
      } else if (kind === "delete") {
        ours.delete(id);
        model.delete(id);
      } else if (kind === "clear") {
        ours.clear();
        model.clear();
      } else if (kind === "copy") {
        const other = views[(view + 1) % views.length]!;
        ours.copy(other.ours);
        model.clear();
        for (const [about, it] of other.model) {
          model.set(about, { ...it, accusers: new Set(it.accusers) });
        }
      } else if (verdict?.state === stateOf.suspect) {
        if (kind === "settle") {
          ours.settle(ours.find(id));
          verdict.settled = true;
        } else {
          ours.count(ours.find(id), accuser);
          verdict.accusers.add(accuser);
        }
      }
      for (const { ours, model } of views) checkEchoes(ours, model);
    }
    for (const { ours } of views) ours.clear();
    assert.equal(slots.size, 0);
  }));
});

function checkEchoes(ours: Exceptions, model: ReadonlyMap<number, Verdict>): void {
  for (let id = 0; id < ids; id++) {
    const verdict = model.get(id);
    for (let at = 1; at <= 3; at++) {
      const known = verdict?.incarnation === at ? verdict : undefined;
      const dead = known !== undefined && known.state >= stateOf.dead;
      if (ours.echoesDeath(id, at)) assert.ok(dead);
      if (ours.echoesSuspicion(id, at)) assert.ok(dead || known?.settled);
      for (let accuser = 10; accuser <= 18; accuser++) {
        if (ours.echoesAccuser(id, at, accuser)) assert.ok(known?.accusers.has(accuser));
      }
    }
  }
}

Deno.test("echoes of a death, of a settled suspicion and of its accusers are recognized", () => {
  const ours = new Exceptions(new EchoSlots());
  ours.set(3, stateOf.suspect, 7, 0);
  assert.equal(ours.echoesAccuser(3, 7, 50), false);
  for (let i = 0; i <= maxAccusers; i++) ours.count(ours.find(3), 50 + i);
  for (let i = 0; i < maxAccusers; i++) assert.equal(ours.echoesAccuser(3, 7, 50 + i), true);
  assert.equal(ours.echoesAccuser(3, 7, 50 + maxAccusers), false, "one more than are told apart");
  assert.equal(ours.echoesSuspicion(3, 7), false, "others are news");
  ours.settle(ours.find(3));
  assert.equal(ours.echoesSuspicion(3, 7), true);
  assert.equal(ours.echoesSuspicion(3, 8), false, "a higher incarnation is news");
  assert.equal(ours.echoesDeath(3, 7), false);
  ours.set(3, stateOf.dead, 7, 1);
  assert.deepEqual([ours.echoesDeath(3, 7), ours.echoesSuspicion(3, 7)], [true, true]);
  ours.set(3, stateOf.alive, 8, 2);
  assert.deepEqual([ours.echoesDeath(3, 7), ours.echoesSuspicion(3, 8)], [false, false]);
});

Deno.test("slots are bounded, and the higher incarnation of a name has the one that is found", () => {
  const slots = new EchoSlots();
  const first = slots.hold(5, 1);
  assert.equal(slots.hold(5, 1), first);
  const second = slots.hold(5, 2);
  assert.deepEqual([slots.find(5, 1), slots.find(5, 2)], [-1, second]);
  assert.equal(slots.hold(5, 1), -1, "overtaken");
  slots.release(first);
  slots.release(first);
  assert.deepEqual([slots.find(5, 2), slots.size], [second, 1]);
  slots.release(second);
  assert.deepEqual([slots.find(5, 2), slots.size], [-1, 0]);
  let held = 0;
  while (held < 1e5 && slots.hold(held, 1) >= 0) held++;
  assert.equal(held, 4096);
  assert.equal(slots.find(held, 1), -1);
  slots.release(slots.find(0, 1));
  assert.ok(slots.hold(held, 1) >= 0);
});
