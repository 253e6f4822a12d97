import assert from "node:assert/strict";
import { z } from "zod";
import { capability, type Plugin } from "./plugin.ts";
import type { Schema } from "./schema.ts";
import { duration, requiredDuration } from "./config.ts";
import { definePlugin, isPlugin } from "./define_plugin.ts";
import { formatIssue } from "./issues.ts";

const unit = capability<void>("unit");

const withConfig = <C>(config: Schema<unknown, C>): Plugin<void> =>
  definePlugin<void, C, Record<string, never>>({
    name: "sample",
    summary: "A sample.",
    provides: unit,
    needs: {},
    config,
    setup: () => {},
  });

const sample = withConfig(
  z.strictObject({
    bindAddress: z.string().optional(),
    connectTimeout: duration("5s"),
    tls: z.strictObject({ certPath: z.string(), keyPath: z.string() }).optional(),
    seeds: z.array(z.strictObject({ address: z.string() })).default([]),
    source: z.union([z.string(), z.strictObject({ url: z.string(), token: z.string() })])
      .optional(),
    weights: z.record(z.string(), z.strictObject({ weight: z.number() })).optional(),
  }) as Schema<unknown, unknown>,
);

const complaints = (config: unknown, plugin = sample): string[] => {
  const parsed = plugin.parse(config);
  assert.equal(parsed.ok, false);
  return parsed.ok ? [] : parsed.issues.map((issue) => formatIssue(issue));
};

Deno.test("a good configuration parses, defaults filled in", () => {
  assert.deepEqual(sample.parse({ bindAddress: "[::]:0" }), {
    ok: true,
    value: { bindAddress: "[::]:0", connectTimeout: 5000, seeds: [] },
  });
});

Deno.test("an unknown key names the nearest known one, at every depth", () => {
  assert.deepEqual(complaints({ bindAdress: "x" }), [
    `unknown key "bindAdress", did you mean "bindAddress"?`,
  ]);
  assert.deepEqual(complaints({ tls: { cert_path: "x", certPath: "x", keyPath: "y" } }), [
    `tls: unknown key "cert_path", did you mean "certPath"?`,
  ]);
  assert.deepEqual(complaints({ seeds: [{ address: "a" }, { address: "b", adress: "c" }] }), [
    `seeds[1]: unknown key "adress", did you mean "address"?`,
  ]);
  assert.deepEqual(complaints({ weights: { a: { weight: 1, wieght: 2 } } }), [
    `weights.a: unknown key "wieght", did you mean "weight"?`,
  ]);
});

Deno.test("an unknown key that resembles nothing lists what there is", () => {
  assert.deepEqual(complaints({ tls: { certPath: "c", keyPath: "k", zzzzzz: 1 } }), [
    `tls: unknown key "zzzzzz"; known are "certPath", "keyPath"`,
  ]);
});

Deno.test("a misspelt required key is named before the one that is missing for it", () => {
  assert.deepEqual(complaints({ tls: { certPath: "c", keypath: "k" } }), [
    `tls: unknown key "keypath", did you mean "keyPath"?`,
    `tls.keyPath: is required (invalid input: expected string, received undefined)`,
  ]);
});

Deno.test("in a union, the branch that was meant complains", () => {
  assert.deepEqual(complaints({ source: { url: "u", tokn: "t" } }), [
    `source: unknown key "tokn", did you mean "token"?`,
    `source.token: is required (invalid input: expected string, received undefined)`,
  ]);
  assert.deepEqual(complaints({ source: 3 }), [
    "source: invalid input: expected string, received number, or invalid input: expected object, received number",
  ]);
});

Deno.test("a value that is no object at all is an issue of the whole", () => {
  assert.deepEqual(complaints(7), ["invalid input: expected object, received number"]);
});

Deno.test("a configuration full of unknown keys gives a bounded number of issues", () => {
  const flood = Object.fromEntries(Array.from({ length: 5000 }, (_, at) => [`key${at}`, at]));
  assert.equal(complaints(flood).length, 50);
});

