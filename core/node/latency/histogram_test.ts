import assert from "node:assert/strict";
import fc from "fast-check";
import { bucketCount, Histogram, upperUs } from "./histogram.ts";

const powersOfTwo = Array.from({ length: 27 }, (_, i) => 2 ** i);
const durations = fc.array(
  fc.oneof(
    fc.double({ min: 0, max: 100, noNaN: true }),
    fc.double({ min: 0, max: 1e5, noNaN: true }),
  ),
  { minLength: 1, maxLength: 200 },
);

Deno.test("the bounds of the buckets rise, and each power of two is one of them", () => {
  const bounds = Array.from({ length: bucketCount }, (_, bucket) => upperUs(bucket));
  for (let i = 1; i < bounds.length; i++) assert.ok(bounds[i]! > bounds[i - 1]!, `${bounds[i]}`);
  for (const power of powersOfTwo) assert.ok(bounds.includes(power), `${power}`);
});

Deno.test("a percentile is never below the sorted list's, and at most an eighth above", () => {
  fc.assert(fc.property(durations, fc.double({ min: 0, max: 1, noNaN: true }), (all, share) => {
    const histogram = new Histogram();
    for (const ms of all) histogram.record(ms);
    const sorted = all.toSorted((a, b) => a - b);
    const exact = sorted[Math.max(1, Math.ceil(share * all.length)) - 1]!;
    const found = histogram.quantileMs(share)!;
    assert.ok(found >= exact - 1e-9, `${found} for ${exact}`);
    // Durations are whole microseconds here, rounded up.
    assert.ok(found <= (exact + 0.001) * 1.125 + 0.001, `${found} for ${exact}`);
  }));
});

Deno.test("each bound counts exactly the durations that are not above it", () => {
  fc.assert(fc.property(durations, (all) => {
    const histogram = new Histogram();
    for (const ms of all) histogram.record(ms);
    const wanted = powersOfTwo.map((bound) =>
      all.filter((ms) => Math.ceil(ms * 1000) <= bound).length
    );
    assert.deepEqual(histogram.cumulative(powersOfTwo), wanted);
    assert.equal(histogram.count, all.length);
    assert.ok(Math.abs(histogram.sumMs - all.reduce((sum, ms) => sum + ms, 0)) < 1e-6);
  }));
});

Deno.test("a duration on a bound is within it, and one just above is not", () => {
  const histogram = new Histogram();
  histogram.record(0.064);
  assert.deepEqual(histogram.cumulative([32, 64]), [0, 1]);
  histogram.record(0.0641);
  assert.deepEqual(histogram.cumulative([64, 128]), [1, 2]);
});

Deno.test("what is no duration is not counted, and what is too long is above every bound", () => {
  const histogram = new Histogram();
  for (const ms of [-1, NaN, Infinity]) histogram.record(ms);
  assert.equal(histogram.count, 0);
  assert.equal(histogram.quantileMs(0.5), undefined);
  histogram.record(1e9);
  assert.equal(histogram.count, 1);
  assert.deepEqual(histogram.cumulative([2 ** 25, 2 ** 26]), [0, 0]);
});

Deno.test("two histograms added up are the histogram of both, and a cleared one is empty", () => {
  const [one, other, both] = [new Histogram(), new Histogram(), new Histogram()];
  for (const ms of [0.1, 5, 70]) {
    one.record(ms);
    both.record(ms);
  }
  for (const ms of [0.2, 900]) {
    other.record(ms);
    both.record(ms);
  }
  one.add(other);
  assert.deepEqual(one.cumulative(powersOfTwo), both.cumulative(powersOfTwo));
  assert.equal(one.count, 5);
  one.clear();
  assert.equal(one.quantileMs(1), undefined);
});
