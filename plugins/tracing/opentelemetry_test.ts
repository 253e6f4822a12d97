import assert from "node:assert/strict";
import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  type Span as ApiSpan,
  type SpanOptions,
  trace,
  type Tracer as ApiTracer,
} from "@opentelemetry/api";
import type { TracedWork } from "../../core/contracts/tracing.ts";
import { parseTraceparent } from "../../core/node/tracing/mod.ts";
import { startPlugin } from "../../tests/harness/start_plugin.ts";
import plugin from "./opentelemetry.ts";

const needs = { settings: { id: "a" } };
const call: TracedWork = { kind: "client", service: "greeter", method: "hello", peer: "b" };
const ids = { traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "00f067aa0ba902b7" };
const remote = parseTraceparent(`00-${"1".repeat(32)}-${"2".repeat(16)}-01`)!;

/** What was asked of a tracer that a program registered. */
class Registered implements Disposable {
  readonly started: { name: string; options: SpanOptions; parent: string | undefined }[] = [];
  readonly said: unknown[] = [];
  spanContext = { ...ids, traceFlags: 1 };

  constructor() {
    const span: Partial<ApiSpan> = {
      spanContext: () => this.spanContext,
      addEvent: (name, fields) => (this.said.push(["event", name, fields]), span as ApiSpan),
      setAttributes: (it: Attributes) => (this.said.push(["attributes", it]), span as ApiSpan),
      setAttribute: (key, value) => (this.said.push([key, value]), span as ApiSpan),
      recordException: (it) => void this.said.push(["exception", it]),
      setStatus: (it) => (this.said.push(["status", it]), span as ApiSpan),
      end: () => void this.said.push("end"),
    };
    const tracer: Partial<ApiTracer> = {
      startSpan: (name, options = {}, context: Context = ROOT_CONTEXT) => {
        const parent = trace.getSpanContext(context);
        this.started.push({ name, options, parent: parent?.spanId });
        return span as ApiSpan;
      },
    };
    assert.ok(trace.setGlobalTracerProvider({ getTracer: () => tracer as ApiTracer }));
  }

  [Symbol.dispose](): void {
    trace.disable();
  }
}

Deno.test("without a tracer in the process it is there and not active", async () => {
  await using started = await startPlugin(plugin, { needs });
  assert.equal(started.value.active, false);
  assert.equal(started.value.current(), undefined);
  assert.deepEqual(started.lines, []);
});

Deno.test("spans say who calls what, and are children of what came in", async () => {
  using registered = new Registered();
  await using started = await startPlugin(plugin, { needs });
  const tracer = started.value;
  assert.equal(tracer.active, true);
  tracer.begin(call, undefined);
  tracer.begin({ ...call, kind: "server" }, remote);
  tracer.begin({ kind: "consumer", service: "messenger", method: "custom.note" }, remote);
  assert.deepEqual(registered.started, [
    { name: "greeter/hello", options: { kind: 2 }, parent: undefined },
    { name: "greeter/hello", options: { kind: 1 }, parent: "2".repeat(16) },
    { name: "process custom.note", options: { kind: 4 }, parent: "2".repeat(16) },
  ]);
  const rpc = {
    "rpc.system": "mycnet",
    "rpc.service": "greeter",
    "rpc.method": "hello",
    "mycnet.node.id": "a",
    "mycnet.peer.id": "b",
  };
  const messaging = {
    "messaging.system": "mycnet",
    "messaging.operation.type": "process",
    "messaging.destination.name": "custom.note",
    "mycnet.node.id": "a",
  };
  assert.deepEqual(registered.said, [
    ["attributes", rpc],
    ["attributes", rpc],
    ["attributes", messaging],
  ]);
});

Deno.test("a failure is the span's status, its exception and its error.type; after the end nothing is said", async () => {
  using registered = new Registered();
  await using started = await startPlugin(plugin, { needs });
  const span = started.value.begin(call, undefined)!;
  registered.said.length = 0;
  assert.equal(span.context.traceId.toHex(), ids.traceId);
  assert.equal(span.context.flags, 1);
  span.event("attempt failed", { "mycnet.attempt": 1 });
  span.end({ code: "unavailable", message: "nobody serves it" });
  span.end();
  span.set({ late: true });
  span.event("late");
  assert.deepEqual(registered.said, [
    ["event", "attempt failed", { "mycnet.attempt": 1 }],
    ["error.type", "unavailable"],
    ["exception", { name: "unavailable", message: "nobody serves it" }],
    ["status", { code: 2, message: "nobody serves it" }],
    "end",
  ]);
});

Deno.test("where the tracer gives no ids, the trace that came in goes on", async () => {
  using registered = new Registered();
  registered.spanContext = { traceId: "0".repeat(32), spanId: "0".repeat(16), traceFlags: 0 };
  await using started = await startPlugin(plugin, { needs });
  assert.deepEqual(started.value.begin({ ...call, kind: "server" }, remote)!.context, remote);
  let ran = false;
  started.value.begin(call, undefined)!.run(() => void (ran = true));
  assert.ok(ran);
});

Deno.test("of a trace that was not sampled no span is made, and one that begins so is not described", async () => {
  using registered = new Registered();
  await using started = await startPlugin(plugin, { needs });
  const unsampled = { ...remote, flags: 0 };
  assert.equal(started.value.begin({ ...call, kind: "server" }, unsampled), undefined);
  assert.equal(started.value.begin(call, unsampled), undefined);
  assert.deepEqual(registered.started, []);
  registered.spanContext = { ...ids, traceFlags: 0 };
  const root = started.value.begin(call, undefined)!;
  assert.equal(root.context.flags, 0, "the other end is told");
  root.event("attempt failed");
  root.end({ code: "unavailable", message: "" });
  assert.deepEqual(registered.said, ["end"]);
});
