// Traffic of all sorts: links that idle, bodies that are large for the line,
// many nodes at once, calls within calls, and a configuration that changes
// meanwhile.
import assert from "node:assert/strict";
import { z } from "zod";
import { type CallError, defineService, type Node } from "../../mod.ts";
import { type SimNode, simulatedNode, type Simulation } from "../../simulation.ts";
import { isSettled, lossy, scenario, World } from "./harness.ts";

const bulk = defineService("bulk", {
  version: 1,
  methods: {
    size: {
      input: z.instanceof(Uint8Array),
      output: z.int(),
      idempotent: true,
    },
    once: { input: z.int(), output: z.int() },
  },
});

const serveBulk = (node: Node) =>
  node.serve(bulk, { size: (bytes) => bytes.length, once: (id) => id });

/** Two nodes, the second of which knows the first as a seed that it dials when it has to. */
async function pair(sim: Simulation, peers = {}): Promise<[SimNode<Node>, SimNode<Node>]> {
  const start = simulatedNode({ plugins: { static: { seeds: ["a:7000"] }, peers } });
  const nodes = [await sim.node("a", start), await sim.node("b", start)] as const;
  for (const { value } of nodes) serveBulk(value);
  const [a, b] = nodes;
  await sim.until(() => isSettled(a, b) && isSettled(b, a));
  return [a, b];
}

scenario(
  "a body that the line takes seconds to carry does not make the link look dead",
  { seeds: 3, network: { bytesPerSecond: 1_000_000 } },
  async (sim) => {
    // Zeros, which compression would make nothing of.
    const [a, b] = await pair(sim, { compression: { enabled: false } });
    const links = () => b.value.members()[0].links.map(({ id }) => id).join();
    const before = links();
    const bytes = new Uint8Array(6 * 1024 * 1024);
    const begun = sim.now;
    const size = await b.value.client(bulk).size(bytes, { node: a.name, timeout: "60s" });
    assert.equal(size, bytes.length);
    assert.ok(sim.now - begun > 6000, `it took only ${sim.now - begun} ms`);
    assert.equal(links(), before);
  },
);

scenario(
  "calls that meet the goodbye of an idle link are answered over the next one",
  { seeds: 5, network: lossy },
  async (sim) => {
    // No seed is kept here: c learns of a and b from the hub, and dials them when it calls.
    const hub = simulatedNode({ plugins: { static: { seeds: ["hub:7000"] } } });
    const idle = simulatedNode({
      plugins: { static: { seeds: ["hub:7000"] }, peers: { idleTimeout: "1s" } },
    });
    await sim.node("hub", hub);
    const nodes = [await sim.node("a", idle), await sim.node("b", idle)];
    for (const { value } of nodes) serveBulk(value);
    const problems: string[] = [];
    const linksSeen = new Set<string>();
    const lane = async (from: SimNode<Node>, to: string) => {
      const client = from.value.client(bulk);
      for (let id = 0; id < 60; id++) {
        try {
          assert.equal(await client.once(id, { node: to, timeout: "10s" }), id);
        } catch (error) {
          const { code, message } = error as CallError;
          problems.push(`${from.name} to ${to}: ${code}: ${message}`);
        }
        for (const { id: peer, links } of from.value.members()) {
          if (peer === to) { for (const link of links) linksSeen.add(`${from.name} ${link.id}`); }
        }
        // About as long as a link may idle, so that calls and goodbyes cross.
        await sim.run(1000 + sim.random.float() * 1500);
      }
    };
    await Promise.all([sim.track("a", lane(nodes[0], "b")), sim.track("b", lane(nodes[1], "a"))]);
    assert.deepEqual(problems, []);
    assert.ok(linksSeen.size > 4, `only ${linksSeen.size} links: none idled`);
  },
);

scenario(
  "twenty nodes that start at once end with one link between every two",
  { seeds: 1 },
  async (sim) => {
    const names = Array.from({ length: 20 }, (_, at) => `n${at + 1}`);
    const start = simulatedNode({
      plugins: { static: { seeds: names.map((it) => `${it}:7000`) } },
    });
    const nodes = await Promise.all(names.map((name) => sim.node(name, start)));
    const settled = () =>
      nodes.every((node) => nodes.every((other) => node === other || isSettled(node, other)));
    await sim.until(settled, 30_000);
    await sim.run(5000);
    assert.ok(settled());
  },
);

const outer = defineService("outer", {
  version: 1,
  methods: { run: { input: z.int(), output: z.string(), idempotent: true } },
});

scenario(
  "calls within calls survive a loss in the middle, and retries do not multiply",
  { seeds: 4 },
  async (sim) => {
    const world = await World.start(sim, { servers: 4, callers: 1 });
    const { book } = world;
    // Two serve the outer service, and call the inner one wherever it runs.
    for (const { name, value } of world.servers.slice(0, 2)) {
      value.serve(outer, {
        run: async (id, { metadata }) => {
          assert.equal(metadata.tenant, "acme");
          return `${name} over ${await world.nested(value, id)}`;
        },
      });
    }
    const client = world.callers[0].value.client(outer, { metadata: { tenant: "acme" } });
    const lane = async () => {
      for (let call = 0; call < 30; call++) {
        assert.match(await client.run(book.nextId(), { timeout: "10s" }), /^s[12] over s\d#\d$/);
        await sim.run(sim.random.float() * 100);
      }
    };
    const lanes = Promise.all([lane(), lane(), lane()]);
    await sim.run(sim.random.float() * 1500);
    sim.random.pick(world.servers).crash(world.anyDeath());
    await sim.track("the calls", lanes);
    const most = Math.max(...book.executions.values());
    assert.ok(most <= 3, `a call ran ${most} times`);
  },
);

scenario(
  "a change of the configuration leaves links and calls alone where it may",
  { seeds: 3 },
  async (sim) => {
    const world = await World.start(sim, { servers: 2, callers: 0 });
    const caller = await sim.node("late", simulatedNode());
    assert.deepEqual(caller.value.members(), []);
    const seed = (seeds: readonly string[]) =>
      caller.value.reconfigure({ plugins: { static: { seeds } } });
    await seed(["s1:7000", "s2:7000"]);
    world.callers.push(caller);
    await world.whole();

    const links = () =>
      caller.value.members().flatMap(({ links }) => links.map(({ id }) => id)).join();
    const before = links();
    world.load("once", { width: 3, timeoutMs: 5000 });
    for (const seeds of [["s1:7000"], ["s2:7000", "nowhere:7000"], ["s1:7000", "s2:7000"]]) {
      await sim.run(sim.random.float() * 500);
      const { reconfigured, stopped } = await seed(seeds);
      assert.deepEqual(reconfigured, ["static"]);
      assert.deepEqual(stopped, []);
    }
    await sim.run(1000);
    await world.rest();
    world.book.assertAllAnswered();
    assert.equal(links(), before);
  },
);
