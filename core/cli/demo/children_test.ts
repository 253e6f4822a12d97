import assert from "node:assert/strict";
import { Child } from "./children.ts";
import type { Report } from "./reports.ts";

/** Starts a child that runs a script. */
function start(script: string): { child: Child; reports: Report[]; first: Promise<Report> } {
  const reports: Report[] = [];
  const first = Promise.withResolvers<Report>();
  const child = Child.start([Deno.execPath(), "eval", "--no-lock", script], (report) => {
    reports.push(report);
    first.resolve(report);
  });
  return { child, reports, first: first.promise };
}

const untilStdinEnds = "for await (const _ of Deno.stdin.readable);";
const ready = `console.log('{"kind":"ready","node":"x"}');`;

Deno.test("a child ends when its standard input does, and what it said is heard before that", async () => {
  const { child, first } = start(`${ready}${untilStdinEnds}Deno.exit(3);`);
  assert.deepEqual(await first, { kind: "ready", node: "x" });
  assert.ok(child.running && child.pid > 0);
  await child.finish();
  const { code } = await child.ended;
  assert.equal(code, 3);
  assert.equal(child.running, false);
  await child.finish();
});

Deno.test("a child that is killed is gone at once, by the signal", async () => {
  const { child, first } = start(`${ready}${untilStdinEnds}`);
  await first;
  child.kill();
  assert.equal((await child.ended).signal, "SIGKILL");
  child.kill();
});

Deno.test("what a child complains about is kept, the end of it, and everything else it prints is no report", async () => {
  const script =
    `console.error("x".repeat(20000)); console.error("the end"); console.log("chatter");` +
    `${ready}Deno.exit(1);`;
  const { child, reports } = start(script);
  assert.equal((await child.ended).code, 1);
  assert.ok(child.complaint.endsWith("\nthe end"));
  assert.ok(child.complaint.length <= 8192);
  assert.equal(reports.length, 1);
});
