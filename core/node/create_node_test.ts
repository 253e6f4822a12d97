import assert from "node:assert/strict";
import { join } from "node:path";
import { builtIns } from "../../plugins/mod.ts";
import { clusterTest } from "../../tests/harness/leaks.ts";
import { type BootReport, createHost, type Host } from "../kernel/mod.ts";
import { createNodeWith, type NodeOptions } from "./create_node.ts";
import { initCluster } from "./identity/authority.ts";
import { TestNodes } from "./test_nodes_test.ts";

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Outcomes of reloads, one after the other. */
class Reloads {
  readonly #come: (BootReport | Error)[] = [];
  #wake: () => void = () => {};

  readonly heard = (outcome: BootReport | Error): void => {
    this.#come.push(outcome);
    this.#wake();
  };

  async next(): Promise<BootReport | Error> {
    while (this.#come.length === 0) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    return this.#come.shift()!;
  }
}

/** A real host on which what is regular comes every 20 ms at the latest. */
function hastyHost(log: NodeOptions["log"]): Host {
  const real = createHost({ log });
  const every = real.every.bind(real);
  return Object.assign(real, {
    every: (ms: number, run: () => void) => every(Math.min(ms, 20), run),
  });
}

clusterTest("an option that does not exist is refused, with the nearest that does", async () => {
  await assert.rejects(createNodeWith(builtIns, { confg: false } as NodeOptions), {
    code: "config_invalid",
    message: `createNode: unknown key "confg", did you mean "config"?`,
  });
});

clusterTest("what a node cannot do without cannot be switched off", async () => {
  const nodes = new TestNodes();
  for (const id of ["identity", "peers", "messenger", "services"]) {
    await assert.rejects(nodes.start("a", { plugins: { [id]: false } }), {
      code: "config_invalid",
      message: `mycnet.plugins.${id}: cannot be switched off`,
    });
  }
});

clusterTest(
  "a boot that fails leaves nothing behind and says no more than the error does",
  async () => {
    await inFolder(async (folder) => {
      const stateDir = join(folder, "state");
      const issuer = createHost({ log: () => {} });
      await initCluster({ stateDir, nodes: [{ id: "a", type: "sclerotia" }], host: issuer });
      using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const { port } = taken.addr as Deno.NetAddr;
      const path = join(folder, "deno.json");
      await Deno.writeTextFile(
        path,
        JSON.stringify({
          mycnet: {
            node: { stateDir, bindAddress: "127.0.0.1:0" },
            plugins: { admin: { bindAddress: `127.0.0.1:${port}` } },
          },
        }),
      );
      const lines: string[] = [];
      await assert.rejects(
        createNodeWith(builtIns, {
          config: path,
          log: (level, message) => {
            // What listened until the boot failed may have said so.
            if (level !== "debug" && level !== "info") lines.push(`${level} ${message}`);
          },
        }),
        {
          code: "plugin_setup_failed",
          message: new RegExp(
            `^"admin" failed to start: admin cannot listen on 127\\.0\\.0\\.1:${port}`,
          ),
          remedy: /choose another port/,
        },
      );
      assert.deepEqual(lines, []);
      const notes = [...Deno.readDirSync(join(stateDir, "nodes", "a"))].map(({ name }) => name);
      assert.ok(!notes.includes("admin.json"), "no note of an endpoint that does not exist");
    });
  },
);

clusterTest(
  "the file declares, the program is laid over it, and paths are relative to the file",
  async () => {
    await inFolder(async (folder) => {
      await Deno.mkdir(join(folder, "plugins"));
      await Deno.writeTextFile(
        join(folder, "plugins", "mine.ts"),
        `export default {
        name: "mine", summary: "Mine.", provides: { id: "mine", arity: "one" }, needs: {},
        parse: (value) => ({ ok: true, value }), schema: () => ({}), permissions: () => ({}),
        setup: () => ({}),
      };`,
      );
      await Deno.writeTextFile(
        join(folder, "deno.jsonc"),
        `{
        // A node.
        "mycnet": {
          "node": { "id": "from-file", "rack": "r1", "type": "rhizomorph", "cluster": "c" },
          "plugins": {
            "identity": { "insecure": true }, "tls": false, "admin": false, "http-gateway": false,
            "mine": { "use": "./plugins/mine.ts" }, "not-wanted": { "use": "memory" },
          },
        },
      }`,
      );
      await using node = await createNodeWith(builtIns, {
        cwd: folder,
        node: { rack: "r2" },
        plugins: { "not-wanted": false },
        watch: false,
      });
      const { id, rack, type } = node.self;
      assert.deepEqual({ id, rack, type }, { id: "from-file", rack: "r2", type: "rhizomorph" });
      const ids = node.plugins().map((it) => it.id);
      assert.ok(ids.includes("mine") && !ids.includes("not-wanted") && !ids.includes("tls"));
    });
  },
);

clusterTest(
  "a change of the file is taken over, a mistake in it changes nothing and is reported once",
  async () => {
    await inFolder(async (folder) => {
      const path = join(folder, "deno.json");
      const write = (mycnet: unknown) => Deno.writeTextFile(path, JSON.stringify({ mycnet }));
      const declared = (rounds: object) => ({
        node: { id: "a", cluster: "c", type: "sclerotia" },
        plugins: {
          "identity": { insecure: true },
          "tls": false,
          "admin": false,
          "http-gateway": false,
          ...rounds,
        },
      });
      await write(declared({}));
      const reloads = new Reloads();
      const nodes = new TestNodes();
      const { log } = nodes.options("a");
      await using node = await createNodeWith(builtIns, {
        config: path,
        host: hastyHost(log),
        onReload: reloads.heard,
      });
      const { generation } = node.self;

      await write(declared({ turns: { use: "round_robin" } }));
      const added = await reloads.next() as BootReport;
      assert.deepEqual(added.started.map(({ id }) => id), ["turns"]);
      assert.deepEqual(added.stopped, []);

      await write(declared({ turns: { use: "round_robn" } }));
      const refused = await reloads.next() as Error & { code: string };
      assert.equal(refused.code, "plugin_unknown");
      assert.match(
        refused.message,
        /^mycnet\.plugins\.turns\.use: .* did you mean "round_robin"\?$/,
      );
      assert.ok(node.plugins().some(({ id }) => id === "turns"));

      await write(declared({ static: { seeds: [] }, turns: { use: "round_robin" } }));
      const kept = await reloads.next() as BootReport;
      assert.deepEqual(kept.started, [], "the same as the default");

      await write(declared({}));
      const removed = await reloads.next() as BootReport;
      assert.deepEqual(removed.stopped.map(({ id }) => id), ["turns"]);
      assert.equal(node.self.generation, generation, "nothing else was restarted");
      assert.deepEqual(nodes.logged("error"), [
        "The changed configuration was not taken over; the node runs on as it was",
      ]);
    });
  },
);

clusterTest("a swapped symlink is taken over like any other change", async () => {
  await inFolder(async (folder) => {
    for (const version of ["one", "two"]) {
      await Deno.mkdir(join(folder, version));
      await Deno.writeTextFile(
        join(folder, version, "deno.json"),
        JSON.stringify({
          mycnet: {
            node: { id: "a", cluster: "c", type: "sclerotia", rack: version },
            plugins: {
              "identity": { insecure: true },
              "tls": false,
              "admin": false,
              "http-gateway": false,
            },
          },
        }),
      );
    }
    await Deno.symlink("one", join(folder, "current"));
    const reloads = new Reloads();
    await using node = await createNodeWith(builtIns, {
      config: join(folder, "current", "deno.json"),
      host: hastyHost(() => {}),
      onReload: reloads.heard,
    });
    assert.equal(node.self.rack, "one");
    await Deno.symlink("two", join(folder, "next"));
    await Deno.rename(join(folder, "next"), join(folder, "current"));
    await reloads.next();
    assert.equal(node.self.rack, "two");
  });
});

clusterTest("an onReload that throws is logged and ends nothing", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "deno.json");
    const write = (rack: string) =>
      Deno.writeTextFile(
        path,
        JSON.stringify({
          mycnet: {
            node: { id: "a", cluster: "c", type: "sclerotia", rack },
            plugins: {
              "identity": { insecure: true },
              "tls": false,
              "admin": false,
              "http-gateway": false,
            },
          },
        }),
      );
    await write("r1");
    const logged = Promise.withResolvers<unknown>();
    let calls = 0;
    await using node = await createNodeWith(builtIns, {
      config: path,
      host: hastyHost((level, message, fields) => {
        if (level === "error") logged.resolve([message, fields.error]);
      }),
      onReload: () => {
        calls++;
        throw new Error("mine");
      },
    });
    await write("r2");
    assert.deepEqual(await logged.promise, ["onReload threw", "mine"]);
    assert.equal(calls, 1);
    assert.equal(node.self.rack, "r2");
  });
});

