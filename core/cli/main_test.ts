import assert from "node:assert/strict";
import { join } from "node:path";
import { builtIns } from "../../plugins/mod.ts";
import { clusterTest } from "../../tests/harness/leaks.ts";
import { coreBuiltIns } from "../node/config/declaration.ts";
import { runtimeVersion } from "../node/version.ts";
import { FakeIo, inFolder, input } from "./fakes_test.ts";
import { cliRuntime } from "./main.ts";
import { runCli } from "./mod.ts";

const entry = "file:///somewhere/mod.ts";
type Json = Readonly<Record<string, unknown>>;

Deno.test("the schema is of the whole key: the node, the profiles and every built-in plugin", async () => {
  const schema = await cliRuntime(builtIns, entry).schema();
  const { node, profiles, plugins } = schema.properties as Record<string, Json>;
  const definitions = schema.$defs as Record<string, Json>;
  const resolved = ({ $ref }: Json) => definitions[String($ref).slice("#/$defs/".length)];
  for (const field of ["id", "type", "bindAddress", "maxConnections", "connectionTimeout"]) {
    assert.ok(field in (resolved(node).properties as Json), field);
  }
  assert.ok(resolved(profiles));
  const names = [...Object.keys(coreBuiltIns), ...Object.keys(builtIns)].sort();
  assert.deepEqual(Object.keys(plugins.properties as Json).sort(), names);
  for (const name of names) assert.ok(definitions[`plugin.${name}`], name);
  for (const own of ["settings", "program"]) assert.ok(!(own in (plugins.properties as Json)), own);
});

Deno.test("the program is the commands and the demo, under the version of the runtime", async () => {
  const runtime = cliRuntime(builtIns, entry);
  assert.equal(runtime.version, runtimeVersion);
  const io = new FakeIo();
  assert.equal(await runCli(["--version"], io, runtime), 0);
  assert.match(io.stdout.text, new RegExp(`^mycnet ${runtimeVersion.replaceAll(".", "\\.")} `));
  assert.equal(await runCli(["help", "demo"], io, runtime), 0);
  assert.match(io.stdout.text, /--keep/);
});

clusterTest(
  "a node is started as the file declares it, with the id of the command line over it",
  async () => {
    await inFolder(async (folder) => {
      const config = join(folder, "deno.json");
      await Deno.writeTextFile(
        config,
        JSON.stringify({
          mycnet: {
            node: { id: "a", cluster: "c", type: "hyphae" },
            plugins: {
              "identity": { insecure: true },
              "tls": false,
              "admin": { bindAddress: "127.0.0.1:0" },
            },
          },
        }),
      );
      const lines: string[] = [];
      const runtime = cliRuntime(builtIns, entry);
      const node = await runtime.startNode({
        config,
        node: { id: "b" },
        cwd: folder,
        log: (_level, message) => void lines.push(message),
      });
      assert.equal(node.id, "b");
      assert.deepEqual(node.addresses, []);
      const note = join(folder, ".mycnet", "nodes", "b", "admin.json");
      assert.equal(JSON.parse(await Deno.readTextFile(note)).address, node.adminAddress);
      assert.ok(lines.includes("Admin listens"));
      const ignored = await Deno.readTextFile(join(folder, ".mycnet", ".gitignore"));
      assert.equal(ignored, "*\n", "a token must not end up in version control");
      const token = await Deno.readTextFile(join(folder, ".mycnet", "nodes", "b", "admin.token"));
      assert.ok(!lines.join("\n").includes(token.trim()));
      await node.stop("the test is over");
      await node.closed;
      await assert.rejects(Deno.stat(note), Deno.errors.NotFound);
    });
  },
);

clusterTest("a boot that fails rejects with what helps", async () => {
  await inFolder(async (folder) => {
    const starting = cliRuntime(builtIns, entry).startNode({
      config: undefined,
      node: { id: "a" },
      cwd: folder,
      log: () => {},
    });
    await assert.rejects(starting, { code: "plugin_setup_failed", remedy: /Run `mycnet init`/ });
  });
});

Deno.test("standard input beyond 1 MiB is refused before any node is asked", async () => {
  const io = new FakeIo();
  io.stdin = input(JSON.stringify("x".repeat(1024 * 1024)));
  const runtime = cliRuntime(builtIns, entry);
  const args = ["call", "greeter/hello", "-", "--admin", "http://127.0.0.1:1", "--token", "t"];
  assert.equal(await runCli(args, io, runtime), 1);
  assert.match(io.stderr.text, /standard input holds more than 1048576 bytes/);
});
