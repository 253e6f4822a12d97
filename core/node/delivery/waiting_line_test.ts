import assert from "node:assert/strict";
import fc from "fast-check";
import { waiterBytes, WaitingLine } from "./waiting_line.ts";

const message = (length: number) => ({ body: new Uint8Array(length) });

Deno.test("a line that is never empty keeps nobody who has gone, and its order, whoever leaves it", () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ push: fc.nat(100) }),
      fc.record({ leave: fc.nat(50) }),
      fc.constant("shift" as const),
    ),
    { maxLength: 200 },
  );
  fc.assert(fc.property(steps, (all) => {
    const line = new WaitingLine<{ readonly body: Uint8Array }>(20 * waiterBytes);
    let model: { readonly body: Uint8Array }[] = [];
    for (const step of all) {
      assert.equal(line.first, model[0]);
      assert.equal(line.empty, model.length === 0);
      const held = model.reduce((sum, { body }) => sum + body.length + waiterBytes, 0);
      if (step === "shift") {
        if (model.length === 0) continue;
        line.shift();
        model = model.slice(1);
      } else if ("push" in step) {
        const fits = model.length === 0 || held + step.push + waiterBytes <= 20 * waiterBytes;
        assert.equal(line.takes(step.push), fits);
        const next = message(step.push);
        line.push(next);
        model.push(next);
      } else {
        const who = model[step.leave];
        assert.equal(line.withdraw(who ?? message(1)), who !== undefined);
        model = model.filter((it) => it !== who);
      }
    }
    assert.deepEqual(line.clear(), model);
    assert(line.empty);
  }));
});

Deno.test("a line that never empties keeps its order for thousands", () => {
  const line = new WaitingLine<{ readonly body: Uint8Array; readonly number: number }>(Infinity);
  const push = (number: number) => line.push({ ...message(1), number });
  for (let number = 0; number < 3; number++) push(number);
  for (let number = 3; number < 5000; number++) {
    push(number);
    assert.equal(line.first!.number, number - 3);
    line.shift();
  }
  assert.deepEqual(line.clear().map(({ number }) => number), [4997, 4998, 4999]);
});
