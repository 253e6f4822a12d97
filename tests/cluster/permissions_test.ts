/**
 * `mycnet schema --permissions` prints what a node with a configuration must be
 * granted. Here nodes are granted exactly that and asked no questions; Deno's
 * own record of every access tells whether anything else was tried.
 */
import assert from "node:assert/strict";
import { clusterTest } from "../harness/leaks.ts";
import { nodeArguments, rootPath, startDeno, startMycnet } from "../harness/processes.ts";
import { ask, logged, running, type RunningProcess, served, TestCluster } from "./cluster.ts";

type PermissionSet = Readonly<Record<string, readonly string[] | true>>;

/** What the command line prints for a configuration. */
async function printed(config: string): Promise<PermissionSet> {
  await using child = startMycnet(["schema", "--permissions", "--config", config]);
  const { code } = await child.ended();
  assert.equal(code, 0, child.stderr.join("\n"));
  return JSON.parse(child.stdout.join("\n"));
}

/** A permission set as flags. */
function flags(set: PermissionSet): string[] {
  return Object.entries(set).map(([kind, names]) =>
    names === true ? `--allow-${kind}` : `--allow-${kind}=${names.join(",")}`
  );
}

/** Starts a node with what is printed for it and nothing more. */
async function startGranted(cluster: TestCluster, id: string): Promise<RunningProcess> {
  const config = cluster.configPath(id);
  const granted = flags(await printed(config));
  const child = startDeno(
    ["run", "--no-prompt", ...granted, `${rootPath}mod.ts`, ...nodeArguments, "--config", config],
    // Away from the configuration: what a relative path means must not depend on where one is.
    { cwd: "/" },
  );
  return await running(child, cluster.stateDir);
}

clusterTest(
  "nodes granted what schema --permissions prints boot, link, serve and reload",
  async () => {
    await using cluster = await TestCluster.create([
      { id: "a", type: "sclerotia" },
      { id: "b", type: "rhizomorph" },
    ]);
    await cluster.declare("a", [], { plugins: { swim: {} } });
    await cluster.declare("b", ["a"], { plugins: { swim: {}, greeter: false } });
    await using a = await startGranted(cluster, "a");
    await using b = await startGranted(cluster, "b");
    await logged(b, "A node is linked.", { node: "a" });
    await logged(b, "A member joined.", { node: "a" });
    await served(b, "greeter");
    const hello = await ask(b, "/services/greeter/hello", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"name": "Ada"}',
    });
    assert.equal(await hello.json(), "Hello, Ada, from a");
    await cluster.declare("b", ["a"], {
      plugins: { swim: {}, greeter: false, turns: { use: "round_robin" } },
    });
    await logged(b, "The changed configuration was taken over");
    await using renewing = startMycnet(
      ["init", "--config", cluster.configPath("a"), "--nodes", "a:sclerotia", "--force"],
    );
    assert.equal((await renewing.ended()).code, 0);
    await logged(a, "New credentials are in use");
    for (const node of [a, b]) {
      assert.equal((await node.child.stop()).code, 0);
      assert.deepEqual(
        node.child.stderr.filter((it) => /NotCapable|[Pp]ermission|Requires \w+ access/.test(it)),
        [],
      );
    }
  },
);

clusterTest("the set names no more than the configuration calls for", async () => {
  await using cluster = await TestCluster.create([{ id: "a", type: "sclerotia" }]);
  await cluster.declare("a", []);
  assert.deepEqual(await printed(cluster.configPath("a")), {
    net: true, // Who will dial in is not known beforehand.
    read: [cluster.stateDir, cluster.configPath("a"), `${rootPath}tests/cluster`].sort(),
    write: [cluster.stateDir],
    sys: ["hostname"],
  });
  await cluster.declare("a", [], { plugins: { swim: {} } });
  assert.deepEqual((await printed(cluster.configPath("a"))).sys, ["hostname", "networkInterfaces"]);
  const own = { certPath: "certs/a.pem", keyPath: "/etc/a.key", caCertPath: "certs/ca.pem" };
  await cluster.declare("a", [], { plugins: { identity: own, greeter: false } });
  assert.deepEqual(
    (await printed(cluster.configPath("a"))).read,
    [
      "/etc/a.key",
      cluster.stateDir,
      cluster.configPath("a"),
      `${cluster.folder}/certs/a.pem`,
      `${cluster.folder}/certs/ca.pem`,
    ].sort(),
  );
});
