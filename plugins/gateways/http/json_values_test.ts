import assert from "node:assert/strict";
import fc from "fast-check";
import { fromJsonValue, toJsonValue } from "./json_values.ts";

/** Everything that a call may carry, wrappers' look-alikes included. */
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { depthSize: "small" },
    fc.string(),
    fc.double(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.bigInt(),
    fc.uint8Array().map((it) => Uint8Array.from(it)),
    fc.date({ noInvalidDate: true }),
    fc.array(tie("any")),
    fc.array(fc.tuple(tie("any"), tie("any"))).map((it) => new Map(it)),
    fc.array(tie("any")).map((it) => new Set(it)),
    fc.dictionary(
      fc.oneof(
        fc.constantFrom("$bytes", "$bigint", "$map", "$plain"),
        fc.string().filter((it) => it !== "__proto__"),
      ),
      tie("any"),
      { noNullPrototype: true, maxKeys: 3 },
    ),
  ),
})).any;

Deno.test("whatever a call may carry comes back from JSON as it was", () => {
  fc.assert(fc.property(value, (it) => {
    assert.deepStrictEqual(fromJsonValue(JSON.parse(JSON.stringify(toJsonValue(it)))), it);
  }));
});

Deno.test("any JSON either reads or is refused as invalid, and what reads writes again", () => {
  fc.assert(fc.property(fc.json(), (text) => {
    let read: unknown;
    try {
      read = fromJsonValue(JSON.parse(text));
    } catch (error) {
      assert.equal((error as { code: string }).code, "invalid_argument");
      return;
    }
    assert.deepStrictEqual(fromJsonValue(JSON.parse(JSON.stringify(toJsonValue(read)))), read);
  }));
});

Deno.test("wrappers that hold the wrong thing are refused with the place", () => {
  const cases: [string, RegExp][] = [
    ['{"$bytes": 1}', /^body\.\$bytes: must be a text/],
    ['[{"$bytes": "!"}]', /^body\.0\.\$bytes: must be base64/],
    ['{"a": {"$bigint": "1.5"}}', /^body\.a\.\$bigint: must be a decimal/],
    [`{"$bigint": "${"9".repeat(1001)}"}`, /up to 1000 digits/],
    ['{"$date": "1"}', /ISO 8601/],
    ['{"$date": "2025-13-01T00:00:00Z"}', /ISO 8601/],
    ['{"$number": "toString"}', /must be one of NaN/],
    ['{"$map": [[1]]}', /array of \[key, value\]/],
    ['{"$set": {}}', /must be an array/],
    ['{"$plain": []}', /must be an object/],
    ['{"__proto__": {"x": 1}}', /__proto__/],
    [`${"[".repeat(100)}${"]".repeat(100)}`, /nested more than 64 deep/],
    [`${'{"$set":['.repeat(100)}${"]}".repeat(100)}`, /nested more than 64 deep/],
  ];
  for (const [text, message] of cases) {
    assert.throws(() => fromJsonValue(JSON.parse(text)), { code: "invalid_argument", message });
  }
});

Deno.test("what has no form in JSON is an error that names the place", () => {
  class Thing {}
  for (const odd of [() => 1, Symbol("x"), new Thing(), /x/, new Date(NaN)]) {
    assert.throws(() => toJsonValue({ a: [odd] }), { message: /^the answer\.a\.0 is / });
  }
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  assert.throws(() => toJsonValue(circular), /nested more than 64 deep/);
});
