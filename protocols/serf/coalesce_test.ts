import assert from "node:assert/strict";
import { MemberCoalescer } from "./coalesce.ts";

function told(coalescer: MemberCoalescer<string>, nowMs: number): string[] {
  return coalescer.take(nowMs).map(({ type, members }) => `${type} ${members.join(" ")}`);
}

Deno.test("changes that come together are told together, when it has been quiet", () => {
  const coalescer = new MemberCoalescer<string>();
  assert.equal(coalescer.nextMs, Infinity);
  coalescer.add("joined", "a", "a1", 0);
  coalescer.add("joined", "b", "b1", 500);
  coalescer.add("failed", "c", "c1", 900);
  assert.equal(coalescer.nextMs, 1900);
  assert.deepEqual(told(coalescer, 1899), []);
  assert.deepEqual(told(coalescer, 1900), ["joined a1 b1", "failed c1"]);
  assert.equal(coalescer.nextMs, Infinity);
});

Deno.test("nobody waits longer than the maximum, however much happens", () => {
  const coalescer = new MemberCoalescer<string>({ quietMs: 100, maxMs: 1000 });
  for (let at = 0; at < 1000; at += 50) coalescer.add("updated", "a", `a${at}`, at);
  assert.equal(coalescer.nextMs, 1000);
  assert.deepEqual(told(coalescer, 1000), ["updated a950"]);
});

Deno.test("only where a member stands in the end is told, and nothing if it stood there before", () => {
  const coalescer = new MemberCoalescer<string>();
  coalescer.add("joined", "a", "a1", 0);
  coalescer.add("updated", "a", "a2", 10);
  assert.deepEqual(told(coalescer, 2000), ["joined a2"]);
  coalescer.add("suspected", "a", "a3", 2000);
  coalescer.add("failed", "a", "a4", 2001);
  coalescer.add("recovered", "a", "a5", 2002);
  assert.deepEqual(told(coalescer, 4000), [], "gone and back");
  coalescer.add("failed", "a", "a6", 4000);
  assert.deepEqual(told(coalescer, 6000), ["failed a6"]);
  coalescer.add("recovered", "a", "a7", 6000);
  assert.deepEqual(told(coalescer, 8000), ["recovered a7"]);
  coalescer.add("left", "a", "a8", 8000);
  coalescer.add("reaped", "a", "a9", 8001);
  assert.deepEqual(told(coalescer, 10_000), ["reaped a9"]);
  coalescer.add("joined", "a", "a10", 10_000);
  assert.deepEqual(told(coalescer, 12_000), ["joined a10"], "a new member of an old name");
});

Deno.test("more members than are remembered are told at once", () => {
  const coalescer = new MemberCoalescer<string>({ maxMembers: 2 });
  for (const name of ["a", "b", "c"]) coalescer.add("joined", name, name, 5);
  assert.equal(coalescer.nextMs, 5);
  assert.deepEqual(told(coalescer, 5), ["joined a b c"]);
});
