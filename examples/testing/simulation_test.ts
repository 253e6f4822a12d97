// Your service in the simulator: virtual time, and faults at moments that a seed
// decides. A failing run names its seed, and that seed fails again in the same way.
//
//   deno test examples/testing/simulation_test.ts
//
// Each script runs twice a seed, and both runs must agree to the byte.
import { simulate, simulatedNode } from "@mycnet/runtime/simulation";
import assert from "node:assert/strict";
import { inventory, serveInventory } from "./inventory.ts";

const seeds = ["east:7000", "west:7000"];
const start = simulatedNode({ plugins: { static: { seeds } } });

for (let seed = 1; seed <= 5; seed++) {
  Deno.test(`counting survives the loss of a store, whenever it happens (seed ${seed})`, async () => {
    await simulate({ seed }, async (sim) => {
      const east = await sim.node("east", start);
      const west = await sim.node("west", start);
      const shop = await sim.node("shop", start);
      for (const { value } of [east, west]) serveInventory(value, new Map([["apple", 5]]));

      const unlucky = sim.random.below(2) === 0 ? east : west;
      // Power is lost: nothing tells the shop, which has to notice by itself.
      sim.scheduler.after(sim.random.below(5000), () => unlucky.crash({ connections: "silent" }));

      const client = shop.value.client(inventory);
      for (let call = 0; call < 50; call++) {
        assert.equal(await client.count({ item: "apple" }), 5);
        await sim.run(100);
      }
    });
  });
}

Deno.test("nothing is taken twice, even if its answer was lost", async () => {
  await simulate({ seed: "lost answer" }, async (sim) => {
    const store = await sim.node("east", start);
    const shop = await sim.node("shop", start);
    const stock = new Map([["apple", 5]]);
    serveInventory(store.value, stock);
    const client = shop.value.client(inventory);
    assert.equal(await client.count({ item: "apple" }), 5);

    // The request gets through and its answer does not.
    sim.partitionOneWay(["east"], ["shop"]);
    await assert.rejects(client.take({ item: "apple", count: 1 }, { timeout: "2s" }), {
      mayHaveRun: true,
    });
    sim.heal();
    assert.equal(await client.count({ item: "apple" }), 4);
    assert.equal(stock.get("apple"), 4);
  });
});
