/**
 * Tracing: spans around calls and messages between nodes.
 *
 * Whoever makes and serves calls needs a tracer if there is one; without one
 * the context that came with a call still travels on with the calls that are
 * made for it (core/node/tracing).
 */
import { type Capability, capability } from "../kernel/plugin.ts";
import type { TraceContext } from "@mycnet/protocols/frame";

/** What a span is about. */
export interface TracedWork {
  /** `client`: waits for an answer. `server`: answers. `consumer`: handles a message that wants no answer. */
  readonly kind: "client" | "server" | "consumer";
  /** The service; `"messenger"` for messages by name. */
  readonly service: string;
  /** The method, or the name of the message. */
  readonly method: string;
  /** The node at the other end, where it is known from the start. */
  readonly peer?: string;
}

/** What may be said of a span or of a moment in it. */
export type SpanFields = Readonly<Record<string, string | number | boolean>>;

/** A span that has begun. Nothing here throws. After `end`, calls do nothing. */
export interface Span {
  /** What travels with the message, so that the other end's spans are children of this one. */
  readonly context: TraceContext;
  /** Something happened, such as an attempt that failed. */
  event(name: string, fields?: SpanFields): void;
  /** Says more of the span as a whole. */
  set(fields: SpanFields): void;
  /** Runs `work` with this span as the parent of whatever is begun in it, later turns included. */
  run(work: () => void): void;
  /** The work is over; with a failure, it failed. */
  end(failure?: { readonly code: string; readonly message: string }): void;
}

/** Who records spans. */
export interface Tracer {
  /** False: it records nothing and is not asked. It does not change while the plugin runs. */
  readonly active: boolean;
  /**
   * Begins a span. A `client` span is the child of the span in which it is begun, else of `parent`;
   * the others are children of `parent` alone. Without a parent it is the root of a trace.
   * @returns undefined where whoever began the trace decided that it is not recorded: `parent`
   * then travels on as it came.
   */
  begin(work: TracedWork, parent: TraceContext | undefined): Span | undefined;
  /** Runs `work` in no span, whatever this runs in itself, as a socket's callback may in that of whoever opened it. */
  apart(work: () => void): void;
  /** The span in which this runs, if any, as it travels with a message. */
  current(): TraceContext | undefined;
}

/** The capability token of {@linkcode Tracer}. */
export const tracer: Capability<Tracer> = capability("tracer");
