/** Several nodes of one state folder on one machine, as processes. */
import assert from "node:assert/strict";
import { freePort } from "../harness/ports.ts";
import { clusterTest } from "../harness/leaks.ts";
import {
  nodeArguments,
  patienceMs,
  rootPath,
  startDeno,
  started,
  startMycnet,
  taskPermissions,
  tempFolder,
} from "../harness/processes.ts";
import { logged, TestCluster } from "./cluster.ts";

/** The first of several ports in a row that are free now. */
function freePortsInARow(count: number): number {
  for (;;) {
    const first = freePort();
    const listeners: Deno.Listener[] = [];
    try {
      for (let port = first; port < first + count; port++) {
        listeners.push(Deno.listen({ hostname: "127.0.0.1", port }));
      }
      return first;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    } finally {
      for (const listener of listeners) listener.close();
    }
  }
}

/** Listens where a node that takes links at `address` would gossip. */
function gossipPortTaken(address: string): { port: number; close: () => void } {
  const port = Number(address.split(":")[1]) + 946;
  const listener = Deno.listen({ hostname: "127.0.0.1", port });
  return { port, close: () => listener.close() };
}

clusterTest("the commands that init prints start a network on one machine", async () => {
  await using folder = await tempFolder();
  const [port, admin] = [freePortsInARow(3), freePortsInARow(3)];
  const mycnet = {
    node: { bindAddress: `127.0.0.1:${port}` },
    plugins: { admin: { bindAddress: `127.0.0.1:${admin}` } },
  };
  await Deno.writeTextFile(`${folder.path}/deno.json`, JSON.stringify({ mycnet }));
  await using init = startMycnet(["init", "--nodes", "a,b:rhizomorph,c:hyphae"], {
    cwd: folder.path,
  });
  assert.equal((await init.ended()).code, 0, init.stderr.join("\n"));
  const commands = init.stdout.flatMap((it) => /^ {2}mycnet node (.*)$/.exec(it)?.[1] ?? []);
  assert.equal(commands.length, 3);
  await using stack = new AsyncDisposableStack();
  const nodes = commands.map((options) =>
    stack.use(startDeno(
      [
        ...["run", "--quiet", "--no-prompt", ...taskPermissions("node"), `${rootPath}mod.ts`],
        ...nodeArguments,
        ...options.split(" "),
      ],
      { cwd: folder.path, patienceMs },
    ))
  );
  const said = await Promise.all(nodes.map(started));
  assert.deepEqual(said.map((it) => it.addresses), [
    [`tls://127.0.0.1:${port}`],
    [`tls://127.0.0.1:${port + 1}`],
    [`tls://127.0.0.1:${port + 2}`],
  ]);
  assert.deepEqual(
    said.map((it) => it.admin),
    [0, 1, 2].map((i) => `http://127.0.0.1:${admin + i}`),
  );
  // Nobody has said so: nodes gossip beside their links, and a hyphae does not.
  assert.deepEqual(said.map((it) => it.gossip), [
    `127.0.0.1:${port + 946}`,
    `127.0.0.1:${port + 947}`,
    undefined,
  ]);
  const joined = ([at, node]: [number, string]) =>
    logged({ child: nodes[at] }, "A member joined.", { node });
  await Promise.all([
    ...["b", "c"].map((node) => logged({ child: nodes[0] }, "A node is linked.", { node })),
    joined([0, "b"]),
    joined([1, "a"]),
  ]);
});

clusterTest("a gossip port that is taken is named with what helps", async () => {
  await using cluster = await TestCluster.create([{ id: "a", type: "sclerotia" }]);
  const { port, close } = gossipPortTaken(cluster.address("a"));
  try {
    await cluster.declare("a", [], { plugins: { swim: {} } });
    const message = await cluster.start("a").then(() => "it started", (it: Error) => it.message);
    assert.match(message, new RegExp(`127.0.0.1:${port}, where this node gossips .946 ports`));
    assert.match(message, /in use by another process. Set node.bindAddress \(--bind\)/);
  } finally {
    close();
  }
});

clusterTest(
  "a second process of a node does not start, and does once the first was killed",
  async () => {
    await using cluster = await TestCluster.create([{ id: "a", type: "sclerotia" }]);
    await cluster.declare("a", []);
    await using first = await cluster.start("a");
    const second = cluster.start("a").then(() => "it started", (error: Error) => error.message);
    const message = await second;
    assert.match(message, /exit code 1/);
    assert.match(
      message,
      new RegExp(`node .{1,2}a.{1,2} runs already: process ${first.child.pid} holds`),
    );
    assert.match(message, /Stop the process that is named/);
    await first.child.kill();
    await using again = await cluster.start("a");
    assert.equal(again.id, "a");
  },
);
