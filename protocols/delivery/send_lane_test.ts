import assert from "node:assert/strict";
import { SendLane, type SendLaneOptions } from "./mod.ts";

/** A lane of texts, and what became of them. */
function laneOf(options: Partial<SendLaneOptions> = {}) {
  const log: string[] = [];
  const lane = new SendLane<string>({
    first: 10,
    retries: 3,
    maxMessages: 4,
    maxBytes: 100,
    minRetryMs: 200,
    maxRetryMs: 10_000,
    cautious: false,
    sentBefore: 10,
    random: () => 0,
    ...options,
  }, {
    acknowledged: (item) => void log.push(`+${item}`),
    gaveUp: (item, reason) => void log.push(`-${item} ${reason}`),
  });
  const sent = (nowMs: number): string[] => {
    const items: string[] = [];
    if (lane.announceDue && lane.size > 0) lane.announced(nowMs);
    for (let item = lane.poll(nowMs); item !== undefined; item = lane.poll(nowMs)) {
      items.push(`${item}@${lane.sequence}${lane.redelivered ? "!" : ""}`);
    }
    return items;
  };
  return { lane, log, sent };
}

Deno.test("a silent receiver gets a message four times, ever more seldom, and then it is given up", () => {
  const { lane, log, sent } = laneOf();
  lane.linked(0);
  lane.offer("a", 1);
  assert.deepEqual(sent(0), ["a@10"]);
  const times = [];
  for (let round = 0; round < 4; round++) {
    const due = lane.nextTimerMs!;
    times.push(due);
    lane.handleTimer(due - 1);
    assert.deepEqual(sent(due - 1), [], "nothing before its time");
    lane.handleTimer(due);
    assert.deepEqual(sent(due), round < 3 ? ["a@10!"] : []);
  }
  assert.deepEqual(times, [200, 600, 1400, 3000]);
  assert.deepEqual(log, ["-a retries"]);
  assert.equal(lane.base, 11);
  assert(lane.announceDue, "the receiver must be told to go on");
  assert.equal(lane.nextTimerMs, undefined);
});

Deno.test("the wait follows the round trip, that of messages sent once alone", () => {
  const { lane, sent } = laneOf();
  lane.linked(0);
  lane.offer("a", 1);
  sent(0);
  lane.handleAck(11, 100, true);
  assert.equal(lane.roundTripMs, 100);
  lane.offer("b", 1);
  sent(100);
  assert.equal(lane.nextTimerMs, 100 + 400);
  lane.handleTimer(500);
  sent(500);
  lane.handleAck(12, 5000, true);
  assert.equal(lane.roundTripMs, 100);
});

Deno.test("the window is bounded by messages and by bytes; a message larger than it goes alone", () => {
  const { lane } = laneOf();
  assert(lane.fits(1000));
  lane.offer("large", 1000);
  assert(!lane.fits(1));
  const { lane: many } = laneOf();
  for (const item of ["a", "b", "c"]) many.offer(item, 20);
  assert(!many.fits(41) && many.fits(40));
  many.offer("d", 20);
  assert(!many.fits(1));
  assert.equal(many.bytes, 80);
});

Deno.test("over a new link the receiver says what it has before anything is sent again", () => {
  const { lane, log, sent } = laneOf();
  lane.linked(0);
  for (const item of ["a", "b", "c"]) lane.offer(item, 1);
  assert.deepEqual(sent(0), ["a@10", "b@11", "c@12"]);
  lane.unlinked();
  assert.equal(lane.nextTimerMs, undefined, "without a link there is nothing to wait for");
  lane.linked(50);
  assert(lane.announceDue);
  assert.deepEqual(sent(50), []);
  lane.handleAck(11, 60, false);
  assert.deepEqual(sent(60), [], "what the old link says is no answer");
  lane.handleAck(12, 70, true);
  assert.deepEqual(sent(70), ["c@12!"]);
  assert.deepEqual(log, ["+a", "+b"]);
  // An answer that is lost is not waited for longer than any other.
  lane.linked(80);
  lane.handleTimer(lane.nextTimerMs!);
  assert.deepEqual(sent(1000), ["c@12!"]);
});