Deno.test("parsing is never asynchronous and never throws", () => {
  const later = withConfig(z.string().refine(() => Promise.resolve(true)));
  const either = ["the schema checks asynchronously or throws; a configuration's may not"];
  assert.deepEqual(complaints("x", later), either);
  const broken = withConfig(
    z.string().refine(() => {
      throw new Error("regex is broken");
    }),
  );
  assert.deepEqual(complaints("x", broken), either);
  const hostile: Schema<unknown, unknown> = {
    "~standard": {
      version: 1,
      vendor: "tests",
      validate: () => {
        throw new Error("no reason");
      },
    },
  };
  assert.deepEqual(complaints("x", withConfig(hostile)), ["the schema threw: no reason"]);
});

Deno.test("any Standard Schema will do, without a JSON Schema of its own", () => {
  const even: Schema<unknown, number> = {
    "~standard": {
      version: 1,
      vendor: "tests",
      validate: (value) =>
        typeof value === "number" && value % 2 === 0
          ? { value }
          : { issues: [{ message: "Must be even", path: [{ key: "n" }] }] },
    },
  };
  const plugin = withConfig(even);
  assert.deepEqual(plugin.parse(4), { ok: true, value: 4 });
  assert.deepEqual(complaints(3, plugin), ["n: must be even"]);
  assert.deepEqual(plugin.schema(), {});
});

Deno.test("durations are written in words or in milliseconds and read in milliseconds", () => {
  const plugin = withConfig(z.strictObject({
    ping: requiredDuration({ minMs: 10, maxMs: 60_000 }),
    idle: requiredDuration().optional(),
  }));
  const read = (ping: unknown) => plugin.parse({ ping });
  assert.deepEqual(read("1m"), { ok: true, value: { ping: 60_000 } });
  assert.deepEqual(read("100ms"), { ok: true, value: { ping: 100 } });
  assert.deepEqual(read(250), { ok: true, value: { ping: 250 } });
  const wrong = `ping: write a duration as "5s", "100ms", "2m", "1h" or a number of milliseconds`;
  for (const value of ["5 s", "fast", -1, null, true, Infinity]) {
    assert.deepEqual(complaints({ ping: value }, plugin), [wrong]);
  }
  for (const value of ["5ms", "1h"]) {
    assert.deepEqual(complaints({ ping: value }, plugin), [
      "ping: must be at least 10 ms and at most 60000 ms",
    ]);
  }
});

Deno.test("the schema is what a user writes: defaults are optional, durations are text or numbers", () => {
  const { properties, required, additionalProperties, $schema } = sample.schema() as {
    properties: Record<string, { default?: unknown; anyOf?: { type: string }[] }>;
    required?: string[];
    additionalProperties: boolean;
    $schema?: string;
  };
  assert.equal(properties.connectTimeout?.default, "5s");
  assert.deepEqual(properties.connectTimeout?.anyOf?.map(({ type }) => type), ["number", "string"]);
  assert.deepEqual([required, additionalProperties, $schema], [undefined, false, undefined]);
});

Deno.test("a plugin is known by its shape, whichever copy of the runtime made it", () => {
  assert.equal(isPlugin(sample), true);
  assert.equal(isPlugin({ ...sample }), true);
  assert.equal(isPlugin({ ...sample, setup: undefined }), false);
  for (const other of [null, undefined, 3, "tls", {}, () => {}]) {
    assert.equal(isPlugin(other), false);
  }
});

Deno.test("a setup written as a method keeps its this, and permissions see the parsed configuration", async () => {
  const definition = {
    name: "sample",
    summary: "A sample.",
    provides: capability<string>("text"),
    needs: {},
    config: z.strictObject({ port: z.number().default(7000) }),
    permissions: ({ port }: { port: number }) => ({ net: [`127.0.0.1:${port}`] }),
    greeting: "hello",
    setup(): string {
      return this.greeting;
    },
  };
  const plugin = definePlugin(definition);
  assert.equal(await plugin.setup({} as Parameters<typeof plugin.setup>[0]), "hello");
  const parsed = plugin.parse({});
  assert.deepEqual(parsed.ok && plugin.permissions(parsed.value), { net: ["127.0.0.1:7000"] });
});
