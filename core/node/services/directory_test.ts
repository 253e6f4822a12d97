import assert from "node:assert/strict";
import { z } from "zod";
import { encode } from "@mycnet/protocols/codec";
import { noFields } from "@mycnet/protocols/frame";
import { chainOf, directoryType, serve, signed, view } from "./directory_fakes_test.ts";
import { FakeNetwork } from "./fakes_test.ts";
import { type AnySchema, defineService } from "./mod.ts";
import { recordToWire } from "./record.ts";

Deno.test("what a node serves is known to all, also to those it is not linked to", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const [a, , , d] = chainOf(network, ["a", "b", "c", "d"], signed);
  const serving = serve(d, "things");
  await network.settle();
  assert.deepEqual(view(a), { things: ["d"] });
  await serving[Symbol.asyncDispose]();
  await network.settle();
  assert.deepEqual(view(a), {});
});

Deno.test("a service is described by its JSON Schemas", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const [a, b] = chainOf(network, ["a", "b"]);
  b.layer.serve(
    defineService("things", {
      version: 4,
      methods: {
        get: { input: z.object({ key: z.string() }), output: z.number(), idempotent: true },
        when: { input: z.void(), upload: z.string(), stream: z.date() },
      },
    }),
    { get: () => 1, when: () => [] },
  );
  await network.settle();
  const [{ service, nodes }] = a.layer.list();
  assert.deepEqual(nodes, ["b"]);
  assert.equal(service.version, 4);
  const [get, when] = service.methods;
  assert.equal(get.kind, "unary");
  assert.equal(get.idempotent, true);
  assert.deepEqual(get.input?.properties, { key: { type: "string" } });
  assert.equal(get.output?.type, "number");
  assert.equal(when.kind, "duplex");
  assert.equal(when.uploadItem?.type, "string");
  assert.equal(when.streamItem, undefined); // A Date has no JSON Schema.
});

Deno.test("a node that joins later learns everything by its first link", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const [a, b] = chainOf(network, ["a", "b"], signed);
  serve(a, "one");
  serve(b, "two");
  await network.settle();
  const late = network.add("late", { trust: signed });
  serve(late, "two");
  network.link("late", "a");
  await network.settle();
  for (const node of [a, b, late]) {
    assert.deepEqual(view(node), { one: ["a"], two: ["b", "late"] }, node.id);
  }
});

Deno.test("addresses from records are hints for the peers, and withdrawn with the record", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const [a] = chainOf(network, ["a", "b", "c"]);
  await network.settle();
  assert.deepEqual(
    a.peers.hints.map(({ id, addresses, source, keep }) => ({ id, addresses, source, keep })),
    ["b", "c"].map((id) => ({
      id,
      addresses: [`memory://${id}`],
      source: "directory",
      keep: false,
    })),
  );
  await network.crash("c");
  await network.clock.advance(700_000);
  assert.deepEqual(a.peers.hints.map((it) => it.id), ["b"]);
});

Deno.test("news that goes to many links is encoded once, and each news as it is then", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const hub = network.add("hub");
  const leaves = ["a", "b", "c", "d"].map((id) => network.add(id));
  for (const { id } of leaves) network.link("hub", id);
  await network.settle();
  const sent: Uint8Array[] = [];
  for (const link of hub.peers.links()) {
    const send = link.send.bind(link);
    link.send = (type, fields, body) => {
      sent.push(body);
      return send(type, fields, body);
    };
  }
  for (const name of ["one", "two"]) {
    sent.length = 0;
    serve(leaves[0], name);
    await network.settle();
    assert.equal(sent.length, 3, "to all but where it came from");
    assert.equal(new Set(sent).size, 1);
    for (const leaf of leaves) assert.deepEqual(view(leaf)[name], ["a"]);
  }
});

Deno.test("a push that was lost is made good by the next comparison", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const [a, b] = chainOf(network, ["a", "b"]);
  await network.settle();
  const link = a.peers.link("b")!;
  link.silent = true;
  serve(a, "lost");
  await network.settle();
  assert.deepEqual(view(b), {});
  link.silent = false;
  await network.clock.advance(10_100);
  assert.deepEqual(view(b), { lost: ["a"] });
});

Deno.test("the record of a node that crashed is forgotten by all at about the same time, and not handed back", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const [a, b, c] = chainOf(network, ["a", "b", "c"]);
  const doomed = network.add("doomed");
  network.link("c", "doomed");
  serve(doomed, "things");
  await network.settle();
  // While somebody is linked to it, everybody goes on believing in it.
  await network.clock.advance(1_500_000);
  for (const node of [a, b, c]) assert.deepEqual(view(node), { things: ["doomed"] });
  for (const link of doomed.peers.links()) link.silent = link.other.silent = true;
  doomed.peers.links()[0].cut();
  network.nodes.delete("doomed");
  await network.clock.advance(500_000);
  assert.deepEqual(view(a), { things: ["doomed"] });
  await network.clock.advance(250_000);
  for (const node of [a, b, c]) assert.deepEqual(view(node), {}, node.id);
  await network.clock.advance(250_000);
  for (const node of [a, b, c]) assert.deepEqual(view(node), {}, node.id);
  let stopped = false;
  const stopping = doomed.layer[Symbol.asyncDispose]().then(() => stopped = true);
  await network.clock.until(() => stopped);
  await stopping;
});

