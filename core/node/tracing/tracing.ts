/**
 * What calls and messages ask about tracing, with or without a tracer.
 *
 * There are three cases. No tracer and no trace: a call looks at two fields, and
 * that is all. No tracer, but a trace came in: its context travels on (carried.ts)
 * and no span is made. A tracer: each call is a span at both ends, the context of
 * the client's travels in the frame, and the server's handler runs within the
 * server's, so that spans which it begins itself are children of it.
 */
import type { Span, TracedWork, Tracer } from "../../contracts/tracing.ts";
import type { LiveList } from "../../kernel/plugin.ts";
import type { TraceContext } from "@mycnet/protocols/frame";
import { carriedTrace, carries, carryTrace } from "./carried.ts";
import { isTraced } from "./traceparent.ts";

/** The tracing of the calls, or of the messages, of one node. */
export class Tracing {
  #tracer: Tracer | undefined;

  /** Uses the first active tracer of a list, as they come and go, until disposed. */
  follow(tracers: LiveList<Tracer>): AsyncDisposable {
    const look = () => {
      this.#tracer = [...tracers].find(({ active }) => active);
    };
    return tracers.each(() => {
      look();
      return { [Symbol.dispose]: look };
    });
  }

  /** True while spans are made. */
  get active(): boolean {
    return this.#tracer !== undefined;
  }

  /** True where handling what came with this context needs nothing of {@linkcode Tracing.within}. */
  idle(trace: TraceContext | undefined): boolean {
    return this.#tracer === undefined && trace === undefined && !carries();
  }

  /** Begins a span; undefined where none is recorded. `trace` is what arrived with what is served. */
  begin(work: TracedWork, trace?: TraceContext): Span | undefined {
    if (this.#tracer === undefined) return undefined;
    return this.#tracer.begin(work, work.kind === "client" ? carriedTrace() : sound(trace));
  }

  /** What travels with a message: of its span, or of what it is sent in. */
  outgoing(span?: Span): TraceContext | undefined {
    return span?.context ?? this.#tracer?.current() ?? carriedTrace();
  }

  /** Runs what handles something that arrived: within its span, else within the trace that came with it. */
  within(span: Span | undefined, trace: TraceContext | undefined, work: () => void): void {
    if (span !== undefined) return span.run(work);
    const carry = () => carryTrace(sound(trace), work);
    if (this.#tracer === undefined) carry();
    else this.#tracer.apart(carry);
  }
}

/** The context, unless it names no trace. */
function sound(trace: TraceContext | undefined): TraceContext | undefined {
  return trace !== undefined && isTraced(trace) ? trace : undefined;
}
