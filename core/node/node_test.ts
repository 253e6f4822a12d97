import assert from "node:assert/strict";
import { z } from "zod";
import { clusterTest } from "../../tests/harness/leaks.ts";
import type { Node } from "./node.ts";
import { defineService } from "./services/mod.ts";
import { linked, TestNodes } from "./test_nodes_test.ts";

const names = defineService("names", {
  version: 2,
  methods: {
    own: { input: z.object({}), output: z.string(), idempotent: true },
    letters: { input: z.object({}), stream: z.string() },
  },
});

const serveNames = (node: Node) =>
  node.serve(names, { own: () => node.id, letters: () => [...node.id] });
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (it: Uint8Array) => new TextDecoder().decode(it);

clusterTest(
  "a node knows who it was after it has stopped, and refuses the rest as closed",
  async () => {
    const node = await new TestNodes().start("a", { node: { rack: "r1" } });
    const client = node.client(names);
    const { self } = node;
    assert.equal(self.rack, "r1");
    const stopped = node.stop();
    assert.equal(node.stop(), stopped);
    assert.equal(node.ready, false);
    await stopped;
    await node.closed;
    assert.deepEqual(node.self, self);
    assert.equal(node.id, "a");
    assert.deepEqual(node.addresses, []);
    assert.equal(node.adminAddress, undefined);
    const closed = { code: "closed" };
    for (
      const call of [
        () => node.members(),
        () => node.health(),
        () => node.metrics(),
        () => node.services(),
        () => node.route("names"),
        () => serveNames(node),
        () => node.use((_call, next) => next()),
        () => node.handle("custom.x", () => {}),
        () => node.messages("custom.x"),
        () => node.cluster.add({ addresses: ["b:1"] }),
      ]
    ) assert.throws(call, closed);
    await assert.rejects(client.own({}), closed);
    await assert.rejects(Array.fromAsync(client.letters({})), closed);
    await assert.rejects(node.send("b", "custom.x", bytes("")), closed);
    await assert.rejects(node.request("b", "custom.x", bytes("")), closed);
    await assert.rejects(node.cluster.remove("b"), closed);
    await assert.rejects(node.reconfigure({}), closed);
    assert.deepEqual(await Array.fromAsync(node.events()), []);
  },
);

clusterTest("a reload that restarts the peers says so, and the others link again", async () => {
  const nodes = new TestNodes();
  const seeds = { static: { seeds: ["memory://b"] } };
  await using a = await nodes.start("a", { plugins: seeds });
  await using b = await nodes.start("b");
  await using _serving = serveNames(b);
  await linked(a, "b");
  assert.equal(await a.client(names).own({}), "b");
  const events = a.events();
  const { plugins } = nodes.options("b");
  const { started } = await b.reconfigure({ plugins: { ...plugins, peers: { maxKept: 7 } } });
  assert.ok(started.some(({ id }) => id === "peers"));
  let reason: string | undefined;
  for await (const event of events) {
    assert.notEqual(event.type, "node_left");
    if (event.type === "link_down") reason = event.reason;
    if (event.type === "link_up") break;
  }
  assert.equal(reason, "the node is reloading its configuration");
  assert.equal(await a.client(names).own({}), "b");
  assert.deepEqual(nodes.logged("error"), []);
});

clusterTest("leaving says goodbye, and the others hear of it as such", async () => {
  const nodes = new TestNodes();
  await using a = await nodes.start("a");
  const b = await nodes.start("b");
  const events = a.events();
  await b.cluster.join(["memory://a"]);
  await linked(a, "b");
  await b.cluster.leave("enough");
  const seen: string[] = [];
  for await (const event of events) {
    seen.push(event.type);
    if (event.type === "node_left") {
      assert.equal(event.node.id, "b");
      assert.ok(event.at > 0);
      break;
    }
  }
  assert.deepEqual(seen.filter((it) => it !== "link_down").sort(), [
    "link_up",
    "node_joined",
    "node_left",
  ]);
});

