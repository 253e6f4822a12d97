import assert from "node:assert/strict";
import fc from "fast-check";
import { formatAddress, parseIp } from "./address.ts";
import { CardStore } from "./cards.ts";
import { swimPresets } from "./config.ts";
import {
  pushPullMs,
  retransmitLimit,
  suspicionMaxMs,
  suspicionMinMs,
  suspicionMs,
} from "./scaling.ts";
import { MemberTable } from "./table.ts";
import { seeded } from "./testing.ts";
import { TransmitQueue } from "./transmit_queue.ts";
import { stateOf } from "./verdicts.ts";
import { encodeUtf8 } from "../utf8.ts";

function hold(store: CardStore, name: string, incarnation = 1, meta = "") {
  const bytes = encodeUtf8(name);
  const ip = Uint8Array.of(10, 0, 0, 1);
  return store.hold(
    bytes,
    0,
    bytes.length,
    ip,
    7946,
    encodeUtf8(meta),
    [1, 5, 2, 2, 5, 5],
    incarnation,
  );
}

Deno.test("cards are shared, and gone with their last reference", () => {
  const store = new CardStore();
  const a = hold(store, "a");
  assert.equal(hold(store, "a").id, a.id);
  const newer = hold(store, "a", 2);
  assert.notEqual(newer.id, a.id);
  assert.equal(newer.nameId, a.nameId);
  assert.deepEqual([store.names, store.cards], [1, 2]);
  store.release(a.id);
  assert.equal(store.cards, 2);
  store.release(a.id);
  store.release(newer.id);
  assert.deepEqual([store.names, store.cards, store.findName("a")], [0, 0, -1]);
  assert.equal(store.atAddress("10.0.0.1:7946", () => true), undefined);
});

Deno.test("a store stays consistent whatever is held and released", () => {
  const random = seeded(3);
  const store = new CardStore();
  const held: number[] = [];
  for (let i = 0; i < 20_000; i++) {
    if (random() < 0.5 || held.length === 0) {
      const card = hold(store, `n${Math.floor(random() * 300)}`, Math.floor(random() * 3));
      assert.equal(store.find(encodeUtf8(card.name), 0, card.name.length), card.nameId);
      assert.equal(store.card(card.id), card);
      held.push(card.id);
    } else store.release(held.splice(Math.floor(random() * held.length), 1)[0]!);
  }
  assert.equal(store.cards, new Set(held).size);
  assert.ok(store.nameLimit <= 300, "numbers are used again");
  for (const id of held) store.release(id);
  assert.deepEqual([store.names, store.cards], [0, 0]);
});

Deno.test("a round visits every member once, at any size", () => {
  for (const size of [1, 2, 3, 5, 16, 17, 100, 1000]) {
    const store = new CardStore();
    const table = new MemberTable(store, seeded(size), 1);
    for (let i = 0; i < size; i++) table.add(hold(store, `n${i}`));
    let rounds = 0;
    for (let round = 0; round < 3; round++) {
      const seen = new Set<number>();
      for (let i = 0; i < size; i++) seen.add(table.next(() => true, () => rounds++));
      assert.equal(seen.size, size);
    }
    assert.equal(rounds, 3);
    assert.equal(table.next(() => false, () => {}), -1);
  }
});

Deno.test("the place in a round is fair: each member comes first about equally often", () => {
  const store = new CardStore();
  const size = 20;
  const table = new MemberTable(store, seeded(9), 1);
  for (let i = 0; i < size; i++) table.add(hold(store, `n${i}`));
  const first = new Array<number>(size).fill(0);
  const followed = new Set<string>();
  for (let round = 0; round < 4000; round++) {
    let before = -1;
    for (let i = 0; i < size; i++) {
      const id = table.next(() => true, () => {});
      if (i === 0) first[id]!++;
      else if (i === 1) followed.add(`${before} ${id}`);
      before = id;
    }
  }
  // 200 expected each; six standard deviations.
  assert.ok(first.every((count) => count > 115 && count < 285), first.join());
  assert.ok(followed.size > 370, `${followed.size} of 380 pairs`);
});

Deno.test("picks are different, wanted, and found even where few are", () => {
  const store = new CardStore();
  const table = new MemberTable(store, seeded(4), 1);
  for (let i = 0; i < 1000; i++) table.add(hold(store, `n${i}`));
  const into: number[] = [];
  const wanted = (id: number) => id === 7 || id === 500 || id === 999;
  for (let i = 0; i < 50; i++) {
    assert.equal(table.pick(3, wanted, into), 3);
    assert.deepEqual(into.slice(0, 3).sort((a, b) => a - b), [7, 500, 999]);
    assert.equal(table.pick(5, wanted, into), 3);
    assert.equal(table.pick(2, () => true, into), 2);
    assert.notEqual(into[0], into[1]);
  }
  assert.equal(table.pick(3, () => false, into), 0);
});

