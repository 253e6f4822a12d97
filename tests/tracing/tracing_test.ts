/** Traces through real nodes: three processes, which export by OTLP what Deno records. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { ask, logLines, type RunningProcess, served, TestCluster } from "../cluster/cluster.ts";
import { Collector, type OtlpSpan } from "./collector.ts";

const relay = { relay: { use: fileURLToPath(new URL("relay.ts", import.meta.url)) } };
const nodes = ["a", "b", "c"].map((id) => ({ id, type: "sclerotia" as const }));
const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const outside = "00f067aa0ba902b7";

/** Three nodes in a row; those that are named trace. */
async function startRow(
  cluster: TestCluster,
  stack: AsyncDisposableStack,
  environment: (id: string) => Readonly<Record<string, string>>,
): Promise<RunningProcess> {
  for (const [id, seeds] of [["a", []], ["b", ["a"]], ["c", ["a", "b"]]] as const) {
    await cluster.declare(id, seeds, { plugins: relay });
  }
  const start = async (id: string) => stack.use(await cluster.start(id, { env: environment(id) }));
  const a = await start("a");
  await start("b");
  await start("c");
  await served(a, "relay");
  return a;
}

/** Calls `relay` at node `b` out of a trace of the test's own. */
function call(a: RunningProcess, method: string, input: unknown, trace: string): Promise<Response> {
  return ask(a, `/services/relay/${method}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "mycnet-node": "b",
      traceparent: `00-${trace}-${outside}-01`,
    },
    body: JSON.stringify(input),
  });
}

const [server, client] = [2, 3];

/** The one span of a kind at a node. */
function at(spans: readonly OtlpSpan[], node: string, kind: number, name: string): OtlpSpan {
  const found = spans.filter((it) =>
    it.kind === kind && it.name === name && it.attributes["mycnet.node.id"] === node
  );
  assert.equal(found.length, 1, `${name} of kind ${kind} at ${node}`);
  return found[0]!;
}

Deno.test("one trace goes through three processes and back, each span the child of its cause", async () => {
  await using collector = new Collector();
  await using cluster = await TestCluster.create(nodes);
  await using stack = new AsyncDisposableStack();
  const a = await startRow(cluster, stack, () => collector.environment);

  const response = await call(a, "pass", { to: ["c"], home: "a" }, traceId);
  assert.equal(await response.json(), "c");
  const spans = await collector.trace(traceId, 6);
  assert.equal(spans.length, 6);
  const asked = at(spans, "a", client, "relay/pass");
  const passed = at(spans, "b", server, "relay/pass");
  const passing = at(spans, "b", client, "relay/pass");
  const last = at(spans, "c", server, "relay/pass");
  const message = at(spans, "c", client, "messenger/custom.echo");
  const echoed = at(spans, "a", server, "messenger/custom.echo");
  assert.equal(passed.parentSpanId, asked.spanId);
  assert.equal(passing.parentSpanId, passed.spanId);
  assert.equal(last.parentSpanId, passing.spanId);
  assert.equal(message.parentSpanId, last.spanId);
  assert.equal(echoed.parentSpanId, message.spanId);
  assert.ok(asked.parentSpanId, "it continues what the HTTP request belongs to");
  const { attributes } = passing;
  assert.equal(attributes["rpc.system"], "mycnet");
  assert.equal(attributes["rpc.service"], "relay");
  assert.equal(attributes["rpc.method"], "pass");
  assert.equal(attributes["mycnet.peer.id"], "c");
  assert.ok(spans.every(({ status }) => status.code !== 2));

  const other = traceId.replace("4", "5");
  const failed = await call(a, "fail", {}, other);
  assert.equal(failed.status, 500);
  await failed.body?.cancel();
  for (const span of await collector.trace(other, 2)) {
    assert.equal(span.status.code, 2, span.name);
    assert.equal(span.attributes["error.type"], "internal");
    assert.ok(span.events.includes("exception"));
  }
});

Deno.test("a node that does not trace passes the trace on", async () => {
  await using collector = new Collector();
  await using cluster = await TestCluster.create(nodes);
  await using stack = new AsyncDisposableStack();
  const quiet: Record<string, string> = {};
  const a = await startRow(cluster, stack, (id) => id === "b" ? quiet : collector.environment);

  const response = await call(a, "pass", { to: ["c"], home: "a" }, traceId);
  assert.equal(await response.json(), "c");
  const spans = await collector.trace(traceId, 4);
  const asked = at(spans, "a", client, "relay/pass");
  const last = at(spans, "c", server, "relay/pass");
  assert.equal(last.parentSpanId, asked.spanId);
  assert.ok(logLines(a).every(({ level }) => level !== "error"));
});
