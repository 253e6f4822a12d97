import assert from "node:assert/strict";
import { ack, alive, Bench, verdict } from "./testing.ts";

Deno.test("who is said to be alive joins, and the word is passed on", () => {
  const bench = new Bench();
  bench.hear(alive("b", 2, 1, "tags"));
  assert.deepEqual(bench.told, ["joined b"]);
  assert.equal(bench.machine.member("b")?.address, "10.0.0.2:7946");
  assert.equal(bench.machine.liveCount, 2);
  bench.run(1000);
  assert.ok(bench.sent("alive").some(({ node, meta }) => node === "b" && meta === "tags"));
});

Deno.test("an echo changes nothing and is not passed on", () => {
  const bench = new Bench();
  bench.meet("b");
  bench.hear(alive("b", 2));
  assert.equal(bench.machine.queued, 0);
  assert.deepEqual(bench.told, []);
});

Deno.test("new metadata at a higher incarnation is an update", () => {
  const bench = new Bench();
  bench.meet("b");
  bench.hear(alive("b", 2, 2, "new"));
  assert.deepEqual(bench.told, ["updated b"]);
  assert.equal(bench.machine.member("b")?.incarnation, 2);
});

Deno.test("a suspicion that nobody confirms lasts its longest time, then the member is dead", () => {
  const bench = new Bench();
  bench.meet("b", "c", "d", "e", "f");
  bench.hear(verdict("suspect", "b", "c"));
  assert.equal(bench.state("b"), "suspect");
  const began = bench.nowMs;
  while (bench.state("b") === "suspect") bench.run(10);
  assert.ok(Math.abs(bench.nowMs - began - 5000) <= 10, `${bench.nowMs - began}`);
  assert.ok(bench.told.includes("failed b"));
  bench.run(200);
  assert.ok(bench.sent("dead").some(({ node, from }) => node === "b" && from === "self"));
});

Deno.test("independent confirmations shorten a suspicion by the logarithm of their number", () => {
  // Six members: shortest 4 * log10(6) periods, longest 5 s; k = 3.
  const shortest = Math.floor(4000 * Math.log10(6));
  const expected = [0, 1, 2, 3].map((n) =>
    Math.max(shortest, Math.floor(5000 - (Math.log(n + 1) / Math.log(4)) * (5000 - shortest)))
  );
  for (const confirmations of [0, 1, 2, 3]) {
    // Nobody else is heard in this test.
    const bench = new Bench({ deafPeriods: 0 });
    bench.meet("b", "c", "d", "e", "f");
    const began = bench.nowMs;
    for (const from of ["c", "d", "e", "f"].slice(0, confirmations + 1)) {
      bench.hear(verdict("suspect", "b", from));
    }
    while (bench.state("b") === "suspect") bench.run(1);
    const lasted = bench.nowMs - began;
    assert.ok(Math.abs(lasted - expected[confirmations]!) <= 1, `${confirmations}: ${lasted}`);
  }
});

Deno.test("only the first of each source counts, no stranger, and never the accused", () => {
  const bench = new Bench();
  bench.meet("b", "c", "d", "e", "f");
  const began = bench.nowMs;
  for (const from of ["c", "c", "stranger", "b", "c"]) bench.hear(verdict("suspect", "b", from));
  while (bench.state("b") === "suspect") bench.run(10);
  assert.ok(bench.nowMs - began > 4980);
});

Deno.test("a confirmation that is news is passed on with its own source", () => {
  const bench = new Bench();
  bench.meet("b", "c", "d", "e", "f");
  bench.hear(verdict("suspect", "b", "c"));
  bench.quiet();
  bench.hear(verdict("suspect", "b", "d"));
  bench.run(400);
  assert.ok(bench.sent("suspect").some(({ from }) => from === "d"));
});

Deno.test("the word of a suspect at a higher incarnation clears it", () => {
  const bench = new Bench();
  bench.meet("b");
  bench.hear(verdict("suspect", "b", "c"));
  bench.hear(alive("b", 2, 1));
  assert.equal(bench.state("b"), "suspect", "the same incarnation is no refutation");
  bench.hear(alive("b", 2, 2));
  assert.deepEqual(bench.told, ["suspected b", "recovered b"]);
  const { sequence } = bench.until("ping");
  bench.hear(ack(sequence), 2);
  bench.run(30);
  assert.equal(bench.state("b"), "alive");
});

