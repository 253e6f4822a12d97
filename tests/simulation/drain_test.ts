// A server that stops in good order, or reloads, costs nobody a call: not even
// one that may not be repeated, and not even callers that try once only.
import assert from "node:assert/strict";
import { z } from "zod";
import { defineService } from "../../mod.ts";
import { lossy, scenario, World } from "./harness.ts";

const networks = {
  near: {},
  wide: { delay: { kind: "exponential", minMs: 5, meanMs: 20 } },
  lossy,
} as const;

/** Work that is done by calling others. */
const relay = defineService("relay", {
  version: 1,
  methods: { pass: { input: z.int(), output: z.string() } },
});

const load = { width: 8, timeoutMs: 20_000, attempts: 1, pauseMs: 20 };

/** How often a server ran anything. */
const ran = (world: World, name: string) =>
  [...world.book.byServer].reduce((sum, [it, count]) => it.startsWith(name) ? sum + count : sum, 0);

for (const [network, conditions] of Object.entries(networks)) {
  scenario(
    `a server that stops under load loses no call, over a ${network} network`,
    { seeds: 3, network: conditions },
    async (sim) => {
      const world = await World.start(sim, { servers: 3, callers: 2, handlerMs: 200 });
      const [server] = world.servers;
      world.load("once", load);
      world.load("again", load);
      for (let round = 0; round < 3; round++) {
        await sim.run(3000);
        const before = ran(world, server.name);
        assert.ok(before > 0);
        await server.stop();
        await sim.run(1000);
        await server.start();
        await world.whole();
      }
      await world.rest();
      world.book.assertAllAnswered();
      world.book.assertAtMostOnce();
    },
  );
}

scenario(
  "a server that reloads under load loses no call",
  { seeds: 3, network: networks.wide },
  async (sim) => {
    const world = await World.start(sim, { servers: 3, callers: 2, handlerMs: 200 });
    const [server] = world.servers;
    world.load("once", load);
    world.load("again", load);
    for (let round = 1; round <= 3; round++) {
      await sim.run(3000);
      await world.reload(server, { maxKept: 100 + round });
      await world.whole();
    }
    await world.rest();
    world.book.assertAllAnswered();
    world.book.assertAtMostOnce();
  },
);

scenario(
  "what is under way when a server stops may still call others",
  { seeds: 3, network: networks.wide },
  async (sim) => {
    const world = await World.start(sim, { servers: 3, callers: 1 });
    const [server, ...others] = world.servers;
    const node = server.value;
    node.serve(relay, {
      pass: async (id) => {
        await sim.run(300);
        return await world.nested(node, id);
      },
    });
    const [caller] = world.callers;
    await sim.until(() => caller.value.route("relay") !== undefined);
    const passed = sim.track("relayed call", caller.value.client(relay).pass(world.book.nextId()));
    await sim.run(100);
    await server.stop();
    assert.match(await passed, /^s[23]#1$/);
    assert.ok(others.some(({ name }) => ran(world, name) === 1));
  },
);
