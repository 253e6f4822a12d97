import assert from "node:assert/strict";
import { carriedTrace, carryTrace } from "../tracing/mod.ts";
import { contextOf, FakeTracers } from "../tracing/fakes_test.ts";
import { bytes, Cluster } from "./fakes_test.ts";

Deno.test("a request is a span at both ends, and what its handler asks is part of the trace", async () => {
  const tracers = new FakeTracers();
  await using t = Cluster.traced(["a", "b", "c"], (id) => tracers.of(id));
  t.of("c").handle("custom.last", (it) => it);
  t.of("b").handle("custom.pass", (it) => t.of("b").request("c", "custom.last", it));
  await t.settled(t.of("a").request("b", "custom.pass", bytes("x")));
  const [first, second, third, fourth] = tracers.spans;
  assert.deepEqual(
    tracers.spans.map(({ node, kind, method, peer, end }) => [node, kind, method, peer, end]),
    [
      ["a", "client", "custom.pass", "b", "ok"],
      ["b", "server", "custom.pass", "a", "ok"],
      ["b", "client", "custom.last", "c", "ok"],
      ["c", "server", "custom.last", "b", "ok"],
    ],
  );
  assert.deepEqual([second!.parent, third!.parent, fourth!.parent], [
    first!.id,
    second!.id,
    third!.id,
  ]);
});

Deno.test("a request that fails ends both spans with its code", async () => {
  const tracers = new FakeTracers();
  await using t = Cluster.traced(["a", "b"], (id) => tracers.of(id));
  t.of("b").handle("custom.bad", () => Promise.reject(new Error("on purpose")));
  await t.fails(t.of("a").request("b", "custom.bad", bytes("x")));
  await t.fails(t.of("a").request("b", "custom.nobody", bytes("x")));
  assert.deepEqual(tracers.spans.map(({ node, end }) => [node, end]), [
    ["a", "internal"],
    ["b", "internal"],
    ["a", "unhandled"],
  ]);
});

Deno.test("a message that wants no answer is a span only where it belongs to a trace", async () => {
  const tracers = new FakeTracers();
  await using t = Cluster.traced(["a", "b"], (id) => tracers.of(id));
  let heard = 0;
  t.of("b").handle("custom.note", () => void heard++);
  t.of("b").handle("custom.ask", async () => await t.of("b").send("a", "custom.note", bytes("")));
  t.of("a").handle("custom.note", () => void heard++);
  await t.settled(t.of("a").send("b", "custom.note", bytes("")));
  await t.host.until(() => heard === 1);
  assert.deepEqual(tracers.spans, []);
  await t.settled(t.of("a").request("b", "custom.ask", bytes("")));
  await t.host.until(() => heard === 2);
  const note = tracers.span("a", "consumer", "custom.note");
  assert.equal(note.parent, tracers.span("b", "server", "custom.ask").id);
  assert.equal(note.end, "ok");
});

Deno.test("without a tracer the trace of a message travels on, and no further than its handler", async () => {
  await using t = new Cluster("a", "b", "c");
  const seen: (number | undefined)[] = [];
  t.of("c").handle("custom.last", () => void seen.push(carriedTrace()?.traceId[0]));
  t.of("b").handle("custom.pass", (it) => t.of("b").request("c", "custom.last", it));
  const ask = () => t.of("a").request("b", "custom.pass", bytes("x"));
  await t.settled(carryTrace(contextOf(9, 1), ask));
  await t.settled(ask());
  assert.deepEqual(seen, [9, undefined]);
});
