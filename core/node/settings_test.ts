import assert from "node:assert/strict";
import { join } from "node:path";
import { createHost, type Host, Kernel } from "../kernel/mod.ts";
import { settings } from "../contracts/settings.ts";
import type { Settings } from "../contracts/settings.ts";
import { hostId } from "./host_id.ts";
import { initCluster } from "./identity/authority.ts";
import { settingsPlugin } from "./settings.ts";

const host: Host = createHost({ log: () => {} });

/** What a declaration is read as. */
async function read(
  node: Record<string, unknown>,
  baseDir = "/nonexistent",
  profiles: Record<string, unknown> = {},
): Promise<Settings> {
  await using kernel = new Kernel(host);
  await kernel.apply([{
    id: "settings",
    plugin: settingsPlugin,
    config: { node, profiles, baseDir },
    path: ["mycnet"],
  }]);
  return kernel.get(settings);
}

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("without a word and without a state folder, every setting has its default", async () => {
  assert.deepEqual(await read({}), {
    id: hostId(),
    type: "sclerotia",
    cluster: "local",
    bindAddress: "0.0.0.0:7000",
    advertiseAddress: undefined,
    datacenter: undefined,
    rack: undefined,
    capacity: undefined,
    metadata: {},
    maxConnections: 1000,
    connectionTimeoutMs: 5000,
    stateDir: "/nonexistent/.mycnet",
    baseDir: "/nonexistent",
    profiles: {},
  });
});

Deno.test("a hyphae listens nowhere unless it is told to", async () => {
  assert.equal((await read({ type: "hyphae" })).bindAddress, undefined);
  assert.equal((await read({ type: "hyphae", bindAddress: ":7000" })).bindAddress, ":7000");
  assert.equal((await read({ bindAddress: false })).bindAddress, undefined);
});

Deno.test("what is left out comes from the state folder, what is said wins over it", async () => {
  await inFolder(async (folder) => {
    const stateDir = join(folder, ".mycnet");
    await initCluster({ stateDir, cluster: "prod", nodes: [{ id: "fern", type: "hyphae" }], host });
    const { id, type, cluster } = await read({}, folder);
    assert.deepEqual([id, type, cluster], ["fern", "hyphae", "prod"]);
    const said = await read({ type: "rhizomorph", cluster: "test" }, folder);
    assert.deepEqual([said.id, said.type, said.cluster], ["fern", "rhizomorph", "test"]);
    const other = await read({ id: "moss" }, folder);
    assert.deepEqual([other.id, other.type, other.cluster], ["moss", "sclerotia", "prod"]);
    await Deno.rename(stateDir, join(folder, "keys"));
    assert.equal((await read({ stateDir: "keys" }, folder)).id, "fern", "relative to the file");
    assert.equal((await read({ stateDir: join(folder, "keys") }, "/nonexistent")).id, "fern");
  });
});

Deno.test("of several nodes in the state folder one must be named; what is no node does not count", async () => {
  await inFolder(async (folder) => {
    const stateDir = join(folder, ".mycnet");
    await initCluster({ stateDir, cluster: "prod", nodes: [{ id: "a", type: "hyphae" }], host });
    await Deno.writeTextFile(join(stateDir, "nodes", "notes"), "");
    await Deno.mkdir(join(stateDir, "nodes", "Lost+Found"));
    assert.equal((await read({}, folder)).id, "a");
    await initCluster({ stateDir, nodes: [{ id: "b", type: "sclerotia" }], host });
    await assert.rejects(read({}, folder), {
      code: "plugin_setup_failed",
      message: /node\.id: .*\.mycnet holds 2 nodes \(a, b\)$/,
      remedy: /Say which one this is/,
    });
    assert.equal((await read({ id: "b" }, folder)).type, "sclerotia");
  });
});