Deno.test("whoever says that we are suspect or dead is refuted above the accusation", () => {
  for (const type of ["suspect", "dead"] as const) {
    const bench = new Bench();
    bench.meet("b");
    bench.hear(verdict(type, "self", "b", 6));
    assert.equal(bench.machine.self.incarnation, 7);
    assert.equal(bench.machine.self.state, "alive");
    assert.equal(bench.machine.healthScore, 1);
    assert.deepEqual(
      bench.events.filter(({ type }) => type === "incarnation"),
      [{ type: "incarnation", incarnation: 7, refuting: true }],
    );
    bench.run(500);
    assert.ok(bench.sent("alive").some((it) => it.node === "self" && it.incarnation === 7));
  }
});

Deno.test("an incarnation that jumps by more than 2^16 is refused and counted, of others and of us", () => {
  const bench = new Bench();
  bench.meet("b");
  bench.hear(alive("b", 2, 0xffffffff));
  bench.hear(verdict("suspect", "b", "c", 0x10002));
  bench.hear(verdict("dead", "b", "c", 0xfffffff0));
  bench.hear(verdict("suspect", "self", "b", 0xffffffff));
  assert.equal(bench.machine.counters.incarnationJumps, 4);
  assert.equal(bench.state("b"), "alive");
  assert.equal(bench.machine.self.incarnation, 1);
  bench.hear(alive("b", 2, 0x10001));
  assert.equal(bench.machine.member("b")?.incarnation, 0x10001);
});

Deno.test("who leaves has left, which is not failed", () => {
  const bench = new Bench();
  bench.meet("b", "c");
  bench.hear(verdict("dead", "b", "b"));
  bench.hear(verdict("dead", "c", "b"));
  assert.deepEqual(bench.told, ["left b", "failed c"]);
  assert.equal(bench.machine.liveCount, 1);
});

Deno.test("the word that one left may follow the word that it is dead, not the other way round", () => {
  const bench = new Bench();
  bench.meet("b", "c");
  bench.hear(verdict("dead", "b", "c"));
  bench.hear(verdict("dead", "b", "b"));
  bench.hear(verdict("dead", "c", "c"));
  bench.hear(verdict("dead", "c", "b"));
  assert.deepEqual([bench.state("b"), bench.state("c")], ["left", "left"]);
  assert.deepEqual(bench.told, ["failed b", "left b", "left c"]);
});

Deno.test("a dead member's name cannot move unless configured, a left one's can", () => {
  const bench = new Bench();
  bench.meet("b", "c");
  bench.hear(verdict("dead", "b", "c"));
  bench.hear(verdict("dead", "c", "c"));
  bench.hear(alive("b", 50, 9));
  bench.hear(alive("c", 51, 1));
  assert.deepEqual([bench.state("b"), bench.state("c")], ["dead", "alive"]);
  assert.equal(bench.machine.member("c")?.address, "10.0.0.51:7946");
  assert.deepEqual(bench.told.slice(2), ["conflict b", "joined c"]);
  const patient = new Bench({ deadNodeReclaimMs: 3000 });
  patient.meet("b");
  patient.hear(verdict("dead", "b", "x"));
  patient.run(2000);
  patient.hear(alive("b", 50, 9));
  assert.equal(patient.state("b"), "dead");
  patient.run(1500);
  patient.hear(alive("b", 50, 9));
  assert.equal(patient.state("b"), "alive");
});

Deno.test("a name at two addresses is a conflict, our own included, and changes nothing", () => {
  const bench = new Bench();
  bench.meet("b");
  bench.hear(alive("b", 50, 5));
  bench.hear(alive("self", 51, 5));
  assert.deepEqual(bench.told, ["conflict b", "conflict self"]);
  assert.equal(bench.machine.member("b")?.address, "10.0.0.2:7946");
  assert.equal(bench.machine.self.incarnation, 1);
});

Deno.test("somebody with our name, address and other contents is refuted: we started anew", () => {
  const bench = new Bench();
  bench.hear(alive("self", 1, 4, "old"));
  assert.equal(bench.machine.self.incarnation, 5);
});

