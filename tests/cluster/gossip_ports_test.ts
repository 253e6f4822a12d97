// Nodes at ports of the system's choosing, where nothing can be guessed: a link tells where each gossips.
import assert from "node:assert/strict";
import { createNode, type Node } from "../../mod.ts";
import { createHost } from "../../core/kernel/real_host.ts";
import { initCluster } from "../../core/node/identity/authority.ts";
import { clusterTest } from "../harness/leaks.ts";
import { tempFolder } from "../harness/processes.ts";

const ids = ["a", "b", "c"];

/** A node as its keys make it: membership is a default. */
function start(id: string, stateDir: string): Promise<Node> {
  return createNode({
    config: false,
    node: { id, stateDir, bindAddress: "127.0.0.1:0" },
    plugins: { admin: false, "http-gateway": false },
  });
}

/** Resolves once a node sees that many members alive. */
async function seesAlive(node: Node, count: number): Promise<void> {
  const alive = () =>
    node.membership!.members().filter(({ state }) => state === "alive").length === count;
  const seen = Promise.withResolvers<void>();
  using _watching = node.membership!.onMember(() => {
    if (alive()) seen.resolve();
  });
  if (!alive()) await seen.promise;
}

clusterTest("linked nodes become members of each other, whatever their ports", async () => {
  await using folder = await tempFolder();
  const stateDir = folder.path;
  await initCluster({
    stateDir,
    cluster: "anywhere",
    nodes: ids.map((id) => ({ id, type: "sclerotia" as const })),
    host: createHost(),
  });
  await using stack = new AsyncDisposableStack();
  const nodes: Node[] = [];
  for (const id of ids) nodes.push(stack.use(await start(id, stateDir)));
  const [a, b, c] = nodes as [Node, Node, Node];
  await b.cluster.join(a.addresses);
  await c.cluster.join(b.addresses);
  await Promise.all(nodes.map((node) => seesAlive(node, ids.length)));
  for (const node of nodes) assert.deepEqual(node.health().reasons, []);
  const told = b.members().find(({ id }) => id === "c")!.gossipAddress;
  assert.equal(told, a.membership!.member("c")!.address);
});