Deno.test("the counts of a table follow its members", () => {
  const store = new CardStore();
  const table = new MemberTable(store, seeded(4), 1);
  const { nameId } = hold(store, "a");
  table.add(store.card(0));
  table.judge(nameId, 1, stateOf.suspect, 50);
  assert.equal(table.echoesSuspicion(nameId, 1), false, "confirmations are news");
  table.settle(nameId);
  assert.equal(table.echoesSuspicion(nameId, 1), true);
  assert.equal(table.echoesSuspicion(nameId, 2), false);
  assert.deepEqual([table.size, table.live, table.sinceMs(nameId)], [1, 1, 50]);
  table.judge(nameId, 0xffffffff, stateOf.left, 60);
  assert.equal(table.echoesSuspicion(nameId, 0xffffffff), true);
  assert.equal(table.incarnation(nameId), 0xffffffff);
  assert.deepEqual([table.size, table.live, table.sinceMs(nameId)], [1, 0, 60]);
  table.describe(hold(store, "a", 2, "new"));
  assert.equal(table.state(nameId), stateOf.left);
  assert.equal(table.card(nameId).incarnation, 2);
  table.remove(nameId);
  assert.deepEqual([table.size, table.live, table.sinceMs(nameId), store.cards], [
    0,
    0,
    undefined,
    0,
  ]);
});

const rumour = (text: string) => encodeUtf8(text);

function taken(queue: TransmitQueue, bytes: number, limit: number): string[] {
  const into: Uint8Array[] = [];
  const used = queue.take(bytes, 2, limit, into, 255);
  assert.equal(used, into.reduce((sum, { length }) => sum + length + 2, 0));
  assert.ok(used <= bytes);
  return into.map((bytes) => new TextDecoder().decode(bytes));
}

Deno.test("rumours sent least often go first, and among those the one that came last", () => {
  const queue = new TransmitQueue(100);
  queue.add(rumour("aa"));
  queue.add(rumour("bb"));
  assert.deepEqual(taken(queue, 8, 3), ["bb", "aa"]);
  queue.add(rumour("cc"));
  assert.deepEqual(taken(queue, 8, 3), ["cc", "bb"]);
  assert.deepEqual(taken(queue, 8, 3), ["cc", "aa"]);
  assert.deepEqual(taken(queue, 100, 3), ["cc", "aa", "bb"]);
  assert.equal(queue.size, 0);
});

Deno.test("a rumour with the same key is replaced, and its end is told once", () => {
  const queue = new TransmitQueue(100);
  const done: string[] = [];
  queue.add(rumour("old"), 1, () => done.push("old"));
  taken(queue, 100, 5);
  queue.add(rumour("new"), 1, () => done.push("new"));
  assert.deepEqual(done, ["old"]);
  assert.deepEqual(taken(queue, 100, 1), ["new"]);
  assert.deepEqual(done, ["old", "new"]);
  queue.remove(1);
  assert.deepEqual(done, ["old", "new"]);
});

Deno.test("a rumour that does not fit is passed over, and sent when there is room", () => {
  const queue = new TransmitQueue(100);
  queue.add(rumour("a long one"));
  queue.add(rumour("b"));
  assert.deepEqual(taken(queue, 8, 1), ["b"]);
  assert.deepEqual(taken(queue, 12, 1), ["a long one"]);
});

Deno.test("a full queue gives up what was sent most often", () => {
  const queue = new TransmitQueue(3);
  queue.add(rumour("a"), "a");
  taken(queue, 100, 9);
  queue.add(rumour("b"), "b");
  queue.add(rumour("c"), "c");
  queue.add(rumour("d"), "d");
  assert.equal(queue.size, 3);
  assert.deepEqual(taken(queue, 100, 9), ["d", "c", "b"]);
});

