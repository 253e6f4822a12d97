import assert from "node:assert/strict";
import fc from "fast-check";
import { LamportClock, maxTime } from "./lamport.ts";

Deno.test("a clock is ahead of all that it has seen and never goes back", () => {
  fc.assert(fc.property(fc.array(fc.nat(1_000_000)), (times) => {
    const clock = new LamportClock();
    let highest = 0;
    for (const time of times) {
      const before = clock.time;
      clock.witness(time);
      highest = Math.max(highest, time);
      assert.ok(clock.time > highest && clock.time >= before);
    }
  }));
});

Deno.test("a tick gives the time that it was and moves on by one", () => {
  const clock = new LamportClock();
  assert.deepEqual([clock.tick(), clock.tick(), clock.time], [1, 2, 3]);
});

Deno.test("a time too far ahead is not believed, and the largest of all never", () => {
  const clock = new LamportClock(100);
  assert.equal(clock.admits(110, 10), true);
  assert.equal(clock.admits(111, 10), false);
  for (const forged of [maxTime, 2 ** 53, 2 ** 64, Infinity, NaN, -1]) {
    assert.equal(clock.admits(forged, Infinity), false, String(forged));
  }
});

Deno.test("at its end a clock stands still instead of losing count", () => {
  const clock = new LamportClock(maxTime - 1);
  clock.tick();
  clock.tick();
  assert.equal(clock.time, maxTime);
  clock.witness(maxTime);
  assert.equal(clock.time, maxTime);
});