Deno.test("a node that said goodbye is served no more, and is welcome back", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const [a, b] = chainOf(network, ["a", "b"]);
  serve(b, "things");
  await network.settle();
  b.peers.link("a")!.cut(true, true);
  assert.deepEqual(view(a), {});
  assert.deepEqual(a.layer.records().map((it) => it.node), ["a"]);
  network.link("a", "b");
  await network.settle();
  assert.deepEqual(view(a), { things: ["b"] });
});

Deno.test("the directory holds as many records and bytes as it may, and counts the rest", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const small = network.add("small", { settings: { maxRecords: 5 } });
  network.add("hub");
  network.link("small", "hub");
  for (let i = 0; i < 10; i++) {
    network.add(`n${i}`);
    network.link("hub", `n${i}`);
  }
  await network.settle();
  assert.equal(small.layer.records().length, 6);
  assert.ok(small.layer.metrics("communication").directory_records_dropped >= 6);
});

Deno.test("a digest in several parts gives and takes what one part would", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const settings = { maxRecords: 5000, maxDirectoryBytes: 8 * 1024 * 1024 };
  const [a, b] = ["a", "b"].map((id) => network.add(id, { settings }));
  // Each is told of half of 2500 nodes, every other one, before the two meet.
  const stranger = network.add("zz");
  for (const [node, odd] of [[a, 1], [b, 0]] as const) {
    const link = network.link("zz", node.id);
    const records = Array.from({ length: 1250 }, (_, i) => {
      const id = `m${String(i * 2 + odd).padStart(5, "0")}`;
      const stamp = { node: id, generation: 1, version: 1 };
      const bytes = encode({ ...stamp, addresses: [], services: [] });
      return recordToWire(
        { ...stamp, bytes, proof: { signature: new Uint8Array(0), chain: [] } },
        0,
      );
    });
    link.send(directoryType, noFields, encode({ records }));
    await network.settle();
    link.cut();
  }
  assert.equal(a.layer.records().length, 1250 + 2);
  network.link("a", "b");
  await network.clock.until(() => a.layer.records().length === 2500 + 3, 1000);
  assert.equal(b.layer.records().length, 2500 + 3);
  assert.equal(stranger.layer.records().length <= 3, true);
});

Deno.test("schemas that do not fit a record are left out; services that do not fit are refused", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const [a, b] = chainOf(network, ["a", "b"]);
  const wide = z.object(
    Object.fromEntries(Array.from({ length: 800 }, (_, i) => [`field_number_${i}`, z.string()])),
  );
  const broad = (name: string, methods: number, input: AnySchema = wide) =>
    defineService(name, {
      version: 1,
      methods: Object.fromEntries(
        Array.from({ length: methods }, (_, i) => [`method${i}_${"x".repeat(40)}`, {
          input,
          output: z.void(),
        }]),
      ),
    });
  const handlersOf = (definition: ReturnType<typeof broad>) =>
    Object.fromEntries(Object.keys(definition.methods).map((it) => [it, () => {}]));
  const fits = broad("fits", 20);
  b.layer.serve(fits, handlersOf(fits));
  await network.settle();
  assert.equal(a.layer.list()[0].service.methods.length, 20);
  assert.equal(a.layer.list()[0].service.methods[0].input, undefined);
  const huge = broad("huge", 1000, z.void());
  assert.throws(() => b.layer.serve(huge, handlersOf(huge)), { code: "too_large" });
  assert.deepEqual(Object.keys(view(b)), ["fits"]);
});

Deno.test("calls by name go by what the directory says of the method", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const [a, b] = chainOf(network, ["a", "b"]);
  const def = defineService("things", {
    version: 2,
    methods: {
      get: { input: z.object({ key: z.string() }), output: z.string(), idempotent: true },
      list: { input: z.void(), stream: z.number() },
      add: { input: z.void(), upload: z.number(), output: z.number() },
    },
  });
  const early = a.layer.call("things", "get", { key: "k" });
  await network.settle();
  b.layer.serve(def, {
    get: ({ key }) => `got ${key}`,
    list: () => [1, 2, 3],
    add: async (_, { upload }) => (await Array.fromAsync(upload)).reduce((x, y) => x + y, 0),
  });
  assert.equal(await early, "got k");
  assert.deepEqual(await Array.fromAsync(a.layer.stream("things", "list", undefined)), [1, 2, 3]);
  const upload = (async function* () {
    yield 1;
    yield 2;
  })();
  assert.equal(await a.layer.call("things", "add", undefined, { upload }), 3);
  const failing = async (call: Promise<unknown>) => {
    const error = await call.then(() => assert.fail("it succeeded"), (it) => it);
    return `${error.code}: ${error.message}`;
  };
  assert.match(await failing(a.layer.call("things", "put", 1)), /^not_found: .*get, list, add/);
  assert.match(await failing(a.layer.call("things", "list", 1)), /^invalid_argument: .*use stream/);
  assert.match(await failing(a.layer.call("things", "add", 1)), /^invalid_argument: .*upload/);
  assert.match(
    await failing(a.layer.call("things", "get", { key: 1 })),
    /^invalid_argument: .*key/,
  );
  const unknown = failing(a.layer.call("nothing", "get", 1, { timeout: 100 }));
  await network.clock.advance(120);
  assert.match(await unknown, /^unavailable: .*known services: things/);
});
