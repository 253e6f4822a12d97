import assert from "node:assert/strict";
import fc from "fast-check";
import { serfDefaults } from "./config.ts";
import { Members } from "./members.ts";
import { seeded, swimMember } from "./testing.ts";

const hour = 3_600_000;

function make(config: Partial<typeof serfDefaults> = {}) {
  const story: string[] = [];
  const members = new Members(
    "self",
    { ...serfDefaults, ...config },
    (type, { name, status }) => story.push(`${name} ${type} ${status}`),
  );
  const take = () => story.splice(0);
  return { members, take };
}

const leave = (node: string, time: number, prune = false) =>
  ({ kind: "leave", node, time, prune }) as const;
const join = (node: string, time: number) => ({ kind: "join", node, time, prune: false }) as const;

Deno.test("gone after a leave intent is left, gone without is failed", () => {
  const { members, take } = make();
  const a = swimMember("a", 2), b = swimMember("b", 3);
  members.handlePresent(a, 0);
  members.handlePresent(b, 0);
  assert.equal(members.handleIntent(leave("a", 5), true, 1), "news");
  assert.equal(members.get("a")!.status, "leaving");
  assert.equal(members.get("a")!.state, "alive");
  members.handleGone(a, false, 2);
  members.handleGone(b, false, 3);
  assert.deepEqual(take(), ["a joined alive", "b joined alive", "a left left", "b failed failed"]);
  assert.deepEqual([members.present, members.failed, members.left], [0, 1, 1]);
  assert.deepEqual(members.leftNames(), ["a"]);
});

Deno.test("a leave intent after the failure turns failed into left", () => {
  const { members, take } = make();
  const a = swimMember("a", 2);
  members.handlePresent(a, 0);
  members.handleGone(a, false, 1);
  assert.equal(members.handleIntent(leave("a", 5), true, 2), "news");
  assert.equal(members.handleIntent(leave("a", 5), true, 2), "old");
  assert.deepEqual(take(), ["a joined alive", "a failed failed", "a left left"]);
  assert.deepEqual([members.failed, members.left], [0, 1]);
});

Deno.test("who said itself to SWIM that it leaves has left, before and after its failure", () => {
  const { members, take } = make();
  const a = swimMember("a", 2), b = swimMember("b", 3);
  members.handlePresent(a, 0);
  members.handlePresent(b, 0);
  members.handleGone(a, true, 1);
  members.handleGone(b, false, 1);
  members.handleGone(b, true, 2);
  members.handleGone(b, true, 3);
  assert.deepEqual(take().slice(2), ["a left left", "b failed failed", "b left left"]);
});

Deno.test("an intent that comes before its member is kept, and the newest counts", () => {
  const { members, take } = make();
  assert.equal(members.handleIntent(join("a", 4), true, 0), "news");
  assert.equal(members.handleIntent(leave("a", 6), true, 0), "news");
  assert.equal(members.handleIntent(join("a", 5), true, 0), "old");
  const a = swimMember("a", 2);
  members.handlePresent(a, 1);
  assert.equal(members.get("a")!.status, "leaving");
  assert.equal(members.get("a")!.statusTime, 6);
  assert.equal(members.intents, 0);
  assert.equal(members.handleIntent(join("a", 7), true, 1), "news");
  assert.equal(members.get("a")!.status, "alive");
  assert.deepEqual(take(), ["a joined leaving"]);
});

Deno.test("intents about nobody are bounded and expire", () => {
  const { members } = make({ maxIntents: 3, intentTimeoutMs: 100 });
  for (let i = 0; i < 10; i++) members.handleIntent(join(`x${i}`, 5), true, i);
  assert.equal(members.intents, 3);
  // The oldest gave way: its intent is news again.
  assert.equal(members.handleIntent(join("x0", 5), true, 20), "news");
  assert.equal(members.handleIntent(join("x9", 5), true, 20), "old");
  members.reap(110);
  assert.equal(members.intents, 1);
});

Deno.test("a lie that this node leaves is to be refuted, unless it does leave", () => {
  const { members } = make();
  members.handlePresent(swimMember("self", 1), 0);
  assert.equal(members.handleIntent(leave("self", 3), true, 0), "refute");
  assert.equal(members.get("self")!.status, "alive");
  assert.equal(members.handleIntent(join("self", 4), true, 0), "news");
  assert.equal(members.handleIntent(leave("self", 3), true, 0), "old");
  assert.equal(members.handleIntent(leave("self", 5), false, 0), "news");
  assert.equal(members.get("self")!.status, "leaving");
});

