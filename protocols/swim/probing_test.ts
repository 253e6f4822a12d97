import assert from "node:assert/strict";
import { ack, alive, Bench, carry, hostOf, indirect, nack, ping, verdict } from "./testing.ts";
import type { SwimMember } from "./types.ts";

Deno.test("a probe that is answered in time suspects nobody, and its time is told", () => {
  const heard: [SwimMember["name"], number][] = [];
  const bench = new Bench({}, {}, {
    pingComplete: (member, rttMs) => void heard.push([member.name, rttMs]),
  });
  bench.meet("b");
  const { sequence, to } = bench.until("ping");
  assert.equal(to, "10.0.0.2:7946");
  bench.nowMs += 30;
  bench.hear(ack(sequence), 2);
  assert.deepEqual(heard, [["b", 30]]);
  bench.run(900);
  assert.equal(bench.state("b"), "alive");
  assert.equal(bench.machine.counters.ackCount, 1);
});

Deno.test("without an ack in time, others are asked and a stream is tried; then the member is suspect", () => {
  const bench = new Bench();
  bench.meet("b", "c", "d", "e");
  const { node } = bench.until("ping");
  const began = bench.nowMs;
  bench.run(499);
  assert.equal(bench.sent("indirectPing").length, 0);
  bench.run(1);
  assert.equal(bench.sent("indirectPing").length, 3);
  assert.ok(bench.sent("indirectPing").every((it) => it.node === node && it.nack === true));
  assert.deepEqual(bench.streams.map(({ kind, to }) => [kind, to]), [
    ["ping", `10.0.0.${hostOf(node)}:7946`],
  ]);
  assert.equal(bench.streams[0]!.deadlineMs, began + 1000);
  assert.equal(bench.state(String(node)), "alive");
  bench.run(500);
  assert.equal(bench.state(String(node)), "suspect");
  assert.ok(bench.told.includes(`suspected ${node}`));
});

Deno.test("an ack through one of those asked saves the member", () => {
  const bench = new Bench();
  bench.meet("b", "c", "d", "e");
  const { node, sequence } = bench.until("ping");
  bench.until("indirectPing");
  const helper = ["b", "c", "d", "e"].find((name) => name !== node)!;
  bench.hear(ack(sequence), hostOf(helper));
  bench.run(520);
  assert.equal(bench.state(String(node)), "alive");
});

Deno.test("an ack from elsewhere, or with another number, saves nobody", () => {
  const bench = new Bench();
  bench.meet("b");
  const { sequence } = bench.until("ping");
  bench.hear(ack(sequence), 66);
  bench.hear(ack((sequence as number) ^ 1), 2);
  assert.equal(bench.machine.counters.unmatchedAcks, 2);
  bench.run(1000);
  assert.equal(bench.state("b"), "suspect");
});

Deno.test("with translated addresses the number alone is asked for, if so configured", () => {
  const bench = new Bench({ checkAckSource: false });
  bench.meet("b");
  const { sequence } = bench.until("ping");
  bench.hear(ack(sequence), 66);
  assert.equal(bench.machine.counters.ackCount, 1);
});

Deno.test("an answer over the stream saves a member that no packet reaches", () => {
  const bench = new Bench();
  bench.meet("b");
  const other = new Bench({}, {
    self: { name: "b", ip: Uint8Array.of(10, 0, 0, 2), port: 7946 },
  });
  bench.until("ping");
  bench.run(500);
  const [stream] = bench.streams;
  carry(stream!, other);
  assert.ok(stream!.done);
  bench.run(500);
  assert.equal(bench.state("b"), "alive");
  assert.equal(bench.machine.counters.failedPingCount, 0);
});

Deno.test("each member is probed once in each round, in a random order", () => {
  const bench = new Bench({ pushPullIntervalMs: 0 });
  const names = ["b", "c", "d", "e", "f", "g", "h"];
  bench.meet(...names);
  const rounds: string[] = [];
  for (let round = 0; round < 6; round++) {
    const probed: string[] = [];
    for (let i = 0; i < names.length; i++) {
      const { node, sequence } = bench.until("ping");
      bench.hear(ack(sequence), hostOf(node));
      probed.push(String(node));
    }
    assert.deepEqual([...probed].sort(), names, `round ${round}`);
    rounds.push(probed.join(""));
  }
  assert.ok(new Set(rounds).size > 1, "the order varies");
});

