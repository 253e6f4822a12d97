/**
 * The plugin `tracing`: spans of calls and messages, by OpenTelemetry.
 *
 * Theory of operation. It is declared by default and does nothing, not even load
 * @opentelemetry/api, unless the process has a tracer when the node starts: one
 * rule for both ways to have one. `OTEL_DENO=true` in the environment makes
 * Deno register its own, which exports by OTLP as the other OTEL_ variables say;
 * a program may register an SDK of its own instead. `"tracing": false` switches
 * spans off all the same. A call is a span of kind client at one end and of
 * kind server at the other, its attributes by the semantic conventions of RPC;
 * contexts travel in a field of the frame, not in metadata. `tracestate` does
 * not travel: a participant may leave it out (W3C Trace Context, 3.3). Whether a
 * trace is recorded is decided where it begins (OTEL_TRACES_SAMPLER, or the
 * SDK's), and the others abide by it: of a trace that is not sampled a node makes
 * no spans, and passes it on.
 */
import type { Attributes, Context, Span as ApiSpan, SpanContext } from "@opentelemetry/api";
import { z } from "zod";
import { settings } from "../../core/contracts/settings.ts";
import { type Span, type TracedWork, type Tracer, tracer } from "../../core/contracts/tracing.ts";
import { definePlugin } from "../../core/kernel/define_plugin.ts";
import type { Plugin } from "../../core/kernel/plugin.ts";
import { traceContextOf } from "../../core/node/tracing/mod.ts";
import { runtimeVersion } from "../../core/node/version.ts";

type Api = typeof import("@opentelemetry/api");
type TraceContext = Span["context"];

/** Where versions 1 of the API, in whatever copies, keep what a process registered. */
const registry = Symbol.for("opentelemetry.js.api.1");

/** True if a tracer was registered for this process. */
function hasTracer(): boolean {
  const registered = (globalThis as { [registry]?: { readonly trace?: unknown } })[registry];
  return registered?.trace !== undefined;
}

/** What it is to a node without a tracer. */
const inactive: Tracer = {
  active: false,
  begin() {
    throw new TypeError("this tracer is not active");
  },
  apart: (work) => work(),
  current: () => undefined,
};

function sampled({ traceFlags }: Pick<SpanContext, "traceFlags">): boolean {
  return (traceFlags & 1) === 1;
}

function travelling({ traceId, spanId, traceFlags }: SpanContext): TraceContext | undefined {
  return traceContextOf(traceId, spanId, traceFlags);
}

function attributesOf({ kind, service, method, peer }: TracedWork, node: string): Attributes {
  const ends = { "mycnet.node.id": node, ...(peer !== undefined && { "mycnet.peer.id": peer }) };
  if (kind === "consumer") {
    return {
      "messaging.system": "mycnet",
      "messaging.operation.type": "process",
      "messaging.destination.name": method,
      ...ends,
    };
  }
  return { "rpc.system": "mycnet", "rpc.service": service, "rpc.method": method, ...ends };
}

/** A tracer over the API. */
function tracerOf(api: Api, node: string): Tracer {
  const { context, ROOT_CONTEXT, SpanKind, trace } = api;
  const tracer = trace.getTracer("mycnet", runtimeVersion);
  const kinds = { client: SpanKind.CLIENT, server: SpanKind.SERVER, consumer: SpanKind.CONSUMER };

  const below = (under: Context, parent: TraceContext | undefined): Context =>
    parent === undefined ? under : trace.setSpanContext(under, {
      traceId: parent.traceId.toHex(),
      spanId: parent.spanId.toHex(),
      traceFlags: parent.flags,
      isRemote: true,
    });

  const parentOf = (kind: TracedWork["kind"], parent: TraceContext | undefined): Context => {
    if (kind !== "client") return below(ROOT_CONTEXT, parent);
    const here = context.active();
    return trace.getSpanContext(here) === undefined ? below(here, parent) : here;
  };

  return {
    active: true,
    begin(work, parent) {
      const { kind, service, method } = work;
      const under = parentOf(kind, parent);
      const above = trace.getSpanContext(under);
      if (above !== undefined && !sampled(above)) return undefined;
      const name = kind === "consumer" ? `process ${method}` : `${service}/${method}`;
      const span = tracer.startSpan(name, { kind: kinds[kind] }, under);
      const made = new OtelSpan(api, span, under, parent);
      made.set(attributesOf(work, node));
      return made;
    },
    apart: (work) => context.with(ROOT_CONTEXT, work),
    current() {
      const here = trace.getSpanContext(context.active());
      return here === undefined ? undefined : travelling(here);
    },
  };
}

/** No trace: what travels where even the API gives none. */
const nowhere: TraceContext = {
  traceId: new Uint8Array(16),
  spanId: new Uint8Array(8),
  flags: 0,
};

/** A span of the API as the runtime uses it. */
class OtelSpan implements Span {
  readonly #api: Api;
  readonly #span: ApiSpan;
  readonly #under: Context;
  readonly context: TraceContext;
  /** What is not sampled is not described. */
  readonly #sampled: boolean;
  #ended = false;

  constructor(api: Api, span: ApiSpan, under: Context, parent: TraceContext | undefined) {
    this.#api = api;
    this.#span = span;
    this.#under = under;
    const context = span.spanContext();
    this.context = travelling(context) ?? parent ?? nowhere;
    this.#sampled = sampled(context);
  }

  event(name: string, fields?: Attributes): void {
    if (this.#sampled && !this.#ended) this.#span.addEvent(name, fields);
  }

  set(fields: Attributes): void {
    if (this.#sampled && !this.#ended) this.#span.setAttributes(fields);
  }

  run(work: () => void): void {
    const { context, trace } = this.#api;
    context.with(trace.setSpan(this.#under, this.#span), work);
  }

  end(failure?: { readonly code: string; readonly message: string }): void {
    if (this.#ended) return;
    this.#ended = true;
    if (failure !== undefined && this.#sampled) {
      const { code, message } = failure;
      this.#span.setAttribute("error.type", code);
      this.#span.recordException({ name: code, message });
      this.#span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message });
    }
    this.#span.end();
  }
}

/** The plugin. It has nothing to configure: the environment says where spans go. */
const plugin: Plugin<Tracer> = definePlugin({
  name: "tracing",
  summary: "Spans of calls and messages, where the process has an OpenTelemetry tracer.",
  provides: tracer,
  needs: { settings },
  config: z.strictObject({}),
  async setup({ needs, host }): Promise<Tracer> {
    if (!hasTracer()) return inactive;
    const made = tracerOf(await import("@opentelemetry/api"), needs.settings.id);
    host.log.info("Calls are traced");
    return made;
  },
});

export default plugin;
