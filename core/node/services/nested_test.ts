import assert from "node:assert/strict";
import { z } from "zod";
import { FakeNetwork } from "./fakes_test.ts";
import { CallError, defineService } from "./mod.ts";

const outer = defineService("outer", {
  version: 1,
  methods: {
    go: { input: z.string(), output: z.string(), idempotent: true },
    items: { input: z.void(), stream: z.string() },
  },
});
const inner = defineService("inner", {
  version: 1,
  methods: { go: { input: z.string(), output: z.string(), idempotent: true } },
});

const never = new Promise<never>(() => {});

/** `a` calls `outer` on `b`, which calls `inner` on `c` and `d`. */
function chain() {
  const network = new FakeNetwork();
  const [a, b, c, d] = ["a", "b", "c", "d"].map((id) => network.add(id));
  network.link("a", "b");
  network.link("b", "c");
  network.link("b", "d");
  return { network, a, b, c, d, client: a.layer.client(outer), below: b.layer.client(inner) };
}

Deno.test("metadata and priority travel on to nested calls, which may add to them", async () => {
  const { network, b, c, client, below } = chain();
  await using _ = network;
  let seen: unknown;
  c.layer.serve(inner, {
    go: (_, { metadata, priority, caller }) => {
      seen = { metadata, priority, caller: caller.id };
      return "";
    },
  });
  b.layer.serve(outer, {
    go: async (it) => {
      await b.host.sleep(400);
      return await below.go(it, { metadata: { own: "1" } });
    },
    items: () => [],
  });
  await network.settle();
  const call = client.go("x", {
    metadata: { tenant: "blue", own: "0" },
    priority: "low",
    timeout: "1s",
  });
  await network.clock.advance(500);
  await call;
  assert.deepEqual(seen, { metadata: { tenant: "blue", own: "1" }, priority: "low", caller: "b" });
});

Deno.test("a nested call gets no more time than the call it is made for has left", async () => {
  const { network, b, c, client, below } = chain();
  await using _ = network;
  let left = 0;
  c.layer.serve(inner, { go: (_, context) => (left = context.deadline(), "") });
  b.layer.serve(outer, {
    go: async (it) => {
      await b.host.sleep(400);
      return await below.go(it, { timeout: "60s" });
    },
    items: () => [],
  });
  await network.settle();
  const call = client.go("x", { timeout: "1s" });
  await network.clock.advance(420);
  await call;
  assert.ok(left > 550 && left <= 600, `${left} ms`);
});

Deno.test("nested calls are cancelled with the call they are made for", async () => {
  const { network, b, c, client, below } = chain();
  await using _ = network;
  let innerSignal: AbortSignal | undefined;
  let innerError: CallError | undefined;
  c.layer.serve(inner, { go: (_, { signal }) => (innerSignal = signal, never) });
  b.layer.serve(outer, {
    go: (it) => below.go(it).catch((error) => (innerError = error, Promise.reject(error))),
    items: () => [],
  });
  await network.settle();
  const abort = new AbortController();
  const call = client.go("x", { signal: abort.signal }).catch((it) => it);
  await network.settle();
  abort.abort();
  assert.equal((await call).code, "aborted");
  await network.settle();
  assert.equal(innerError!.code, "cancelled");
  assert.equal(innerSignal!.aborted, true);
});

Deno.test("what a handler leaves running in the background inherits nothing once it has answered", async () => {
  const { network, b, c, client, below } = chain();
  await using _ = network;
  const seen: unknown[] = [];
  c.layer.serve(inner, {
    go: (it, context) => (seen.push([it, { ...context.metadata }, context.deadline()]), ""),
  });
  let background: Promise<unknown> | undefined;
  b.layer.serve(outer, {
    go: () => {
      background = b.host.sleep(3000).then(() => below.go("later", { timeout: "9s" }));
      return "done";
    },
    items: () => [],
  });
  await network.settle();
  assert.equal(await client.go("x", { timeout: "1s", metadata: { tenant: "blue" } }), "done");
  await network.clock.advance(3100);
  await background;
  assert.deepEqual(seen, [["later", {}, 9000]]);
});

Deno.test("a stream's handler passes its context on as well", async () => {
  const { network, b, c, client, below } = chain();
  await using _ = network;
  c.layer.serve(inner, { go: (_, { metadata }) => metadata.tenant });
  b.layer.serve(outer, {
    go: (it) => it,
    async *items() {
      yield await below.go("1");
      await b.host.sleep(10);
      yield await below.go("2");
    },
  });
  await network.settle();
  const items = Array.fromAsync(client.items(undefined, { metadata: { tenant: "blue" } }));
  await network.clock.advance(50);
  assert.deepEqual(await items, ["blue", "blue"]);
});

Deno.test("retries at several layers share one budget", async () => {
  const { network, b, c, d, client, below } = chain();
  await using _ = network;
  let innerRuns = 0;
  let outerRuns = 0;
  const refuse = () => {
    innerRuns++;
    throw new CallError("unavailable", "not now");
  };
  c.layer.serve(inner, { go: refuse });
  d.layer.serve(inner, { go: refuse });
  b.layer.serve(outer, { go: (it) => (outerRuns++, below.go(it)), items: () => [] });
  await network.settle();
  let done = false;
  const call = client.go("x", { attempts: 3 }).catch((it) => it).finally(() => done = true);
  await network.clock.until(() => done);
  const error = await call;
  assert.equal(error.code, "unavailable");
  // Alone, three attempts of three attempts would be nine. Two retries in all leave three runs below.
  assert.equal(innerRuns, 3);
  assert.equal(outerRuns, 1);
});

Deno.test("what went wrong below is internal above, unless it is as true there", async () => {
  const { network, b, c, client, below } = chain();
  await using _ = network;
  let code: "invalid_argument" | "overloaded" = "invalid_argument";
  c.layer.serve(inner, {
    go: () => {
      throw new CallError(code, "below");
    },
  });
  b.layer.serve(outer, { go: (it) => below.go(it, { attempts: 1 }), items: () => [] });
  await network.settle();
  const once = () => client.go("x", { attempts: 1 }).catch((it) => it);
  assert.equal((await once()).code, "internal");
  code = "overloaded";
  assert.equal((await once()).code, "overloaded");
});

Deno.test("services that call each other in a circle come to an end", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const a = network.add("a");
  const b = network.add("b");
  network.link("a", "b");
  let depth = 0;
  const callOuter = b.layer.client(outer, { attempts: 1 });
  const callInner = a.layer.client(inner, { attempts: 1 });
  a.layer.serve(outer, { go: (it) => (depth++, callInner.go(it)), items: () => [] });
  b.layer.serve(inner, { go: (it) => (depth++, callOuter.go(it)) });
  await network.settle();
  const error = await callOuter.go("x").catch((it) => it);
  assert.equal(error.code, "internal");
  assert.equal(depth, 9); // The first and the eight that testSettings allow below it.
  assert.ok(
    network.clock.lines.some((it) => JSON.stringify(it.fields).includes("nested 9 calls deep")),
  );
});
