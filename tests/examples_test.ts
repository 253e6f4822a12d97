// Runs every example as its header tells: the commands are read from there, so
// what is documented is what is tested. Those that listen are given port 0.
import assert from "node:assert/strict";
import { clusterTest } from "./harness/leaks.ts";
import { type Child, rootPath, startDeno, startMycnet, tempFolder } from "./harness/processes.ts";

/** The words after `deno` of each command in an example's header. */
function commandsOf(path: string): string[][] {
  const text = Deno.readTextFileSync(`${rootPath}examples/${path}`);
  return text.split("\n").map((it) => it.replace(/^( \*|\/\/)\s*/, ""))
    .filter((it) => it.startsWith("deno ")).map((it) => it.split(" ").slice(1));
}

/** The documented command that runs this file. */
function documented(path: string): string[] {
  const command = commandsOf(path).find((it) => it.at(-1) === `examples/${path}`);
  assert.ok(command, `the header of examples/${path} does not tell how to run it`);
  return command;
}

/** Starts an example by its documented command. */
function startExample(path: string, ...args: string[]): Child {
  return startDeno([...documented(path), ...args], { cwd: rootPath });
}

/** What it printed, once it has ended well by itself. */
async function outputOf(child: Child): Promise<readonly string[]> {
  const { code } = await child.ended();
  const output = child.stdout.filter((it) => it !== "");
  assert.equal(code, 0, [...output, ...child.stderr].join("\n"));
  return output;
}

/** A project of somebody else: a folder with examples in it, and a deno.json that maps the names. */
async function outsider(files: readonly string[], config: Record<string, unknown> = {}) {
  const folder = await tempFolder();
  const { exports, imports, permissions } = JSON.parse(
    await Deno.readTextFile(`${rootPath}deno.json`),
  );
  const own = Object.entries(exports as Record<string, string>).map(([name, path]) =>
    [`@mycnet/runtime${name.slice(1)}`, rootPath + path.slice(2)] as const
  );
  const mapped = { ...Object.fromEntries(own), zod: imports.zod };
  await Deno.writeTextFile(
    `${folder.path}/deno.json`,
    JSON.stringify({ imports: mapped, permissions, ...config }),
  );
  for (const file of files) {
    const target = `${folder.path}/examples/${file}`;
    await Deno.mkdir(target.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.copyFile(`${rootPath}examples/${file}`, target);
  }
  return folder;
}

clusterTest("hello says hello", async () => {
  await using child = startExample("hello.ts");
  assert.deepEqual(await outputOf(child), ["Hello, Ada!"]);
});

clusterTest("a stream goes to another node, and goes on where it broke off", async () => {
  await using child = startExample("byte_stream.ts");
  assert.deepEqual(await outputOf(child), [
    "archive takes backup.tar from byte 0",
    "archive failed: unavailable",
    "archive takes backup.tar from byte 3000000",
    "sent 5000000 of 8000000 bytes, the rest was there",
    "archive has all of it: true",
  ]);
});

clusterTest("hello runs in a folder that only maps the name of the runtime", async () => {
  await using folder = await outsider(["hello.ts"]);
  await using child = startDeno(documented("hello.ts"), { cwd: folder.path });
  assert.deepEqual(await outputOf(child), ["Hello, Ada!"]);
});

clusterTest("two processes with keys of mycnet init call each other over mutual TLS", async () => {
  await using folder = await outsider(
    ["server.ts", "client.ts", "service.ts", "mycnet.jsonc"].map((it) => `two_nodes/${it}`),
  );
  const commands = commandsOf("two_nodes/server.ts").map((words) =>
    words.map((word) => word === "mod.ts" ? `${rootPath}mod.ts` : word)
  );
  assert.equal(commands.length, 3);
  const run = (command: number, ...args: string[]) =>
    startDeno([...commands[command], ...args], { cwd: folder.path });

  await using init = run(0);
  await outputOf(init);
  await using server = run(1, "127.0.0.1:0");
  const address = await server.line(
    "where it listens",
    (line) => /^listening at (tls:\/\/127\.0\.0\.1:\d+)$/.exec(line)?.[1],
  );
  await using client = run(2, address);
  const [linked, ...rest] = await outputOf(client);
  assert.match(linked, /^linked to server, a sclerotia of mycnet-/);
  assert.deepEqual(rest, ["encryption: standard", "1 + 2 + 3 = 6"]);

  server.signal("SIGTERM");
  assert.deepEqual((await outputOf(server)).slice(1), [
    "client asks for the sum of 1, 2, 3",
    "stopped",
  ]);
});

clusterTest("a typed service streams, minds its tenants and has errors of its own", async () => {
  await using child = startExample("typed_service/main.ts");
  assert.deepEqual(await outputOf(child), [
    "failed with permission_denied: ledger/read on server: say which tenant in the metadata",
    "appended entry 1, a note",
    "1. note: paid the rent",
    "2. task: call the bank",
    "entry 2: call the bank",
    "no entry 7; the last is 2",
    "globex has 0 entries",
  ]);
});

clusterTest("a plugin of one's own is loaded from the path in the configuration", async () => {
  await using child = startExample("own_plugin/main.ts");
  assert.deepEqual(await outputOf(child), [
    "with the favourite:    b b b b",
    "without the favourite: a a a a",
  ]);
});

clusterTest("a plugin declared in another project's deno.json runs there", async () => {
  // The key that mycnet.jsonc shows, but in deno.json, found from a folder below it.
  const text = await Deno.readTextFile(`${rootPath}examples/own_plugin/mycnet.jsonc`);
  const { mycnet } = JSON.parse(
    text.replaceAll(/^\s*\/\/.*$/gm, "").replace("./favourite.ts", "./examples/own_plugin/$&"),
  );
  await using folder = await outsider(["own_plugin/favourite.ts"], { mycnet });
  await using node = startMycnet(
    ["node", "--json", "--exit-with-stdin"],
    { cwd: `${folder.path}/examples/own_plugin` },
  );
  const plugins = await node.json(
    "that it has started",
    ({ event, plugins }) =>
      event === "started" ? plugins as { id: string; plugin: string }[] : undefined,
  );
  assert.equal(plugins.find(({ id }) => id === "favourite")?.plugin, "favourite");
  assert.equal((await node.stop()).code, 0, node.stderr.join("\n"));
});

clusterTest("an existing Hono application calls the cluster and stops in order", async () => {
  await using child = startExample("hono_app/main.ts", "0");
  const address = await child.line("its address", (line) => /^serving (\S+)$/.exec(line)?.[1]);
  const get = async (path: string) => {
    const response = await fetch(address + path);
    return [response.status, await response.json()] as const;
  };
  assert.deepEqual(await get("/prices/apple"), [200, { item: "apple", price: 3 }]);
  const [missing, problem] = await get("/prices/kiwi");
  assert.equal(missing, 404);
  assert.match(problem.error, /no price for kiwi/);
  const [ready, health] = await get("/healthz");
  assert.equal(ready, 200);
  assert.equal(health.status, "healthy");

  child.signal("SIGTERM");
  assert.equal((await outputOf(child)).at(-1), "stopping");
});

clusterTest("the tests that users copy pass without any permission", async () => {
  for (const file of ["cluster_test.ts", "simulation_test.ts"]) {
    const [verb, ...rest] = documented(`testing/${file}`);
    // Their types are checked with those of everything else.
    await using child = startDeno([verb, "--no-check", ...rest], { cwd: rootPath });
    assert.match((await outputOf(child)).join("\n"), /ok \| \d+ passed \| 0 failed/);
  }
});
