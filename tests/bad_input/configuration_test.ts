// Declarations with mistakes, handed to createNode: each names the field or the
// plugin, the nearest thing that exists, and what to do; nothing is left running.
import assert from "node:assert/strict";
import { z } from "zod";
import { createNode, type MycnetConfig, type NodeOptions } from "../../mod.ts";
import {
  type Balancer,
  balancer,
  type Capability,
  capability,
  definePlugin,
  type Plugin,
} from "../../plugin.ts";
import { simulate, simulatedNode } from "../../simulation.ts";
import { clusterTest } from "../harness/leaks.ts";
import { tempFolder } from "../harness/processes.ts";
import { tcpNode } from "./stranger.ts";

type Failure = Error & { code: string; remedy: string; cause?: Failure };

/** A node that would run as it is: without keys, sockets and files. */
const quiet: MycnetConfig = {
  node: { id: "node", cluster: "test", type: "sclerotia" },
  plugins: { identity: { insecure: true }, tls: false, admin: false, "http-gateway": false },
};

/** What becomes of a quiet node with these plugins laid over. */
async function failureOf(
  { node, plugins, ...rest }: NodeOptions & Record<string, unknown>,
): Promise<Failure> {
  const failure = await createNode({
    config: false,
    log: () => {},
    node: { ...quiet.node, ...node },
    plugins: { ...quiet.plugins, ...plugins },
    ...rest,
  }).then(async (node) => {
    await node.stop();
    assert.fail("it started");
  }, (error) => error as Failure);
  assert.notEqual(failure.remedy ?? "", "", `${failure} says nothing of what to do`);
  return failure;
}

/** Mistakes by the words that a message must contain. */
const mistakes: Readonly<Record<string, { wrong: unknown; code: string; says: RegExp[] }>> = {
  "an unknown key of the node": {
    wrong: { node: { datacentre: "ams" } },
    code: "config_invalid",
    says: [/mycnet\.node/, /"datacentre"/, /"datacenter"/],
  },
  "a value of the wrong type": {
    wrong: { node: { maxConnections: "many" } },
    code: "config_invalid",
    says: [/mycnet\.node\.maxConnections/, /number/],
  },
  "a duration that is none": {
    wrong: { node: { connectionTimeout: "soon" } },
    code: "config_invalid",
    says: [/mycnet\.node\.connectionTimeout/, /"5s"/],
  },
  "a node id with capitals": {
    wrong: { node: { id: "Node One" } },
    code: "config_invalid",
    says: [/mycnet\.node\.id/, /a-z/],
  },
  "a node type that does not exist": {
    wrong: { node: { type: "sclerotium" } },
    code: "config_invalid",
    says: [/mycnet\.node\.type/, /sclerotia/, /rhizomorph/, /hyphae/],
  },
  "an unknown key of a plugin": {
    wrong: { plugins: { static: { sedes: [] } } },
    code: "config_invalid",
    says: [/mycnet\.plugins\.static/, /"sedes"/, /"seeds"/],
  },
  "an unknown key deep in a plugin": {
    wrong: { plugins: { peers: { backoff: { inital: "1s" } } } },
    code: "config_invalid",
    says: [/mycnet\.plugins\.peers\.backoff/, /"inital"/, /"initial"/],
  },
  "an unknown plugin": {
    wrong: { plugins: { "rond_robin": {} } },
    code: "plugin_unknown",
    says: [/mycnet\.plugins\.rond_robin/, /"round_robin"/],
  },
  "a plugin's file that is not there": {
    wrong: { plugins: { mine: { use: "./nowhere.ts" } } },
    code: "plugin_unknown",
    says: [/mycnet\.plugins\.mine\.use/, /"\.\/nowhere\.ts"/],
  },
  "settings beside use": {
    wrong: { plugins: { mine: { use: "round_robin", weight: 3 } } },
    code: "config_invalid",
    says: [/mycnet\.plugins\.mine/, /"weight"/, /config/],
  },
  "switching off what must be there": {
    wrong: { plugins: { peers: false } },
    code: "config_invalid",
    says: [/mycnet\.plugins\.peers/, /cannot be switched off/],
  },
  "tcp without saying that it is insecure": {
    wrong: { plugins: { tcp: {} } },
    code: "config_invalid",
    says: [/mycnet\.plugins\.tcp\.insecure/, /tls/],
  },
  "a seed that is no address": {
    wrong: { plugins: { static: { seeds: [42] } } },
    code: "config_invalid",
    says: [/mycnet\.plugins\.static\.seeds/],
  },
  "a seed without a port": {
    wrong: { plugins: { static: { seeds: ["10.0.0.1:7000", "10.0.0.2"] } } },
    code: "config_invalid",
    says: [/mycnet\.plugins\.static\.seeds\.1|seeds\[1\]/, /"10\.0\.0\.2"/, /host:port/],
  },
  "a profile that does not exist": {
    wrong: { profiles: { "sclerotia-mushroom": {} } },
    code: "config_invalid",
    says: [/mycnet\.profiles/, /sclerotia-mushroom/],
  },
  "an unknown option of createNode": {
    wrong: { plugin: {} },
    code: "config_invalid",
    says: [/createNode/, /"plugin"/, /"plugins"/],
  },
};

