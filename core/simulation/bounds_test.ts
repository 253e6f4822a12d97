import assert from "node:assert/strict";
import { store, storeLimits } from "../contracts/store.ts";
import { transport } from "../contracts/transport.ts";
import { codeOf } from "../kernel/errors.ts";
import type { Host } from "../kernel/host.ts";
import { Loop } from "./loop.ts";
import { kernelNode } from "./kernel_node.ts";
import { Network } from "./network.ts";
import { Random } from "./random.ts";
import { Scheduler } from "./scheduler.ts";
import { simulate } from "./simulate.ts";

const bare = (host: Host) => Promise.resolve({ host, stop: () => Promise.resolve() });

Deno.test("a scheduler refuses the event beyond its bound", () => {
  const scheduler = new Scheduler({ maxPending: 10 });
  for (let i = 0; i < 10; i++) scheduler.after(i, () => {});
  assert.throws(() => scheduler.after(1, () => {}), (e) => codeOf(e) === "simulation_limit");
});

Deno.test("a machine runs out of ephemeral ports, and says so", () => {
  const scheduler = new Scheduler();
  const machine = new Network({ scheduler, random: new Random(1) }).machine("a");
  const target = { arrive: () => {} };
  for (let i = 0; i < 28_232; i++) machine.sockets.set(machine.freePort(), target);
  assert.throws(() => machine.freePort(), (error) => codeOf(error) === "address_in_use");
  machine.sockets.delete(40_000);
  assert.equal(machine.freePort(), 40_000);
});

Deno.test("what a paused loop let wait is let go of, however long the pauses go on", () => {
  const scheduler = new Scheduler();
  const loop = new Loop(scheduler, "a");
  const seen: number[] = [];
  let next = 0;
  for (let round = 0; round < 3000; round++) {
    loop.enter(() => seen.push(next++));
    loop.enter(() => seen.push(next++));
    loop.pause(1);
    scheduler.run(0.5);
  }
  scheduler.run(10);
  assert.deepEqual(seen, Array.from({ length: 6000 }, (_, i) => i));
  assert.equal(loop.waiting, 0);
  loop.pause(10);
  loop.enter(() => seen.push(-1));
  loop.kill();
  scheduler.run(100);
  assert.equal(seen.at(-1), 5999);
});

Deno.test("log lines are kept up to 10,000, the latest of them", async () => {
  await simulate({ seed: 1, runs: 1 }, async (sim) => {
    const { value: { host } } = await sim.node("a", bare);
    for (let i = 0; i < 10_005; i++) host.log.debug("line", { i });
    assert.equal(sim.logs.length, 10_000);
    assert.equal(sim.logs[0]!.fields["i"], 5);
  });
});

Deno.test("a disk refuses files that are too large and operations that are too many", async () => {
  await simulate({ seed: 1, runs: 1 }, async (sim) => {
    const { value } = await sim.node(
      "a",
      (host, context) => kernelNode([{ id: "disk", plugin: context.store }])(host, context),
    );
    const disk = value.kernel.get(store);
    const half = new Uint8Array(storeLimits.maxFileBytes / 2);
    const tooLarge = (error: unknown) => codeOf(error) === "too_large";
    await assert.rejects(disk.write("a", new Uint8Array(storeLimits.maxFileBytes + 1)), tooLarge);
    await disk.append("a", half);
    await disk.append("a", half);
    await assert.rejects(disk.append("a", new Uint8Array(1)), tooLarge);
    assert.equal((await disk.read("a"))?.length, storeLimits.maxFileBytes);
    const results = await Promise.allSettled(
      Array.from({ length: 4100 }, () => disk.sync("a")),
    );
    const refused = results.filter((it) => it.status === "rejected");
    assert.equal(refused.length, 4);
    assert.ok(refused.every((it) => codeOf(it.reason) === "overloaded"));
  });
});

Deno.test("what a paused node is dialled with waits up to its backlog", async () => {
  await simulate({ seed: 1, runs: 1 }, async (sim) => {
    const start = (host: Host, context: Parameters<Parameters<typeof sim.node>[1]>[1]) =>
      kernelNode([{ id: "lan", plugin: context.transport }])(host, context);
    const a = await sim.node("a", start);
    const b = await sim.node("b", start);
    const [near, far] = [a, b].map(({ value }) => value.kernel.get(transport));
    let accepted = 0;
    far!.accept(() => accepted++);
    sim.pause("b", 1000);
    const { signal } = new AbortController();
    let closed = 0;
    for (let i = 0; i < 140; i++) {
      const connection = await near!.dial("b:7000", { signal, timeoutMs: 1000 });
      connection.open({ data: () => {}, closed: () => closed++ });
    }
    assert.equal(accepted, 0);
    await sim.run(2000);
    assert.deepEqual([accepted, closed], [128, 12]);
  });
});
