/** What nodes that gossip remember over a restart, in the simulator. */
import assert from "node:assert/strict";
import { simulate } from "../../simulation.ts";
import { agree, form, gossiping, states } from "./gossiping_test.ts";

Deno.test("a cluster that lost power finds together again at the addresses of old, without seeds", async () => {
  await simulate({ seed: 5 }, async (sim) => {
    const nodes = await form(sim, gossiping({ join: [] }), ["a"]);
    for (const name of ["b", "c"]) {
      const node = await sim.node(name, gossiping({ join: [] }));
      nodes.push(node);
      assert.equal(await node.value.membership!.join(["a:7946"]), 1);
    }
    await sim.until(() => agree(nodes, ["a", "b", "c"]));
    await sim.run(5000);
    for (const node of nodes) node.crash({ connections: "silent" });
    await sim.run(60_000);
    for (const node of nodes) await node.start();
    await sim.until(() => agree(nodes, ["a", "b", "c"]), 120_000);
    for (const node of nodes) {
      assert.ok(node.value.membership!.member(node.name)!.incarnation >= 2);
    }
  });
});

Deno.test("who was told to leave seeks nobody at the next start, unless told; who was stopped does", async () => {
  await simulate({ seed: 13 }, async (sim) => {
    const nodes = await form(sim, gossiping({ join: [] }), ["a"]);
    for (const [name, over] of [["b", {}], ["c", { rejoin: true }], ["d", {}]] as const) {
      nodes.push(await sim.node(name, gossiping({ join: [], ...over })));
      await nodes.at(-1)!.value.membership!.join(["a:7946"]);
    }
    const [a, b, c, d] = nodes;
    await sim.until(() => agree(nodes, ["a", "b", "c", "d"]));
    await sim.run(2000);
    for (const node of [b!, c!]) {
      await node.value.cluster.leave();
      await node.stop();
    }
    await d!.stop();
    await sim.until(() => ["b", "c", "d"].every((id) => states(a!)[id] === "left"));
    for (const node of [b!, c!, d!]) await node.start();
    await sim.until(() => agree([a!, c!, d!], ["a", "c", "d"]));
    await sim.run(120_000);
    assert.deepEqual(states(b!), { b: "alive" });
    assert.equal(await b!.value.membership!.join(["a:7946"]), 1);
    await sim.until(() => agree(nodes, ["a", "b", "c", "d"]));
    await sim.run(2000);
    await b!.stop();
    await b!.start();
    await sim.until(() => agree(nodes, ["a", "b", "c", "d"]));
  });
});

Deno.test("what happened before a restart is not told again after it, what is new is", async () => {
  await simulate({ seed: 14 }, async (sim) => {
    const nodes = await form(sim, gossiping(), ["a", "b", "c"]);
    const [a, , c] = nodes;
    const heard: string[] = [];
    const listen = () => {
      for (const name of ["deploy", "rotate"]) {
        c!.value.membership!.onEvent(name, ({ time }) => heard.push(`${name} ${time}`));
      }
    };
    listen();
    for (let i = 0; i < 3; i++) a!.value.membership!.event("deploy", new Uint8Array([i]));
    await sim.until(() => heard.length === 3);
    await sim.run(2000); // What is remembered is written once a second.
    c!.crash({ connections: "silent" });
    await sim.until(() => states(a!).c === "dead");
    await c!.start();
    heard.length = 0;
    listen();
    await sim.until(() => agree(nodes, ["a", "b", "c"]));
    a!.value.membership!.event("rotate", new Uint8Array(0));
    await sim.until(() => heard.length > 0);
    await sim.run(60_000); // Push/pulls hand over all that a remembers.
    assert.deepEqual(heard, ["rotate 4"]);
  });
});
