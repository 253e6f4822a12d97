import assert from "node:assert/strict";
import { z } from "zod";
import { capability, type Plugin } from "./plugin.ts";
import type { Schema } from "./schema.ts";
import { duration } from "./config.ts";
import { definePlugin, jsonSchemaOf, providePlugin } from "./define_plugin.ts";
import { composeSchema } from "./json_schema.ts";

const unit = capability<void>("unit");
const Rule = z.strictObject({
  match: z.string(),
  get then() {
    return z.array(Rule).optional();
  },
});
const rules: Plugin<void> = definePlugin<void, unknown, Record<string, never>>({
  name: "rules",
  summary: "Follows rules.",
  provides: unit,
  needs: {},
  config: z.strictObject({
    rules: z.array(Rule).default([]),
    timeout: duration("5s"),
    default: z.strictObject({ rule: Rule }).optional(),
  }) as Schema<unknown, unknown>,
  setup: () => {},
});
const node = jsonSchemaOf(
  z.strictObject({ id: z.string().optional() }) as Schema<unknown, unknown>,
);
const schema = composeSchema({
  settings: { node },
  plugins: { rules, plain: providePlugin<void>("plain", unit, undefined) },
});

/** Another reader of JSON Schema than the writer of this one's parts. */
const accepts = (value: unknown): boolean =>
  z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]).safeParse(value).success;

Deno.test("the schema of the whole key accepts what the configuration accepts", () => {
  const good = [
    {},
    { node: { id: "one" } },
    { plugins: { rules: {}, plain: true } },
    { plugins: { rules: false } },
    { plugins: { rules: { timeout: 100, rules: [{ match: "a", then: [{ match: "b" }] }] } } },
    { plugins: { rules: { default: { rule: { match: "a", then: [] } } } } },
    { plugins: { more: { use: "rules", config: { timeout: "1m" } } } },
    { plugins: { more: { use: "./mine.ts", config: { anything: 1 } }, off: false } },
    { plugins: { more: { use: "npm:some-plugin" } } },
  ];
  for (const value of good) assert.equal(accepts(value), true, JSON.stringify(value));
});

Deno.test("the schema of the whole key refuses what the configuration refuses", () => {
  const bad = [
    { nodes: {} },
    { node: { ids: "one" } },
    { plugins: { rules: { timeot: 1 } } },
    { plugins: { rules: { timeout: "soon" } } },
    { plugins: { rules: { rules: [{ match: "a", then: [{ much: "b" }] }] } } },
    { plugins: { rules: { default: { rule: {} } } } },
    { plugins: { unknown: {} } },
    { plugins: { more: { use: "unknown" } } },
    { plugins: { more: { use: "rules", config: { timeot: 1 } } } },
    { plugins: { more: { use: "rules", timeout: 1 } } },
  ];
  for (const value of bad) assert.equal(accepts(value), false, JSON.stringify(value));
});

Deno.test("every reference in the composed schema leads somewhere", () => {
  const references: string[] = [];
  JSON.stringify(schema, (key, value) => {
    if (key === "$ref") references.push(value);
    return value;
  });
  assert.ok(references.some((it) => it.startsWith("#/$defs/plugin.rules.")), `${references}`);
  for (const reference of references) {
    const target = reference.slice(2).split("/").reduce<unknown>(
      (at, part) => (at as Record<string, unknown> | undefined)?.[part],
      schema,
    );
    assert.equal(typeof target, "object", reference);
  }
});

Deno.test("a value that looks like a reference is left alone where it is data", () => {
  const plugin: Plugin<void> = {
    ...rules,
    schema: () => ({
      $schema: "x",
      default: { $ref: "#/not/one" },
      properties: { default: { $ref: "#" } },
    }),
  };
  const { $defs } = composeSchema({ settings: {}, plugins: { "a/b": plugin } });
  assert.deepEqual(($defs as Record<string, unknown>)["plugin.a/b"], {
    description: "Follows rules.",
    default: { $ref: "#/not/one" },
    properties: { default: { $ref: "#/$defs/plugin.a~1b" } },
  });
});
