/**
 * Runs the demo twenty times in a row and tells how many it survived, and how
 * long each moment took: `deno run -A tests/cluster/demo_twenty.ts [runs]`. Not
 * part of the tests, for its length.
 */
import { startMycnet, tempFolder } from "../harness/processes.ts";
import type { Verdict } from "../../core/cli/demo/story.ts";

const runs = Number(Deno.args[0] ?? 20);

/** One run's verdict. */
async function run(): Promise<Verdict> {
  await using folder = await tempFolder();
  await using demo = startMycnet(["demo", "--json"], {
    env: { TMPDIR: folder.path },
    patienceMs: 120_000,
  });
  const verdict = await demo.event<Verdict>("verdict");
  const { code } = await demo.ended();
  const { ok, problems } = verdict;
  const exit = ok === (code === 0) ? [] : [`the exit code was ${code}`];
  return { ...verdict, problems: [...problems, ...exit] };
}

/** Smallest, median and largest. */
function spread(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.round((sorted.length - 1) * share)] ?? NaN;
  return [at(0), at(0.5), at(1)].map((it) => String(it).padStart(7)).join("");
}

const moments = new Map<string, number[]>();
const note = (name: string, value: number) =>
  moments.set(name, [...moments.get(name) ?? [], value]);

let survived = 0;
for (let at = 1; at <= runs; at++) {
  const { problems, timeline, made, retried } = await run();
  if (problems.length === 0) survived++;
  const after = new Map(timeline.map((it) => [it.moment, it.afterMs]));
  const from = (moment: "noticed" | "rerouted" | "back", start: "kill" | "restarted") =>
    (after.get(moment) ?? NaN) - (after.get(start) ?? NaN);
  note("noticed after the kill, ms", from("noticed", "kill"));
  note("rerouted after the kill, ms", from("rerouted", "kill"));
  note("back after the restart, ms", from("back", "restarted"));
  note("calls made", made);
  note("calls retried", retried);
  console.log(`${String(at).padStart(2)}  ${problems.join("; ") || "survived"}`);
}
console.log(`\nsurvived ${survived} of ${runs}\n${" ".repeat(28)}    min median    max`);
for (const [name, values] of moments) console.log(name.padEnd(28) + spread(values));
Deno.exit(survived === runs ? 0 : 1);
