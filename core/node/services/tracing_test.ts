import assert from "node:assert/strict";
import { z } from "zod";
import { carriedTrace, carryTrace } from "../tracing/mod.ts";
import { contextOf, FakeTracers } from "../tracing/fakes_test.ts";
import { FakeNetwork } from "./fakes_test.ts";
import { defineService } from "./mod.ts";
import { cluster, failureOf, server, work } from "./work_fakes_test.ts";

const hop = defineService("hop", {
  version: 1,
  methods: {
    on: { input: z.array(z.string()), output: z.string() },
    items: { input: z.number(), stream: z.number() },
  },
});

/** Nodes in a row, each of which passes calls on; those of `traced` have a tracer. */
function row(ids: readonly string[], traced: readonly string[]) {
  const network = new FakeNetwork();
  const tracers = new FakeTracers();
  for (const id of ids) {
    network.add(id, traced.includes(id) ? { tracing: tracers.of(id) } : {});
  }
  for (const [at, id] of ids.entries()) {
    if (at > 0) network.link(ids[at - 1]!, id);
    const { layer } = network.nodes.get(id)!;
    const client = layer.client(hop);
    layer.serve(hop, {
      on: async ([next, ...rest]) =>
        next === undefined
          ? `${id}:${carriedTrace()?.traceId[0] ?? "none"}`
          : await client.on(rest, { node: next }),
      async *items(count) {
        for (let i = 0; i < count; i++) yield i;
      },
    });
  }
  const of = (id: string) => network.nodes.get(id)!.layer.client(hop);
  return { network, tracers, of };
}

Deno.test("a call through three nodes is one trace: each span the child of the one that caused it", async () => {
  const { network, tracers, of } = row(["a", "b", "c"], ["a", "b", "c"]);
  await using _ = network;
  await network.settle();
  await of("a").on(["c"], { node: "b" });
  const [first, second, third, fourth] = tracers.spans;
  assert.deepEqual(
    tracers.spans.map(({ node, kind, service, method, end }) => [node, kind, service, method, end]),
    [
      ["a", "client", "hop", "on", "ok"],
      ["b", "server", "hop", "on", "ok"],
      ["b", "client", "hop", "on", "ok"],
      ["c", "server", "hop", "on", "ok"],
    ],
  );
  assert.equal(new Set(tracers.spans.map(({ trace }) => trace)).size, 1);
  assert.equal(first!.parent, undefined);
  assert.equal(second!.parent, first!.id);
  assert.equal(third!.parent, second!.id);
  assert.equal(fourth!.parent, third!.id);
  assert.deepEqual(first!.fields, { "mycnet.peer.id": "b" });
  assert.equal(fourth!.peer, "b");
});

Deno.test("a node without a tracer passes the trace on, and a call to oneself keeps it", async () => {
  const { network, tracers, of } = row(["a", "b", "c"], ["a", "c"]);
  await using _ = network;
  await network.settle();
  await of("a").on(["b", "c"], { node: "b" });
  const served = tracers.span("c", "server", "on");
  const called = tracers.span("a", "client", "on");
  assert.equal(served.trace, called.trace);
  assert.equal(served.parent, called.id);
});

Deno.test("without any tracer a trace that came from outside still travels, and ends with its call", async () => {
  const { network, of } = row(["a", "b"], []);
  await using _ = network;
  await network.settle();
  assert.equal(await carryTrace(contextOf(7, 7), () => of("a").on([], { node: "b" })), "b:7");
  assert.equal(await of("a").on([], { node: "b" }), "b:none");
  const invalid = { ...contextOf(0, 7) };
  assert.equal(await carryTrace(invalid, () => of("a").on([], { node: "b" })), "b:none");
});

Deno.test("each attempt that failed is an event of the call's span, and so is its last failure its end", async () => {
  const tracers = new FakeTracers();
  const network = new FakeNetwork();
  await using _ = network;
  const caller = network.add("c", { tracing: tracers.of("c") });
  for (const id of ["s1", "s2"]) {
    const { layer } = network.add(id, { tracing: tracers.of(id) });
    network.link("c", id);
    layer.serve(work, {
      safe: () => {
        if (id === "s1") network.nodes.get("c")!.peers.link("s1")!.cut();
        return "done";
      },
      once: () => Promise.reject(new Error("on purpose")),
      items: () => [],
      load: () => 0,
    });
  }
  await network.settle();
  const client = caller.layer.client(work);
  assert.equal(await client.safe("x"), "done");
  const span = tracers.span("c", "client", "safe");
  assert.equal(span.end, "ok");
  assert.deepEqual(span.fields, { "mycnet.attempts": 2, "mycnet.peer.id": "s2" });
  assert.deepEqual(span.events, [{
    name: "attempt failed",
    fields: { "mycnet.peer.id": "s1", "error.type": "link_lost", "mycnet.attempt": 1 },
  }]);
  const served = tracers.spans.filter(({ kind }) => kind === "server");
  assert.deepEqual(served.map(({ node, parent }) => [node, parent]), [
    ["s1", span.id],
    ["s2", span.id],
  ]);

  const error = await failureOf(client.once("x"));
  assert.equal(error.code, "internal");
  assert.equal(tracers.span("c", "client", "once").end, "internal");
  assert.equal(tracers.spans.at(-1)!.end, "internal", "at the server too");
});

Deno.test("spans of streams last until the last item, or until nobody wants more", async () => {
  const { network, tracers, of } = row(["a", "b"], ["a", "b"]);
  await using _ = network;
  await network.settle();
  const items = of("a").items(3, { node: "b" });
  assert.equal(tracers.spans.length, 0, "nothing is sent before the first item is asked for");
  await items.next();
  assert.equal(tracers.spans[0]!.end, undefined);
  for await (const _item of items);
  assert.equal(tracers.spans[0]!.end, "ok");
  await network.settle();
  assert.equal(tracers.spans[1]!.end, "ok");
  for await (const _item of of("a").items(100, { node: "b" })) break;
  await network.settle();
  assert.ok(tracers.spans.every(({ end }) => end !== undefined));
});

Deno.test("every span ends, however its call does", async () => {
  const { network, caller, nodes } = cluster(1);
  await using _ = network;
  const tracers = new FakeTracers();
  const traced = network.add("t", { tracing: tracers.of("t") });
  network.link("t", "s1");
  server(nodes[0]!, () => new Promise(() => {}));
  await network.settle();
  const client = traced.layer.client(work);
  const late = failureOf(client.once("x", { timeout: 100 }));
  const abort = new AbortController();
  const aborted = failureOf(client.once("x", { signal: abort.signal }));
  const lost = failureOf(client.once("x"));
  await network.settle();
  abort.abort();
  await network.clock.advance(200);
  traced.peers.link("s1")!.cut();
  await Promise.all([late, aborted, lost]);
  assert.deepEqual(tracers.spans.map(({ end }) => end).toSorted(), [
    "aborted",
    "deadline_exceeded",
    "link_lost",
  ]);
  assert.ok(caller.layer !== undefined);
});
