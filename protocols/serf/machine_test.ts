import assert from "node:assert/strict";
import fc from "fast-check";
import captured from "./testdata/agent_0_9_4.json" with { type: "json" };
import { serfDefaults } from "./config.ts";
import { SerfMachine } from "./machine.ts";
import { Bench, FakeSwim, seeded, swimMember } from "./testing.ts";
import { SerfError, type SerfJoinReply } from "./types.ts";
import { decodeIntent, decodePushPull } from "./wire/decode.ts";
import {
  encodeIntent,
  encodePushPull,
  encodeUserEvent,
  maxMessageBytes,
  type PushPullMessage,
  serfMessage,
} from "./wire/messages.ts";
import { SerfWriter } from "./wire/pack.ts";

const writer = new SerfWriter();
const bytes = (text: string) => new TextEncoder().encode(text);
const event = (name: string, time: number, coalesce = false, payload = "x") =>
  encodeUserEvent(writer, { name, time, coalesce, payload: bytes(payload) });
const intent = (kind: "join" | "leave", node: string, time: number, prune = false) =>
  encodeIntent(writer, { kind, node, time, prune });
const state = (overrides: Partial<PushPullMessage>) =>
  encodePushPull(writer, {
    time: 1,
    statusTimes: new Map(),
    left: [],
    eventTime: 1,
    events: [],
    queryTime: 1,
    ...overrides,
  });
const a = swimMember("a", 2);
const b = swimMember("b", 3);

Deno.test("the machine starts with itself as a member, and refuses the wrong machine below", () => {
  const bench = new Bench({ tags: { role: "x" } });
  assert.deepEqual(bench.serf.members().map(({ name, status }) => [name, status]), [
    ["self", "alive"],
  ]);
  assert.equal(bench.serf.member("self")!.tags.role, "x");
  const other = new FakeSwim(swimMember("other", 1));
  const serf = new SerfMachine({ name: "self", random: Math.random }, { event() {} });
  assert.throws(() => serf.start(other, 0), /named "other", not "self"/);
  assert.equal(serf.nextTimerMs, undefined);
  assert.throws(
    () => new SerfMachine({ name: "", random: Math.random }, { event() {} }),
    /1 to 255 bytes/,
  );
  const config = { ...serfDefaults, eventBuffer: 0 };
  assert.throws(
    () => new SerfMachine({ name: "x", random: Math.random, config }, { event() {} }),
    /eventBuffer/,
  );
});

Deno.test("a rumour is sent four times the logarithm of the size, then no more", () => {
  const bench = new Bench({}, [a, b]);
  bench.serf.event("x", bytes("y"), 0);
  assert.equal(bench.serf.delegate.hasBroadcasts!(), true);
  let sent = 0;
  while (bench.serf.delegate.hasBroadcasts!()) sent += bench.rumours().length;
  assert.equal(sent, 4);
  assert.ok(bench.swim.wakes > 0);
});

Deno.test("intents go first, then queries, then events, as many as fit", () => {
  const bench = new Bench({}, [a]);
  bench.serf.event("x", new Uint8Array(100), 0);
  bench.serf.query({ name: "q" }, {}, 0);
  bench.serf.forceLeave("nobody", 0);
  assert.deepEqual(bench.rumours().map((rumour) => rumour[0]), [
    serfMessage.leave,
    serfMessage.query,
    serfMessage.userEvent,
  ]);
  const small = bench.serf.delegate.getBroadcasts!(2, 60);
  assert.deepEqual(small.map((rumour) => rumour[0]), [serfMessage.leave]);
});

Deno.test("a clock that jumps too far is refused with its message, by packet and by push/pull", () => {
  const bench = new Bench({}, [a]);
  bench.receive(event("forged", 2 ** 21));
  bench.receive(intent("leave", "a", 2 ** 40));
  bench.receive(intent("leave", "a", 2 ** 60));
  for (const clock of ["time", "eventTime", "queryTime"] as const) {
    const forged = state({ [clock]: 2 ** 41, statusTimes: new Map([["a", 3]]), left: ["a"] });
    bench.serf.delegate.mergeRemoteState!(forged, false, 0);
  }
  assert.equal(bench.serf.counters.clockJumps, 6);
  assert.deepEqual(bench.story(), []);
  assert.equal(bench.serf.member("a")!.status, "alive");
  assert.deepEqual(bench.serf.clocks, { member: 0, event: 0, query: 0 });
  assert.equal(bench.serf.queued, 0);
  // An old cluster may be far ahead of who joins it.
  bench.serf.delegate.mergeRemoteState!(state({ time: 2 ** 39 }), true, 0);
  assert.equal(bench.serf.clocks.member, 2 ** 39 - 1);
});

