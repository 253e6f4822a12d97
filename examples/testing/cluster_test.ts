// Your service on real nodes, inside your own tests: no sockets, no keys, no processes.
//
//   deno test examples/testing/cluster_test.ts
//
// No permission is asked. Time is real here; for time, loss and crashes under
// your control see simulation_test.ts.
import { isServiceError } from "@mycnet/runtime";
import { createTestCluster } from "@mycnet/runtime/testing";
import assert from "node:assert/strict";
import { inventory, serveInventory } from "./inventory.ts";

Deno.test("what one node takes, the other sees gone", async () => {
  await using cluster = await createTestCluster(3);
  const [store, one, other] = cluster.nodes;
  serveInventory(store, new Map([["apple", 5]]));

  assert.equal(await one.client(inventory).take({ item: "apple", count: 3 }), 2);
  assert.equal(await other.client(inventory).count({ item: "apple" }), 2);
});

Deno.test("who takes more than there is learns what is left", async () => {
  await using cluster = await createTestCluster(2);
  const [store, shop] = cluster.nodes;
  serveInventory(store, new Map([["apple", 5]]));

  await assert.rejects(shop.client(inventory).take({ item: "apple", count: 6 }), (error) => {
    assert.ok(isServiceError(inventory, error));
    assert.deepEqual(error.data, { left: 5 });
    return true;
  });
});

Deno.test("counting goes on when a store leaves", async () => {
  await using cluster = await createTestCluster(3);
  const [first, second, shop] = cluster.nodes;
  for (const store of [first, second]) serveInventory(store, new Map([["apple", 5]]));

  const client = shop.client(inventory);
  assert.equal(await client.count({ item: "apple" }), 5);
  await cluster.remove(first);
  assert.equal(await client.count({ item: "apple" }), 5);
});
