import assert from "node:assert/strict";
import fc from "fast-check";
import type { Candidate } from "../../core/contracts/balancer.ts";
import type { HealthStatus } from "../../core/contracts/health.ts";
import { roundRobin } from "./round_robin.ts";

const candidate = (id: string, health: HealthStatus = "healthy"): Candidate => ({
  id,
  health,
  roundTripMs: undefined,
  inFlight: 0,
});
const ids = (letters: string, health?: HealthStatus): Candidate[] =>
  [...letters].map((letter) => candidate(letter, health));

Deno.test("round robin takes every candidate in turn and starts again", () => {
  const balancer = roundRobin("rr");
  const chosen = Array.from({ length: 7 }, () => balancer.select(ids("abc"), { subject: "s" }));
  assert.deepEqual(chosen, [0, 1, 2, 0, 1, 2, 0]);
});

Deno.test("round robin keeps a turn of its own for each subject", () => {
  const balancer = roundRobin("rr");
  assert.equal(balancer.select(ids("abc"), { subject: "s" }), 0);
  assert.equal(balancer.select(ids("abc"), { subject: "t" }), 0);
  assert.equal(balancer.select(ids("abc"), { subject: "s" }), 1);
});

Deno.test("a server that leaves takes nobody else's turn with it", () => {
  const balancer = roundRobin("rr");
  balancer.select(ids("abcd"), { subject: "s" }); // a
  balancer.select(ids("abcd"), { subject: "s" }); // b
  assert.equal(balancer.select(ids("acd"), { subject: "s" }), 1, "c is next although b is gone");
});

Deno.test("unhealthy candidates are passed over while a healthy one exists", () => {
  const balancer = roundRobin("rr");
  const some = [candidate("a", "unhealthy"), candidate("b"), candidate("c", "degraded")];
  assert.deepEqual([1, 2, 3].map(() => balancer.select(some, { subject: "s" })), [1, 1, 1]);
  assert.deepEqual(
    [1, 2, 3].map(() => balancer.select(ids("ab", "degraded"), { subject: "t" })),
    [0, 1, 0],
  );
});

Deno.test("over any full cycle of a steady list each candidate is chosen equally often", () => {
  fc.assert(fc.property(
    fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 12 }),
    fc.integer({ min: 1, max: 5 }),
    (names, cycles) => {
      const balancer = roundRobin("rr");
      const list = names.sort().map((name) => candidate(name));
      const counts = new Array(list.length).fill(0);
      for (let i = 0; i < cycles * list.length; i++) {
        counts[balancer.select(list, { subject: "s" })]++;
      }
      assert.deepEqual(counts, new Array(list.length).fill(cycles));
    },
  ));
});

Deno.test("the number of remembered subjects is bounded", () => {
  const balancer = roundRobin("rr");
  for (let i = 0; i < 5000; i++) balancer.select(ids("ab"), { subject: `s${i}` });
  assert.equal(balancer.select(ids("ab"), { subject: "s0" }), 0, "forgotten, so it starts anew");
});
