/**
 * `deno task ok`: everything that must hold before a commit, one line a step.
 *
 * A step that fails or warns shows its output, the others run all the same, and
 * the exit code is 1. `--without=test` leaves a step out, for whoever has just
 * run it.
 */
import { parseArgs } from "node:util";
import { countsIn, type Step, steps, warningsIn } from "./steps.ts";

const root = new URL("../../", import.meta.url);

function entryPoints(): string[] {
  return ["", "protocols/"].flatMap((folder) => {
    const config = JSON.parse(Deno.readTextFileSync(new URL(`${folder}deno.json`, root)));
    return Object.values<string>(config.exports).map((it) => folder + it.replace(/^\.\//, ""));
  });
}

/** Collects a stream, and passes it on where somebody wants to watch. */
async function collect(stream: ReadableStream<Uint8Array<ArrayBuffer>>, watched: boolean) {
  let text = "";
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    text += decoder.decode(bytes, { stream: true });
    if (watched) await Deno.stdout.write(bytes);
  }
  return text;
}

/** Runs one step; returns what is wrong with it, or nothing. */
async function run({ name, args }: Step): Promise<string[]> {
  const watched = name === "test"; // The others take seconds.
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: root,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const [status, stdout, stderr] = await Promise.all([
    child.status,
    collect(child.stdout, watched),
    collect(child.stderr, watched),
  ]);
  const output = stdout + stderr;
  const wrong = warningsIn(output).map((it) => `warns: ${it.trim()}`);
  if (!status.success) wrong.push(`fails with exit code ${status.code}`);
  const counts = countsIn(output);
  if (name === "test" && !counts) wrong.push("printed no closing line");
  if (counts && counts.ignored > 0 && Deno.env.get("MYCNET_REQUIRE_SERVERS") === "1") {
    wrong.push(`leaves out ${counts.ignored} tests, and MYCNET_REQUIRE_SERVERS asks for all`);
  }
  if (wrong.length > 0 && !watched) console.log(output);
  return wrong;
}

const { values: { without } } = parseArgs({
  options: { without: { type: "string", multiple: true, default: [] } },
});
const wanted = steps(entryPoints());
for (const name of without) {
  if (!wanted.some((it) => it.name === name)) {
    console.error(`There is no step "${name}": ${wanted.map((it) => it.name).join(", ")}`);
    Deno.exit(2);
  }
}
let failures = 0;
for (const step of wanted.filter((it) => !without.includes(it.name))) {
  const start = performance.now();
  const wrong = await run(step);
  const seconds = ((performance.now() - start) / 1000).toFixed(1).padStart(6);
  console.log(`${wrong.length === 0 ? "ok    " : "FAILED"} ${step.name.padEnd(14)}${seconds} s`);
  for (const it of wrong) console.log(`       ${step.name} ${it}`);
  if (wrong.length > 0) failures++;
}
Deno.exit(failures > 0 ? 1 : 0);
