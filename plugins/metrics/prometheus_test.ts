import assert from "node:assert/strict";
import { AdminFixture, ask, post } from "../../core/admin/fakes_test.ts";
import { metricFamilies, type MetricFamily, metricsSources } from "../../core/contracts/metrics.ts";
import { capability, definePlugin, type Entry } from "../../core/kernel/mod.ts";
import { z } from "zod";
import prometheus from "./prometheus.ts";
import { categoryFamilies, categoryName, collect } from "./prometheus/families.ts";

const scrape = "a-token-of-the-scraper-alone";

/** A plugin that counts. */
function counting(families: readonly MetricFamily[], sent = 7): Entry {
  const plugin = definePlugin({
    name: "counting",
    summary: "Counts for a test.",
    provides: capability<object>("test.counting"),
    needs: {},
    config: z.strictObject({}),
    setup(scope) {
      for (const family of families) scope.contribute(metricFamilies, family);
      scope.contribute(metricsSources, {
        category: "communication",
        gauges: ["active"],
        read: () => ({ messages_sent: sent, active: 2 }),
      });
      return {};
    },
  });
  return { id: "counting", plugin };
}

const family = (other: Partial<MetricFamily> & Pick<MetricFamily, "read">): MetricFamily => ({
  name: "things_total",
  help: "Things.",
  type: "counter",
  ...other,
});
const none = () => assert.fail("nothing should have been left out");

Deno.test("the page shows families and categories, with help, type and the node's id", async () => {
  await using fixture = new AdminFixture();
  const histogram = family({
    name: "things_seconds",
    type: "histogram",
    read: () => [{
      labels: { kind: 'a "quoted" one' },
      value: { bounds: [0.1, 1], cumulative: [1, 2], count: 3, sum: 12.5 },
    }],
  });
  const app = await fixture.runPure([
    counting([family({ read: () => [{ labels: { kind: "x" }, value: 3 }] }), histogram]),
    { id: "prometheus", plugin: prometheus },
  ]);
  const response = await ask(app, "/metrics");
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  assert.equal(
    await response.text(),
    [
      "# HELP mycnet_node_info What this node is; the value is always 1.",
      "# TYPE mycnet_node_info gauge",
      'mycnet_node_info{node_id="a",cluster="test",type="sclerotia",version="0.1.0"} 1',
      "",
      "# HELP things_total Things.",
      "# TYPE things_total counter",
      'things_total{kind="x"} 3',
      "",
      "# HELP things_seconds Things.",
      "# TYPE things_seconds histogram",
      'things_seconds_bucket{kind="a \\"quoted\\" one",le="0.1"} 1',
      'things_seconds_bucket{kind="a \\"quoted\\" one",le="1"} 2',
      'things_seconds_bucket{kind="a \\"quoted\\" one",le="+Inf"} 3',
      'things_seconds_sum{kind="a \\"quoted\\" one"} 12.5',
      'things_seconds_count{kind="a \\"quoted\\" one"} 3',
      "",
      "# HELP mycnet_communication_messages_sent_total messages sent (communication).",
      "# TYPE mycnet_communication_messages_sent_total counter",
      'mycnet_communication_messages_sent_total{node_id="a"} 7',
      "",
      "# HELP mycnet_communication_active active (communication).",
      "# TYPE mycnet_communication_active gauge",
      'mycnet_communication_active{node_id="a"} 2',
      "",
    ].join("\n"),
  );
});

Deno.test("the page wants admin's token, or the scraper's, which opens nothing else", async () => {
  await using fixture = new AdminFixture();
  const config = { token: scrape };
  const app = await fixture.runPure([{ id: "prometheus", plugin: prometheus, config }]);
  const status = async (path: string, authorization?: string) => {
    const headers = authorization === undefined ? undefined : { authorization };
    const response = await app.fetch(new Request(`http://localhost${path}`, { headers }));
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await status("/metrics", `Bearer ${scrape}`), 200);
  assert.equal((await ask(app, "/metrics")).status, 200);
  assert.equal(await status("/metrics"), 401);
  assert.equal(await status("/metrics", "Bearer something-else-entirely"), 401);
  assert.equal(await status("/api/v1/network/stats", `Bearer ${scrape}`), 401);
});

