import assert from "node:assert/strict";
import { MachineClock } from "./clock.ts";
import { DatagramSocket } from "./datagram.ts";
import { Loop } from "./loop.ts";
import { Network } from "./network.ts";
import { Random } from "./random.ts";
import { Scheduler } from "./scheduler.ts";

Deno.test("time stands still while code runs and jumps to the next event", () => {
  const scheduler = new Scheduler();
  const seen: string[] = [];
  scheduler.after(100, () => seen.push(`b at ${scheduler.now}`));
  scheduler.after(50, () => {
    seen.push(`a at ${scheduler.now}`);
    scheduler.after(0, () => seen.push(`now at ${scheduler.now}`));
    scheduler.after(-5, () => seen.push(`past at ${scheduler.now}`));
  });
  assert.equal(scheduler.run(99), 3);
  assert.equal(scheduler.now, 99);
  assert.equal(scheduler.run(1), 1);
  assert.deepEqual(seen, ["a at 50", "now at 50", "past at 50", "b at 100"]);
  assert.equal(scheduler.step(), false);
});

Deno.test("a disposed event does not fire and leaves nothing behind", () => {
  const scheduler = new Scheduler();
  for (let i = 0; i < 1000; i++) {
    scheduler.after(1e6, () => assert.fail("it was cancelled"))[Symbol.dispose]();
  }
  assert.equal(scheduler.pending, 0);
  scheduler.run(2e6);
});

Deno.test("a deadline computed by addition is never missed by a rounding error", () => {
  const scheduler = new Scheduler();
  const random = new Random(1);
  const clock = new MachineClock(scheduler, 1_767_225_600_000, 999_999_000);
  for (let i = 0; i < 10_000; i++) {
    const delay = random.float() * 1000;
    const deadline = clock.monotonic + delay;
    scheduler.after(delay, () => assert.ok(clock.monotonic >= deadline));
    scheduler.step();
  }
});

Deno.test("delays that are no numbers are refused", () => {
  const scheduler = new Scheduler();
  assert.throws(() => scheduler.after(NaN, () => {}), RangeError);
  assert.throws(() => scheduler.after(Infinity, () => {}), RangeError);
});

Deno.test("10,000 bare machines gossip until all know, in one process and one seed", () => {
  const gossip = (seed: number) => {
    const scheduler = new Scheduler();
    const root = new Random(seed);
    const network = new Network({
      scheduler,
      random: root.fork("network"),
      conditions: { loss: 0.1, delay: { kind: "uniform", minMs: 1, maxMs: 10 } },
    });
    const count = 10_000;
    const knows = new Uint8Array(count);
    let known = 0;
    const sockets: DatagramSocket[] = [];
    const loop = new Loop(scheduler, "bare");
    const rumour = new Uint8Array([1]);
    const learn = (index: number) => {
      if (knows[index] === 1) return;
      knows[index] = 1;
      known++;
      scheduler.after(20, spread, index);
    };
    const spread = (index: number) => {
      for (let i = 0; i < 4; i++) sockets[index]!.send(`m${root.below(count)}:1`, rumour);
      if (known < count) scheduler.after(20, spread, index);
    };
    for (let index = 0; index < count; index++) {
      const machine = network.machine(`m${index}`);
      sockets.push(new DatagramSocket(network, machine, 1, loop, () => learn(index)));
    }
    learn(0);
    while (known < count) assert.ok(scheduler.step() && scheduler.now < 10_000);
    return { at: scheduler.now, fired: scheduler.fired };
  };
  const first = gossip(5);
  assert.ok(first.at < 1000, `${first.at}`);
  assert.deepEqual(gossip(5), first);
  assert.notDeepEqual(gossip(6), first);
});