Deno.test("a state folder that is damaged is an error that names the file", async () => {
  await inFolder(async (folder) => {
    const stateDir = join(folder, ".mycnet");
    await initCluster({ stateDir, cluster: "prod", nodes: [{ id: "a", type: "hyphae" }], host });
    const node = join(stateDir, "nodes", "a", "node.json");
    for (const text of ["{", "null", "[]", `{"type": "king"}`, `{"type": 5}`]) {
      await Deno.writeTextFile(node, text);
      await assert.rejects(read({}, folder), {
        message: /nodes\/a\/node\.json is damaged: its "type" makes no sense/,
        remedy: /Restore the file/,
      });
    }
    await Deno.writeTextFile(join(stateDir, "cluster.json"), `{"cluster": "../x"}`);
    await assert.rejects(read({}, folder), { message: /cluster\.json is damaged/ });
  });
});

Deno.test("each wrong setting is refused with its field before anything starts", async () => {
  const cases: [Record<string, unknown>, RegExp][] = [
    [
      { bindAdress: ":1" },
      /^mycnet\.node: unknown key "bindAdress", did you mean "bindAddress"\?$/,
    ],
    [{ id: "A" }, /^mycnet\.node\.id: must be 1 to 63 of/],
    [{ id: ".." }, /^mycnet\.node\.id: must be/],
    [{ cluster: "" }, /^mycnet\.node\.cluster: must be/],
    [{ type: "king" }, /^mycnet\.node\.type: /],
    [{ bindAddress: "localhost" }, /^mycnet\.node\.bindAddress: must be host:port/],
    [{ bindAddress: "127.0.0.1:65536" }, /^mycnet\.node\.bindAddress: .*at most 65535/],
    [{ advertiseAddress: "::1:7000" }, /^mycnet\.node\.advertiseAddress: .*brackets/],
    [{ capacity: { cpus: 0 } }, /^mycnet\.node\.capacity\.cpus: /],
    [{ metadata: { a: 5 } }, /^mycnet\.node\.metadata\.a: /],
    [
      { metadata: Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`k${at}`, ""])) },
      /^mycnet\.node\.metadata: at most 32 labels$/,
    ],
    [{ maxConnections: 0 }, /^mycnet\.node\.maxConnections: /],
    [{ connectionTimeout: "soon" }, /^mycnet\.node\.connectionTimeout: write a duration/],
  ];
  for (const [node, message] of cases) {
    await assert.rejects(read(node), { code: "config_invalid", message });
  }
});

Deno.test("profiles are checked by pair and field, and a pair that is misspelt is named with the nearest", async () => {
  const overrides = {
    "sclerotia-rhizomorph": { encryption: "high", compressions: ["zstd", "none"] },
    "hyphae-sclerotia": {
      adaptation: { base: "standard", strategy: "latency-based", fallback: "minimal" },
    },
  };
  assert.deepEqual((await read({}, "/nonexistent", overrides)).profiles, overrides);
  const cases: [Record<string, unknown>, RegExp][] = [
    [
      { "sclerotia-rhizomorf": {} },
      /^mycnet\.profiles: unknown key "sclerotia-rhizomorf", did you mean "sclerotia-rhizomorph"\?$/,
    ],
    [{ "hyphae-hyphae": { encryption: "none" } }, /^mycnet\.profiles\.hyphae-hyphae\.encryption: /],
    [
      { "hyphae-hyphae": { compresion: "low" } },
      /^mycnet\.profiles\.hyphae-hyphae: unknown key "compresion", did you mean "compression"\?$/,
    ],
  ];
  for (const [profiles, message] of cases) {
    await assert.rejects(read({}, "/nonexistent", profiles), { code: "config_invalid", message });
  }
});

Deno.test("the settings ask for the state folder, and for the host's name only without an id", () => {
  const permissions = (node: Record<string, unknown>) => {
    const parsed = settingsPlugin.parse({ node, baseDir: "/srv" });
    assert.ok(parsed.ok);
    return settingsPlugin.permissions(parsed.value);
  };
  assert.deepEqual(permissions({ id: "a" }), { read: ["/srv/.mycnet"], write: ["/srv/.mycnet"] });
  assert.deepEqual(permissions({ stateDir: "/keys" }), {
    read: ["/keys"],
    write: ["/keys"],
    sys: ["hostname"],
  });
});
