import assert from "node:assert/strict";
import { ReceiveLane, Senders } from "./mod.ts";

Deno.test("a lane takes the next and nothing else, and says what is done", () => {
  const lane = new ReceiveLane(5);
  assert.deepEqual([4, 5, 6].map((it) => lane.judge(it)), ["seen", "next", "gap"]);
  lane.take();
  lane.take();
  assert.deepEqual([lane.expected, lane.done], [7, 5]);
  lane.finish();
  lane.forget();
  assert.deepEqual([lane.expected, lane.done], [6, 6], "what was not finished comes again");
  lane.finish();
  assert.equal(lane.done, 6, "nothing is done that was not taken");
  lane.announced(3);
  assert.equal(lane.expected, 6);
  lane.announced(9);
  assert.deepEqual([lane.expected, lane.done], [9, 9]);
});

Deno.test("an older start of a sender is not taken, a newer one and a new count begin anew", () => {
  const senders = new Senders(10, () => true);
  const first = senders.announced("a", 2, 1n, 0, 1)!;
  assert.equal(senders.announced("a", 1, 9n, 0, 1), undefined);
  assert.equal(senders.announced("a", 2, 1n, 3, 7), first, "another lane of the same count");
  assert.equal(first.lanes[3]!.expected, 7);
  const second = senders.announced("a", 2, 2n, 0, 4)!;
  assert(first.retired && !second.retired);
  assert.equal(second.lanes[0]!.expected, 4);
  assert.equal(second.lanes[3], undefined);
});

Deno.test("senders are bounded: the one heard of longest ago goes first, unless it can send now", () => {
  const linked = new Set(["0"]);
  const senders = new Senders(3, (id) => linked.has(id));
  const known = [0, 1, 2, 3, 4].map((it) => senders.announced(`${it}`, 1, 1n, 0, 1)!);
  assert.equal(senders.size, 3);
  assert.deepEqual(known.map(({ retired }) => retired), [false, true, true, false, false]);
  for (let at = 0; at < 100; at++) linked.add(`x${at}`);
  for (let at = 0; at < 100; at++) senders.announced(`x${at}`, 1, 1n, 0, 1);
  assert(senders.size <= 102, `${senders.size}`);
  linked.clear();
  for (let at = 0; at < 300; at++) senders.announced(`y${at}`, 1, 1n, 0, 1);
  assert(senders.size <= 102);
});
