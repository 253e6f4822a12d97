import assert from "node:assert/strict";
import fc from "fast-check";
import {
  checkDescription,
  formatSpiffeId,
  isNodeId,
  nodeTypes,
  parseSpiffeId,
  samePrincipal,
} from "./mod.ts";

const id = fc.stringMatching(/^[a-z0-9._-]{1,63}$/).filter(isNodeId);
const principal = fc.record({ cluster: id, type: fc.constantFrom(...nodeTypes), id }, {
  noNullPrototype: true,
});

Deno.test("a principal survives being a SPIFFE id", () => {
  assert.equal(
    formatSpiffeId({ cluster: "prod", type: "sclerotia", id: "node-1" }),
    "spiffe://prod/sclerotia/node-1",
  );
  fc.assert(
    fc.property(principal, (who) => {
      assert.deepEqual(parseSpiffeId(formatSpiffeId(who)), who);
      assert(samePrincipal(who, { ...who }));
    }),
  );
});

Deno.test("what is not exactly one of our SPIFFE ids names nobody", () => {
  const others = [
    "",
    "spiffe://prod/sclerotia",
    "spiffe://prod/sclerotia/a/b",
    "spiffe://prod/sclerotia/a/",
    "spiffe://prod/server/a",
    "spiffe://Prod/sclerotia/a",
    "spiffe://prod/sclerotia/A",
    "SPIFFE://prod/sclerotia/a",
    "https://prod/sclerotia/a",
    "spiffe://prod:80/sclerotia/a",
    "spiffe://u@prod/sclerotia/a",
    "spiffe://prod/sclerotia/a?x",
    "spiffe://prod/sclerotia/a#x",
    "spiffe://prod/sclerotia/a\n",
    " spiffe://prod/sclerotia/a",
    `spiffe://prod/sclerotia/${"a".repeat(64)}`,
    "spiffe://prod/toString/a",
    "spiffe://prod/sclerotia/.",
    "spiffe://prod/sclerotia/..",
    "spiffe://../sclerotia/a",
  ];
  for (const uri of others) assert.equal(parseSpiffeId(uri), undefined, uri);
});

Deno.test("formatting refuses what could not be read back", () => {
  const good = { cluster: "prod", type: "hyphae", id: "a" } as const;
  assert.throws(() => formatSpiffeId({ ...good, id: "A b" }), /id: 1 to 63 .* found "A b"/);
  assert.throws(() => formatSpiffeId({ ...good, cluster: "" }), /cluster: 1 to 63/);
  assert.throws(() => formatSpiffeId({ ...good, type: "x" as "hyphae" }), /type: one of/);
  assert(!isNodeId(7));
  assert(!isNodeId("a".repeat(64)));
  assert(isNodeId("a".repeat(63)) && isNodeId("..."));
  assert(!isNodeId(".") && !isNodeId(".."));
});

const good = {
  cluster: "prod",
  type: "sclerotia",
  id: "node-1",
  generation: 5,
  version: "0.1.0",
  datacenter: "ams",
  rack: "r1",
  capacity: { cpus: 2, memoryBytes: 1e9 },
  metadata: { a: "b" },
};

Deno.test("a description is read field by field, and what is unknown is dropped", () => {
  assert.deepEqual(checkDescription({ ...good, later: 1 }), { ok: true, value: good });
  const { datacenter: _d, rack: _r, capacity: _c, metadata: _m, ...least } = good;
  assert.deepEqual(checkDescription(least), { ok: true, value: least });
});

Deno.test("a description that is wrong says in which field", () => {
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ cluster: "A" }, /^node\.cluster: 1 to 63/],
    [{ type: "x" }, /^node\.type: sclerotia, rhizomorph or hyphae/],
    [{ id: 7 }, /^node\.id: .* found number/],
    [{ generation: -1 }, /^node\.generation: an integer/],
    [{ generation: 1.5 }, /^node\.generation/],
    [{ version: "" }, /^node\.version/],
    [{ datacenter: 3 }, /^node\.datacenter/],
    [{ rack: "x".repeat(64) }, /^node\.rack/],
    [{ capacity: [] }, /^node\.capacity: an object/],
    [{ capacity: { cpus: -1 } }, /^node\.capacity\.cpus/],
    [{ capacity: { diskBytes: NaN } }, /^node\.capacity\.diskBytes/],
    [{ metadata: new Map() }, /^node\.metadata: an object/],
    [{ metadata: { k: 1 } }, /^node\.metadata\.k: a name/],
    [{ metadata: { ["k".repeat(64)]: "" } }, /^node\.metadata\.k+: a name/],
    [{ metadata: { k: "x".repeat(256) } }, /^node\.metadata\.k: a name/],
    [
      { metadata: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [i, ""])) },
      /^node\.metadata: at most 32/,
    ],
  ];
  for (const [change, message] of wrong) {
    const checked = checkDescription({ ...good, ...change }, "node.");
    assert(!checked.ok);
    assert.match(checked.message, message);
  }
  for (const value of [undefined, null, 3, "x", [], new Map()]) {
    assert.equal(checkDescription(value).ok, false);
  }
});

Deno.test("no value whatever makes the check throw", () => {
  fc.assert(fc.property(fc.anything(), (value) => {
    checkDescription(value);
    checkDescription({ ...good, metadata: value, capacity: value });
  }));
});
