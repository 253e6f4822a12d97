import assert from "node:assert/strict";
import { alive, Bench, carry, verdict } from "./testing.ts";
import { encodeUtf8 } from "../utf8.ts";
import { swimPresets } from "./config.ts";
import { SwimMachine } from "./machine.ts";
import type { SwimMember, Versions } from "./types.ts";
import { writeAck, writeIndirectPing, writeNack, writePing } from "./wire/messages.ts";
import { MsgpackWriter } from "./wire/msgpack.ts";

function ack(sequence: unknown): Uint8Array {
  const writer = new MsgpackWriter();
  writeAck(writer, sequence as number);
  return writer.copy();
}

function nack(sequence: unknown): Uint8Array {
  const writer = new MsgpackWriter();
  writeNack(writer, sequence as number);
  return writer.copy();
}

function ping(node: string, sequence = 5, host = 0): Uint8Array {
  const writer = new MsgpackWriter();
  const source = { ip: Uint8Array.of(10, 0, 0, host), port: 7946, name: encodeUtf8("x") };
  writePing(writer, sequence, encodeUtf8(node), source);
  return writer.copy();
}

function indirect(node: string, target: number, source = 9, nack = true): Uint8Array {
  const writer = new MsgpackWriter();
  const from = { ip: Uint8Array.of(10, 0, 0, source), port: 7946, name: encodeUtf8("x") };
  const ip = Uint8Array.of(10, 0, 0, target);
  writeIndirectPing(writer, 77, encodeUtf8(node), ip, 7946, nack, from);
  return writer.copy();
}

/** The host of a member named by one letter from `b` on, as `meet` places it. */
const host = (name: unknown) => String(name).charCodeAt(0) - 96;

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
    ["ping", `10.0.0.${host(node)}:7946`],
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
  bench.hear(ack(sequence), host(helper));
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
      bench.hear(ack(sequence), host(node));
      probed.push(String(node));
    }
    assert.deepEqual([...probed].sort(), names, `round ${round}`);
    rounds.push(probed.join(""));
  }
  assert.ok(new Set(rounds).size > 1, "the order varies");
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
    const bench = new Bench();
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

