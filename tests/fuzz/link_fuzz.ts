/**
 * Millions of mutated byte streams against the link machine.
 *
 *     deno task fuzz --millions 5 --seed 7
 *
 * Prints the seed, the rate, the memory and how links ended; exits 1 at the
 * first stream that breaks a rule, naming the seed and the number of the stream
 * (`--from <number> --millions 0` runs that one alone).
 */
import { parseArgs } from "node:util";
import { fuzzLink } from "../../protocols/link/fuzz.ts";

const { values } = parseArgs({
  options: {
    millions: { type: "string", default: "1" },
    seed: { type: "string" },
    from: { type: "string", default: "0" },
  },
});
const total = Math.max(1, Math.round(Number(values.millions) * 1e6));
const seed = values.seed === undefined ? Date.now() >>> 0 : Number(values.seed);
const first = Number(values.from);
if (!Number.isSafeInteger(total) || !Number.isSafeInteger(seed) || !Number.isSafeInteger(first)) {
  console.error("--millions, --seed and --from take numbers");
  Deno.exit(2);
}
console.log(`seed ${seed}, ${total} streams`);

// A step at a time, so that progress shows and memory that grows is seen to grow.
const step = 100_000;
const ends: Record<string, number> = {};
const start = performance.now();
let bytes = 0;
let settledRss = 0;
for (let done = 0; done < total;) {
  const count = Math.min(step, total - done);
  try {
    const report = fuzzLink(seed, count, first + done);
    bytes += report.bytes;
    for (const [end, times] of Object.entries(report.ends)) ends[end] = (ends[end] ?? 0) + times;
  } catch (error) {
    console.error(error);
    Deno.exit(1);
  }
  done += count;
  const seconds = (performance.now() - start) / 1000;
  const { rss } = Deno.memoryUsage();
  settledRss ||= done >= 2 * step ? rss : 0;
  const rate = Math.round(done / seconds);
  const mib = Math.round(rss / 2 ** 20);
  console.log(`${done} streams, ${rate}/s, ${mib} MiB resident, ${Math.round(seconds)} s`);
  if (settledRss > 0 && rss > settledRss + 256 * 2 ** 20) {
    console.error(`memory grew from ${settledRss} to ${rss} bytes`);
    Deno.exit(1);
  }
}
console.log(`${bytes} bytes, seed ${seed}: nothing broke. How links ended:`);
const names = Object.keys(ends).sort((a, b) => ends[b]! - ends[a]!);
for (const name of names.slice(0, 20)) console.log(`${String(ends[name]).padStart(9)}  ${name}`);
