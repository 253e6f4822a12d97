import assert from "node:assert/strict";
import fc from "fast-check";
import { Trace } from "./trace.ts";

function traced(lines: readonly string[], reference?: Trace): Trace {
  const trace = new Trace(reference);
  for (const line of lines) trace.add(line);
  return trace;
}

Deno.test("equal runs have equal hashes and do not diverge", () => {
  fc.assert(fc.property(fc.array(fc.string()), (lines) => {
    const first = traced(lines);
    const second = traced(lines, first);
    assert.equal(second.end(), undefined);
    assert.equal(second.hash, first.hash);
    assert.equal(second.count, lines.length);
  }));
});

Deno.test("the first line that differs is found, wherever it is", () => {
  fc.assert(
    fc.property(fc.array(fc.string()), fc.array(fc.string()), (one, two) => {
      const first = traced(one);
      const found = traced(two, first);
      const divergence = found.end();
      const longer = Math.max(one.length, two.length);
      const at = Array.from({ length: longer }, (_, i) => i).find((i) => one[i] !== two[i]);
      if (at === undefined) assert.equal(divergence, undefined);
      else assert.deepEqual(divergence, { line: at, first: one[at], second: two[at] });
    }),
  );
});

Deno.test("where a line ends counts", () => {
  assert.notEqual(traced(["ab"]).hash, traced(["a", "b"]).hash);
});

Deno.test("what is kept is bounded: text from the start, the last lines, and the length of each", () => {
  const trace = new Trace();
  for (let i = 0; i < 200_100; i++) trace.add(`line ${i}`);
  assert.equal(trace.count, 200_100);
  assert.equal(trace.lines.length, 200_000);
  assert.deepEqual(trace.tail, Array.from({ length: 40 }, (_, i) => `line ${200_060 + i}`));
  const late = new Trace(trace);
  for (let i = 0; i < 200_050; i++) late.add(`line ${i}`);
  late.add("something else");
  assert.deepEqual(late.divergence, {
    line: 200_050,
    first: undefined, // Its text is no longer kept, its hash is.
    second: "something else",
  });
  trace.add("x".repeat(5000));
  assert.equal(trace.tail.at(-1)?.length, 1000);
});