Deno.test("a suspect is told so together with its ping", () => {
  const bench = new Bench();
  bench.meet("b");
  bench.hear(verdict("suspect", "b", "c"));
  bench.quiet();
  bench.until("ping");
  assert.deepEqual(bench.packets.at(-1)!.messages.map(({ type }) => type), ["ping", "suspect"]);
});

Deno.test("a stranger's ping gets a bare ack that is not larger, a member's carries rumours", () => {
  const bench = new Bench({}, {}, { ackPayload: () => new Uint8Array(100) });
  bench.meet("b");
  bench.hear(alive("c", 3, 1, "news"));
  bench.packets.length = bench.raw.length = 0;
  const asked = ping("self");
  bench.hear(asked, 77);
  assert.deepEqual(bench.packets[0]!.messages.map(({ type }) => type), ["ack"]);
  assert.equal(bench.packets[0]!.to, "10.0.0.77:7946");
  assert.ok(bench.raw[0]!.length <= asked.length);
  bench.hear(asked, 2);
  assert.ok(bench.packets[1]!.messages.length > 1);
});

Deno.test("a ping that names a member as its source is answered there", () => {
  const bench = new Bench();
  bench.meet("b");
  bench.hear(ping("self", 5, 2), 200);
  assert.equal(bench.packets[0]!.to, "10.0.0.2:7946");
});

Deno.test("a ping for somebody else is not answered", () => {
  const bench = new Bench();
  bench.meet("b");
  bench.hear(ping("someone"), 2);
  assert.equal(bench.packets.length, 0);
  assert.equal(bench.machine.counters.strangers, 1);
});

Deno.test("acks to strangers are bounded by a rate", () => {
  const bench = new Bench({ maxFavoursPerSecond: 10 });
  for (let i = 0; i < 100; i++) bench.hear(ping("self"), 77);
  assert.equal(bench.packets.length, 10);
  assert.equal(bench.machine.counters.limited, 90);
  bench.nowMs += 500;
  for (let i = 0; i < 100; i++) bench.hear(ping("self"), 77);
  assert.equal(bench.packets.length, 15);
});

Deno.test("an indirect ping is made between members, and its ack passed back", () => {
  const bench = new Bench();
  bench.meet("b", "c");
  bench.hear(indirect("c", 3), 2);
  const [first] = bench.packets;
  assert.equal(first!.to, "10.0.0.3:7946");
  assert.equal(first!.messages[0]!.type, "ping");
  bench.hear(ack(first!.messages[0]!.sequence), 3);
  assert.equal(bench.packets[1]!.to, "10.0.0.2:7946");
  assert.deepEqual(bench.packets[1]!.messages[0], { type: "ack", sequence: 77 });
});

Deno.test("if nobody answers an indirect ping, a nack says so before the asker's verdict, if one was wanted", () => {
  const bench = new Bench();
  bench.meet("b", "c");
  bench.hear(indirect("c", 3), 2);
  bench.hear(indirect("c", 3, 9, false), 2);
  bench.run(399);
  assert.deepEqual(bench.sent("nack"), []);
  bench.run(1);
  assert.deepEqual(bench.sent("nack"), [{ type: "nack", sequence: 77 }]);
  bench.hear(ack(bench.sent("ping")[0]!.sequence), 3);
  assert.deepEqual(bench.sent("ack"), [{ type: "ack", sequence: 77 }], "better late than never");
  bench.run(600);
  assert.equal(bench.sent("nack").length, 1);
});

Deno.test("an indirect ping that is answered makes no nack", () => {
  const bench = new Bench();
  bench.meet("b", "c");
  bench.hear(indirect("c", 3), 2);
  bench.hear(ack(bench.sent("ping")[0]!.sequence), 3);
  bench.run(600);
  assert.deepEqual(bench.sent("nack"), []);
});

Deno.test("indirect pings of strangers, and to strangers, are refused and counted", () => {
  const bench = new Bench();
  bench.meet("b", "c");
  bench.hear(indirect("c", 3), 77);
  bench.hear(indirect("stranger", 99), 2);
  bench.hear(indirect("self", 1), 2);
  bench.hear(indirect("c", 99), 2);
  // The last names a member: it is pinged where we know it to be.
  assert.deepEqual(bench.packets.map(({ to }) => to), ["10.0.0.3:7946"]);
  assert.equal(bench.machine.counters.strangers, 3);
});

