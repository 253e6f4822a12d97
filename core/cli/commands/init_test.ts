import assert from "node:assert/strict";
import { join } from "node:path";
import { isToken } from "../../admin/files.ts";
import { cli, FakeIo, inFolder } from "../fakes_test.ts";
import { exitCodes } from "../mod.ts";

async function init(folder: string, ...args: string[]) {
  const io = new FakeIo();
  io.cwd = folder;
  return await cli(["init", ...args], io);
}

Deno.test("init makes a cluster, keys for their owner alone, and a deno.json that declares the node", async () => {
  await inFolder(async (folder) => {
    const { code, out, err } = await init(folder, "--cluster", "blue", "--id", "web-1");
    assert.equal(err, "");
    assert.equal(code, 0);
    assert.match(out, /^Created the cluster blue in \.mycnet\n/);
    assert.match(out, /\nweb-1 +sclerotia +\d{4}-\d\d-\d\d +new\n/);
    assert.match(
      out,
      /\nDeclared in deno\.json\. Next:\n {2}mycnet node\nGossip is 946 .*keyring\.\n$/,
    );
    const text = await Deno.readTextFile(join(folder, "deno.json"));
    assert.deepEqual(JSON.parse(text), { mycnet: { node: { id: "web-1" } } });
    const token = join(folder, ".mycnet/nodes/web-1/admin.token");
    assert.ok(isToken((await Deno.readTextFile(token)).trim()), "what admin takes for a token");
    assert.equal((await Deno.stat(token)).mode! & 0o777, 0o600);
    assert.equal(await Deno.readTextFile(join(folder, ".mycnet/.gitignore")), "*\n");
  });
});

Deno.test("a deno.json keeps its comments, order and indentation", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "deno.json");
    const before = '{\n\t// what we run\n\t"tasks": { "a": "b" }, // one\n\t"imports": {},\n}\n';
    await Deno.writeTextFile(path, before, { mode: 0o640 });
    assert.equal((await init(folder, "--id", "a")).code, 0);
    const after = await Deno.readTextFile(path);
    assert.ok(after.startsWith('{\n\t// what we run\n\t"tasks": { "a": "b" }, // one\n'), after);
    assert.match(after, /\n\t"mycnet": \{\n\t\t"node": \{\n\t\t\t"id": "a"\n/);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o640);
  });
});

Deno.test("run again it adds a node, and what the file says of its own stays", async () => {
  await inFolder(async (folder) => {
    await init(folder, "--id", "a");
    const before = await Deno.readTextFile(join(folder, "deno.json"));
    const { out } = await init(folder, "--id", "b", "--type", "hyphae");
    assert.match(out, /^Extended the cluster/);
    assert.match(
      out,
      /\nNext:\n {2}mycnet node --id b --admin 127\.0\.0\.1:7081 --seed 127\.0\.0\.1:7000\nOn a machine/,
    );
    assert.equal(await Deno.readTextFile(join(folder, "deno.json")), before);
    const twice = await init(folder, "--id", "b");
    assert.equal(twice.code, exitCodes.failed);
    assert.match(twice.err, /"b" already/);
    const renewed = await init(folder, "--id", "b", "--type", "hyphae", "--force");
    assert.match(renewed.out, /\nb +hyphae +\S+ +renewed\n/);
  });
});

Deno.test("several nodes are issued at once, by a list or a count", async () => {
  await inFolder(async (folder) => {
    const list = await init(folder, "--nodes", "a:sclerotia, b:rhizomorph,c", "--json");
    const { nodes, config, created } = JSON.parse(list.out);
    assert.equal(created, true);
    assert.equal(config, join(folder, "deno.json"));
    assert.deepEqual(
      nodes.map((it: { id: string; type: string }) => `${it.id} ${it.type}`),
      ["a sclerotia", "b rhizomorph", "c sclerotia"],
    );
    const text = await Deno.readTextFile(join(folder, "deno.json"));
    assert.deepEqual(JSON.parse(text), { mycnet: { node: {} } });
    const count = await init(folder, "--nodes", "2", "--type", "hyphae");
    assert.match(count.out, /node-1 +hyphae[^]*node-2 +hyphae/);
    assert.match(count.out, /mycnet node --id node-1 --admin \S+:7083 --seed \S+:7000\n/);
  });
});

Deno.test("a count of nodes is bounded", async () => {
  await inFolder(async (folder) => {
    const { code, err } = await init(folder, "--nodes", "101");
    assert.equal(code, exitCodes.usage);
    assert.match(err, /--nodes 101: 1 to 100/);
  });
});

Deno.test("another state folder is written down relative to the file", async () => {
  await inFolder(async (folder) => {
    const args = ["--config", "conf/node.json", "--state-dir", "state", "--id", "a"];
    const { code, out } = await init(folder, ...args);
    assert.equal(code, 0);
    assert.match(out, /mycnet node --config conf\/node\.json\n/);
    const text = await Deno.readTextFile(join(folder, "conf/node.json"));
    assert.deepEqual(JSON.parse(text), { mycnet: { node: { id: "a", stateDir: "../state" } } });
    await Deno.stat(join(folder, "state/nodes/a/key.pem"));
    const again = await init(folder, "--config", "conf/node.json", "--id", "b");
    assert.equal(again.code, 0);
    await Deno.stat(join(folder, "state/nodes/b/key.pem"));
  });
});

Deno.test("a deno.json that cannot be read stops init before anything is made", async () => {
  await inFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "deno.json"), '{ "mycnet": ');
    const { code, err } = await init(folder, "--id", "a");
    assert.equal(code, exitCodes.failed);
    assert.match(err, /deno\.json:1:\d+/);
    await assert.rejects(Deno.stat(join(folder, ".mycnet")), Deno.errors.NotFound);
  });
});
