/**
 * The header `traceparent` as text: W3C Trace Context, section 3.2.
 *
 *     version "-" trace-id "-" parent-id "-" trace-flags     all lower-case hexadecimal
 *
 * Of version 00 there is nothing more; of a later one, what follows after
 * another "-" is left aside and the rest is read as version 00, as section 3.2.4
 * asks. Version ff and ids of zeros alone are invalid. Whatever is invalid is
 * ignored: a bad header costs a trace, never a request.
 */
import type { TraceContext } from "@mycnet/protocols/frame";

const shape = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const noTrace = "0".repeat(32);
const noSpan = "0".repeat(16);

/** Reads a header; undefined for one that is missing or malformed. */
export function parseTraceparent(header: string | null | undefined): TraceContext | undefined {
  const match = shape.exec(header ?? "");
  if (match === null) return undefined;
  const [, version, traceId, spanId, flags, rest] = match;
  if (version === "ff" || (version === "00" && rest !== undefined)) return undefined;
  return traceContextOf(traceId!, spanId!, parseInt(flags!, 16));
}

/** Writes a header of version 00. Flags that it does not define are not passed on. */
export function formatTraceparent({ traceId, spanId, flags }: TraceContext): string {
  const known = (flags & definedFlags).toString(16).padStart(2, "0");
  return `00-${traceId.toHex()}-${spanId.toHex()}-${known}`;
}

/** `sampled`, and `random` of level 2. */
const definedFlags = 0x03;

/** A context of ids in hexadecimal; undefined for ids of zeros alone, which mean that there is none. */
export function traceContextOf(
  traceId: string,
  spanId: string,
  flags: number,
): TraceContext | undefined {
  if (traceId === noTrace || spanId === noSpan) return undefined;
  return { traceId: Uint8Array.fromHex(traceId), spanId: Uint8Array.fromHex(spanId), flags };
}

/** True for a context that names a trace and a span. */
export function isTraced({ traceId, spanId }: TraceContext): boolean {
  return traceId.some((it) => it !== 0) && spanId.some((it) => it !== 0);
}
