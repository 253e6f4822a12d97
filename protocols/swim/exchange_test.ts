import assert from "node:assert/strict";
import { alive, Bench, carry, ping, verdict } from "./testing.ts";
import { encodeUtf8 } from "../utf8.ts";
import { swimPresets } from "./config.ts";
import type { Versions } from "./types.ts";

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
});