Deno.test("missing nacks lower local health, and a longer period follows", () => {
  const bench = new Bench({ streamFallback: false });
  bench.meet("b", "c", "d", "e");
  const { node, sequence } = bench.until("ping");
  bench.until("indirectPing");
  const helpers = bench.packets.filter(({ messages }) => messages[0]!.type === "indirectPing");
  bench.hear(nack(sequence), Number(helpers[0]!.to.split(/[.:]/)[3]));
  bench.hear(nack(sequence), Number(helpers[0]!.to.split(/[.:]/)[3]));
  bench.hear(nack(sequence), 66);
  bench.run(510);
  assert.equal(bench.state(String(node)), "suspect");
  assert.equal(bench.machine.healthScore, 2, "three asked, one nack that counts");
});

Deno.test("a stretched period gives the probe more time", () => {
  const bench = new Bench({ streamFallback: false });
  bench.meet("b");
  bench.machine.noteLag(600, bench.nowMs);
  bench.machine.noteLag(600, bench.nowMs);
  assert.equal(bench.machine.healthScore, 2, "once a period");
  bench.until("ping");
  const began = bench.nowMs;
  while (bench.state("b") === "alive") bench.run(10);
  assert.ok(Math.abs(bench.nowMs - began - 3000) <= 10);
});

Deno.test("time that this process stood still counts against nobody", () => {
  const bench = new Bench();
  bench.meet("b", "c", "d", "e", "f");
  bench.hear(verdict("suspect", "c", "d"));
  const { node } = bench.until("ping");
  bench.nowMs += 60_000;
  bench.machine.handleTimer(bench.nowMs);
  assert.equal(bench.state("c"), "suspect");
  assert.equal(bench.state(String(node)), node === "c" ? "suspect" : "alive");
  assert.equal(bench.machine.counters.pauses, 1);
  assert.equal(bench.machine.healthScore, 1);
  assert.equal(bench.machine.counters.failedPingCount, 0);
  assert.deepEqual(bench.sent("ping").map((it) => it.node), [node, node], "it begins anew");
  assert.ok(bench.streams.some(({ kind }) => kind === "push_pull"), "it asks what it missed");
  bench.run(5100);
  assert.equal(bench.state("c"), "dead", "the suspicion goes on afterwards");
});

Deno.test("a packet that wakes a paused process is not mistaken for its time", () => {
  const bench = new Bench();
  bench.meet("b", "c");
  bench.hear(verdict("suspect", "b", "c"));
  bench.nowMs += 60_000;
  bench.hear(alive("b", 2, 2));
  assert.equal(bench.state("b"), "alive");
  assert.ok(!bench.told.includes("failed b"));
});

Deno.test("a single ping on command tells its time, or that nobody answered", () => {
  const bench = new Bench();
  bench.meet("b");
  assert.equal(bench.machine.ping("b", bench.nowMs), true);
  assert.equal(bench.machine.ping("nobody", bench.nowMs), false);
  const { sequence } = bench.sent("ping")[0]!;
  bench.nowMs += 12;
  bench.hear(ack(sequence), 2);
  assert.deepEqual(bench.events.at(-1), { type: "pinged", name: "b", rttMs: 12 });
  bench.machine.ping("b", bench.nowMs);
  bench.run(500);
  assert.ok(bench.events.some((event) => event.type === "pinged" && event.rttMs === undefined));
});

Deno.test("another detector's suspicion is taken as our own", () => {
  const bench = new Bench();
  bench.meet("b");
  assert.equal(bench.machine.suspect("b", bench.nowMs), true);
  assert.equal(bench.machine.suspect("b", bench.nowMs), false);
  assert.equal(bench.state("b"), "suspect");
});

Deno.test("a period is not stretched where most of those asked tell in time that they do not reach it either", () => {
  for (const [nacks, periods] of [[1, 3], [2, 1]] as const) {
    const bench = new Bench({ streamFallback: false });
    bench.meet("b", "c", "d", "e");
    bench.machine.noteLag(600, bench.nowMs);
    assert.equal(bench.machine.healthScore, 2);
    const { node, sequence } = bench.until("ping");
    const began = bench.nowMs;
    bench.until("indirectPing");
    const helpers = bench.packets.filter(({ messages }) => messages[0]!.type === "indirectPing");
    for (const { to } of helpers.slice(0, nacks)) {
      bench.hear(nack(sequence), Number(to.split(/[.:]/)[3]));
    }
    while (bench.state(String(node)) === "alive") bench.run(10);
    assert.ok(Math.abs(bench.nowMs - began - periods * 1000) <= 10, `${bench.nowMs - began}`);
  }
});