Deno.test("every rumour is sent exactly as often as the limit, whatever the packets", () => {
  fc.assert(fc.property(
    fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 40 }),
    fc.integer({ min: 32, max: 200 }),
    fc.integer({ min: 1, max: 8 }),
    (lengths, bytes, limit) => {
      const queue = new TransmitQueue(1000);
      const sent = new Map<string, number>();
      lengths.forEach((length, i) => {
        const text = `${i}.`.padEnd(length + 4, "x");
        sent.set(text, 0);
        queue.add(rumour(text), i % 3 === 0 ? undefined : i);
      });
      for (let i = 0; queue.size > 0; i++) {
        assert.ok(i < 10_000);
        const packet = taken(queue, bytes + 6, limit);
        assert.equal(new Set(packet).size, packet.length, "none twice in one packet");
        for (const text of packet) sent.set(text, sent.get(text)! + 1);
      }
      for (const count of sent.values()) assert.equal(count, limit);
    },
  ));
});

Deno.test("replacing without end keeps the queue small", () => {
  const queue = new TransmitQueue(10);
  for (let i = 0; i < 100_000; i++) queue.add(rumour(`${i}`), i % 5);
  assert.equal(queue.size, 5);
  assert.deepEqual(taken(queue, 1000, 1).length, 5);
});

Deno.test("who hears that a rumour is done may use the queue, and finds nothing of it left", () => {
  const queue = new TransmitQueue(4);
  const heard: string[] = [];
  const add = (text: string, key: string) =>
    queue.add(rumour(text), key, () => {
      heard.push(text);
      if (text.length > 2) return;
      queue.remove(key === "x" ? "y" : "x");
      add(`${text}${text}`, key);
    });
  add("ab", "x");
  add("cd", "y");
  assert.deepEqual(taken(queue, 100, 1), ["cd", "ab"]);
  assert.deepEqual(heard.slice(0, 2).sort(), ["ab", "cd"]);
  assert.equal(queue.size, 1);
  assert.equal(taken(queue, 100, 1).length, 1);
  assert.equal(queue.size, 0);
  assert.deepEqual(taken(queue, 100, 1), []);
});

Deno.test("times and counts grow with the logarithm of the size", () => {
  assert.deepEqual([1, 9, 10, 99, 100, 10_000].map((n) => retransmitLimit(4, n)), [
    4,
    4,
    8,
    8,
    12,
    20,
  ]);
  const { default: seeds, lan, wan } = swimPresets;
  assert.deepEqual([1, 2, 5, 10, 100].map((n) => suspicionMinMs(seeds, n)), [
    1000,
    1204,
    2795,
    4000,
    8000,
  ]);
  assert.deepEqual([5, 10, 32, 100].map((n) => suspicionMaxMs(seeds, n)), [
    5000,
    5000,
    6020,
    48_000,
  ]);
  assert.deepEqual([2, 100].map((n) => suspicionMinMs(lan, n)), [4000, 8000]);
  assert.deepEqual([2, 100].map((n) => suspicionMaxMs(lan, n)), [24_000, 48_000]);
  assert.equal(suspicionMinMs(wan, 10), 30_000);
  assert.deepEqual([32, 33, 64, 65, 10_000].map((n) => pushPullMs(30, n)), [30, 60, 60, 90, 300]);
});

Deno.test("a suspicion shrinks from its longest to its shortest by the logarithm of confirmations", () => {
  // The values of Lifeguard's formula for k = 3, 2 s and 30 s, as memberlist's tests have them.
  assert.deepEqual([0, 1, 2, 3].map((n) => suspicionMs(n, 3, 2000, 30_000)), [
    30_000,
    16_000,
    7810,
    2000,
  ]);
  assert.equal(suspicionMs(0, 0, 2000, 30_000), 2000);
});

Deno.test("addresses are formatted as sockets show them, and read back", () => {
  const cases: [string, string][] = [
    ["10.0.0.5", "10.0.0.5:7946"],
    ["::1", "[::1]:7946"],
    ["2001:db8::8:800:200c:417a", "[2001:db8::8:800:200c:417a]:7946"],
    ["2001:db8:0:1:1:1:1:1", "[2001:db8:0:1:1:1:1:1]:7946"],
    ["1::", "[1::]:7946"],
    ["::", "[::]:7946"],
    ["1:0:0:2:0:0:0:3", "[1:0:0:2::3]:7946"],
    ["::ffff:10.0.0.5", "10.0.0.5:7946"],
  ];
  for (const [text, expected] of cases) assert.equal(formatAddress(parseIp(text)!, 7946), expected);
  for (
    const wrong of [
      "",
      "host",
      "1.2.3",
      "1.2.3.256",
      "01.2.3.4",
      ":::",
      "1::2::3",
      "1:2:3:4:5:6:7",
      "g::",
    ]
  ) {
    assert.equal(parseIp(wrong), undefined, wrong);
  }
});
