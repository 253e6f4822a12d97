import assert from "node:assert/strict";
import fc from "fast-check";
import { codeOf } from "../kernel/errors.ts";
import { EventQueue, type Queued } from "./event_queue.ts";

interface Numbered extends Queued {
  readonly number: number;
}

const event = (at: number, number: number): Numbered => ({ at, number, sequence: 0, index: -1 });

type Step = { readonly push: number } | { readonly remove: number } | { readonly pop: true };

const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ push: fc.integer({ min: 0, max: 20 }) }) },
    { weight: 2, arbitrary: fc.record({ remove: fc.nat(200) }) },
    { weight: 1, arbitrary: fc.constant({ pop: true as const }) },
  ),
  { maxLength: 200, size: "max" },
);

Deno.test("events leave by time, then by arrival, whatever was removed in between", () => {
  fc.assert(
    fc.property(steps, (script: readonly Step[]) => {
      const queue = new EventQueue<Numbered>();
      let model: Numbered[] = []; // What is queued, in order of arrival.
      const all: Numbered[] = [];
      const next = () => model.toSorted((a, b) => a.at - b.at || a.number - b.number)[0];
      for (const step of script) {
        if ("push" in step) {
          const added = event(step.push, all.length);
          all.push(added);
          model.push(added);
          queue.push(added);
        } else if ("remove" in step) {
          if (all.length === 0) continue;
          const victim = all[step.remove % all.length]!;
          assert.equal(queue.remove(victim), model.includes(victim));
          model = model.filter((other) => other !== victim);
        } else {
          const expected = next();
          assert.equal(queue.peek(), expected);
          assert.equal(queue.pop(), expected);
          model = model.filter((other) => other !== expected);
        }
        assert.equal(queue.size, model.length);
      }
      while (model.length > 0) {
        const expected = next();
        assert.equal(queue.pop(), expected);
        model = model.filter((other) => other !== expected);
      }
      assert.equal(queue.pop(), undefined);
    }),
    { numRuns: 500 },
  );
});

Deno.test("a removed event may be pushed again, and then counts as arriving anew", () => {
  const queue = new EventQueue<Numbered>();
  const [a, b] = [event(1, 0), event(1, 1)];
  queue.push(a);
  queue.push(b);
  assert.equal(queue.remove(a), true);
  assert.equal(queue.remove(a), false);
  queue.push(a);
  assert.deepEqual([queue.pop(), queue.pop()], [b, a]);
});

Deno.test("a full queue refuses, and takes again once there is room", () => {
  const queue = new EventQueue<Numbered>(2);
  queue.push(event(1, 0));
  queue.push(event(2, 1));
  assert.throws(() => queue.push(event(3, 2)), (error) => codeOf(error) === "simulation_limit");
  queue.pop();
  queue.push(event(3, 3));
  assert.equal(queue.size, 2);
});