clusterTest(
  "what the program registered survives a reload that restarts everything under it",
  async () => {
    const nodes = new TestNodes();
    await using a = await nodes.start("a");
    await using b = await nodes.start("b");
    const middleware: string[] = [];
    serveNames(a);
    a.handle("custom.echo", (it) => it);
    a.use((call, next) => {
      middleware.push(`${call.side} ${call.method}`);
      return next();
    });
    const ended = a.handle("custom.ended", (it) => it);
    await ended[Symbol.asyncDispose]();
    await b.cluster.join(["memory://a"]);
    const client = b.client(names);
    assert.equal(await client.own({}), "a");

    const { stopped } = await a.reconfigure({ node: { rack: "r2" } });
    for (const id of ["identity", "peers", "messenger", "services", "program"]) {
      assert.ok(stopped.some((it) => it.id === id), `${id} restarted`);
    }
    assert.equal(a.self.rack, "r2");
    await linked(b, "a");
    middleware.length = 0;
    assert.equal(await client.own({}), "a");
    assert.equal((await Array.fromAsync(client.letters({}))).join(""), "a");
    assert.deepEqual(middleware, ["server own", "server letters"], "once each");
    assert.equal(text(await b.request("a", "custom.echo", bytes("hi"))), "hi");
    await assert.rejects(b.request("a", "custom.ended", bytes("hi")), { code: "unhandled" });
  },
);

clusterTest("a client made before a reload goes on working after it", async () => {
  await using node = await new TestNodes().start("a");
  const client = node.client(names);
  serveNames(node);
  assert.equal(await client.own({}), "a");
  await node.reconfigure({ node: { datacenter: "ams" } });
  assert.equal(await client.own({}), "a");
});

clusterTest(
  "a joined seed is kept: it is dialled again when it returns, and after a reload",
  async () => {
    const nodes = new TestNodes();
    await using a = await nodes.start("a");
    let b = await nodes.start("b");
    const reached = await a.cluster.join(["memory://b", "memory://nobody"]);
    assert.deepEqual(reached.map(({ id }) => id), ["b"]);
    await b.stop();
    b = await nodes.start("b");
    await linked(a, "b");
    await a.reconfigure({ node: { rack: "r2" } });
    await linked(a, "b");
    await b.stop();
  },
);

clusterTest("a seed that answers nobody is told with its reason and forgotten", async () => {
  await using a = await new TestNodes().start("a");
  await assert.rejects(a.cluster.join(["memory://x", "memory://y"]), {
    code: "unreachable",
    message: /^No seed could be reached: memory:\/\/x: .*; memory:\/\/y: /,
  });
  assert.equal(a.health().status, "healthy", "nobody goes on dialling");
});

clusterTest(
  "seeds that are no addresses, none or too many are refused before anything is dialled",
  async () => {
    await using a = await new TestNodes().start("a");
    const { cluster } = a;
    await assert.rejects(cluster.join(["memory://b", "garbage"]), {
      code: "address_invalid",
      message: /"garbage" is no address/,
    });
    const none = { code: "invalid_argument", message: /^seeds: name 1 to 64 addresses$/ };
    await assert.rejects(cluster.join([]), none);
    await assert.rejects(
      cluster.join(Array.from({ length: 65 }, (_, at) => `memory://n${at}`)),
      none,
    );
    assert.throws(() => cluster.add({ addresses: [] }), {
      message: /^addresses: name 1 to 16 addresses$/,
    });
    assert.throws(() => cluster.add({ addresses: ["b"] }), { code: "address_invalid" });
    assert.deepEqual(a.members(), []);
  },
);

clusterTest(
  "a node that was added is dialled when needed, and unknown again when disposed of",
  async () => {
    const nodes = new TestNodes();
    await using a = await nodes.start("a");
    await using b = await nodes.start("b");
    const heard = Promise.withResolvers<string>();
    b.handle("custom.note", (it) => heard.resolve(text(it)));
    await assert.rejects(a.send("b", "custom.note", bytes("x")), { code: "unknown_peer" });
    const added = a.cluster.add({ id: "b", addresses: ["memory://b"] });
    assert.deepEqual(b.members(), [], "not before");
    await a.send("b", "custom.note", bytes("hello"));
    assert.equal(await heard.promise, "hello");
    await added[Symbol.asyncDispose]();
  },
);

