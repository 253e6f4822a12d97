import assert from "node:assert/strict";
import { FakeNetwork } from "./fakes_test.ts";
import { defineService } from "./mod.ts";
import { cluster, failureOf, server, work } from "./work_fakes_test.ts";

Deno.test("calls go round all servers, this node among them", async () => {
  const { network, caller, nodes, client } = cluster(2);
  await using _ = network;
  const all = [caller, ...nodes].map((node) => server(node));
  await network.settle();
  for (let i = 0; i < 30; i++) await client.safe("x");
  assert.deepEqual(all.map((it) => it.ran.length), [10, 10, 10]);
});

Deno.test("a balancer of one's own chooses among the candidates, ordered by id", async () => {
  const { network, caller, nodes } = cluster(3);
  await using _ = network;
  const all = nodes.map((node) => server(node));
  await network.settle();
  const seen: string[][] = [];
  const balance = {
    id: "mine",
    select: (candidates: readonly { id: string }[], { subject }: { subject: string }) => {
      assert.equal(subject, "work");
      seen.push(candidates.map((it) => it.id));
      return 2;
    },
  };
  const client = caller.layer.client(work, { balance, failover: "immediate" });
  await client.safe("x");
  await client.safe("x");
  assert.deepEqual(seen, [["s1", "s2", "s3"], ["s1", "s2", "s3"]]);
  assert.deepEqual(all.map((it) => it.ran.length), [0, 0, 2]);
});

Deno.test("an unknown balancer is an error that names those there are", async () => {
  const { network, caller, nodes } = cluster(1);
  await using _ = network;
  server(nodes[0]);
  const client = caller.layer.client(work, { balance: "best" });
  const error = await failureOf(client.safe("x"));
  assert.equal(error.code, "not_found");
  assert.match(error.message, /"best".*none/);
  caller.balancers.set({ plugin: "best", value: { id: "best", select: () => 0 } });
  assert.equal(await client.safe("x"), "x");
});

Deno.test("a server takes calls of clients of lower versions", async () => {
  const { network, client, nodes } = cluster(1);
  await using _ = network;
  const later = defineService("work", { ...work, version: 3 });
  nodes[0].layer.serve(later, {
    safe: (it) => it,
    once: (it) => it,
    items: () => [],
    load: () => 0,
  });
  assert.equal(await client.safe("old"), "old");
});

Deno.test("a node without a link is dialled, and one that does not answer is passed over", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const caller = network.add("c");
  const hub = network.add("hub");
  network.add("s1");
  network.add("s2");
  for (const id of ["c", "s1", "s2"]) network.link("hub", id);
  const first = server(network.nodes.get("s1")!);
  const second = server(network.nodes.get("s2")!);
  await network.settle();
  caller.peers.unreachable.add("s1");
  const client = caller.layer.client(work);
  for (let i = 0; i < 10; i++) assert.equal(await client.once("x"), "x");
  assert.deepEqual([first.ran.length, second.ran.length], [0, 10]);
  assert.ok(caller.peers.dials <= 4, `${caller.peers.dials} dials`);
  assert.equal(hub.layer.records().length, 4);
});

Deno.test("linked servers do the work while the others are dialled in the background, then all share it", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const caller = network.add("c");
  const nodes = ["s1", "s2", "s3"].map((id) => network.add(id));
  network.link("c", "s1");
  network.link("s1", "s2");
  network.link("s1", "s3");
  const all = nodes.map((node) => server(node));
  await network.settle();
  const client = caller.layer.client(work);
  await client.safe("x");
  await network.settle();
  for (let i = 0; i < 30; i++) await client.safe("x");
  assert.deepEqual(all.map((it) => it.ran.length).toSorted((a, b) => a - b), [10, 10, 11]);
});

Deno.test("degraded links are used only when there is no healthy one", async () => {
  const { network, caller, nodes, client } = cluster(2);
  await using _ = network;
  const [first, second] = nodes.map((node) => server(node));
  await network.settle();
  caller.peers.link("s1")!.health = "degraded";
  for (let i = 0; i < 10; i++) await client.safe("x");
  assert.deepEqual([first.ran.length, second.ran.length], [0, 10]);
  caller.peers.link("s2")!.cut();
  caller.peers.unreachable.add("s2");
  for (let i = 0; i < 10; i++) await client.safe("x");
  assert.deepEqual([first.ran.length, second.ran.length], [10, 10]);
});

Deno.test("a call for one node goes there and nowhere else", async () => {
  const { network, nodes, client } = cluster(3);
  await using _ = network;
  const all = nodes.map((node) => server(node));
  await network.settle();
  for (let i = 0; i < 5; i++) await client.safe("x", { node: "s2" });
  assert.deepEqual(all.map((it) => it.ran.length), [0, 5, 0]);
  const error = failureOf(client.safe("x", { node: "s9", timeout: 100 }));
  await network.clock.advance(120);
  assert.match((await error).message, /on s9/);
});

Deno.test("a server that was lost is tried again by itself, rarer and rarer, and used once it answers", async () => {
  const { network, caller, nodes, client } = cluster(2);
  await using _ = network;
  const [first, second] = nodes.map((node) => server(node));
  await network.settle();
  await client.safe("x");
  caller.peers.unreachable.add("s1");
  caller.peers.link("s1")!.cut();
  const dials = caller.peers.dials;
  for (let i = 0; i < 600; i++) {
    await client.safe("x");
    await network.clock.advance(100);
  }
  const tried = caller.peers.dials - dials;
  assert.ok(tried >= 6 && tried <= 12, `${tried} dials in a minute`);
  caller.peers.unreachable.delete("s1");
  for (let i = 0; i < 310; i++) {
    await client.safe("x");
    await network.clock.advance(100);
  }
  const before = [first.ran.length, second.ran.length];
  for (let i = 0; i < 10; i++) await client.safe("x");
  assert.deepEqual([first.ran.length - before[0], second.ran.length - before[1]], [5, 5]);
});

Deno.test("a server that is heard to have been started again is used at once", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const caller = network.add("c");
  const nodes = ["s1", "s2"].map((id) => network.add(id));
  for (const node of nodes) network.link("c", node.id);
  nodes.forEach((node) => server(node));
  await network.settle();
  const client = caller.layer.client(work);
  caller.peers.unreachable.add("s2");
  await network.crash("s2");
  for (let i = 0; i < 300; i++) {
    await client.safe("x");
    await network.clock.advance(100);
  }
  // Its record comes by way of s1: that is all the caller hears of it.
  caller.peers.unreachable.delete("s2");
  const again = server(network.add("s2"));
  network.link("s1", "s2");
  await network.settle();
  await client.safe("x");
  await network.settle();
  for (let i = 0; i < 10; i++) await client.safe("x");
  assert.ok(again.ran.length >= 5, `it served ${again.ran.length} calls`);
});
