import assert from "node:assert/strict";
import fc from "fast-check";
import { copyRaw, sameRaw } from "./raw_config.ts";

Deno.test("any JSON value is the same as its copy, and no longer the same once edited", () => {
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), (value) => {
    const copy = copyRaw(value) as Record<string, unknown>;
    assert.deepEqual(copy, { ...value });
    assert.ok(sameRaw(value, copy) && sameRaw(copy, value));
    const [key] = Object.keys(copy);
    copy[key!] = [copy[key!]];
    assert.equal(sameRaw(value, copy), false);
  }));
});

Deno.test("the order of keys and undefined fields do not count; order in lists, null and types do", () => {
  assert.ok(sameRaw({ a: 1, b: { c: [1, 2] } }, { b: { c: [1, 2] }, a: 1, d: undefined }));
  const different: [unknown, unknown][] = [
    [{ a: null }, {}],
    [[1, 2], [2, 1]],
    [[1], [1, undefined]],
    [[], {}],
    [{ 0: "a" }, ["a"]],
    [1, "1"],
    [{ toString: 1 }, {}],
  ];
  for (const [a, b] of different) {
    assert.equal(sameRaw(a, b), false);
    assert.equal(sameRaw(b, a), false);
  }
});

Deno.test("functions and class instances are kept, and are the same only if they are identical", () => {
  const run = () => 1;
  const url = new URL("file:///a");
  const copy = copyRaw({ run, url });
  assert.ok(sameRaw(copy, { run, url }));
  assert.equal(sameRaw(copy, { run, url: new URL("file:///a") }), false);
});

Deno.test("a configuration that contains itself is refused", () => {
  const circular: { self?: unknown } = {};
  circular.self = circular;
  assert.throws(() => copyRaw(circular), RangeError);
});