clusterTest(
  "of two declarations the later one wins, though the first takes longer to load",
  async () => {
    await inFolder(async (folder) => {
      await Deno.writeTextFile(
        join(folder, "slow.ts"),
        `await globalThis.__gate;
      export default {
        name: "slow", summary: "Slow.", provides: { id: "slow", arity: "one" }, needs: {},
        parse: (value) => ({ ok: true, value }), schema: () => ({}), permissions: () => ({}),
        setup: () => ({}),
      };`,
      );
      const nodes = new TestNodes();
      const gate = Promise.withResolvers<void>();
      const world = globalThis as unknown as { __gate?: Promise<void> };
      world.__gate = gate.promise;
      try {
        await using node = await nodes.start("a", { cwd: folder });
        const first = node.reconfigure({ plugins: { slow: { use: "./slow.ts" } } });
        const second = node.reconfigure({ plugins: { turns: { use: "round_robin" } } });
        gate.resolve();
        await Promise.all([first, second]);
        const ids = node.plugins().map(({ id }) => id);
        assert.ok(ids.includes("turns") && !ids.includes("slow"), ids.join());
      } finally {
        delete world.__gate;
      }
    });
  },
);

clusterTest(
  "a declaration that cannot be is a rejection, and the node runs on as it was",
  async () => {
    const nodes = new TestNodes();
    await using node = await nodes.start("a");
    const before = node.plugins();
    const wrong: [unknown, string][] = [
      [[], "config_invalid"],
      [{ plugin: {} }, "config_invalid"],
      [{ node: { rack: 5 } }, "config_invalid"],
      [{ plugins: { static: { seeds: ["nowhere"] } } }, "config_invalid"],
      [
        { plugins: { twice: { use: "memory", config: { network: nodes.network, address: "a" } } } },
        "plugin_setup_failed",
      ],
    ];
    for (const [config, code] of wrong) {
      await assert.rejects(
        node.reconfigure(config as NodeOptions),
        { code },
        JSON.stringify(config),
      );
      assert.deepEqual(node.plugins().map(({ id }) => id), before.map(({ id }) => id));
    }
    assert.equal(node.ready, true);
  },
);

clusterTest("declarations that wait are bounded", async () => {
  const nodes = new TestNodes();
  await using node = await nodes.start("a");
  const results = await Promise.allSettled(Array.from({ length: 40 }, () => node.reconfigure({})));
  const refused = results.flatMap((it) => it.status === "rejected" ? [it.reason.code] : []);
  assert.deepEqual(refused, Array(24).fill("overloaded"));
});
