import assert from "node:assert/strict";
import { Bench, ping, verdict } from "./testing.ts";

/** Six members whose suspicions last 3112 ms, as all others confirm them, and 18,672 ms at most. */
function suspecting(config = {}): { bench: Bench; began: number } {
  const bench = new Bench({ smallMembers: 0, streamFallback: false, ...config });
  bench.meet("b", "c", "d", "e", "f");
  for (const from of ["c", "d", "e", "f"]) bench.hear(verdict("suspect", "b", from));
  return { bench, began: bench.nowMs };
}

/** When the suspect is dead, if somebody is heard at these times; in ms from the suspicion on. */
function deadAfter({ bench, began }: ReturnType<typeof suspecting>, heardMs: number[]): number {
  for (const ms of heardMs) {
    bench.run(began + ms - bench.nowMs);
    bench.hear(ping("self"), 3);
  }
  while (bench.state("b") === "suspect") bench.run(1);
  return bench.nowMs - began;
}

const about = (ms: number, expected: number) => assert.ok(Math.abs(ms - expected) <= 1, `${ms}`);

Deno.test("a member that hears others ends a suspicion when its time is up", () => {
  about(deadAfter(suspecting(), [1500, 3000]), 3112);
});

Deno.test("time in which nobody was heard counts against no suspect", () => {
  // Silent for 3 s, longer than two periods: the suspicion begins anew.
  about(deadAfter(suspecting(), [3000, 4500, 6000]), 3000 + 3112);
  // Silent from 500 ms to 3500 ms: the 500 before count.
  about(deadAfter(suspecting(), [500, 3500, 5000, 6000]), 3500 + 3112 - 500);
});

Deno.test("a refutation that comes after a silence comes in time", () => {
  const { bench } = suspecting();
  bench.run(15_000);
  assert.equal(bench.state("b"), "suspect");
  bench.hear(ping("self"), 3);
  bench.run(100);
  assert.equal(bench.state("b"), "suspect");
});

Deno.test("a silence as long as the longest suspicion is taken for what it looks like", () => {
  about(deadAfter(suspecting(), []), Math.floor(4000 * Math.log10(6)) * 6);
});

Deno.test("a rhythm of none turns the wait off, and so do too few others to tell something", () => {
  about(deadAfter(suspecting({ deafPeriods: 0 }), []), 3112);
  const bench = new Bench({ smallMembers: 0, streamFallback: false });
  bench.meet("b", "c", "d");
  bench.hear(verdict("suspect", "b", "c"));
  about(deadAfter({ bench, began: bench.nowMs }, []), Math.floor(4000 * Math.log10(4)));
});