for (const [name, { wrong, code, says }] of Object.entries(mistakes)) {
  clusterTest(`${name} stops the start and is named`, async () => {
    const failure = await failureOf(wrong as NodeOptions & Record<string, unknown>);
    assert.equal(failure.code, code, failure.message);
    for (const words of says) assert.match(failure.message, words);
  });
}

clusterTest("all mistakes of a declaration are told at once", async () => {
  const { message } = await failureOf({
    node: { datacentre: "ams" } as Record<string, string>,
    plugins: { static: { sedes: [] }, peers: { idleTimeout: "soon" } },
  });
  for (const field of ["datacentre", "sedes", "idleTimeout"]) {
    assert.match(message, new RegExp(field));
  }
});

// Files.

/** A node declared by a file with this text. */
async function failureOfFile(text: string): Promise<Failure & { path: string }> {
  await using folder = await tempFolder();
  const path = `${folder.path}/deno.json`;
  await Deno.writeTextFile(path, text);
  return Object.assign(await failureOf({ config: path }), { path });
}

clusterTest("a file that is not JSON is named with line and column", async () => {
  const { code, message, path } = await failureOfFile('{\n  "mycnet": {\n    "node": { "id" }\n}}');
  assert.equal(code, "config_unreadable");
  assert.ok(message.startsWith(`${path}:3:`), message);
});

clusterTest("a file without the key, and a file that is not there, are named", async () => {
  const without = await failureOfFile('{ "tasks": {} }');
  assert.equal(without.code, "config_unreadable");
  assert.match(without.message, /has no "mycnet" key/);
  await using folder = await tempFolder();
  const absent = await failureOf({ config: `${folder.path}/absent.json` });
  assert.equal(absent.code, "config_unreadable");
  assert.match(absent.message, /absent\.json/);
});

clusterTest("an unknown part of the key is named with the file and the nearest name", async () => {
  const { code, message, path } = await failureOfFile('{ "mycnet": { "pulgins": {} } }');
  assert.equal(code, "config_invalid");
  for (const words of [path, '"pulgins"', '"plugins"']) assert.ok(message.includes(words), message);
});

clusterTest("a module that exports no plugin is named", async () => {
  await using folder = await tempFolder();
  await Deno.writeTextFile(`${folder.path}/mine.ts`, "export const plugin = 1;");
  const path = `${folder.path}/deno.json`;
  await Deno.writeTextFile(path, '{ "mycnet": { "plugins": { "mine": { "use": "./mine.ts" } } } }');
  const { code, message } = await failureOf({ config: path });
  assert.equal(code, "plugin_invalid");
  assert.match(message, /mycnet\.plugins\.mine\.use.*"\.\/mine\.ts"/);
});

// Plugins.

interface Thing {
  readonly name: string;
}
const thing: Capability<Thing> = capability("tests.thing");
const otherThing: Capability<Thing> = capability("tests.other");

/** A plugin that provides a thing. */
function provides(
  what: Capability<Thing>,
  setup: () => Thing | Promise<Thing> = () => ({ name: what.id }),
  needs: Record<string, Capability<Thing>> = {},
): Plugin<Thing> {
  return definePlugin({
    name: `a-${what.id}`,
    summary: "For a test.",
    provides: what,
    needs,
    config: z.strictObject({}),
    setup,
  });
}

/** A plugin that needs a thing. */
const consumer: Plugin<Balancer> = definePlugin({
  name: "consumer",
  summary: "For a test.",
  provides: balancer,
  needs: { thing },
  config: z.strictObject({}),
  setup: ({ id }) => ({ id, select: () => 0 }),
});

