/**
 * The demo as its user runs it: to its end, and interrupted at any moment, by
 * any of the signals that end a program or by its terminal going away. What it
 * started is found by its folder, whose path stands on every child's command
 * line; nothing of it may remain.
 */
import assert from "node:assert/strict";
import { Child, rootPath, startMycnet, taskPermissions, tempFolder } from "../harness/processes.ts";
import type { Verdict } from "../../core/cli/demo/story.ts";

/** The processes whose command line names a folder. */
async function processesOf(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const line = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
    if (line.includes(folder)) found.push(`${name} ${line.replaceAll("\0", " ")}`);
  }
  return found;
}

async function filesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name)
    .filter((it) => it.startsWith("mycnet-demo"));
}

async function assertNothingLeft(folder: string): Promise<void> {
  assert.deepEqual(await processesOf(folder), [], "a process was left behind");
  assert.deepEqual(await filesIn(folder), [], "a folder was left behind");
}

Deno.test("the demo survives its kill: every call answered, the node back, nothing left", async () => {
  await using folder = await tempFolder();
  await using demo = startMycnet(["demo", "--json"], {
    env: { TMPDIR: folder.path },
    patienceMs: 120_000,
  });
  const verdict = await demo.event<Verdict>("verdict");
  const { ok, problems, made, answered, failed, timeline } = verdict;
  assert.deepEqual(problems, []);
  assert.equal(ok, true);
  assert.ok(made > 100, `only ${made} calls were made`);
  assert.equal(answered, made);
  assert.equal(failed, 0);
  assert.deepEqual(timeline.map((it) => it.moment), [
    "kill",
    "noticed",
    "rerouted",
    "suspected",
    "dead",
    "restarted",
    "back",
  ]);
  assert.equal((await demo.ended()).code, 0);
  await assertNothingLeft(folder.path);
});

Deno.test("a demo that is kept answers at the address it shows, and ends well on Ctrl-C", async () => {
  await using folder = await tempFolder();
  await using demo = startMycnet(["demo", "--keep"], {
    env: { TMPDIR: folder.path },
    patienceMs: 120_000,
  });
  const admin = await demo.line(
    "its address",
    (line) => /kept running at (http\S+);/.exec(line)?.[1],
  );
  const probe = await fetch(`${admin}/livez`);
  assert.deepEqual([probe.status, await probe.text()], [200, ""]);
  demo.signal("SIGINT");
  assert.equal((await demo.ended()).code, 0, demo.stdout.join("\n"));
  assert.match(demo.stdout.join("\n"), /The cluster survived/);
  await assertNothingLeft(folder.path);
});

/** What the demo says when it reaches a moment, and the signal that it gets there. */
const interruptions: readonly [signal: Deno.Signal, at: RegExp][] = [
  ["SIGTERM", /starting five processes/],
  ["SIGHUP", /a moment to live/],
  ["SIGINT", /kill -9/],
  ["SIGTERM", /starting elm again/],
];

for (const [signal, at] of interruptions) {
  Deno.test(`${signal} when the demo says "${at.source}" leaves no process and no file`, async () => {
    await using folder = await tempFolder();
    await using demo = startMycnet(["demo"], { env: { TMPDIR: folder.path }, patienceMs: 60_000 });
    await demo.line("its progress", (line) => at.test(line) ? line : undefined);
    demo.signal(signal);
    assert.equal((await demo.ended()).code, 130);
    await assertNothingLeft(folder.path);
  });
}

/** The demo in a terminal: `script` gives it one, and takes the test's input for its keyboard. */
function inTerminal(folder: string): Child {
  const command = [Deno.execPath(), "run", "--quiet", ...taskPermissions("demo")];
  const demo = [...command, `${rootPath}mod.ts`, "demo"].join(" ");
  return new Child("script", ["-qfec", demo, "/dev/null"], {
    env: { TMPDIR: folder, TERM: "xterm", SHELL: "/bin/sh" },
    patienceMs: 60_000,
  });
}

const onScreen = (line: string) => /calls\/s/.test(line) ? line : undefined;

Deno.test("Ctrl-C typed in a terminal, which reaches every process, leaves no process and no file", async () => {
  await using folder = await tempFolder();
  await using terminal = inTerminal(folder.path);
  await terminal.line("calls on the screen", onScreen);
  await terminal.type("\x03");
  assert.equal((await terminal.ended()).code, 130);
  assert.match(terminal.stdout.join("\n"), /Stopped by SIGINT; nothing was left behind/);
  await assertNothingLeft(folder.path);
});

Deno.test("a terminal that is closed under the demo leaves no process and no file", async () => {
  await using folder = await tempFolder();
  await using terminal = inTerminal(folder.path);
  await terminal.line("calls on the screen", onScreen);
  assert.ok((await processesOf(folder.path)).length >= 5, "the five children run");
  await terminal.kill();
  await gone(folder.path);
  await assertNothingLeft(folder.path);
});

Deno.test("a demo killed with kill -9 takes its children along, and the next one clears its folder", async () => {
  await using folder = await tempFolder();
  const env = { TMPDIR: folder.path };
  await using first = startMycnet(["demo"], { env, patienceMs: 60_000 });
  await first.line("its progress", (line) => /a moment to live/.test(line) ? line : undefined);
  await first.kill();
  await gone(folder.path);
  assert.equal((await filesIn(folder.path)).length, 1, "nobody was left to remove the folder");
  await using second = startMycnet(["demo"], { env, patienceMs: 60_000 });
  await second.line("its progress", (line) => /starting five/.test(line) ? line : undefined);
  assert.equal((await filesIn(folder.path)).length, 1, "the dead demo's folder is gone");
  second.signal("SIGTERM");
  assert.equal((await second.ended()).code, 130);
  await assertNothingLeft(folder.path);
});

/** Waits until no process of the demo is left: their ends announce themselves to nobody who is still there. */
async function gone(folder: string): Promise<void> {
  const deadline = performance.now() + 30_000;
  while ((await processesOf(folder)).length > 0 || (await holders(folder)) > 0) {
    if (performance.now() > deadline) return;
    await new Promise((resume) => setTimeout(resume, 20));
  }
}

/** How many processes still have the folder's demo as their temporary folder, by their environment. */
async function holders(folder: string): Promise<number> {
  let count = 0;
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name) || name === String(Deno.pid)) continue;
    const environment = await Deno.readTextFile(`/proc/${name}/environ`).catch(() => "");
    if (environment.includes(`TMPDIR=${folder}`)) count++;
  }
  return count;
}
