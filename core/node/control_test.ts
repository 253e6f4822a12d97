import assert from "node:assert/strict";
import fc from "fast-check";
import { type HealthReport, healthSources, type HealthStatus } from "../contracts/health.ts";
import { metricsSources } from "../contracts/metrics.ts";
import { nodeControl } from "../contracts/node.ts";
import {
  capability,
  createHost,
  definePlugin,
  Kernel,
  type LogFields,
  type Plugin,
} from "../kernel/mod.ts";
import { z } from "zod";
import { controlPlugin, worse } from "./control.ts";

interface Contributions {
  readonly health?: readonly (() => HealthReport)[];
  readonly metrics?: readonly {
    readonly category: string;
    readonly read: () => Record<string, number>;
  }[];
}

function contributor(name: string, { health = [], metrics = [] }: Contributions): Plugin<object> {
  return definePlugin({
    name,
    summary: "Contributes to a test.",
    provides: capability<object>(`test.${name}`),
    needs: {},
    config: z.strictObject({}),
    setup(scope) {
      for (const source of health) scope.contribute(healthSources, source);
      for (const source of metrics) scope.contribute(metricsSources, source);
      return {};
    },
  });
}

/** A node's control over what plugins contribute. */
async function controlOver(plugins: Readonly<Record<string, Contributions>>) {
  const logged: { message: string; fields: LogFields }[] = [];
  const kernel = new Kernel(
    createHost({ log: (_level, message, fields) => void logged.push({ message, fields }) }),
  );
  const facts = {
    runtimeVersion: "1.2.3",
    startedAt: 5,
    isReady: () => true,
    isLeaving: () => false,
    plugins: () => [],
    join: () => Promise.resolve([]),
    leave: () => Promise.resolve(),
  };
  await kernel.apply([
    { id: "node", plugin: controlPlugin(facts) },
    ...Object.entries(plugins).map(([id, it]) => ({ id, plugin: contributor(id, it) })),
  ]);
  return {
    control: kernel.get(nodeControl),
    logged,
    [Symbol.asyncDispose]: () => kernel.stop(),
  };
}

const statuses = ["healthy", "degraded", "unhealthy"] as const;

Deno.test("health is the worst report, with the reason of every one that is not healthy", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom<HealthStatus>(...statuses)), async (given) => {
      await using node = await controlOver(Object.fromEntries(given.map((status, at) => [
        `p${at}`,
        { health: [() => ({ status, reason: `because ${at}` })] },
      ])));
      const { status, reasons, reports } = node.control.health();
      assert.equal(status, given.reduce<HealthStatus>(worse, "healthy"));
      assert.deepEqual(
        reasons,
        given.flatMap((it, at) => it === "healthy" ? [] : `p${at}: because ${at}`),
      );
      assert.equal(Object.keys(reports).length, given.length);
    }),
    { numRuns: 20 },
  );
});

Deno.test("of several reports of one plugin the worst stands for it", async () => {
  await using node = await controlOver({
    ["constructor"]: {
      health: [
        (): HealthReport => ({ status: "degraded", reason: "slow" }),
        (): HealthReport => ({ status: "healthy" }),
      ],
    },
  });
  const { status, reports } = node.control.health();
  assert.equal(status, "degraded");
  assert.deepEqual({ ...reports }, { constructor: { status: "degraded", reason: "slow" } });
});

Deno.test("a report that throws is unhealthy and says so", async () => {
  await using node = await controlOver({
    bad: {
      health: [() => {
        throw new Error("oh");
      }],
    },
    good: { health: [() => ({ status: "healthy" })] },
  });
  const { status, reasons } = node.control.health();
  assert.equal(status, "unhealthy");
  assert.deepEqual(reasons, ["bad: its health report failed: Error: oh"]);
});

Deno.test("metrics of one category and name are added, whatever they are called", async () => {
  const category = "communication";
  await using node = await controlOver({
    one: { metrics: [{ category, read: () => ({ messages_sent: 2, constructor: 1 }) }] },
    two: {
      metrics: [
        { category, read: () => ({ messages_sent: 3, constructor: 4 }) },
        { category: "toString", read: () => ({ valueOf: 7 }) },
      ],
    },
  });
  const metrics = node.control.metrics();
  assert.deepEqual({ ...metrics.communication }, { messages_sent: 5, constructor: 5 });
  assert.deepEqual({ ...metrics.toString as unknown as object }, { valueOf: 7 });
});

Deno.test("a source of metrics that throws costs the others nothing and is logged", async () => {
  await using node = await controlOver({
    bad: {
      metrics: [{
        category: "failover",
        read: () => {
          throw new Error("oh");
        },
      }],
    },
    good: { metrics: [{ category: "failover", read: () => ({ calls_retried: 1 }) }] },
  });
  assert.deepEqual(node.control.metrics(), { failover: { calls_retried: 1 } });
  const line = node.logged.find(({ message }) => message === "A source of metrics failed");
  assert.equal(line?.fields.category, "failover");
  assert.equal(line?.fields.error, "oh");
});
