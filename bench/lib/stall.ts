/**
 * A peer that stands still (SIGSTOP) while a node keeps sending to it: what the
 * sender's memory grows by, beside the bound of what a link queues.
 *
 * Two hundred senders in one process have messages of 64 KiB: each waits for room,
 * or asks not to and is told that there is none. Either way the link holds what
 * its high-water mark says and no more; past `maxOutputBytes` it would give the
 * peer up. What the kernel's buffers take is not the process's.
 */
import { defaultLimits } from "@mycnet/protocols/link";
import { type BenchCluster } from "./cluster.ts";
import { collectFlag } from "./memory.ts";
import { startPair, trafficProgram } from "./pair.ts";
import type { Report } from "./report.ts";
import type { Stall, StallOptions } from "../programs/traffic.ts";

const senders = 200;
const mebibyte = 1024 * 1024;
/** What one link queues at most before it gives its peer up. */
const boundMiB = defaultLimits.maxOutputBytes / mebibyte;

/** One row for senders that wait and one for those that do not. */
export async function measureStalls(
  cluster: BenchCluster,
  seconds: number,
): Promise<Report["rows"]> {
  const rows: Report["rows"][number][] = [];
  for (const wait of [true, false]) {
    await using pair = await startPair({
      transport: "tls",
      cluster,
      program: trafficProgram,
      patient: true,
      flags: [collectFlag],
    });
    const ask = (ms: number) =>
      pair.caller.ask<Stall>("stall", { senders, wait, ms } satisfies StallOptions);
    const stalled = async (ms: number) => {
      await pair.server.freeze();
      try {
        return await ask(ms);
      } finally {
        pair.server.thaw();
      }
    };
    // Once before it counts: the heap grows to what so many refusals litter it with, and stays.
    await stalled(seconds * 300);
    await ask(seconds * 100); // Reads all that was queued.
    const { before, most, after, sent, refused } = await stalled(seconds * 1000);
    rows.push({
      what: `a stalled peer: ${senders} senders that ${wait ? "wait" : "do not wait"}`,
      resident: most / mebibyte,
      growth: (most - before.resident) / mebibyte,
      heldGrowth: (after.held - before.held) / mebibyte,
      bound: boundMiB,
      sent,
      refused,
    });
  }
  return rows;
}
