import assert from "node:assert/strict";
import type { Store } from "../../../core/contracts/store.ts";
import { FakeHost } from "../../../core/node/fakes_test.ts";
import { GossipMemory, maxKnown, memoryFile } from "./memory.ts";

/** A store in memory that counts writes and may be told to fail. */
class FakeStore implements Store {
  readonly id = "fake";
  readonly files = new Map<string, Uint8Array>();
  writes = 0;
  failing = false;

  read(name: string): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.files.get(name));
  }
  write(name: string, bytes: Uint8Array): Promise<void> {
    if (this.failing) return Promise.reject(new Error("the disk is full"));
    this.writes++;
    this.files.set(name, bytes.slice());
    return Promise.resolve();
  }
  get written(): Record<string, unknown> {
    return JSON.parse(new TextDecoder().decode(this.files.get(memoryFile)));
  }
  append = () => Promise.reject(new Error("unused"));
  sync = () => Promise.reject(new Error("unused"));
  remove = () => Promise.reject(new Error("unused"));
  list = () => Promise.resolve([...this.files.keys()]);
}

Deno.test("an incarnation is durable before it is used, and higher at each start", async () => {
  const host = new FakeHost();
  const store = new FakeStore();
  const first = await GossipMemory.load(store, host);
  assert.equal(first.incarnation, 1);
  assert.equal(store.written.incarnation, 1);
  first.incarnated(9);
  await host.barrier();
  assert.equal(store.written.incarnation, 9);
  const second = await GossipMemory.load(store, host);
  assert.equal(second.incarnation, 10);
  assert.equal(store.written.incarnation, 10);
  await first[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
});

Deno.test("members and clocks are remembered, many changes in one write, and forgotten when they leave", async () => {
  const host = new FakeHost();
  const store = new FakeStore();
  const memory = await GossipMemory.load(store, host);
  memory.followClocks(() => ({ member: 3, event: 5, query: 7 }));
  for (let i = 0; i < 50; i++) memory.saw(`n${i}`, `10.0.0.${i}:7946`);
  memory.saw("n0", "10.0.1.0:7946");
  memory.forget("n1");
  assert.equal(store.writes, 1);
  await host.advance(1000);
  assert.equal(store.writes, 2);
  await memory[Symbol.asyncDispose]();
  const again = await GossipMemory.load(store, host);
  assert.deepEqual(again.clocks, { member: 3, event: 5, query: 7 });
  assert.equal(again.known.length, 49);
  assert.deepEqual(again.known.at(-1), ["n0", "10.0.1.0:7946"]);
  assert.ok(!again.known.some(([name]) => name === "n1"));
  for (let i = 0; i < maxKnown + 10; i++) again.saw(`m${i}`, "10.0.0.1:1");
  assert.equal(again.known.length, maxKnown);
  await again[Symbol.asyncDispose]();
});

Deno.test("a disk that fails is tried again, and a damaged file begins anew", async () => {
  const host = new FakeHost();
  const store = new FakeStore();
  const memory = await GossipMemory.load(store, host);
  store.failing = true;
  memory.incarnated(5);
  await host.barrier();
  assert.equal(store.written.incarnation, 1);
  store.failing = false;
  await host.advance(1000);
  assert.equal(store.written.incarnation, 5);
  await memory[Symbol.asyncDispose]();
  for (const damage of ["", "{", "[]", "null", '{"incarnation": -1}', '{"incarnation": "5"}']) {
    store.files.set(memoryFile, new TextEncoder().encode(damage));
    const fresh = await GossipMemory.load(store, host);
    assert.equal(fresh.incarnation, 1, damage);
    await fresh[Symbol.asyncDispose]();
  }
  const odd = { incarnation: 4, clocks: { member: "x" }, known: [["a", "b:1"], 7, ["c"], null] };
  store.files.set(memoryFile, new TextEncoder().encode(JSON.stringify(odd)));
  const partly = await GossipMemory.load(store, host);
  assert.equal(partly.incarnation, 5);
  assert.deepEqual(partly.clocks, { member: 0, event: 0, query: 0 });
  assert.deepEqual(partly.known, [["a", "b:1"]]);
  await partly[Symbol.asyncDispose]();
});

Deno.test("that a member was told to leave is durable at once, until it is among others again", async () => {
  const host = new FakeHost();
  const store = new FakeStore();
  const first = await GossipMemory.load(store, host);
  assert.equal(first.hasLeft, false);
  first.saw("b", "10.0.0.2:7946");
  first.left();
  await host.barrier();
  assert.equal(store.written.left, true);
  await first[Symbol.asyncDispose]();
  const second = await GossipMemory.load(store, host);
  assert.equal(second.hasLeft, true);
  assert.deepEqual(second.known, [["b", "10.0.0.2:7946"]], "kept, for whoever is told to rejoin");
  second.returned();
  await second[Symbol.asyncDispose]();
  const third = await GossipMemory.load(store, host);
  assert.equal(third.hasLeft, false);
  await third[Symbol.asyncDispose]();
});
