import assert from "node:assert/strict";
import { TurnClock } from "./turn_clock.ts";

Deno.test("the time stands still within a turn and moves on with the next", async () => {
  let readings = 0;
  let time = 10;
  const clock = new TurnClock({
    now: () => {
      readings++;
      return time;
    },
  });
  assert.equal(clock.now(), 10);
  time = 20;
  assert.equal(clock.now(), 10);
  assert.equal(readings, 1);
  await Promise.resolve();
  assert.equal(clock.now(), 20);
  assert.equal(readings, 2);
});
