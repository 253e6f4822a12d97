import assert from "node:assert/strict";
import { type Child, startDeno, tempFolder } from "./processes.ts";
import { clusterTest } from "./leaks.ts";

const program = (source: string, patienceMs?: number): Child =>
  startDeno(["eval", "--no-config", source], { patienceMs });
/** Exits when standard input ends, as the project's programs do. */
const untilInputEnds = "for await (const _ of Deno.stdin.readable);";

/** Whether a process exists, without touching it. */
function exists(pid: number): boolean {
  try {
    Deno.kill(pid, "SIGCONT");
    return true;
  } catch {
    return false;
  }
}

clusterTest("a line is found whether it came before or comes after", async () => {
  await using child = program(
    `console.log("ready 7"); for await (const b of Deno.stdin.readable) Deno.stdout.write(b);`,
  );
  const port = (line: string) => /^ready (\d+)$/.exec(line)?.[1];
  assert.equal(await child.line("its port", port), "7");
  assert.equal(await child.line("its port", port), "7");
  await child.type("noise");
  await child.type('{"event":"up","peer":"b"}');
  assert.equal(await child.json("a peer", (it) => it.event === "up" ? it.peer : undefined), "b");
});

clusterTest("a child whose input ends may exit by itself", async () => {
  await using child = program(`${untilInputEnds} console.log("bye"); Deno.exit(3);`);
  assert.equal((await child.stop()).code, 3);
  assert.deepEqual(child.stdout, ["bye"]);
});

clusterTest("a child that ignores everything is gone after the test", async () => {
  let pid: number;
  {
    await using child = program(
      `Deno.addSignalListener("SIGTERM", () => {}); console.log("up"); setInterval(() => {}, 1e6);`,
    );
    pid = child.pid;
    await child.line("its start", (line) => line === "up" || undefined);
    child.signal("SIGTERM");
    assert.ok(exists(pid));
  }
  assert.ok(!exists(pid));
});

clusterTest("a frozen child answers nothing until it is thawed", async () => {
  await using child = program(`for await (const b of Deno.stdin.readable) Deno.stdout.write(b);`);
  const echo = (word: string) => child.line(word, (line) => line === word || undefined);
  await child.type("one");
  await echo("one");
  await child.freeze();
  await child.type("two");
  assert.deepEqual(child.stdout, ["one"]);
  child.thaw();
  await echo("two");
});

clusterTest("kill ends a child at once, a frozen one too", async () => {
  await using child = program(`console.log("up"); setInterval(() => {}, 1e6);`);
  await child.line("its start", (line) => line === "up" || undefined);
  await child.freeze();
  assert.equal((await child.kill()).signal, "SIGKILL");
  child.signal("SIGTERM");
});

clusterTest("waiting in vain tells what the child printed instead", async () => {
  await using dead = program(`console.log("hm"); console.error("no such file"); Deno.exit(1);`);
  await assert.rejects(
    dead.line("an address", () => undefined),
    /ended before an address, exit code 1\n--- stdout\nhm\n--- stderr\nno such file/,
  );
  await using silent = program(untilInputEnds, 50);
  await assert.rejects(silent.line("an address", () => undefined), /did not show an address/);
  await assert.rejects(silent.ended(), /did not end/);
});

clusterTest("output without end is read, and only its last lines kept", async () => {
  await using child = program(
    `for (let i = 0; i < 20000; i++) console.log(i); console.log("last");`,
  );
  await child.ended();
  assert.equal(child.stdout.length, 2000);
  assert.equal(child.stdout.at(-1), "last");
  await child.line("the end", (line) => line === "last" || undefined);
});

clusterTest("a temporary folder is gone with what was in it", async () => {
  let path: string;
  {
    await using folder = await tempFolder();
    path = folder.path;
    await Deno.writeTextFile(`${path}/x`, "x");
  }
  await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
});
