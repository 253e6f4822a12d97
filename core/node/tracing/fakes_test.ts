/** A tracer that tests read: spans with small ids, kept in the order in which they began. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Span, SpanFields, TracedWork, Tracer } from "../../contracts/tracing.ts";
import type { LiveList } from "../../kernel/plugin.ts";
import type { TraceContext } from "@mycnet/protocols/frame";
import { Tracing } from "./tracing.ts";

/** A span as a test looks at it; ids in hexadecimal. */
export interface FakeSpan extends TracedWork {
  readonly node: string;
  readonly trace: string;
  readonly id: string;
  readonly parent: string | undefined;
  readonly events: { readonly name: string; readonly fields: SpanFields | undefined }[];
  fields: SpanFields;
  /** Undefined while it has not ended; `ok`, or the code of the failure. */
  end: string | undefined;
}

/** A context of a test's own. */
export function contextOf(trace: number, span: number): TraceContext {
  const bytes = (length: number, value: number) => new Uint8Array(length).fill(0).with(0, value);
  return { traceId: bytes(16, trace), spanId: bytes(8, span), flags: 1 };
}

/** Tracers of the nodes of one test, which share the numbering and the list of spans. */
export class FakeTracers {
  readonly spans: FakeSpan[] = [];
  readonly #here = new AsyncLocalStorage<TraceContext>();

  /** The tracing of a node that has a tracer. */
  of(node: string): Tracing {
    const tracing = new Tracing();
    tracing.follow(listOf(this.#tracer(node)));
    return tracing;
  }

  /** The one span of this node, kind and method. */
  span(node: string, kind: TracedWork["kind"], method: string): FakeSpan {
    const found = this.spans.filter((it) =>
      it.node === node && it.kind === kind && it.method === method
    );
    if (found.length !== 1) {
      throw new Error(`${found.length} ${kind} spans of ${method} at ${node}`);
    }
    return found[0]!;
  }

  #tracer(node: string): Tracer {
    return {
      active: true,
      begin: (work, given) => {
        const parent = work.kind === "client" ? this.#here.getStore() ?? given : given;
        const number = this.spans.length + 1;
        const context = contextOf(number, number);
        const own = parent === undefined ? context : { ...context, traceId: parent.traceId };
        const span: FakeSpan = {
          ...work,
          node,
          trace: own.traceId.toHex(),
          id: own.spanId.toHex(),
          parent: parent?.spanId.toHex(),
          events: [],
          fields: {},
          end: undefined,
        };
        this.spans.push(span);
        return this.#face(span, own);
      },
      apart: (work) => this.#here.exit(work),
      current: () => this.#here.getStore(),
    };
  }

  #face(span: FakeSpan, context: TraceContext): Span {
    return {
      context,
      event: (name, fields) => void span.events.push({ name, fields }),
      set: (fields) => void (span.fields = { ...span.fields, ...fields }),
      run: (work) => this.#here.run(context, work),
      end: (failure) => void (span.end ??= failure?.code ?? "ok"),
    };
  }
}

/** A list of one. */
function listOf(tracer: Tracer): LiveList<Tracer> {
  return {
    size: 1,
    entries: () => [{ plugin: "tracer", value: tracer }],
    each: (attach) => {
      attach(tracer, "tracer");
      return { [Symbol.asyncDispose]: () => Promise.resolve() };
    },
    *[Symbol.iterator]() {
      yield tracer;
    },
  };
}