clusterTest("a need that nobody provides for names who needs what", async () => {
  const { code, message } = await failureOf({ plugins: { consumer } });
  assert.equal(code, "plugin_missing");
  assert.match(message, /"consumer".*tests\.thing/);
});

clusterTest("a need that two provide for names both", async () => {
  const { code, message } = await failureOf({
    plugins: { consumer, one: provides(thing), two: provides(thing) },
  });
  assert.equal(code, "plugin_ambiguous");
  assert.match(message, /"one".*"two"|one, two/);
});

clusterTest("plugins that need each other are named as the circle they are", async () => {
  const { code, message } = await failureOf({
    plugins: {
      chicken: provides(thing, undefined, { egg: otherThing }),
      egg: provides(otherThing, undefined, { chicken: thing }),
    },
  });
  assert.equal(code, "plugin_cycle");
  assert.match(message, /chicken.*egg|egg.*chicken/);
});

clusterTest("a plugin that throws in its set-up is named with its cause, and undone", async () => {
  let undone = 0;
  const first: Plugin<Thing> = definePlugin({
    name: "first",
    summary: "For a test.",
    provides: thing,
    needs: {},
    config: z.strictObject({}),
    setup: ({ own }) => {
      own({ [Symbol.dispose]: () => undone++ });
      return { name: "first" };
    },
  });
  const second = provides(otherThing, () => {
    throw new Error("the disk is on fire");
  }, { first: thing });
  const failure = await failureOf({ plugins: { first, second } });
  assert.equal(failure.code, "plugin_setup_failed");
  assert.match(failure.message, /"second" failed to start: the disk is on fire/);
  assert.equal(failure.cause?.message, "the disk is on fire");
  assert.equal(undone, 1);
});

Deno.test("a plugin that hangs in its set-up is named once its time is over", async () => {
  const hanging = provides(thing, () => new Promise(() => {}));
  await simulate({ seed: 1 }, async (sim) => {
    const started = sim.node("a", simulatedNode({ plugins: { hanging } }));
    await assert.rejects(started, (failure: Failure) => {
      assert.equal(failure.code, "plugin_setup_timeout");
      assert.match(failure.message, /"hanging" did not start within \d+ ms/);
      assert.match(failure.remedy, /hangs/);
      return true;
    });
  });
});

clusterTest("a port in use is named, and the rest of the node is undone", async () => {
  await using first = await tcpNode("first");
  const bindAddress = first.addresses[0].replace("tcp://", "");
  const failure = await tcpNode("second", { node: { bindAddress } }).then(
    () => assert.fail("it started"),
    (error) => error as Failure,
  );
  assert.equal(failure.code, "plugin_setup_failed");
  assert.equal(failure.cause?.code, "address_in_use");
  assert.match(failure.message, new RegExp(`"tcp" failed to start: .*${bindAddress}`));
  assert.match(failure.message, /another port/);
});

// While the node runs.

clusterTest("a file that goes bad while the node runs changes nothing, and is told", async () => {
  await using folder = await tempFolder();
  const path = `${folder.path}/deno.json`;
  const write = (plugins: unknown) =>
    Deno.writeTextFile(path, JSON.stringify({ mycnet: { ...quiet, plugins } }));
  await write({ ...quiet.plugins, static: { seeds: [] } });

  const outcomes: unknown[] = [];
  let told = Promise.withResolvers<void>();
  const next = async () => {
    await told.promise;
    told = Promise.withResolvers();
    return outcomes.at(-1) as Failure & { started: { id: string }[] };
  };
  await using node = await createNode({
    config: path,
    log: () => {},
    onReload: (outcome) => {
      outcomes.push(outcome);
      told.resolve();
    },
  });
  const before = node.plugins().map(({ id }) => id);

  await write({ ...quiet.plugins, static: { sedes: [] } });
  const { code, message } = await next();
  assert.equal(code, "config_invalid");
  assert.match(message, /"sedes".*"seeds"/s);
  assert.deepEqual(node.plugins().map(({ id }) => id), before);
  assert.ok(node.ready);

  await Deno.writeTextFile(path, '{ "mycnet": {');
  assert.equal((await next()).code, "config_unreadable");
  assert.deepEqual(node.plugins().map(({ id }) => id), before);

  await write({ ...quiet.plugins, second: { use: "round_robin" } });
  const { started } = await next();
  assert.ok(started.some(({ id }) => id === "second"));
  assert.ok(node.plugins().some(({ id }) => id === "second"));
  assert.equal(outcomes.length, 3);
});
