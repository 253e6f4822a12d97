/** Tracing: what calls and messages ask, and the context as text. */
export { carriedTrace, carryTrace } from "./carried.ts";
export { formatTraceparent, parseTraceparent, traceContextOf } from "./traceparent.ts";
export { Tracing } from "./tracing.ts";
