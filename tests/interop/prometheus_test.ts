/** A real Prometheus server scrapes real nodes, and promtool finds nothing to complain about. */
import assert from "node:assert/strict";
import { z } from "zod";
import { defineService, type Node } from "../../mod.ts";
import { createTestCluster } from "../../testing.ts";
import { tempFolder } from "../harness/processes.ts";
import { prometheusMissing, PrometheusServer, promtoolComplaints } from "../harness/prometheus.ts";

const missing = prometheusMissing();
if (missing !== undefined) {
  console.error(`The tests beside a Prometheus server cannot run here: ${missing}`);
}

function prometheusTest(name: string, fn: () => Promise<void>): void {
  Deno.test({
    name,
    ignore: missing !== undefined && Deno.env.get("MYCNET_REQUIRE_SERVERS") !== "1",
    fn,
  });
}

const scrapeToken = "a-token-for-scraping-alone";
const adminToken = "a-token-that-may-do-anything";

const greeter = defineService("greeter", {
  version: 1,
  methods: { hello: { input: z.string(), output: z.string() } },
});

/** Two nodes with admin endpoints, the second of which serves. */
async function startPair(stateDir: string) {
  const cluster = await createTestCluster(2, {
    node: () => ({
      node: { stateDir },
      plugins: {
        admin: { bindAddress: "127.0.0.1:0", token: adminToken },
        prometheus: { token: scrapeToken },
      },
    }),
  });
  const [client, server] = cluster.nodes as [Node, Node];
  server.serve(greeter, { hello: (name) => `Hello, ${name}!` });
  server.handle("custom.note", () => {});
  return { cluster, client, server, greet: client.client(greeter) };
}

const page = async (node: Node, token: string) =>
  await (await fetch(`${node.adminAddress}/metrics`, {
    headers: { authorization: `Bearer ${token}` },
  })).text();

prometheusTest("promtool has nothing to complain about, before traffic and after", async () => {
  await using folder = await tempFolder();
  const { cluster, client, server, greet } = await startPair(folder.path);
  await using _ = cluster;
  assert.equal(await promtoolComplaints(await page(client, scrapeToken)), "");
  for (let i = 0; i < 20; i++) await greet.hello(`number ${i}`);
  await client.send(server.id, "custom.note", new Uint8Array(10));
  assert.equal(await promtoolComplaints(await page(client, scrapeToken)), "");
  assert.equal(await promtoolComplaints(await page(server, adminToken)), "");
  // It does complain about what is wrong, or silence would mean nothing.
  assert.match(await promtoolComplaints("# TYPE wrong counter\nwrong 1\n"), /_total/);
});

prometheusTest(
  "a server with the scraper's token finds every metric, and calls show in it",
  async () => {
    await using folder = await tempFolder();
    const { cluster, client, server, greet } = await startPair(folder.path);
    await using _ = cluster;
    const targets = [client, server].map((it) => new URL(it.adminAddress!).host);
    await using prometheus = await PrometheusServer.start(targets, scrapeToken);
    await prometheus.until("up == 1", (series) => series.length === 2);

    for (let i = 0; i < 50; i++) await greet.hello(`number ${i}`);
    const of = (node: Node, type: string) => `{node_id="${node.id}",message_type="${type}"}`;
    const calls = of(client, "service.call");
    await prometheus.until(
      `networking_messages_sent_total${calls} >= 50`,
      (series) => series.length === 1,
    );
    await prometheus.until(
      `networking_messages_received_total${of(server, "service.call")} >= 50`,
      (series) => series.length === 1,
    );
    await prometheus.until(
      `networking_message_duration_seconds_count${calls} >= 50`,
      (series) => series.length === 1,
    );
    const percentiles = await prometheus.until(
      `networking_message_latency_seconds{node_id="${client.id}"}`,
      (series) => series.length === 3,
    );
    assert.deepEqual(percentiles.map(({ metric }) => metric.percentile).toSorted(), [
      "p50",
      "p90",
      "p99",
    ]);
    for (const { value: [, text] } of percentiles) {
      assert.ok(Number(text) > 0 && Number(text) < 5, `${text} s`);
    }
    const quantile = `histogram_quantile(0.5, networking_message_duration_seconds_bucket${calls})`;
    const [median] = await prometheus.query(quantile);
    assert.ok(Number(median!.value[1]) > 0 && Number(median!.value[1]) < 5, median!.value[1]);

    for (
      const name of [
        "networking_active_connections",
        "networking_bytes_sent_total",
        "networking_bytes_received_total",
        "networking_health_check_failures_total",
        "mycnet_communication_messages_sent_total",
        "mycnet_communication_messages_received_total",
        "mycnet_communication_bytes_sent_total",
        "mycnet_communication_bytes_received_total",
        "mycnet_communication_connection_errors_total",
        "mycnet_communication_active_connections",
        "mycnet_communication_failed_sends_total",
      ]
    ) {
      const series = await prometheus.query(`${name}{node_id="${client.id}"}`);
      assert.equal(series.length, 1, name);
    }

    // A failure shows as an error of its type.
    await assert.rejects(client.cluster.join(["memory://nobody-is-here"]));
    await prometheus.until(
      `networking_connection_errors_total{node_id="${client.id}",error_type="unreachable"} >= 1`,
      (series) => series.length === 1,
    );
  },
);
