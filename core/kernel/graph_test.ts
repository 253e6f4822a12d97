import assert from "node:assert/strict";
import fc from "fast-check";
import { capability, live, maybe, type Need } from "./plugin.ts";
import { type GraphNode, startOrder } from "./graph.ts";

const node = (id: string, provides: string, ...needs: Need<unknown>[]): GraphNode => ({
  id,
  plugin: { provides: { id: provides }, needs: Object.fromEntries(needs.entries()) },
});
const one = (id: string) => capability<unknown>(id);
const some = (id: string) => live(one(id)) as Need<unknown>;
const ids = (nodes: readonly GraphNode[]) => startOrder(nodes).map(({ id }) => id);

Deno.test("where nothing depends on anything, the order of declaration stands", () => {
  assert.deepEqual(ids([node("c", "x"), node("a", "y"), node("b", "z")]), ["c", "a", "b"]);
});

Deno.test("a missing provider is an error that names the plugin, the capability and the remedy", () => {
  assert.throws(() => ids([node("http", "gateway", one("admin"))]), {
    code: "plugin_missing",
    message: `"http" needs "admin", which no declared plugin provides`,
    remedy: "Declare a plugin that provides the named capability.",
  });
});

Deno.test("several providers where one is needed is an error that names them all", () => {
  const nodes = [node("a", "admin"), node("b", "admin"), node("c", "admin")];
  for (const need of [one("admin"), maybe(one("admin"))]) {
    assert.throws(() => ids([...nodes, node("http", "gateway", need)]), {
      code: "plugin_ambiguous",
      message: `"http" needs one "admin", but "a", "b" and "c" provide it`,
      remedy: "Switch off all but one of the named plugins.",
    });
  }
});

Deno.test("a cycle is an error that walks it", () => {
  const nodes = [node("a", "A", one("B")), node("b", "B", one("C")), node("c", "C", one("A"))];
  assert.throws(() => ids(nodes), {
    code: "plugin_cycle",
    message:
      `Plugins wait for one another: "a" needs "B" of "b", "b" needs "C" of "c", "c" needs "A" of "a"`,
    remedy: "Break the cycle: make one of the needs live.",
  });
});

Deno.test("a plugin that needs what it provides itself is a cycle of one", () => {
  assert.throws(() => ids([node("a", "A", one("A"))]), { code: "plugin_cycle" });
});

Deno.test("a live need breaks a cycle, and is otherwise obeyed", () => {
  assert.deepEqual(
    ids([
      node("relay", "transport", one("peers")),
      node("peers", "peers", some("transport")),
      node("tcp", "transport"),
    ]),
    [
      "tcp",
      "peers",
      "relay",
    ],
  );
  assert.deepEqual(ids([node("self", "x", some("x"))]), ["self"]);
});

Deno.test("for any graph, hard edges are obeyed, and live ones too unless they close a cycle", () => {
  const edge = fc.record({ from: fc.nat(7), to: fc.nat(7), soft: fc.boolean() });
  fc.assert(fc.property(fc.array(edge, { maxLength: 16 }), fc.boolean(), (edges, acyclic) => {
    // Each node provides a capability of its own, so that edges are exactly as drawn.
    const drawn = edges.map((it) => ({
      ...it,
      from: Math.max(it.from, it.to),
      to: Math.min(it.from, it.to),
    }))
      .filter(({ from, to }) => from !== to);
    // A soft edge may point back up and so close a cycle; a hard one may not.
    const turned = drawn.map((it) =>
      it.soft && !acyclic ? { ...it, from: it.to, to: it.from } : it
    );
    const nodes = Array.from({ length: 8 }, (_, at) =>
      node(
        `${at}`,
        `${at}`,
        ...turned.filter(({ from }) => from === at)
          .map(({ to, soft }) => soft ? some(`${to}`) : one(`${to}`)),
      ));
    const order = ids(nodes);
    assert.equal(new Set(order).size, 8);
    for (const { from, to, soft } of turned) {
      if (soft && !acyclic) continue;
      assert.ok(order.indexOf(`${to}`) < order.indexOf(`${from}`));
    }
  }));
});