Deno.test("a push/pull brings clocks, status times, who left and events", () => {
  const bench = new Bench({}, [a, b]);
  bench.hear({ type: "failed", member: a, by: "b" });
  bench.told.length = 0;
  bench.serf.delegate.mergeRemoteState!(
    state({
      time: 20,
      statusTimes: new Map([["a", 5], ["b", 7], ["self", 2]]),
      left: ["a"],
      eventTime: 11,
      events: [{ time: 10, events: [{ name: "e", payload: bytes("p") }] }],
      queryTime: 31,
    }),
    false,
    0,
  );
  assert.deepEqual(bench.story(), ["a left", "event e"]);
  assert.equal(bench.serf.member("a")!.statusTime, 6);
  assert.equal(bench.serf.member("b")!.statusTime, 7);
  assert.deepEqual(bench.serf.clocks, { member: 19, event: 10, query: 30 });
  assert.equal(bench.serf.queued, 0);
  const own = decodePushPull(bench.serf.delegate.localState!(false), 10);
  assert.deepEqual([...own.statusTimes], [["self", 2], ["a", 6], ["b", 7]]);
  assert.deepEqual([own.time, own.eventTime, own.queryTime], [20, 11, 31]);
  assert.deepEqual(own.left, ["a"]);
  assert.equal(own.events[0]!.events[0]!.name, "e");
});

Deno.test("a push/pull that cannot be read changes nothing", () => {
  const bench = new Bench({}, [a]);
  const good = state({ time: 9, statusTimes: new Map([["a", 4]]), left: ["a"] });
  bench.serf.delegate.mergeRemoteState!(good.subarray(0, good.length - 1), false, 0);
  bench.serf.delegate.mergeRemoteState!(new Uint8Array(0), false, 0);
  bench.serf.delegate.mergeRemoteState!(Uint8Array.of(1, 0x80), false, 0);
  assert.equal(bench.serf.counters.malformed, 3);
  assert.equal(bench.serf.clocks.member, 0);
  assert.equal(bench.serf.member("a")!.status, "alive");
});

Deno.test("that this node left is refuted with a later join, told to everybody", () => {
  const bench = new Bench({}, [a]);
  bench.receive(intent("leave", "self", 5));
  assert.equal(bench.serf.counters.refutations, 1);
  const rumours = bench.rumours();
  assert.equal(rumours.length, 1);
  assert.deepEqual(decodeIntent(rumours[0]!, "join"), {
    kind: "join",
    time: 6,
    node: "self",
    prune: false,
  });
  assert.equal(bench.serf.member("self")!.status, "alive");
});

Deno.test("a join tells how many answered, and then says that this node is here", () => {
  const bench = new Bench();
  const replies: SerfJoinReply[] = [];
  bench.serf.join(["10.0.0.2:7946", "10.0.0.3:7946"], 0, { done: (it) => replies.push(it) });
  assert.deepEqual(bench.swim.joins, ["10.0.0.2:7946", "10.0.0.3:7946"]);
  bench.serf.delegate.mergeRemoteState!(
    state({ eventTime: 8, events: [{ time: 7, events: [{ name: "past", payload: bytes("") }] }] }),
    true,
    0,
  );
  bench.hear({ type: "synced", address: "10.0.0.2:7946", join: true });
  assert.equal(replies.length, 0);
  bench.hear({ type: "synced", address: "10.0.0.3:7946", join: true, error: "refused" });
  assert.deepEqual({ ...replies[0], errors: { ...replies[0]!.errors } }, {
    contacted: 1,
    errors: { "10.0.0.3:7946": "refused" },
  });
  assert.deepEqual(bench.story(), []); // The past is not told.
  assert.deepEqual(bench.rumours().map((rumour) => rumour[0]), [serfMessage.join]);
});

