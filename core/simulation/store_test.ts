import assert from "node:assert/strict";
import { type Store, store } from "../contracts/store.ts";
import { codeOf } from "../kernel/errors.ts";
import { kernelNode } from "./kernel_node.ts";
import { simulate } from "./simulate.ts";
import type { Simulation } from "./simulation.ts";

async function withStore(sim: Simulation, name = "a") {
  const node = await sim.node(
    name,
    (host, context) => kernelNode([{ id: "disk", plugin: context.store }])(host, context),
  );
  return { node, disk: (): Store => node.value.kernel.get(store) };
}
const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array | undefined) =>
  bytes === undefined ? undefined : new TextDecoder().decode(bytes);

Deno.test("a store keeps what was written and synced through a crash", async () => {
  await simulate({ seed: 1 }, async (sim) => {
    const { disk } = await withStore(sim);
    await disk().write("vote", bytesOf("term 1"));
    await disk().append("log", bytesOf("one,"));
    await disk().append("log", bytesOf("two,"));
    await disk().sync("log");
    await disk().write("gone", bytesOf("x"));
    await disk().remove("gone");
    await disk().remove("never-was");
    sim.crash("a");
    await sim.restart("a");
    assert.deepEqual(await disk().list(), ["log", "vote"]);
    assert.equal(textOf(await disk().read("vote")), "term 1");
    assert.equal(textOf(await disk().read("log")), "one,two,");
    assert.equal(await disk().read("gone"), undefined);
    for (const name of ["", "../x", "A", "a/b", ".hidden"]) {
      await assert.rejects(disk().read(name), (error) => codeOf(error) === "invalid_argument");
    }
  });
});

Deno.test("a crash loses unsynced writes: over many seeds every prefix survives, and never more", async () => {
  const lengths = new Set<number>();
  for (let seed = 0; seed < 60; seed++) {
    const { value } = await simulate({ seed }, async (sim) => {
      const { disk } = await withStore(sim);
      await disk().append("log", bytesOf("abc"));
      await disk().sync("log");
      await disk().append("log", bytesOf("def"));
      sim.crash("a");
      await sim.restart("a");
      return textOf(await disk().read("log"))!;
    });
    assert.ok("abcdef".startsWith(value) && value.length >= 3, value);
    lengths.add(value.length);
  }
  assert.deepEqual([...lengths].sort(), [3, 4, 5, 6]);
});

Deno.test("a replacement under way at a crash has happened or has not; a kept page cache loses nothing", async () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 30; seed++) {
    const { value } = await simulate({ seed }, async (sim) => {
      const { disk } = await withStore(sim);
      await disk().write("vote", bytesOf("old"));
      void disk().write("vote", bytesOf("new"));
      await sim.run(0.5);
      sim.crash("a");
      await sim.restart("a");
      const vote = textOf(await disk().read("vote"))!;
      await disk().append("log", bytesOf("not synced"));
      sim.crash("a", { loseUnsynced: false });
      await sim.restart("a");
      assert.equal(textOf(await disk().read("log")), "not synced");
      return vote;
    });
    seen.add(value);
  }
  assert.deepEqual([...seen].sort(), ["new", "old"]);
});

Deno.test("a store that has stopped says so, and its operations keep their order", async () => {
  await simulate({ seed: 1 }, async (sim) => {
    const { disk } = await withStore(sim);
    const held = disk();
    const order: string[] = [];
    await Promise.all([
      held.write("a", bytesOf("1")).then(() => order.push("write")),
      held.append("a", bytesOf("2")).then(() => order.push("append")),
      held.read("a").then((bytes) => order.push(`read ${textOf(bytes)}`)),
    ]);
    assert.deepEqual(order, ["write", "append", "read 12"]);
    await sim.stop("a");
    await assert.rejects(held.read("a"), (error) => codeOf(error) === "closed");
    await assert.rejects(held.list(), (error) => codeOf(error) === "closed");
  });
});
