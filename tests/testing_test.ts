// createTestCluster: real nodes over memory, in anybody's own tests.
import assert from "node:assert/strict";
import { defineService, type Node } from "../mod.ts";
import { createTestCluster } from "../testing.ts";
import { z } from "zod";
import { clusterTest } from "./harness/leaks.ts";

const names = defineService("names", {
  version: 1,
  methods: {
    own: { input: z.object({}), output: z.string(), idempotent: true },
    letters: { input: z.object({}), stream: z.string() },
  },
});

const serveName = (node: Node) =>
  node.serve(names, { own: () => node.id, letters: () => [...node.id] });

/** The ids that a node has a link to that is up. */
function linkedTo(node: Node): string[] {
  return node.members().filter(({ links }) => links.some(({ state }) => state === "up"))
    .map(({ id }) => id).sort();
}

clusterTest("every two nodes of a test cluster are linked when it is handed over", async () => {
  await using cluster = await createTestCluster(5);
  const ids = cluster.nodes.map(({ id }) => id);
  assert.deepEqual(ids, ["node-1", "node-2", "node-3", "node-4", "node-5"]);
  for (const node of cluster.nodes) {
    assert.deepEqual(linkedTo(node), ids.filter((id) => id !== node.id));
    assert.equal(node.health().status, "healthy");
  }
});

clusterTest("any node of a test cluster calls any other, and itself", async () => {
  await using cluster = await createTestCluster(3);
  for (const node of cluster.nodes) serveName(node);
  for (const caller of cluster.nodes) {
    for (const { id } of cluster.nodes) {
      assert.equal(await caller.client(names).own({}, { node: id }), id);
      const letters = await Array.fromAsync(caller.client(names).letters({}, { node: id }));
      assert.equal(letters.join(""), id);
    }
  }
});

clusterTest("a cluster of one is a node alone", async () => {
  await using cluster = await createTestCluster(1);
  const [node] = cluster.nodes;
  serveName(node);
  assert.deepEqual(node.members(), []);
  assert.equal(await node.client(names).own({}), "node-1");
});

clusterTest("a size that is none is refused before anything starts", async () => {
  for (const size of [0, -1, 101, 1.5, NaN, Infinity]) {
    await assert.rejects(createTestCluster(size), (error: Error & { code: string }) => {
      assert.equal(error.code, "invalid_argument");
      assert.match(error.message, new RegExp(`^size: ${size} is not`));
      return true;
    });
  }
});

clusterTest("options are laid over each node by its index", async () => {
  await using cluster = await createTestCluster(3, {
    node: (index) => ({
      node: { type: index === 0 ? "sclerotia" : "rhizomorph", rack: `r${index}` },
      plugins: { "second": { use: "round_robin" } },
    }),
  });
  const seen = cluster.nodes.map(({ self }) => [self.type, self.rack]);
  assert.deepEqual(seen, [["sclerotia", "r0"], ["rhizomorph", "r1"], ["rhizomorph", "r2"]]);
  for (const node of cluster.nodes) {
    assert.ok(node.plugins().some(({ id }) => id === "second"));
  }
});

clusterTest("clients that listen nowhere are linked to those that listen", async () => {
  await using cluster = await createTestCluster(4, {
    node: (index) => index < 2 ? {} : { node: { type: "hyphae" } },
  });
  const [server, , one, other] = cluster.nodes;
  assert.deepEqual(one.addresses, []);
  assert.deepEqual(linkedTo(one), ["node-1", "node-2"]);
  assert.deepEqual(linkedTo(other), ["node-1", "node-2"]);
  assert.deepEqual(linkedTo(server), ["node-2", "node-3", "node-4"]);
});