Deno.test("a member that comes back is recovered after a failure and joined after a leave", () => {
  const { members, take } = make();
  const a = swimMember("a", 2), b = swimMember("b", 3);
  members.handlePresent(a, 0);
  members.handlePresent(b, 0);
  members.handleGone(a, false, 1);
  members.handleGone(b, true, 1);
  take();
  members.handlePresent({ ...a, address: "10.9.9.9:1" }, 2);
  members.handlePresent(b, 2);
  assert.deepEqual(take(), ["a recovered alive", "b joined alive"]);
  assert.equal(members.get("a")!.address, "10.9.9.9:1");
  assert.deepEqual([members.present, members.failed, members.left], [2, 0, 0]);
});

Deno.test("suspicion shows in the state and is told once each way", () => {
  const { members, take } = make();
  const a = swimMember("a", 2);
  members.handlePresent(a, 0);
  members.handleSuspicion(a, true, 1);
  members.handleSuspicion(a, true, 2);
  assert.equal(members.get("a")!.state, "suspect");
  assert.equal(members.get("a")!.status, "alive");
  members.handleSuspicion({ ...a, incarnation: 2 }, false, 3);
  assert.equal(members.get("a")!.incarnation, 2);
  assert.deepEqual(take(), ["a joined alive", "a suspected alive", "a recovered alive"]);
});

Deno.test("new tags are an update, the same ones are none", () => {
  const { members, take } = make();
  members.handlePresent(swimMember("a", 2, { tags: { role: "web" } }), 0);
  members.handlePresent(swimMember("a", 2, { tags: { role: "web" }, incarnation: 2 }), 0);
  members.handlePresent(swimMember("a", 2, { tags: { role: "db" }, incarnation: 3 }), 0);
  assert.equal(members.get("a")!.tags.role, "db");
  assert.deepEqual(take(), ["a joined alive", "a updated alive"]);
});

Deno.test("failed and left members are remembered for a day, and forgotten with a word", () => {
  const { members, take } = make();
  const a = swimMember("a", 2), b = swimMember("b", 3);
  members.handlePresent(a, 0);
  members.handlePresent(b, 0);
  members.handleGone(a, false, 0);
  members.handleGone(b, true, hour);
  take();
  members.reap(24 * hour);
  assert.deepEqual(take(), []);
  members.reap(24 * hour + 1);
  assert.deepEqual(take(), ["a reaped failed"]);
  members.reap(25 * hour + 1);
  assert.deepEqual(take(), ["b reaped left"]);
  assert.equal(members.size, 0);
});

Deno.test("pruning forgets at once who has left, and a leaving one as soon as it has", () => {
  const { members, take } = make();
  const a = swimMember("a", 2), b = swimMember("b", 3);
  members.handlePresent(a, 0);
  members.handlePresent(b, 0);
  members.handleGone(a, false, 0);
  members.handleIntent(leave("a", 2, true), true, 0);
  members.handleIntent(leave("b", 3, true), true, 0);
  assert.equal(members.get("b")!.status, "leaving");
  members.handleGone(b, false, 0);
  assert.deepEqual(take().slice(2), [
    "a failed failed",
    "a left left",
    "a reaped left",
    "b left left",
    "b reaped left",
  ]);
});

Deno.test("with too many members, who has been gone longest is forgotten first", () => {
  const { members, take } = make({ maxMembers: 3 });
  for (let i = 0; i < 3; i++) members.handlePresent(swimMember(`m${i}`, i + 2), i);
  members.handleGone(swimMember("m1", 3), false, 10);
  members.handleGone(swimMember("m0", 2), true, 11);
  take();
  members.handlePresent(swimMember("new", 9), 12);
  assert.deepEqual(take(), ["m1 reaped failed", "new joined alive"]);
  assert.equal(members.size, 3);
});

