/**
 * The face of the runtime, as a program sees it: every verb of a node once, on
 * two nodes, through nothing but what `mod.ts` exports. What is promised in the
 * README and at the head of mod.ts is what is used here.
 */
import assert from "node:assert/strict";
import { z } from "zod";
import { defineService, messages, type NodeEvent } from "../mod.ts";
import { cliRuntime } from "../core/cli/main.ts";
import { builtIns } from "../plugins/mod.ts";
import { createTestCluster } from "../testing.ts";
import { clusterTest } from "./harness/leaks.ts";

const greeter = defineService("greeter", {
  version: 1,
  methods: {
    hello: { input: z.object({ name: z.string() }), output: z.string(), idempotent: true },
    tail: { input: z.object({ file: z.string() }), stream: z.string() },
  },
});

clusterTest("one program does with a node all that a node can do", async () => {
  await using cluster = await createTestCluster(2);
  const [server, node] = cluster.nodes;
  const seen: string[] = [];

  await using serving = server.serve(greeter, {
    hello: ({ name }, context) => {
      seen.push(
        `${context.caller.id} ${context.priority} ${context.metadata.tenant} ${context.signal.aborted}`,
      );
      assert.ok(context.deadline() > 0 && context.deadline() <= 2000);
      return `Hello, ${name}`;
    },
    async *tail({ file }, { signal }) {
      for (let line = 1; !signal.aborted; line++) yield `${file}:${line}`;
    },
  });
  assert.equal(typeof serving[Symbol.asyncDispose], "function");

  const client = node.client(greeter, { balance: "round_robin", failover: "immediate" });
  assert.ok(!("then" in client), "a client may be awaited without being called");
  const { signal } = new AbortController();
  assert.equal(
    await client.hello(
      { name: "Ada" },
      { timeout: "2s", signal, priority: "high", metadata: { tenant: "t" } },
    ),
    "Hello, Ada",
  );
  assert.deepEqual(seen, ["node-2 high t false"]);
  const lines: string[] = [];
  for await (const line of client.tail({ file: "log" })) if (lines.push(line) === 3) break;
  assert.deepEqual(lines, ["log:1", "log:2", "log:3"]);
  assert.equal(node.route("greeter"), "node-1");

  const around: string[] = [];
  await using _middleware = node.use(async (call, next) => {
    around.push(`${call.side} ${call.service}.${call.method}`);
    return await next();
  });
  await client.hello({ name: "Grace" }, { timeout: "2s", metadata: { tenant: "u" } });
  assert.deepEqual(around, ["client greeter.hello"]);

  const bytes = new TextEncoder().encode("note");
  const noted = Promise.withResolvers<string>();
  await using _handler = server.handle("custom.note", (_bytes, context) => {
    noted.resolve(context.from.id);
  });
  await node.send("node-1", "custom.note", bytes);
  assert.equal(await noted.promise, "node-2");
  server.handle("custom.echo", (it) => it);
  assert.deepEqual(await node.request("node-1", "custom.echo", bytes), bytes);
  const beat = Promise.withResolvers<string>();
  server.handle(messages.heartbeat, ({ node }) => beat.resolve(node));
  await node.send("node-1", messages.heartbeat, { node: node.id, timestamp: 0 });
  assert.equal(await beat.promise, "node-2");
  const news = server.messages("custom.news");
  assert.deepEqual(await node.broadcast("custom.news", bytes), { sent: 1, failed: [] });
  assert.equal((await news.next()).value.from.id, "node-2");
  const replies = await Array.fromAsync(node.scatter("custom.echo", bytes));
  assert.deepEqual(replies.map((it) => [it.node, it.ok]), [["node-1", true]]);
  const quorum = await node.quorum("custom.echo", bytes, { nodes: ["node-1"], need: 1 });
  assert.equal(quorum.length, 1);

  assert.deepEqual(node.members().map(({ id, state }) => [id, state]), [["node-1", "alive"]]);
  assert.deepEqual(node.services().map((it) => it.node).sort(), ["node-1", "node-2"]);
  assert.equal(node.health().status, "healthy");
  const { communication } = node.metrics();
  assert.ok(communication.messages_sent > 0 && communication.bytes_received > 0);

  const events = node.events({ signal, capacity: 256 });
  const newcomer = await cluster.add();
  assert.deepEqual((await node.cluster.join(newcomer.addresses)).map(({ id }) => id), ["node-3"]);
  await newcomer.cluster.leave();
  const types: NodeEvent["type"][] = [];
  for await (const event of events) {
    types.push(event.type);
    if (event.type === "node_left") break;
  }
  assert.ok(types.includes("node_joined") && types.includes("link_up"), types.join());
});

/** Where a page turns from verbs to keys. */
const aboutKeys = "Keys of the configuration stand under";

Deno.test("the documents name no verb that a node does not have", async () => {
  // With every part that a node may have: its verbs are there while the part is.
  const stateDir = await Deno.makeTempDir();
  await using _folder = { [Symbol.asyncDispose]: () => Deno.remove(stateDir, { recursive: true }) };
  await using cluster = await createTestCluster(1, {
    node: () => ({
      node: { stateDir },
      plugins: { swim: { insecure: true, bindAddress: "127.0.0.1:0" } },
    }),
  });
  const [node] = cluster.nodes;
  const root = new URL("../", import.meta.url);
  let named = 0;
  for (const path of ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]) {
    const [text] = (await Deno.readTextFile(new URL(path, root))).split(aboutKeys);
    for (
      const [verb, first, second] of text.matchAll(/\bnode\.([a-z]\w*)(?:\.([a-z]\w*))?[(`\]]/g)
    ) {
      if (first === "ts" || first === "json") continue; // A file.
      const part = (node as unknown as Record<string, unknown>)[first];
      assert.ok(first in node, `${path}: ${verb}`);
      if (second !== undefined) assert.ok(second in (part as object), `${path}: ${verb}`);
      named++;
    }
  }
  assert.ok(named > 15, `${named} verbs were found`);
});

/** What a JSON Schema says of a field, through references and alternatives. */
function field(root: Json, node: Json, name: string): Json | undefined {
  const properties = node.properties as Record<string, Json> | undefined;
  if (properties !== undefined && Object.hasOwn(properties, name)) return properties[name];
  if (typeof node.$ref === "string") {
    const definitions = root.$defs as Record<string, Json>;
    return field(root, definitions[node.$ref.slice("#/$defs/".length)], name);
  }
  for (const branch of (node.anyOf ?? []) as Json[]) {
    const found = field(root, branch, name);
    if (found !== undefined) return found;
  }
  return undefined;
}
type Json = Readonly<Record<string, unknown>>;

Deno.test("the documents name no key of the configuration that does not exist", async () => {
  const schema = await cliRuntime(builtIns, import.meta.url).schema();
  const page = await Deno.readTextFile(new URL("../ARCHITECTURE.md", import.meta.url));
  const [, text] = page.split(aboutKeys);
  const keys = [...text.matchAll(/`((?:node|plugins|profiles)(?:\.[A-Za-z]+)+)`/g)].map((it) =>
    it[1]
  );
  assert.ok(keys.length > 12, `${keys.length} keys were found`);
  for (const key of keys) {
    let node: Json | undefined = schema;
    for (const name of key.split(".")) node = node && field(schema, node, name);
    assert.ok(node, key);
  }
});
