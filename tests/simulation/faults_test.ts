// Partitions, deaf and mute nodes, stalls and clocks: what is noticed, what is
// not lost, and what comes back.
import assert from "node:assert/strict";
import { isLinked, lossy, scenario, World } from "./harness.ts";

/** Longer than a link takes to give up: its pings, their timeouts, and a margin. */
const noticedMs = 8000;
/** Longer than a kept link takes to be dialled again once that works: the cap of the backoff, and a margin. */
const backMs = 15_000;

/** Which links have gone down from now on, as each node saw it, and why. */
function linksDown(world: World): readonly string[] {
  const lost: string[] = [];
  for (const { name, value } of world.nodes) {
    const read = async () => {
      for await (const event of value.events()) {
        if (event.type === "link_down") lost.push(`${name} to ${event.node}: ${event.reason}`);
      }
    };
    read().catch((error) => world.sim.fail("reading events failed", error));
  }
  return lost;
}

scenario(
  "no call runs twice under any mixture of faults, and a failure that says it did not run is true",
  { seeds: 10, network: lossy, maxVirtualMs: 600_000 },
  async (sim) => {
    const world = await World.start(sim, { servers: 3, callers: 2, handlerMs: 100 });
    world.load("once", { width: 3, timeoutMs: 4000 });
    await world.chaos(6, 2);
    await world.whole();
    const before = world.book.answered;
    await sim.run(2000);
    await world.rest();
    assert.ok(world.book.answered > before, "it does not work again after the faults");
    world.book.assertAtMostOnce();
  },
);

scenario(
  "idempotent calls survive any mixture of faults that ends in time",
  { seeds: 6, maxVirtualMs: 600_000 },
  async (sim) => {
    const world = await World.start(sim, { servers: 3, callers: 2, handlerMs: 100 });
    // A caller that is cut off waits, and so does its call, as long as its deadline allows. It has
    // lost all its links at once, which takes an attempt for each.
    world.load("again", { width: 2, timeoutMs: 30_000, attempts: 10 });
    for (let fault = 0; fault < 4; fault++) {
      await world.chaos(1, 1);
      await world.whole();
    }
    await world.rest();
    world.book.assertAllAnswered();
  },
);

scenario(
  "a partition leaves both sides at work, and its end links everybody again",
  { seeds: 5 },
  async (sim) => {
    const world = await World.start(sim, { servers: 4, callers: 2 });
    const [one, other] = world.callers;
    const near = ["s1", "s2", one.name];
    const far = ["s3", "s4", other.name];
    using _cut = sim.partition(near, far);
    await sim.until(() => [one, other].every((it) => linkedServers(world, it) === 2), noticedMs);
    world.load("again", { width: 2, timeoutMs: 1000 });
    await sim.run(5000);
    await world.rest();
    world.book.assertAllAnswered();
    for (const { name } of world.servers) assert.ok(world.book.byServer.has(`${name}#1`), name);
    sim.heal();
    await world.whole(backMs);
  },
);

function linkedServers(world: World, caller: World["callers"][number]): number {
  return world.servers.filter(({ name }) => isLinked(caller, name)).length;
}

for (const deaf of ["the server", "the caller"] as const) {
  scenario(
    `a partition in one direction is noticed on both sides (${deaf} hears nothing)`,
    { seeds: 4 },
    async (sim) => {
      const world = await World.start(sim, { servers: 2, callers: 1 });
      const [caller] = world.callers;
      const [server] = world.servers;
      const [from, to] = deaf === "the server" ? [caller, server] : [server, caller];
      await sim.run(sim.random.float() * 1000);
      using _cut = sim.partitionOneWay([from.name], [to.name]);
      world.load("again", { width: 2, timeoutMs: 10_000 });
      await sim.until(
        () => !isLinked(caller, server.name) && !isLinked(server, caller.name),
        noticedMs,
      );
      await sim.run(3000);
      await world.rest();
      world.book.assertAllAnswered();
      sim.heal();
      await world.whole(backMs);
    },
  );
}

scenario(
  "a stall shorter than the pings allow loses no link and no call, not even one made once",
  { seeds: 5 },
  async (sim) => {
    const world = await World.start(sim, { servers: 2, callers: 2 });
    const lost = linksDown(world);
    world.load("once", { width: 2, timeoutMs: 5000 });
    for (const node of world.nodes) {
      await sim.run(sim.random.float() * 500);
      node.pause(400);
      await sim.run(1000);
    }
    await world.rest();
    world.book.assertAllAnswered();
    assert.deepEqual(lost, []);
  },
);

scenario(
  "a stalled server is routed around, and used again when it moves on",
  { seeds: 3 },
  async (sim) => {
    const world = await World.start(sim, { servers: 3, callers: 1 });
    const { book } = world;
    const victim = world.anyServer();
    world.load("again", { width: 4, timeoutMs: 10_000 });
    await sim.run(1000 + sim.random.float() * 500);
    const before = book.byServer.get(`${victim.name}#1`) ?? 0;
    victim.pause(20_000);
    await sim.run(noticedMs);
    assert.ok(!isLinked(world.callers[0], victim.name), "it is not noticed");
    await sim.run(20_000 - noticedMs + backMs);
    await world.rest();
    book.assertAllAnswered();
    assert.ok(book.slowestMs < noticedMs, `a call took ${book.slowestMs} ms`);
    assert.ok((book.byServer.get(`${victim.name}#1`) ?? 0) > before + 10, "it is not used again");
    assert.ok(isLinked(world.callers[0], victim.name));
  },
);

scenario(
  "clocks that are wrong, jump and drift change nothing",
  { seeds: 5 },
  async (sim) => {
    const world = await World.start(sim, { servers: 2, callers: 2, handlerMs: 20 });
    const lost = linksDown(world);
    const day = 86_400_000;
    for (const { clock } of world.nodes) {
      clock.skew((sim.random.float() - 0.5) * day);
      clock.drift((sim.random.float() - 0.5) * 1000);
    }
    world.load("once", { width: 2, timeoutMs: 2000 });
    for (let step = 0; step < 10; step++) {
      await sim.run(sim.random.float() * 1000);
      sim.random.pick(world.nodes).clock.step((sim.random.float() - 0.5) * 30 * day);
    }
    await world.rest();
    world.book.assertAllAnswered();
    world.book.assertAtMostOnce();
    assert.deepEqual(lost, []);
    for (const node of world.nodes) assert.equal(node.value.health().status, "healthy");
  },
);
