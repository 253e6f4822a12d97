/** Where nodes under test export their spans to: OTLP over HTTP, as JSON. */
import { patienceMs } from "../harness/processes.ts";

/** A span as OTLP tells it. */
export interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty or missing for the root of a trace. */
  readonly parentSpanId?: string;
  readonly name: string;
  /** 2 server, 3 client, 5 consumer. */
  readonly kind: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly string[];
  /** 2: failed. */
  readonly status: { readonly code?: number; readonly message?: string };
}

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}
type RawSpan = Omit<OtlpSpan, "attributes" | "events"> & {
  readonly attributes?: readonly Attribute[];
  readonly events?: readonly { readonly name: string }[];
};
interface Export {
  readonly resourceSpans?: readonly {
    readonly scopeSpans: readonly {
      readonly scope?: { readonly name?: string };
      readonly spans: readonly RawSpan[];
    }[];
  }[];
}

/** A receiver of spans. */
export class Collector implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #spans: OtlpSpan[] = [];
  #arrived: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      async (request) => {
        if (new URL(request.url).pathname === "/v1/traces") this.#take(await request.json());
        else await request.body?.cancel();
        return Response.json({});
      },
    );
  }

  /** The environment of a process that exports to this. */
  get environment(): Readonly<Record<string, string>> {
    return {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${this.#server.addr.port}`,
      OTEL_BSP_SCHEDULE_DELAY: "50",
      OTEL_DENO_CONSOLE: "ignore",
    };
  }

  /** Waits until as many spans of one trace have come as are wanted, and gives them. */
  async trace(id: string, wanted: number): Promise<readonly OtlpSpan[]> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const names = this.#spans.map((it) => `${it.name} of ${it.traceId}`).join(", ");
      late.reject(new Error(`${wanted} spans of ${id} were wanted; there are: ${names}`));
    }, patienceMs);
    try {
      while (true) {
        const found = this.#spans.filter(({ traceId }) => traceId === id);
        if (found.length >= wanted) return found;
        await Promise.race([this.#arrived.promise, late.promise]);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #take({ resourceSpans = [] }: Export): void {
    const scopes = resourceSpans.flatMap((it) => it.scopeSpans);
    // Deno traces its own HTTP server too; those spans are not the runtime's.
    for (const { spans } of scopes.filter(({ scope }) => scope?.name === "mycnet")) {
      for (const span of spans) this.#spans.push(plain(span));
    }
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

function plain({ attributes = [], events = [], ...span }: RawSpan): OtlpSpan {
  return {
    ...span,
    attributes: Object.fromEntries(
      attributes.map(({ key, value }) => [key, Object.values(value)[0]]),
    ),
    events: events.map(({ name }) => name),
  };
}
