/** Memory of this process. */
import { readFileSync } from "node:fs";

/** In bytes. */
export interface Memory {
  /** Resident, as the process stands. */
  readonly resident: number;
  /** Held by JavaScript after a full collection: the heap, and buffers outside of it. */
  readonly held: number;
}

/** The flag that {@linkcode memory} needs in order to collect. */
export const collectFlag = "--v8-flags=--expose-gc";

/** Reads both. */
export function memory(): Memory {
  const { rss } = Deno.memoryUsage();
  const { gc } = globalThis as { gc?: () => void };
  gc?.();
  gc?.(); // Buffers that the first one found are given back by the second.
  const { heapUsed, external } = Deno.memoryUsage();
  return { resident: rss, held: heapUsed + external };
}

/** The most that this process ever had resident, in bytes; what it has now where the system does not tell. */
export function peakMemory(): number {
  try {
    const [, kibibytes] = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))!;
    return Number(kibibytes) * 1024;
  } catch {
    return Deno.memoryUsage().rss;
  }
}