Deno.test("without a token of its own the page is behind admin's, and only to be read", async () => {
  await using fixture = new AdminFixture();
  const app = await fixture.runPure([{ id: "prometheus", plugin: prometheus }]);
  assert.equal((await app.fetch(new Request("http://localhost/metrics"))).status, 401);
  const posted = await ask(app, "/metrics", post({}));
  assert.equal(posted.status, 405);
  assert.equal(posted.headers.get("allow"), "GET, HEAD");
  const head = await ask(app, "/metrics", { method: "HEAD" });
  assert.equal(head.status, 200);
  assert.equal(await head.text(), "");
});

Deno.test("a contribution that is wrong costs itself alone, and is logged once", async () => {
  await using fixture = new AdminFixture();
  const app = await fixture.runPure([
    counting([
      family({ name: "bad name", read: () => [] }),
      family({
        name: "throws_total",
        read: () => {
          throw new Error("not today");
        },
      }),
      family({ name: "nan_total", read: () => [{ labels: {}, value: NaN }] }),
      family({ name: "le_total", read: () => [{ labels: { le: "1" }, value: 1 }] }),
      family({ name: "shape_total", type: "histogram", read: () => [{ labels: {}, value: 1 }] }),
      family({ name: "good_total", read: () => [{ labels: {}, value: 1 }] }),
    ]),
    { id: "prometheus", plugin: prometheus },
  ]);
  for (let i = 0; i < 3; i++) {
    assert.match(await (await ask(app, "/metrics")).text(), /^good_total 1$/m);
  }
  const told = fixture.node.logged.filter(({ message }) => message === "A metric was left out");
  assert.deepEqual(told.map(({ fields }) => fields.metric).toSorted(), [
    "bad name",
    "le_total",
    "nan_total",
    "shape_total",
    "throws_total",
  ]);
});

Deno.test("a token that is none is refused before the node starts", () => {
  const parsed = prometheus.parse({ token: "short" });
  assert.equal(parsed.ok, false);
});

Deno.test("values of equal labels are added, whoever counts them", () => {
  const value = (count: number) => ({ bounds: [1], cumulative: [count], count: count + 1, sum: 5 });
  const [sums, histograms] = collect([
    family({ read: () => [{ labels: { a: "1", b: "2" }, value: 1 }] }),
    family({ read: () => [{ labels: { b: "2", a: "1" }, value: 2 }] }),
    family({ name: "h_seconds", type: "histogram", read: () => [{ labels: {}, value: value(1) }] }),
    family({ name: "h_seconds", type: "histogram", read: () => [{ labels: {}, value: value(4) }] }),
  ], none);
  assert.deepEqual(sums!.samples, [{ labels: { a: "1", b: "2" }, value: 3 }]);
  assert.deepEqual(histograms!.samples, [{
    labels: {},
    value: { bounds: [1], cumulative: [5], count: 7, sum: 10 },
  }]);
});

Deno.test("one name of two types is the first one's", () => {
  const skipped: string[] = [];
  const ready = collect([
    family({ read: () => [{ labels: {}, value: 1 }] }),
    family({ type: "gauge", read: () => [{ labels: {}, value: 9 }] }),
  ], (metric, why) => void skipped.push(`${metric}: ${why}`));
  assert.deepEqual(ready.map(({ samples }) => samples[0]!.value), [1]);
  assert.deepEqual(skipped, ["things_total: it is contributed as counter and as gauge"]);
});

Deno.test("names of categories are put as Prometheus has them: counts end in _total, times are seconds", () => {
  assert.deepEqual(categoryName("topology", "ping_count", false), {
    name: "mycnet_topology_ping_count_total",
    scale: 1,
  });
  assert.deepEqual(categoryName("health", "average_latency_ms", true), {
    name: "mycnet_health_average_latency_seconds",
    scale: 0.001,
  });
  assert.equal(categoryName("my-own", "a.b", true).name, "mycnet_my_own_a_b");
});

Deno.test("a source keeps its this, and two sources of one category are one value", () => {
  class Source {
    readonly category = "communication";
    #count = 2;
    read() {
      return { failed_sends: this.#count };
    }
  }
  const families = categoryFamilies([new Source(), new Source()], "n", none);
  const [sum] = collect(families, none);
  assert.deepEqual(sum!.samples, [{ labels: { node_id: "n" }, value: 4 }]);
});