Deno.test("contents that come after the suspicion about them are still taken", () => {
  const bench = new Bench();
  bench.meet("b");
  bench.hear(verdict("suspect", "b", "c", 2));
  bench.hear(alive("b", 2, 2, "new"));
  assert.equal(bench.state("b"), "suspect");
  assert.equal(new TextDecoder().decode(bench.machine.member("b")!.meta), "new");
});

Deno.test("the dead are forgotten after a while, and their names free", () => {
  const bench = new Bench({ gossipToTheDeadMs: 5000 });
  bench.meet("b", "c");
  bench.hear(verdict("dead", "b", "c"));
  for (let i = 0; i < 12; i++) {
    const { sequence } = bench.until("ping");
    bench.hear(ack(sequence), 3);
  }
  assert.equal(bench.state("b"), undefined);
  assert.ok(bench.told.includes("reaped b"));
  assert.equal(bench.machine.size, 2);
});

Deno.test("the recently dead are gossiped to, and those that left are not", () => {
  const bench = new Bench({ pushPullIntervalMs: 0, gossipNodes: 10 });
  bench.meet("b", "c", "d");
  bench.hear(verdict("dead", "b", "d"));
  bench.hear(verdict("dead", "c", "c"));
  bench.run(450);
  const told = new Set(bench.packets.map(({ to }) => to));
  assert.ok(told.has("10.0.0.2:7946"));
  assert.ok(!told.has("10.0.0.3:7946"));
});

Deno.test("a rumour is sent as often as the size of the cluster asks, and no more", () => {
  const bench = new Bench({ pushPullIntervalMs: 0, retransmitMult: 3 });
  bench.meet("b", "c", "d", "e", "f", "g", "h", "i", "j"); // Ten: ceil(log10(11)) = 2.
  bench.hear(alive("k", 11));
  bench.run(5000);
  assert.equal(bench.sent("alive").filter(({ node }) => node === "k").length, 3 * 2);
  assert.equal(bench.machine.queued, 0);
});

Deno.test("without news there is no gossip", () => {
  const bench = new Bench({ pushPullIntervalMs: 0 });
  bench.meet("b");
  for (let i = 0; i < 10; i++) {
    const { sequence } = bench.until("ping");
    bench.hear(ack(sequence), 2);
  }
  assert.ok(bench.packets.every(({ messages }) => messages[0]!.type === "ping"));
});

Deno.test("a full packet stays below its limit and the rest follows", () => {
  const bench = new Bench({ pushPullIntervalMs: 0, packetBytes: 1000 });
  bench.meet("b");
  for (let i = 0; i < 60; i++) bench.hear(alive(`member-${i}`, 100 + i, 1, "m".repeat(50)));
  bench.run(3000);
  assert.ok(bench.raw.every((bytes) => bytes.length <= 1000));
  assert.ok(bench.raw.some((bytes) => bytes.length > 850));
  assert.equal(new Set(bench.sent("alive").map(({ node }) => node)).size, 60);
});

Deno.test("an accusation from before our last word brings that word once more, and no new one", () => {
  for (const type of ["suspect", "dead"] as const) {
    const bench = new Bench();
    bench.meet("b");
    bench.hear(verdict(type, "self", "b"));
    bench.quiet();
    assert.equal(bench.machine.self.incarnation, 2);
    // Whoever says so has lost the refutation, perhaps every copy of it.
    bench.hear(verdict(type, "self", "b"));
    bench.hear(verdict(type, "self", "b"));
    bench.drain();
    const told = bench.sent("alive").map(({ node, incarnation }) => `${node} ${incarnation}`);
    assert.deepEqual(told, ["self 2"]);
    assert.deepEqual(bench.told, []);
  }
});

Deno.test("an accusation of another that is refuted brings the refutation once more", () => {
  const bench = new Bench();
  bench.meet("b", "c");
  bench.hear(alive("b", 2, 2));
  bench.quiet();
  bench.hear(verdict("suspect", "b", "c"));
  bench.hear(verdict("dead", "b", "c"));
  bench.drain();
  const told = bench.sent("alive").map(({ node, incarnation }) => `${node} ${incarnation}`);
  assert.deepEqual(told, ["b 2"]);
  bench.hear(alive("b", 2, 2));
  bench.quiet();
  bench.hear(alive("b", 2, 1));
  assert.equal(bench.machine.queued, 0, "an old word that accuses nobody brings nothing");
});
