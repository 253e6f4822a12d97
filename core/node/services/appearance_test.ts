import assert from "node:assert/strict";
import { cluster, server } from "./work_fakes_test.ts";

Deno.test("whoever waits for a service hears of it at once, or at the end of the time", async () => {
  const { network, caller, nodes: [one] } = cluster(1);
  await using _network = network;
  const outcomes: string[] = [];
  const wait = (name: string, timeoutMs: number, signal?: AbortSignal) =>
    caller.layer.appears("work", { timeoutMs, ...(signal && { signal }) })
      .then((found) => outcomes.push(`${name} ${found}`));
  const abort = new AbortController();
  wait("short", 100);
  wait("aborted", 1000, abort.signal);
  wait("long", 1000);
  wait("none", 0);
  abort.abort();
  await network.clock.advance(150);
  assert.deepEqual(outcomes, ["none false", "aborted false", "short false"]);
  server(one);
  await network.settle();
  assert.deepEqual(outcomes.slice(3), ["long true"]);
  await wait("late", 1000);
  assert.equal(outcomes.at(-1), "late true");
});