Deno.test("a cautious lane sends nothing at all before the answer, and believes no silence", () => {
  const { lane, sent } = laneOf({ cautious: true, retries: Infinity });
  lane.linked(0);
  lane.offer("a", 1);
  assert.deepEqual(sent(0), []);
  lane.handleTimer(lane.nextTimerMs!);
  assert(lane.announceDue, "it asks again");
  assert.deepEqual(sent(200), []);
  assert.equal(lane.handleAck(500, 300, true), false, "the receiver knows of more than was sent");
  assert.deepEqual(sent(300), []);
  assert(lane.handleAck(10, 300, true));
  assert.deepEqual(sent(300), ["a@10"]);
});

Deno.test("what no link takes is taken out and leaves no gap; what the link did not take stays", () => {
  const { lane, sent } = laneOf();
  lane.linked(0);
  for (const item of ["a", "b", "c"]) lane.offer(item, 10);
  assert.equal(lane.poll(0), "a");
  assert.equal(lane.poll(0), "b");
  assert(lane.unpoll(true));
  assert.equal(lane.bytes, 20);
  assert.equal(lane.poll(0), "c");
  assert.equal(lane.sequence, 11);
  assert(!lane.unpoll(false));
  assert.deepEqual(sent(0), ["c@11"]);
  assert.equal(lane.retransmitted, 0);
});

Deno.test("a message that was not sent yet can be withdrawn, one that was cannot", () => {
  const { lane, log, sent } = laneOf();
  lane.linked(0);
  lane.offer("a", 1);
  sent(0);
  lane.offer("b", 1);
  lane.offer("c", 1);
  assert(lane.withdraw("b"));
  assert(!lane.withdraw("a"));
  assert.deepEqual(sent(0), ["c@11"]);
  lane.handleAck(12, 1, true);
  assert.deepEqual(log, ["+a", "+c"]);
});

Deno.test("another start of the receiver is sent only what cannot have left for the earlier one", () => {
  const { lane, log, sent } = laneOf();
  lane.linked(0);
  lane.offer("a", 1);
  sent(0);
  lane.unlinked();
  lane.offer("b", 1);
  lane.restarted();
  lane.linked(10);
  assert.deepEqual(log, ["-a restarted"]);
  assert.equal(lane.base, 11);
  assert.deepEqual(sent(10), ["b@11"]);
});

Deno.test("while the receiver catches up, a bounded number is sent again at a time", () => {
  const { lane, sent } = laneOf({ maxMessages: 1000, maxBytes: 1e6 });
  lane.linked(0);
  for (let at = 0; at < 1000; at++) lane.offer(`${at}`, 1);
  assert.equal(sent(0).length, 1000);
  lane.handleTimer(lane.nextTimerMs!);
  assert.equal(sent(200).length, 256);
  lane.handleAck(10 + 256, 300, true);
  assert.equal(sent(300).length, 256);
  lane.handleAck(10 + 1000, 400, true);
  lane.offer("new", 1);
  assert.deepEqual(sent(400), ["new@1010"]);
  assert.equal(lane.retransmitted, 512);
});

Deno.test("what an earlier start of the sender had sent can be acknowledged before it is sent again", () => {
  const { lane, log, sent } = laneOf({ cautious: true, sentBefore: 12 });
  lane.linked(0);
  for (const item of ["a", "b", "c"]) lane.offer(item, 1);
  assert.equal(lane.handleAck(13, 1, true), false, "this start has not sent it");
  assert(lane.handleAck(12, 1, true));
  assert.deepEqual(log, ["+a", "+b"]);
  assert.deepEqual(sent(1), ["c@12"]);
});
