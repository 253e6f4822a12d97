import assert from "node:assert/strict";
import fc from "fast-check";
import { LatencyWindow } from "./latencies.ts";

Deno.test("a quantile lies at or above the true one, by at most a tenth", () => {
  fc.assert(fc.property(
    fc.array(fc.double({ min: 0.002, max: 90_000, noNaN: true }), { minLength: 1, maxLength: 200 }),
    fc.constantFrom(0.5, 0.9, 0.99, 1),
    (values, share) => {
      const window = new LatencyWindow();
      for (const value of values) window.add(value);
      const exact = values.toSorted((a, b) => a - b)[Math.ceil(values.length * share) - 1];
      const found = window.quantile(share);
      assert.ok(found >= exact * 0.999 && found <= exact * 1.1001, `${found} for ${exact}`);
    },
  ));
});

Deno.test("what is older than four turns is forgotten", () => {
  const window = new LatencyWindow();
  window.add(5);
  for (let i = 0; i < 3; i++) window.turn();
  assert.equal(window.count, 1);
  window.turn();
  assert.equal(window.count, 0);
  assert.equal(window.quantile(0.99), 0);
});
