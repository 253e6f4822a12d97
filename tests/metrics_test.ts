/** The metrics of running nodes, as their page shows them. */
import assert from "node:assert/strict";
import { z } from "zod";
import { defineService, type Node } from "../mod.ts";
import { createTestCluster } from "../testing.ts";

const token = "a-token-that-may-do-anything";
const work = defineService("work", {
  version: 1,
  methods: {
    echo: { input: z.string(), output: z.string() },
    items: { input: z.int(), stream: z.int() },
  },
});

/** The values of a node's page by series, as it writes them. */
async function page(node: Node): Promise<ReadonlyMap<string, number>> {
  const headers = { authorization: `Bearer ${token}` };
  const response = await node.fetchAdmin(new Request("http://localhost/metrics", { headers }));
  assert.equal(response.status, 200);
  const lines = (await response.text()).split("\n").filter((it) => /^\w/.test(it));
  return new Map(lines.map((line) => {
    const at = line.lastIndexOf(" ");
    return [line.slice(0, at), Number(line.slice(at + 1))];
  }));
}

Deno.test("calls, messages, bytes and errors of a node show on its page, and of no other", async () => {
  const admin = { listen: false, token };
  await using cluster = await createTestCluster(3, { node: () => ({ plugins: { admin } }) });
  const [client, server, idle] = cluster.nodes as [Node, Node, Node];
  server.serve(work, {
    echo: (it) => it,
    async *items(count) {
      for (let i = 0; i < count; i++) yield i;
    },
  });
  const calls = client.client(work);
  for (let i = 0; i < 25; i++) await calls.echo("x");
  let items = 0;
  for await (const _item of calls.items(10)) items++;
  assert.equal(items, 10);
  await assert.rejects(client.cluster.join(["memory://nobody-is-here"]));

  const asked = await page(client);
  const served = await page(server);
  const bystander = await page(idle);
  const type = (node: Node) => `{node_id="${node.id}",message_type="service.call"}`;
  assert.equal(asked.get(`networking_messages_sent_total${type(client)}`), 26);
  // 25 answers, 10 items and the end of the stream.
  assert.equal(asked.get(`networking_messages_received_total${type(client)}`), 36);
  assert.equal(served.get(`networking_messages_sent_total${type(server)}`), 36);
  assert.equal(bystander.get(`networking_messages_sent_total${type(idle)}`), undefined);
  assert.equal(asked.get(`networking_message_duration_seconds_count${type(client)}`), 25);
  assert.ok(
    asked.get(`networking_message_latency_seconds{node_id="node-1",percentile="p99"}`)! > 0,
  );
  const own = `{node_id="node-1"}`;
  assert.equal(asked.get(`networking_active_connections${own}`), 2);
  assert.ok(asked.get(`networking_bytes_sent_total${own}`)! > 0);
  assert.ok(asked.get(`networking_bytes_received_total${own}`)! > 0);
  assert.equal(asked.get(`networking_health_check_failures_total${own}`), 0);
  const unreachable =
    `networking_connection_errors_total{node_id="node-1",error_type="unreachable"}`;
  assert.ok(asked.get(unreachable)! >= 1);
  for (
    const name of [
      "messages_sent_total",
      "messages_received_total",
      "bytes_sent_total",
      "bytes_received_total",
      "connection_errors_total",
      "active_connections",
      "failed_sends_total",
    ]
  ) assert.ok(asked.has(`mycnet_communication_${name}${own}`), name);
  assert.equal(asked.get(`mycnet_communication_calls_made_total${own}`), 26);
});