Deno.test("a join with replay tells events of the past, one that nobody answers times out", () => {
  const bench = new Bench();
  const replies: SerfJoinReply[] = [];
  const done = (it: SerfJoinReply) => void replies.push(it);
  bench.serf.join(["10.0.0.2:7946"], 0, { replay: true, done });
  bench.serf.delegate.mergeRemoteState!(
    state({ eventTime: 8, events: [{ time: 7, events: [{ name: "past", payload: bytes("") }] }] }),
    true,
    0,
  );
  assert.deepEqual(bench.story(), ["event past"]);
  bench.pass(serfDefaults.joinTimeoutMs);
  assert.equal(replies[0]!.contacted, 0);
  assert.equal(replies[0]!.errors["10.0.0.2:7946"], "timed out");
  bench.serf.join([], 0, { done });
  assert.equal(replies[1]!.contacted, 0);
  assert.deepEqual(bench.rumours(), []);
});

Deno.test("leaving says so, then lets SWIM say so, then lingers", () => {
  const bench = new Bench({}, [a]);
  bench.serf.leave(0);
  bench.serf.leave(0);
  assert.equal(bench.serf.status, "leaving");
  assert.equal(bench.serf.member("self")!.status, "leaving");
  bench.pass(100);
  assert.equal(bench.swim.left, 0);
  while (bench.serf.queued > 0) {
    assert.equal(decodeIntent(bench.rumours()[0]!, "leave").node, "self");
  }
  bench.pass(1);
  assert.equal(bench.swim.left, 1);
  bench.hear({ type: "leave_sent" });
  bench.pass(999);
  assert.equal(bench.serf.status, "leaving");
  bench.pass(1);
  assert.equal(bench.serf.status, "left");
  assert.deepEqual(bench.told.map((it) => it.type === "status" ? it.status : it.type), [
    "leaving",
    "left",
  ]);
  assert.throws(() => bench.serf.event("x", bytes(""), 0), /leaves or has left/);
  assert.throws(() => bench.serf.join(["x:1"], 0), SerfError);
});

Deno.test("leaving ends although nobody takes rumours, and at once when nobody is there", () => {
  const bench = new Bench({}, [a]);
  bench.serf.leave(0);
  bench.pass(11_000);
  assert.equal(bench.serf.status, "left");
  assert.equal(bench.nowMs, 11_000);
  const alone = new Bench();
  alone.serf.leave(0);
  alone.pass(0);
  assert.equal(alone.swim.left, 1);
});

Deno.test("forcing a failed member to leave is told to all, and beats what is known of it", () => {
  const bench = new Bench({}, [a]);
  bench.receive(intent("join", "a", 40));
  bench.hear({ type: "failed", member: a, by: "b" });
  bench.rumours();
  bench.told.length = 0;
  assert.equal(bench.serf.forceLeave("a", 0, true), true);
  assert.deepEqual(bench.story(), ["a left", "a reaped"]);
  const sent = bench.rumours().filter((it) => it[0] === serfMessage.leave);
  assert.deepEqual(decodeIntent(sent[0]!, "leave"), {
    kind: "leave",
    time: 41,
    node: "a",
    prune: true,
  });
  assert.equal(bench.serf.forceLeave("nobody", 0), false);
  assert.throws(() => bench.serf.forceLeave("self", 0), /call leave/);
  assert.throws(() => bench.serf.forceLeave("x".repeat(256), 0), /255 bytes/);
});

Deno.test("failed members are joined again, again and again", () => {
  const bench = new Bench({}, [a]);
  bench.hear({ type: "failed", member: a, by: "self" });
  bench.pass(serfDefaults.reconnectIntervalMs * 10);
  assert.equal(bench.swim.joins.length, 10);
  assert.equal(bench.swim.joins[0], a.address);
  assert.equal(bench.serf.counters.reconnects, 10);
});

Deno.test("new tags go to SWIM and are an update of this node", () => {
  const bench = new Bench();
  bench.serf.setTags({ zone: "1" }, 0);
  assert.deepEqual(bench.swim.self.meta, bench.serf.meta);
  assert.deepEqual(bench.story(), ["self updated"]);
  assert.equal(bench.serf.member("self")!.tags.zone, "1");
  assert.throws(() => bench.serf.setTags({ zone: "y".repeat(600) }, 0), RangeError);
  assert.equal(bench.serf.tags.zone, "1");
});

