/**
 * Churn for an hour, and whether memory, handles and timers grow.
 *
 *     deno task soak [--minutes 60] [--json]
 *
 * Two nodes in one process do all that nodes do to each other; lib/churn.ts says
 * what, lib/growth.ts what is allowed. The first tenth warms up and is not
 * counted. Exit code 1: something grows; 2: it was started without what the task
 * gives it.
 */
import { type Census, takeCensus } from "./lib/census.ts";
import { Churn } from "./lib/churn.ts";
import { delay } from "./lib/delay.ts";
import { growthOf, type Sample } from "./lib/growth.ts";
import { collectFlag } from "./lib/memory.ts";
import type { BenchOptions } from "./lib/options.ts";
import type { Report } from "./lib/report.ts";
import { runBenches } from "./lib/run.ts";

const samplesWanted = 60;
const warmUpShare = 0.1;
/** So that an hour of it leaves the machine some breath. */
const pauseMs = 2;
const cutEveryMs = 2000;
const mebibyte = 1024 * 1024;
const units: Readonly<Record<keyof Census, readonly [string, number]>> = {
  resident: ["resident, MiB", mebibyte],
  held: ["held by JavaScript, MiB", mebibyte],
  files: ["open files and sockets", 1],
  resources: ["resources of node: modules", 1],
  timers: ["timers", 1],
};
/** What the verdict says of what grows. */
const grown = "GROWS";

/** Churns, samples and judges. */
export async function benchSoak({ minutes }: BenchOptions): Promise<Report> {
  await using churn = await Churn.start();
  const began = performance.now();
  const passed = () => performance.now() - began;
  const totalMs = minutes * 60_000;
  const warmMs = totalMs * warmUpShare;
  const everyMs = (totalMs - warmMs) / samplesWanted;
  const samples: Sample[] = [];
  let cutAtMs = 0;
  while (passed() < totalMs) {
    await churn.round();
    if (passed() > cutAtMs) {
      await churn.cut();
      cutAtMs = passed() + cutEveryMs;
    }
    if (passed() > warmMs + samples.length * everyMs) {
      samples.push({ atMs: passed(), census: takeCensus() });
    }
    await delay(pauseMs);
  }
  const { rounds, calls, messages, streams, services, cuts } = churn.done;
  return {
    bench: "soak",
    what: `${minutes} minutes of churn: ${rounds} rounds, ${calls} calls, ${messages} messages, ` +
      `${streams} streams, ${services} services come and gone, ${cuts} links cut; the last ` +
      `quarter of ${samples.length} looks beside the first`,
    columns: [
      { key: "what", title: "what" },
      { key: "first", title: "first quarter" },
      { key: "last", title: "last quarter" },
      { key: "allowed", title: "allowed" },
      { key: "perHour", title: "slope per hour" },
      { key: "verdict", title: "verdict" },
    ],
    rows: growthOf(samples).map(({ what, first, last, allowed, perHour, grows }) => {
      const [title, unit] = units[what];
      return {
        what: title,
        first: first / unit,
        last: last / unit,
        allowed: allowed / unit,
        perHour: perHour / unit,
        verdict: grows ? grown : "holds",
      };
    }),
  };
}

if (import.meta.main) {
  if ((globalThis as { gc?: unknown }).gc === undefined) {
    console.error(`the soak needs ${collectFlag}: run \`deno task soak\``);
    Deno.exit(2);
  }
  const [report] = await runBenches([benchSoak]);
  if (report!.rows.some((it) => it.verdict === grown)) Deno.exit(1);
}