Deno.test("failed members are reached for by chance, about once each per interval and cluster", () => {
  const { members } = make();
  const random = seeded(5);
  for (let i = 0; i < 20; i++) members.handlePresent(swimMember(`m${i}`, i + 2), 0);
  for (let i = 0; i < 4; i++) members.handleGone(swimMember(`m${i}`, i + 2), false, 0);
  members.handleGone(swimMember("m9", 11), true, 0);
  const tried = new Map<string, number>();
  for (let i = 0; i < 15_000; i++) {
    const address = members.reconnect(random);
    if (address !== undefined) tried.set(address, (tried.get(address) ?? 0) + 1);
  }
  assert.deepEqual([...tried.keys()].sort(), [2, 3, 4, 5].map((n) => `10.0.0.${n}:7946`));
  // 15 present members: each of the four is tried by one of them in an interval.
  for (const count of tried.values()) assert.ok(Math.abs(count - 1000) < 150, String(count));
});

Deno.test("failed members that were forgotten are tried on, and dropped when they come", () => {
  const { members } = make({ maxLostAddresses: 2, reconnectTimeoutMs: 10 });
  for (let i = 0; i < 4; i++) members.handlePresent(swimMember(`m${i}`, i + 2), 0);
  for (let i = 0; i < 3; i++) members.handleGone(swimMember(`m${i}`, i + 2), false, i);
  members.reap(100);
  assert.equal(members.size, 1);
  const tried = () => {
    const random = seeded(1);
    const found = Array.from({ length: 100 }, () => members.reconnect(random));
    return [...new Set(found)].filter((it) => it !== undefined).sort();
  };
  assert.deepEqual(tried(), ["10.0.0.3:7946", "10.0.0.4:7946"]);
  members.handlePresent(swimMember("m1", 3), 101);
  assert.deepEqual(tried(), ["10.0.0.4:7946"]);
});

type Step =
  | { readonly kind: "join" | "leave"; readonly node: string; readonly time: number }
  | { readonly kind: "gone"; readonly node: string };

const node = fc.constantFrom("a", "b");
const intent = fc.record({
  kind: fc.constantFrom("join" as const, "leave" as const),
  node,
  time: fc.integer({ min: 1, max: 6 }),
});

/** All members as one observer sees them after steps in some order. */
function observe(steps: readonly Step[]): string[] {
  const { members } = make();
  for (const [name, number] of [["a", 2], ["b", 3]] as const) {
    members.handlePresent(swimMember(name, number), 0);
  }
  for (const step of steps) {
    if (step.kind === "gone") {
      members.handleGone(swimMember(step.node, step.node === "a" ? 2 : 3), false, 0);
    } else members.handleIntent({ ...step, prune: false }, true, 0);
  }
  return [...members.all()].map(({ name, status, statusTime }) =>
    `${name} ${status} ${statusTime}`
  );
}

Deno.test("whatever the order in which intents arrive, all see the same", () => {
  const orders = fc.array(intent, { maxLength: 12 }).chain((steps) =>
    fc.tuple(
      fc.shuffledSubarray(steps, { minLength: steps.length }),
      fc.shuffledSubarray(steps, { minLength: steps.length }),
    )
  );
  fc.assert(fc.property(orders, ([one, other]) => {
    assert.deepEqual(observe(one), observe(other));
  }));
});

Deno.test("whatever the order, a push/pull brings those together who differ about the gone", () => {
  const steps = fc.array(intent, { maxLength: 8 }).chain((intents) => {
    const all: Step[] = [...intents, { kind: "gone", node: "a" }];
    return fc.tuple(
      fc.shuffledSubarray(all, { minLength: all.length }),
      fc.shuffledSubarray(all, { minLength: all.length }),
    );
  });
  fc.assert(fc.property(steps, (orders) => {
    const observers = orders.map((order) => {
      const { members } = make();
      members.handlePresent(swimMember("a", 2), 0);
      members.handlePresent(swimMember("b", 3), 0);
      for (const step of order) {
        if (step.kind === "gone") members.handleGone(swimMember("a", 2), false, 0);
        else members.handleIntent({ ...step, prune: false }, true, 0);
      }
      return members;
    });
    // A round of push/pulls in each direction, as the machine applies them.
    for (const [from, to] of [[0, 1], [1, 0], [0, 1]] as const) {
      const times = observers[from]!.statusTimes();
      const left = new Set(observers[from]!.leftNames());
      for (const name of left) {
        observers[to]!.handleIntent(leave(name, times.get(name)! + 1), true, 0);
      }
      for (const [name, time] of times) {
        if (!left.has(name)) observers[to]!.handleIntent(join(name, time), true, 0);
      }
    }
    const [one, other] = observers.map((members) =>
      [...members.all()].map(({ name, status }) => `${name} ${status}`)
    );
    assert.deepEqual(one, other);
  }));
});
