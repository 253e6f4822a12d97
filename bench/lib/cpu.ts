/** Processor time: unlike calls a second, it hardly moves with what else the machine does. */
import process from "node:process";
import type { Program } from "./program.ts";

/** What this process has used so far, of user and system time, all threads together, in µs. */
export function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** What `work` made `programs` use, in µs each, and what it gave. Programs answer `cpu` with {@linkcode cpuUs}. */
export async function cpuOf<T>(
  programs: readonly Program[],
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly us: readonly number[] }> {
  const all = () => Promise.all(programs.map((it) => it.ask<number>("cpu")));
  const before = await all();
  const result = await work();
  const after = await all();
  return { result, us: after.map((it, i) => it - before[i]) };
}