clusterTest("removing a node forgets it as a seed and says goodbye on its links", async () => {
  const nodes = new TestNodes();
  await using a = await nodes.start("a");
  await using b = await nodes.start("b");
  await a.cluster.join(["memory://b"]);
  await linked(b, "a");
  const events = b.events();
  await a.cluster.remove("b", "not needed");
  for await (const event of events) {
    if (event.type !== "link_down") continue;
    assert.equal(event.reason, "not needed");
    break;
  }
  assert.deepEqual(a.members().flatMap(({ links }) => links), []);
  await assert.rejects(a.cluster.remove("nobody"), { code: "unknown_peer" });
});

clusterTest(
  "messages can be pulled: in order, with their sender, until the stream is ended",
  async () => {
    const nodes = new TestNodes();
    await using a = await nodes.start("a");
    await using b = await nodes.start("b");
    await a.cluster.join(["memory://b"]);
    const messages = b.messages("custom.note");
    assert.throws(() => b.messages("custom.note"), { code: "duplicate_handler" });
    assert.throws(() => b.handle("custom.note", () => {}), { code: "duplicate_handler" });
    for (const word of ["one", "two"]) {
      await a.send("b", "custom.note", bytes(word), {
        priority: "high",
      });
    }
    for (const word of ["one", "two"]) {
      const { value: message } = await messages.next();
      assert.equal(message.type, "message");
      assert.equal(text(message.bytes), word);
      assert.deepEqual([message.name, message.from.id, message.priority], [
        "custom.note",
        "a",
        "high",
      ]);
    }
    await messages.return?.();
    const handler = b.handle("custom.note", () => bytes("answer"));
    assert.equal(text(await a.request("b", "custom.note", bytes("?"))), "answer");
    await handler[Symbol.asyncDispose]();
    const last = b.messages("custom.note").next();
    await b.stop();
    assert.equal((await last).done, true, "a node that stops ends the stream");
  },
);

clusterTest("a reader of messages that falls behind is told how many it lost", async () => {
  const nodes = new TestNodes();
  await using a = await nodes.start("a");
  await using b = await nodes.start("b");
  await a.cluster.join(["memory://b"]);
  const messages = b.messages("custom.note", { capacity: 2 });
  for (const word of ["one", "two", "three", "four"]) await a.send("b", "custom.note", bytes(word));
  const done = b.handle("custom.done", () => bytes(""));
  await a.request("b", "custom.done", bytes("")); // By then, the others have come.
  await done[Symbol.asyncDispose]();
  assert.deepEqual((await messages.next()).value, { type: "lagged", dropped: 2 });
  assert.equal(text((await messages.next()).value.bytes), "three");
});

clusterTest(
  "route names the node that a call would go to, in turn, and nobody where nobody serves",
  async () => {
    const nodes = new TestNodes();
    await using a = await nodes.start("a");
    await using b = await nodes.start("b");
    assert.equal(a.route("names"), undefined);
    await a.cluster.join(["memory://b"]);
    serveNames(b);
    assert.equal(await a.client(names).own({}), "b");
    assert.equal(a.route("names"), "b");
    assert.equal(a.route("names", { version: 2 }), "b");
    assert.equal(a.route("names", { version: 3 }), undefined);
    serveNames(a);
    assert.deepEqual([a.route("names"), a.route("names")].sort(), ["a", "b"]);
    const first = { id: "first", select: () => 0 };
    assert.equal(a.route("names", { balance: first }), a.route("names", { balance: first }));
    assert.throws(() => a.route("names", { balance: "nobody" }), { code: "not_found" });
  },
);

clusterTest(
  "without an admin plugin there is no admin, and the error says what to declare",
  async () => {
    await using node = await new TestNodes().start("a");
    assert.equal(node.adminAddress, undefined);
    await assert.rejects(node.fetchAdmin(new Request("http://localhost/livez")), {
      code: "plugin_missing",
    });
  },
);
