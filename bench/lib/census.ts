/** What a process holds: memory, handles and timers. */
import { readdirSync } from "node:fs";
import { openResources } from "../../tests/harness/leaks.ts";
import { memory } from "./memory.ts";

/** One look. Bytes are after a full collection where {@linkcode collectFlag} was given. */
export interface Census {
  /** Resident, as the process stands. */
  readonly resident: number;
  /** Of JavaScript: the heap, and buffers outside of it. */
  readonly held: number;
  /** Open files and sockets; 0 where the system does not tell. */
  readonly files: number;
  /** What node: modules have open (servers, sockets), without timers. */
  readonly resources: number;
  /** Timers that wait. */
  readonly timers: number;
}

/** The names of what is counted. */
export const census: readonly (keyof Census)[] = [
  "resident",
  "held",
  "files",
  "resources",
  "timers",
];

/** Looks. */
export function takeCensus(): Census {
  const open = openResources();
  const timers = open.filter((kind) => kind === "Timeout").length;
  return { ...memory(), files: openFiles(), resources: open.length - timers, timers };
}

function openFiles(): number {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return 0; // Only Linux tells in this way.
  }
}
