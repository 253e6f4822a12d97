import assert from "node:assert/strict";
import fc from "fast-check";
import { type Metric, Registry } from "prom-client";
import type { ReadyFamily } from "./families.ts";
import { renderText, textType } from "./text.ts";

/** What prom-client makes of families of one value each series. */
async function byPromClient(families: readonly ReadyFamily[]): Promise<string> {
  const registry = new Registry();
  for (const { name, help, type, samples } of families) {
    const get = () => Promise.resolve({ name, help, type, values: samples });
    // Of a metric the registry calls `get` and reads `name`; its type asks for a class of its own.
    registry.registerMetric({ name, get } as unknown as Metric);
  }
  return await registry.metrics();
}

const labels = fc.dictionary(fc.constantFrom("node_id", "message_type", "a", "_b"), fc.string());
const value = fc.oneof(
  fc.double({ noNaN: true }),
  fc.nat(),
  fc.constantFrom(Infinity, -Infinity, 0.1, 1e21, 1e-7),
);
const families = fc.uniqueArray(
  fc.record({
    name: fc.stringMatching(/^[a-z_][a-z0-9_]{0,20}$/),
    help: fc.string(),
    type: fc.constantFrom("counter" as const, "gauge" as const),
    samples: fc.array(fc.record({ labels, value }), { maxLength: 5 }),
  }),
  { selector: ({ name }) => name, minLength: 1, maxLength: 5 },
);

Deno.test("the text is what prom-client writes, whatever stands in it", async () => {
  assert.equal(textType, Registry.PROMETHEUS_CONTENT_TYPE);
  await fc.assert(fc.asyncProperty(families, async (all) => {
    assert.equal(renderText(all), await byPromClient(all));
  }));
});

Deno.test("a histogram is as prom-client's own", async () => {
  const { Histogram } = await import("prom-client");
  const registry = new Registry();
  const theirs = new Histogram({
    name: "wait_seconds",
    help: "Waiting.",
    labelNames: ["kind"],
    buckets: [0.064, 0.5, 8],
    registers: [registry],
  });
  const durations = [0.01, 0.064, 0.3, 2, 100];
  for (const it of durations) theirs.observe({ kind: "x" }, it);
  const ours: ReadyFamily = {
    name: "wait_seconds",
    help: "Waiting.",
    type: "histogram",
    samples: [{
      labels: { kind: "x" },
      value: {
        bounds: [0.064, 0.5, 8],
        cumulative: [2, 3, 4],
        count: 5,
        sum: durations.reduce((sum, it) => sum + it, 0),
      },
    }],
  };
  const series = (text: string) =>
    text.split("\n").map((it) => it.replace(/\{(le=[^,]*),(kind=[^}]*)\}/, "{$2,$1}"));
  assert.deepEqual(series(renderText([ours])), series(await registry.metrics()));
});