Deno.test("a suspect is told so together with its ping", () => {
  const bench = new Bench();
  bench.meet("b");
  bench.hear(verdict("suspect", "b", "c"));
  bench.quiet();
  bench.until("ping");
  assert.deepEqual(bench.packets.at(-1)!.messages.map(({ type }) => type), ["ping", "suspect"]);
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

Deno.test("leaving is told to all, then said to be done; probing ends, pings are answered", () => {
  const bench = new Bench({ pushPullIntervalMs: 0 });
  bench.meet("b", "c");
  bench.machine.leave(bench.nowMs);
  assert.equal(bench.machine.status, "leaving");
  bench.run(5000);
  assert.equal(bench.machine.status, "left");
  assert.ok(bench.told.includes("leave_sent"));
  assert.ok(bench.sent("dead").every(({ node, from }) => node === "self" && from === "self"));
  assert.equal(bench.sent("ping").length, 0);
  bench.hear(verdict("dead", "self", "b", 1));
  assert.equal(bench.machine.self.state, "left", "no refutation any more");
  bench.hear(ping("self"), 2);
  assert.equal(bench.sent("ack").length, 1);
});

Deno.test("who is alone has left at once", () => {
  const bench = new Bench();
  bench.machine.leave(bench.nowMs);
  assert.equal(bench.machine.status, "left");
  assert.deepEqual(bench.told, ["leave_sent"]);
});

Deno.test("new metadata raises the incarnation and is spread; more than 512 bytes are refused", () => {
  const bench = new Bench();
  bench.meet("b");
  bench.machine.updateMeta(encodeUtf8("tags"), bench.nowMs);
  assert.equal(bench.machine.self.incarnation, 2);
  bench.run(400);
  assert.ok(bench.sent("alive").some(({ meta }) => meta === "tags"));
  assert.throws(
    () => bench.machine.updateMeta(new Uint8Array(513), bench.nowMs),
    /512 bytes, not 513/,
  );
  bench.hear(alive("c", 3, 1, "m".repeat(513)));
  assert.equal(bench.state("c"), undefined);
  assert.equal(bench.machine.counters.refused, 1);
});

Deno.test("members of other versions are refused, by rumour and in a join", () => {
  const versions: Versions = [1, 5, 2, 0, 0, 0];
  const bench = new Bench();
  bench.hear(alive("b", 2, 1, "", versions));
  assert.equal(bench.machine.size, 1);
  const plain = new Bench({}, {
    versions,
    self: { name: "plain", ip: Uint8Array.of(10, 0, 0, 2), port: 7946 },
  });
  plain.machine.join(["10.0.0.1:7946"], plain.nowMs);
  carry(plain.streams[0]!, bench);
  assert.equal(bench.machine.size, 1);
  const [synced] = plain.events.filter(({ type }) => type === "synced");
  assert.match(JSON.stringify(synced), /self speaks other versions: 1,5,2,2,5,5/);
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

Deno.test("if nobody answers an indirect ping, a nack says so, if one was wanted", () => {
  const bench = new Bench();
  bench.meet("b", "c");
  bench.hear(indirect("c", 3), 2);
  bench.hear(indirect("c", 3, 9, false), 2);
  bench.run(500);
  assert.deepEqual(bench.sent("nack"), [{ type: "nack", sequence: 77 }]);
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

Deno.test("a push/pull tells both sides everything; dead counts as suspect, left as left", () => {
  const user: [string, boolean][] = [];
  const left = new Bench({}, {}, {
    localState: (join) => encodeUtf8(`state ${join}`),
    mergeRemoteState: (bytes, join) => void user.push([new TextDecoder().decode(bytes), join]),
  });
  const right = new Bench({}, {
    self: { name: "right", ip: Uint8Array.of(10, 0, 0, 20), port: 7946 },
  });
  left.meet("b", "c", "d");
  left.hear(verdict("dead", "b", "c"));
  right.meet("b", "c", "d");
  right.hear(verdict("dead", "c", "c"));
  right.hear(alive("e", 5, 3, "new"));
  for (const piece of [Infinity, 10]) {
    left.machine.join(["10.0.0.20:7946"], left.nowMs);
    const served = carry(left.streams.at(-1)!, right, piece);
    assert.ok(served!.done);
  }
  assert.equal(left.state("right"), "alive");
  assert.equal(left.state("c"), "left");
  assert.equal(left.machine.member("e")?.incarnation, 3);
  assert.equal(right.state("b"), "suspect");
  assert.equal(right.state("self"), "alive");
  assert.deepEqual(left.events.filter(({ type }) => type === "synced").length, 2);
  assert.equal(left.machine.counters.syncs, 2);
  assert.deepEqual(user, []);
});

Deno.test("the layer above exchanges its state with a push/pull", () => {
  const got: string[] = [];
  const delegate = (name: string) => ({
    localState: () => encodeUtf8(`from ${name}`),
    mergeRemoteState: (bytes: Uint8Array, join: boolean) =>
      void got.push(`${name}: ${new TextDecoder().decode(bytes)} ${join}`),
  });
  const left = new Bench({}, {}, delegate("left"));
  const right = new Bench(
    {},
    { self: { name: "right", ip: Uint8Array.of(10, 0, 0, 20), port: 7946 } },
    delegate("right"),
  );
  left.machine.join(["10.0.0.20:7946"], left.nowMs);
  carry(left.streams[0]!, right);
  assert.deepEqual(got, ["right: from left true", "left: from right true"]);
});

Deno.test("a join that the layer above refuses changes nothing and says why", () => {
  const left = new Bench({}, {}, { notifyMerge: () => "another cluster" });
  const right = new Bench({}, {
    self: { name: "right", ip: Uint8Array.of(10, 0, 0, 20), port: 7946 },
  });
  left.machine.join(["10.0.0.20:7946"], left.nowMs);
  carry(left.streams[0]!, right);
  assert.equal(left.machine.size, 1);
  assert.deepEqual(left.events.at(-1), {
    type: "synced",
    address: "10.0.0.20:7946",
    join: true,
    error: "another cluster",
  });
});

Deno.test("user messages arrive by packet, by stream and with gossip", () => {
  const got: string[] = [];
  const bench = new Bench({}, {}, {
    notifyMsg: (bytes) => void got.push(new TextDecoder().decode(bytes)),
  });
  let waiting = [encodeUtf8("gossip")];
  const other = new Bench(
    {},
    { self: { name: "b", ip: Uint8Array.of(10, 0, 0, 2), port: 7946 } },
    {
      hasBroadcasts: () => waiting.length > 0,
      getBroadcasts: () => waiting.splice(0),
    },
  );
  other.hear(alive("self", 1));
  other.quiet();
  waiting = [encodeUtf8("gossip")];
  other.machine.wake(other.nowMs);
  other.run(200);
  assert.ok(other.machine.sendBestEffort("10.0.0.1:7946", encodeUtf8("packet"), other.nowMs));
  assert.ok(!other.machine.sendBestEffort("10.0.0.1:7946", new Uint8Array(1400), other.nowMs));
  for (const bytes of other.raw) bench.hear(bytes, 2);
  assert.ok(
    other.machine.sendReliable("10.0.0.1:7946", new Uint8Array(5000).fill(65), other.nowMs),
  );
  carry(other.streams.at(-1)!, bench);
  assert.deepEqual(got, ["gossip", "packet", "A".repeat(5000)]);
  assert.deepEqual(other.events.at(-1), { type: "sent", address: "10.0.0.1:7946" });
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

Deno.test("streams beyond the bound are not accepted, and those that end make room", () => {
  const bench = new Bench({ maxStreams: 2 });
  const first = bench.machine.accept("10.0.0.2:1", bench.nowMs)!;
  assert.ok(bench.machine.accept("10.0.0.2:2", bench.nowMs));
  assert.equal(bench.machine.accept("10.0.0.2:3", bench.nowMs), undefined);
  first.handleClosed("reset", bench.nowMs);
  first.handleClosed("reset", bench.nowMs);
  assert.ok(bench.machine.accept("10.0.0.2:4", bench.nowMs));
  assert.equal(bench.machine.accept("10.0.0.2:5", bench.nowMs), undefined);
});

Deno.test("members beyond the bound are refused", () => {
  const bench = new Bench({ maxMembers: 3 });
  for (let i = 2; i < 10; i++) bench.hear(alive(`m${i}`, i));
  assert.equal(bench.machine.size, 3);
  assert.equal(bench.machine.counters.refused, 6);
});

Deno.test("a machine that was stopped does nothing more", () => {
  const bench = new Bench();
  bench.meet("b");
  bench.machine.stop();
  assert.equal(bench.machine.nextTimerMs, undefined);
  bench.hear(ping("self"), 2);
  bench.machine.handleTimer(bench.nowMs + 10_000);
  bench.machine.join(["10.0.0.2:7946"], bench.nowMs);
  assert.equal(bench.packets.length + bench.streams.length, 0);
  assert.equal(bench.machine.accept("10.0.0.2:1", bench.nowMs), undefined);
});

Deno.test("options out of range are refused by name", () => {
  const make = (change: object) => () => new Bench({}, change);
  const ip = Uint8Array.of(10, 0, 0, 1);
  assert.throws(make({ self: { name: "", ip, port: 1 } }), /self.name must have 1 to 255 bytes/);
  assert.throws(make({ self: { name: "a", ip: new Uint8Array(5), port: 1 } }), /self.ip/);
  assert.throws(make({ self: { name: "a", ip, port: 0 } }), /self.port/);
  assert.throws(make({ self: { name: "a", ip, port: 1, meta: new Uint8Array(600) } }), /self.meta/);
  assert.throws(make({ incarnation: 0 }), /incarnation/);
  assert.throws(() => new Bench({ probeTimeoutMs: 1000 }), /probeTimeoutMs/);
  assert.throws(() => new Bench({ packetBytes: 100 }), /packetBytes/);
  for (const config of Object.values(swimPresets)) new Bench(config);
  assert.ok(SwimMachine);
});
