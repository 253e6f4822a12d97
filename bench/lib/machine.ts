/** The machine that figures come from: without it, and without how busy it was, they mean little. */
import { readFileSync } from "node:fs";

/** What is told of the machine. */
export interface Machine {
  readonly deno: string;
  readonly v8: string;
  readonly os: string;
  readonly cores: number;
  readonly cpu: string;
}

/** Looks the machine up. */
export function machine(): Machine {
  const { deno, v8 } = Deno.version;
  const { os, arch } = Deno.build;
  return {
    deno,
    v8,
    os: `${os} ${arch}`,
    cores: navigator.hardwareConcurrency,
    cpu: cpuModel() ?? "unknown",
  };
}

/** The load averages of the last 1, 5 and 15 minutes. */
export function loadAverage(): readonly number[] {
  return Deno.loadavg().map((it) => Math.round(it * 100) / 100);
}

function cpuModel(): string | undefined {
  try {
    const [, model] = /^model name\s*:\s*(.+)$/m.exec(readFileSync("/proc/cpuinfo", "utf8")) ?? [];
    return model;
  } catch {
    return undefined; // Only Linux tells in this way.
  }
}
