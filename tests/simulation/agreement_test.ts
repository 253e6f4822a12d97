// What nodes know of each other: the directory, node ids, generations, messages
// to many. Whatever happened before, connected nodes end up agreeing.
import assert from "node:assert/strict";
import { z } from "zod";
import { defineService, type Node } from "../../mod.ts";
import { type SimNode, simulatedNode } from "../../simulation.ts";
import { isLinked, lossy, scenario, World } from "./harness.ts";

/** The directory of a node as text: who serves what, in which version of which start. */
function directory({ value }: SimNode<Node>, alive: readonly string[]): string {
  return value.services().filter(({ node }) => alive.includes(node)).map((record) => {
    const services = record.services.map(({ name }) => name).sort().join("+");
    return `${record.node}#${record.generation}.${record.version}: ${services}`;
  }).sort().join("\n");
}

const extra = (index: number) =>
  defineService(`extra-${index}`, {
    version: 1,
    methods: { run: { input: z.object({}), output: z.string() } },
  });

/** Serves and withdraws services at random on nodes that may stop meanwhile. */
async function churn(world: World, times: number): Promise<void> {
  const { sim } = world;
  const serving = new Map<string, AsyncDisposable>();
  const leaving = new Set<string>();
  for (let time = 0; time < times; time++) {
    await sim.run(sim.random.float() * 500);
    const node = sim.random.pick(world.nodes);
    if (node.state !== "running") continue;
    const service = extra(sim.random.below(5));
    const key = `${node.name}#${node.incarnation} ${service.name}`;
    if (leaving.has(key)) continue; // Its name is not free yet.
    const served = serving.get(key);
    serving.delete(key);
    if (served !== undefined) {
      leaving.add(key);
      // Nobody waits for the calls of a withdrawn service to end on a node that crashes meanwhile.
      served[Symbol.asyncDispose]().then(() => leaving.delete(key));
    } else serving.set(key, node.value.serve(service, { run: () => node.name }));
  }
}

scenario(
  "connected nodes agree on the directory once it is quiet, whatever happened before",
  { seeds: 8, network: lossy, maxVirtualMs: 600_000 },
  async (sim) => {
    const world = await World.start(sim, { servers: 3, callers: 2 });
    await Promise.all([sim.track("churn", churn(world, 40)), world.chaos(5, 2)]);
    await world.whole();
    const names = world.nodes.map(({ name }) => name);
    const agreed = () => new Set(world.nodes.map((it) => directory(it, names))).size === 1;
    await sim.until(agreed, 30_000);
    // And it stays so.
    await sim.run(10_000);
    assert.ok(agreed());
    for (const node of world.nodes) {
      const own = node.value.services().find((it) => it.node === node.name);
      if (own !== undefined) assert.equal(own.generation, node.value.self.generation);
    }
  },
);

scenario(
  "a second process under the id of one that runs is refused, until the first is gone",
  { seeds: 5 },
  async (sim) => {
    const seeds = ["a:7000"];
    const start = (id: string) => simulatedNode({ node: { id }, plugins: { static: { seeds } } });
    const a = await sim.node("a", start("a"));
    const first = await sim.node("first", start("twin"));
    await sim.until(() => isLinked(a, "twin"));
    await sim.run(sim.random.float() * 3000);
    const { generation } = first.value.self;

    const refusals: string[] = [];
    const second = await sim.node("second", start("twin"));
    const events = second.value.events();
    const read = async () => {
      for await (const event of events) {
        if (event.type === "link_refused") refusals.push(`${event.code}: ${event.message}`);
      }
    };
    read().catch((error) => sim.fail("reading events failed", error));
    await sim.run(10_000);
    assert.ok(refusals.length > 0, "nobody refused it");
    for (const refusal of refusals) assert.match(refusal, /^duplicate: .*"twin"/);
    assert.ok(!isLinked(second, "a"));
    assert.ok(isLinked(first, "a"));
    assert.equal(a.value.members().find(({ id }) => id === "twin")!.generation, generation);
    assert.match(second.value.health().reasons.join(), /seed .*duplicate|older start|refused/);

    first.crash({ connections: sim.random.pick(["silent", "reset", "clean"]) });
    await sim.until(() => isLinked(second, "a") && isLinked(a, "twin"), 20_000);
    const { generation: newer } = second.value.self;
    assert.ok(newer > generation);
    assert.equal(a.value.members().find(({ id }) => id === "twin")!.generation, newer);
  },
);

scenario(
  "each start of a node has a higher generation, and everybody learns it",
  { seeds: 5 },
  async (sim) => {
    const world = await World.start(sim, { servers: 2, callers: 1 });
    const [server, other] = world.servers;
    let last = server.value.self.generation;
    for (let start = 0; start < 4; start++) {
      if (sim.random.chance(0.5)) server.crash(world.anyDeath());
      else await server.stop();
      // At once, too: as fast as a supervisor may be.
      if (sim.random.chance(0.5)) await sim.run(sim.random.float() * 200);
      await server.start();
      const { generation } = server.value.self;
      assert.ok(generation > last, `${generation} after ${last}`);
      last = generation;
      await world.whole(20_000);
      for (const node of [other, world.callers[0]]) {
        const seen = node.value.members().find(({ id }) => id === server.name)!;
        assert.equal(seen.generation, generation);
      }
    }
  },
);

scenario(
  "a quorum is reached as long as enough of its nodes answer, and no longer",
  { seeds: 5 },
  async (sim) => {
    const world = await World.start(sim, { servers: 5, callers: 1 });
    const [caller] = world.callers;
    const nodes = world.servers.map(({ name }) => name);
    for (const { name, value } of world.servers) {
      value.handle("custom.vote", () => new TextEncoder().encode(name));
    }
    const ask = () =>
      caller.value.quorum("custom.vote", new Uint8Array(1), { nodes, need: 3, timeout: "2s" });
    for (let lost = 0; lost <= 2; lost++) {
      const replies = await ask();
      assert.equal(replies.filter(({ ok }) => ok).length, 3);
      world.servers[lost].crash(world.anyDeath());
      await sim.run(sim.random.float() * 4000);
    }
    const begun = sim.now;
    await assert.rejects(ask(), { code: "no_quorum" });
    // As soon as it is out of reach; deadlines are kept on a grid, which may add a little.
    assert.ok(sim.now - begun <= 2100, `it took ${sim.now - begun} ms`);
  },
);

scenario(
  "a broadcast reaches exactly the nodes that are linked, each once",
  { seeds: 5 },
  async (sim) => {
    const world = await World.start(sim, { servers: 4, callers: 1 });
    const got: string[] = [];
    for (const { name, value } of world.servers) {
      value.handle("custom.note", () => void got.push(name));
    }
    const lost = world.anyServer();
    await lost.stop();
    const { sent, failed } = await world.callers[0].value.broadcast(
      "custom.note",
      new Uint8Array(3),
    );
    await sim.run(1000);
    const others = world.servers.filter((it) => it !== lost).map(({ name }) => name);
    assert.equal(sent, 3);
    assert.deepEqual(failed, []);
    assert.deepEqual(got.sort(), others);
  },
);
