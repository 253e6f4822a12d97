import assert from "node:assert/strict";
import fc from "fast-check";
import { sample } from "./delay.ts";
import { Random } from "./random.ts";

const draw = (random: Random, count: number) => Array.from({ length: count }, () => random.u32());

Deno.test("one seed gives one sequence, another seed another", () => {
  assert.deepEqual(draw(new Random(7), 100), draw(new Random(7), 100));
  assert.deepEqual(draw(new Random(7), 100), draw(new Random("7"), 100));
  assert.notDeepEqual(draw(new Random(7), 100), draw(new Random(8), 100));
});

Deno.test("a fork depends on its name alone, not on what was drawn before", () => {
  const fresh = new Random(1);
  const used = new Random(1);
  draw(used, 1000);
  used.fork("other").u32();
  assert.deepEqual(draw(fresh.fork("net"), 50), draw(used.fork("net"), 50));
  assert.notDeepEqual(draw(fresh.fork("net"), 50), draw(fresh.fork("ten"), 50));
  assert.notDeepEqual(draw(fresh.fork("a").fork("b"), 50), draw(fresh.fork("b").fork("a"), 50));
});

Deno.test("draws stay within their bounds, whatever the seed", () => {
  fc.assert(fc.property(fc.integer(), fc.integer({ min: 1, max: 2 ** 32 }), (seed, bound) => {
    const random = new Random(seed);
    for (let i = 0; i < 20; i++) {
      const number = random.below(bound);
      assert.ok(Number.isInteger(number) && number >= 0 && number < bound);
      const share = random.float();
      assert.ok(share >= 0 && share < 1);
    }
  }));
  assert.throws(() => new Random(1).below(0), RangeError);
  assert.throws(() => new Random(1).below(2 ** 32 + 1), RangeError);
});

Deno.test("numbers are spread evenly: no bucket of 64 strays by more than six deviations", () => {
  const random = new Random("even");
  const buckets = new Array<number>(64).fill(0);
  const draws = 640_000;
  for (let i = 0; i < draws; i++) buckets[random.below(64)]!++;
  const deviation = Math.sqrt(draws / 64);
  for (const count of buckets) assert.ok(Math.abs(count - draws / 64) < 6 * deviation, `${count}`);
});

Deno.test("bytes fill odd lengths, ids are 32 hexadecimal digits, chances of 0 and 1 draw nothing", () => {
  const random = new Random(3);
  assert.equal(random.bytes(7).length, 7);
  assert.equal(new Set(random.bytes(4096)).size, 256);
  assert.match(random.hex(32), /^[0-9a-f]{32}$/);
  const before = new Random(9);
  const after = new Random(9);
  assert.equal(after.chance(0), false);
  assert.equal(after.chance(1), true);
  assert.equal(before.u32(), after.u32());
});

Deno.test("delays keep to their distributions", () => {
  const random = new Random("delays");
  const mean = (count: number, next: () => number) => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += next();
    return sum / count;
  };
  assert.equal(sample({ kind: "constant", ms: 5 }, random), 5);
  const uniform = mean(20_000, () => {
    const ms = sample({ kind: "uniform", minMs: 2, maxMs: 4 }, random);
    assert.ok(ms >= 2 && ms < 4);
    return ms;
  });
  assert.ok(Math.abs(uniform - 3) < 0.05, `${uniform}`);
  const exponential = mean(20_000, () => {
    const ms = sample({ kind: "exponential", minMs: 1, meanMs: 3 }, random);
    assert.ok(ms >= 1);
    return ms;
  });
  assert.ok(Math.abs(exponential - 3) < 0.1, `${exponential}`);
  const below = mean(20_000, () => {
    return sample({ kind: "lognormal", medianMs: 50, sigma: 0.5 }, random) < 50 ? 1 : 0;
  });
  assert.ok(Math.abs(below - 0.5) < 0.03, `${below}`);
  assert.equal(sample({ kind: "constant", ms: 1e9 }, random), 60_000);
});
