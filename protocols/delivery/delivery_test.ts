// Any interleaving of sends, losses, duplicates, links that come, go and linger, and
// restarts of either side, against what each level promises.
import assert from "node:assert/strict";
import fc from "fast-check";
import { ReceiveLane } from "./mod.ts";
import { World } from "./testing.ts";

type Step = (world: World) => void;

/** A step, with the name that a counterexample shows. */
function step(name: string, run: Step): { name: string; run: Step; toString(): string } {
  return { name, run, toString: () => name };
}

const usual = [
  step("offer", (world) => world.offer()),
  step("offer5", (world) => [1, 2, 3, 4, 5].forEach(() => world.offer())),
  step("deliver", (world) => world.deliver(0)),
  step("deliver8", (world) => [1, 2, 3, 4, 5, 6, 7, 8].forEach(() => world.deliver(0))),
  step("twice", (world) => world.deliver(0, true)),
  step("late1", (world) => world.deliver(1)),
  step("late2", (world) => world.deliver(2)),
  step("lose", (world) => world.lose()),
  step("ack", (world) => world.ack(0)),
  step("ack3", (world) => [1, 2, 3].forEach(() => world.ack(0))),
  step("late ack", (world) => world.ack(1)),
  step("lose ack", (world) => world.ack(0, true)),
  step("handle", (world) => world.handle(1)),
  step("handle3", (world) => world.handle(3)),
  step("link", (world) => world.link()),
  step("cut", (world) => world.cut()),
  step("pass 100", (world) => world.pass(100)),
  step("pass 1000", (world) => world.pass(1000)),
  step("busy", (world) => world.busy = !world.busy),
  step("note", (world) => world.note()),
  step("miss", (world) => world.miss()),
];
const restarts = [
  step("restart sender", (world) => world.restartSender()),
  step("restart receiver", (world) => world.restartReceiver()),
];
const steps = fc.array(
  fc.oneof({ weight: 12, arbitrary: fc.constantFrom(...usual) }, {
    weight: 1,
    arbitrary: fc.constantFrom(...restarts),
  }),
  { maxLength: 120, size: "max" },
);

function play(world: World, given: readonly { run: Step }[]): void {
  world.link();
  for (const { run } of given) run(world);
  world.settle();
}

/** After whatever happened, a message that nothing happens to arrives over the same link. */
function assertAlive(world: World): void {
  const before = world.acknowledged.size;
  for (let at = 0; at < 3; at++) world.offer();
  world.settle(false);
  assert.equal(world.acknowledged.size, before + 3, "the lane is stuck");
}

/** Each start of the receiver got the messages of each start of the sender in order, once each. */
function assertOnceInOrder(world: World): void {
  const last = new Map<string, number>();
  for (const { id, sender, receiver } of world.received) {
    const key = `${sender} to ${receiver}`;
    assert(id > (last.get(key) ?? 0), `${id} came after ${last.get(key)} from ${key}`);
    last.set(key, id);
  }
}

Deno.test("acknowledged messages: handed up once by one start, in order, and each sender is told the truth once", () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 0, max: 3 }), (given, retries) => {
      const world = new World({ durable: false, retries }, (first) => new ReceiveLane(first));
      play(world, given);
      assertAlive(world);
      assertOnceInOrder(world);
      const received = new Set(world.received.map(({ id }) => id));
      assert.equal(received.size, world.received.length, "two starts got the same message");
      for (const id of world.acknowledged) assert(received.has(id), `${id} was never handed up`);
      for (const [id, reason] of world.gaveUp) {
        assert(world.items.get(id)!.transmitted, `${id} was given up (${reason}) and never sent`);
        if (reason === "restarted") assert(world.receiver > 1);
      }
      assert.equal(world.held, 0, "something is held for ever");
      for (const { id, sender } of world.items.values()) {
        // Those of a sender that died have nobody to be told.
        if (sender !== world.generation) continue;
        assert(world.acknowledged.has(id) !== world.gaveUp.has(id), `${id} has no end`);
      }
    }),
    { numRuns: 3000 },
  );
});

Deno.test("without restarts and with patience no acknowledged message is lost", () => {
  const patient = fc.array(
    fc.constantFrom(...usual.filter(({ name }) => !["miss"].includes(name))),
    { maxLength: 120, size: "max" },
  );
  fc.assert(
    fc.property(patient, (given) => {
      const world = new World({ durable: false, retries: 1000 }, (it) => new ReceiveLane(it));
      play(world, given);
      const ids = [...world.items.keys()];
      assert.deepEqual(world.received.map(({ id }) => id), ids);
      assert.deepEqual([...world.acknowledged], ids);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("guaranteed messages: handled exactly once and in order, whoever restarts when", () => {
  fc.assert(
    fc.property(steps, (given) => {
      const world = new World({ durable: true, retries: 0 }, (first) => new ReceiveLane(first));
      play(world, given);
      const ids = [...world.items.keys()];
      assert.deepEqual(world.received.map(({ id }) => id), ids);
      assert.deepEqual([...world.acknowledged], ids);
      assert.equal(world.gaveUp.size, 0);
    }),
    { numRuns: 3000 },
  );
});

Deno.test("what was sent once and taken at once is not marked as redelivered", () => {
  const world = new World({ durable: false, retries: 3 }, (first) => new ReceiveLane(first));
  world.link();
  for (let at = 0; at < 20; at++) world.offer();
  world.settle();
  assert.equal(world.received.length, 20);
  // The link that settle() makes sent again what the first had taken and not delivered.
  world.offer();
  world.settle();
  assert.equal(world.received.at(-1)!.redelivered, true);
  const calm = new World({ durable: false, retries: 3 }, (first) => new ReceiveLane(first));
  calm.link();
  calm.offer();
  for (let at = 0; at < 5; at++) calm.deliver(0);
  assert.deepEqual(calm.received, [{ id: 1, sender: 1, receiver: 1, redelivered: false }]);
});