clusterTest("a wrong option names its field, and nothing is left running", async () => {
  const started: string[] = [];
  const cluster = createTestCluster(3, {
    node: (index) => {
      started.push(`node-${index + 1}`);
      return index < 2 ? {} : { node: { idd: "three" } as Record<string, string> };
    },
  });
  await assert.rejects(cluster, (error: Error & { code: string; remedy: string }) => {
    assert.equal(error.code, "config_invalid");
    assert.match(error.message, /mycnet\.node.*"idd".*"id"/);
    assert.notEqual(error.remedy, "");
    return true;
  });
  assert.deepEqual(started, ["node-1", "node-2", "node-3"]);
});

clusterTest("nodes that cannot link are named with the reason, and are stopped", async () => {
  const cluster = createTestCluster(2, {
    node: (index) => ({ node: { cluster: `number-${index}` }, log: () => {} }),
    linkTimeoutMs: 200,
  });
  await assert.rejects(cluster, (error: Error & { code: string }) => {
    assert.equal(error.code, "timeout");
    assert.match(error.message, /^node-[12] is not linked to node-[12]/);
    return true;
  });
});

clusterTest("a node that is added is linked to all, and serves all", async () => {
  await using cluster = await createTestCluster(2);
  const third = await cluster.add({ node: { rack: "new" } });
  assert.equal(third.id, "node-3");
  assert.equal(cluster.nodes.length, 3);
  assert.deepEqual(linkedTo(third), ["node-1", "node-2"]);
  serveName(third);
  for (const node of cluster.nodes) assert.equal(await node.client(names).own({}), "node-3");
});

clusterTest("nodes that are added at once are linked to each other, too", async () => {
  await using cluster = await createTestCluster(1);
  const added = await Promise.all([cluster.add(), cluster.add(), cluster.add()]);
  await cluster.linked();
  assert.deepEqual(added.map(({ id }) => id), ["node-2", "node-3", "node-4"]);
  for (const node of cluster.nodes) assert.equal(linkedTo(node).length, 3);
});

clusterTest("a node that is removed leaves: the others say so and go on without it", async () => {
  await using cluster = await createTestCluster(3);
  const [first, second, third] = cluster.nodes;
  serveName(first);
  serveName(second);
  const events = third.events();
  await cluster.remove(first);
  await first.closed;
  for await (const event of events) {
    if (event.type !== "node_left" && event.type !== "node_failed") continue;
    assert.equal(event.type, "node_left");
    assert.equal(event.node.id, "node-1");
    break;
  }
  assert.deepEqual(cluster.nodes, [second, third]);
  for (let call = 0; call < 10; call++) {
    assert.equal(await third.client(names).own({}), "node-2");
  }
  await assert.rejects(cluster.remove(first), { code: "not_found" });
});

clusterTest("a node that is stopped by itself does not spoil the end of the cluster", async () => {
  await using cluster = await createTestCluster(2);
  await cluster.nodes[0].stop();
});

clusterTest("clusters side by side do not see each other", async () => {
  await using one = await createTestCluster(2);
  await using other = await createTestCluster(3);
  serveName(one.nodes[0]);
  assert.equal(one.nodes[1].members().length, 1);
  assert.equal(other.nodes[1].members().length, 2);
  assert.equal(await one.nodes[1].client(names).own({}), "node-1");
  await assert.rejects(other.nodes[1].client(names).own({}, { timeout: "50ms" }), {
    code: "unavailable",
    mayHaveRun: false,
  });
});

clusterTest("an ended cluster's nodes refuse calls as calls fail: by rejecting", async () => {
  let node: Node;
  {
    await using cluster = await createTestCluster(2);
    node = cluster.nodes[0];
    serveName(node);
  }
  assert.equal(node.ready, false);
  await node.closed;
  const client = node.client(names);
  await assert.rejects(client.own({}), { code: "closed" });
  const items = client.letters({});
  await assert.rejects(items.next(), { code: "closed" });
  const bytes = new Uint8Array(1);
  await assert.rejects(node.send("node-2", "custom.note", bytes), { code: "closed" });
  await assert.rejects(node.request("node-2", "custom.note", bytes), { code: "closed" });
});
