/**
 * The generation of a start: wall-clock milliseconds, but always above the last
 * one of this node, so that it grows although a clock was set back. The last one
 * is kept in the node's folder; without one, as nodes that are known by fiat may
 * be, or with one that cannot be written, the clock alone must do.
 */
import type { Host } from "../../kernel/host.ts";
import { privateMode, readIfThere, writeWhole } from "./files.ts";

/** How far ahead of the clock a kept generation may be before it is called damaged, in ms: ten years. */
const maxAheadMs = 10 * 365 * 86_400_000;

/** Draws the next generation and keeps it in the file. Never rejects. */
export async function nextGeneration(path: string, host: Host): Promise<number> {
  const now = Math.floor(host.wallTime());
  try {
    const last = Number(await readIfThere(path) ?? "0");
    const sane = Number.isSafeInteger(last) && last >= 0 && last < now + maxAheadMs;
    if (!sane) host.log.warn("The kept generation is damaged and is begun anew", { path });
    const next = sane ? Math.max(now, last + 1) : now;
    await writeWhole(path, `${next}\n`, privateMode, host.id().slice(0, 8));
    return next;
  } catch (error) {
    host.log.warn("The generation cannot be kept; a clock that is set back would make it shrink", {
      path,
      error: (error as Error).message,
    });
    return now;
  }
}