Deno.test("who is not admitted is refused with the reason, alone and in a merge", () => {
  const serf = new SerfMachine({ name: "self", random: seeded(1) }, {
    event() {},
    admit: ({ tags }, merge) => tags.cluster === "x" ? undefined : `wrong cluster ${merge}`,
  });
  const { notifyAlive, notifyMerge } = serf.delegate;
  const good = swimMember("a", 2, { tags: { cluster: "x" } });
  assert.equal(notifyAlive!.call(serf.delegate, good), undefined);
  assert.equal(notifyAlive!.call(serf.delegate, b), "wrong cluster false");
  assert.equal(notifyMerge!.call(serf.delegate, [good, b]), "wrong cluster true");
  assert.equal(notifyMerge!.call(serf.delegate, [good]), undefined);
});

Deno.test("answered probes give coordinates, and coordinates a distance", () => {
  const one = new Bench({ name: "one", random: seeded(1) }, [swimMember("two", 2)]);
  const two = new Bench({ name: "two", random: seeded(2) }, [swimMember("one", 1)]);
  assert.equal(one.serf.distanceMs("one", "two"), undefined);
  for (let i = 0; i < 200; i++) {
    one.serf.delegate.pingComplete!(
      swimMember("two", 2),
      30,
      two.serf.delegate.ackPayload!(),
      0,
    );
    two.serf.delegate.pingComplete!(
      swimMember("one", 1),
      30,
      one.serf.delegate.ackPayload!(),
      0,
    );
  }
  const distance = one.serf.distanceMs("one", "two")!;
  assert.ok(Math.abs(distance - 30) < 1, String(distance));
  assert.ok(one.serf.delegate.ackPayload!().length <= 512);
  one.serf.delegate.pingComplete!(swimMember("two", 2), 30, Uint8Array.of(9, 9), 0);
  one.serf.delegate.pingComplete!(swimMember("two", 2), -1, two.serf.delegate.ackPayload!(), 0);
  assert.equal(one.serf.counters.coordinatesRefused, 2);
  one.serf.delegate.pingComplete!(swimMember("who", 9), 30, two.serf.delegate.ackPayload!(), 0);
  assert.equal(one.serf.distanceMs("one", "who"), undefined);
  const off = new Bench({ config: { coordinates: false } });
  assert.equal(off.serf.delegate.ackPayload!().length, 0);
});

Deno.test("whatever arrives, the machine does not throw and holds no more than its bounds", () => {
  const vectors = captured.vectors.map(({ hex }) => Uint8Array.fromHex(hex));
  const change = fc.tuple(fc.nat(300), fc.nat(255));
  const message = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    fc.tuple(fc.constantFrom(...vectors), fc.array(change, { maxLength: 3 })).map(
      ([vector, changes]) => {
        const copy = vector.slice();
        for (const [at, value] of changes) copy[at % copy.length] = value;
        return copy;
      },
    ),
  );
  fc.assert(
    fc.property(fc.array(message, { maxLength: 60 }), (messages) => {
      const limits = { maxQueue: 8, maxIntents: 4, maxRemembered: 8 };
      const bench = new Bench({ config: limits }, [a, b]);
      for (const bytes of messages) {
        bench.receive(bytes);
        bench.serf.delegate.mergeRemoteState!(bytes, false, 0);
        bench.serf.delegate.pingComplete!(a, 1, bytes, 0);
        bench.pass(10);
      }
      assert.ok(bench.serf.queued <= 24);
      assert.equal(bench.serf.size, 3);
      const own = decodePushPull(bench.serf.delegate.localState!(false), 100);
      assert.ok(own.events.reduce((sum, { events }) => sum + events.length, 0) <= 8);
    }),
    { numRuns: 500 },
  );
  const bench = new Bench();
  bench.receive(new Uint8Array(maxMessageBytes + 1));
  bench.receive(new Uint8Array(0));
  bench.receive(Uint8Array.of(77));
  assert.equal(bench.serf.counters.malformed, 2);
  assert.equal(bench.serf.counters.unknown, 1);
});
