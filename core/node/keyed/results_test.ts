import assert from "node:assert/strict";
import fc from "fast-check";
import { type KeyedEntry, type Outcome, Results } from "./results.ts";

const limits = { maxEntries: 3, maxBytes: 10, maxAgeMs: 100 };
const answer = (text: string): Outcome => ({ ok: true, body: new TextEncoder().encode(text) });

function first(results: Results, id: string, nowMs = 0): KeyedEntry {
  const claim = results.claim(id, "d", nowMs);
  assert.equal(claim.kind, "first");
  return (claim as { entry: KeyedEntry }).entry;
}

Deno.test("a repeat joins what is under way and is told when it is done", () => {
  const results = new Results(() => limits);
  const entry = first(results, "a");
  const told: unknown[] = [];
  for (let i = 0; i < 2; i++) {
    const claim = results.claim("a", "d", 1);
    assert(claim.kind === "running");
    results.join(claim.entry, (it) => told.push(it));
  }
  const outcome = answer("yes");
  results.keep(entry, outcome, 2);
  assert.deepEqual(told, [outcome, outcome]);
  assert.deepEqual(results.claim("a", "d", 3), { kind: "done", outcome });
});

Deno.test("what is dropped tells whoever waits, and the next one is the first again", () => {
  const results = new Results(() => limits);
  const entry = first(results, "a");
  const told: unknown[] = [];
  results.join(entry, (it) => told.push(it));
  results.drop(entry);
  results.drop(entry);
  assert.deepEqual(told, [undefined]);
  first(results, "a");
});

Deno.test("the same key with another input is told apart, under way and done", () => {
  const results = new Results(() => limits);
  const entry = first(results, "a");
  assert.equal(results.claim("a", "other", 0).kind, "differs");
  results.keep(entry, answer(""), 0);
  assert.equal(results.claim("a", "other", 0).kind, "differs");
});

Deno.test("an answer too large to keep, or pushed out by others, is remembered as gone", () => {
  const results = new Results(() => limits);
  results.keep(first(results, "large"), answer("12345678901"), 0);
  assert.deepEqual(results.claim("large", "d", 0), { kind: "gone" });
  results.keep(first(results, "a"), answer("123456"), 0);
  results.keep(first(results, "b"), answer("123456"), 0);
  assert.equal(results.bytes, 6);
  assert.equal(results.claim("a", "d", 0).kind, "gone");
  assert.equal(results.claim("b", "d", 0).kind, "done");
});

Deno.test("beyond their number the least recently used are forgotten, never those under way", () => {
  const results = new Results(() => limits);
  results.keep(first(results, "a"), answer("a"), 0);
  results.keep(first(results, "b"), answer("b"), 0);
  const running = first(results, "c");
  assert.equal(results.claim("a", "d", 1).kind, "done");
  first(results, "d", 2);
  assert.equal(results.claim("a", "d", 2).kind, "done");
  first(results, "e", 2);
  assert.equal(results.size, 3);
  assert.deepEqual(results.claim("f", "d", 2), { kind: "full" });
  results.drop(running);
  first(results, "f", 2);
});

Deno.test("a result is kept for its time after it was last asked for", () => {
  const results = new Results(() => limits);
  results.keep(first(results, "a"), answer("a"), 0);
  assert.equal(results.claim("a", "d", 99).kind, "done");
  assert.equal(results.claim("a", "d", 198).kind, "done");
  assert.equal(results.claim("a", "d", 298).kind, "first");
  assert.equal(results.bytes, 0);
});

/** The memory as one would write it if it did not have to be fast. */
class Model {
  readonly running = new Set<string>();
  /** The least recently used first. */
  settled: { key: string; usedAt: number; size: number; kept: boolean }[] = [];

  get bytes(): number {
    return this.settled.reduce((sum, it) => sum + (it.kept ? it.size : 0), 0);
  }

  claim(key: string, now: number): string {
    this.settled = this.settled.filter((it) => now - it.usedAt < limits.maxAgeMs);
    if (this.running.has(key)) return "running";
    const known = this.settled.find((it) => it.key === key);
    if (known !== undefined) {
      this.settled = [...this.settled.filter((it) => it !== known), { ...known, usedAt: now }];
      return known.kept ? "done" : "gone";
    }
    while (this.running.size + this.settled.length >= limits.maxEntries) {
      if (this.settled.shift() === undefined) return "full";
    }
    this.running.add(key);
    return "first";
  }

  keep(key: string, size: number, now: number): void {
    this.running.delete(key);
    this.settled.push({ key, usedAt: now, size, kept: size <= limits.maxBytes });
    for (const it of this.settled) if (this.bytes > limits.maxBytes) it.kept = false;
  }
}

Deno.test("whatever is claimed, kept and dropped, the memory does what its model does", () => {
  const step = fc.record({
    what: fc.constantFrom("claim" as const, "claim" as const, "keep" as const, "drop" as const),
    key: fc.constantFrom("a", "b", "c", "d", "e"),
    size: fc.nat(14),
    later: fc.nat(60),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const results = new Results(() => limits);
      const model = new Model();
      const running = new Map<string, KeyedEntry>();
      let now = 0;
      for (const { what, key, size, later } of steps) {
        now += later;
        const entry = running.get(key);
        if (what === "claim") {
          const claim = results.claim(key, "d", now);
          assert.equal(claim.kind, model.claim(key, now));
          if (claim.kind === "first") running.set(key, claim.entry);
        } else if (entry !== undefined) {
          running.delete(key);
          if (what === "keep") {
            results.keep(entry, { ok: true, body: new Uint8Array(size) }, now);
            model.keep(key, size, now);
          } else {
            results.drop(entry);
            model.running.delete(key);
          }
        }
        assert.equal(results.size, model.running.size + model.settled.length);
        assert.equal(results.bytes, model.bytes);
        assert(results.size <= limits.maxEntries && results.bytes <= limits.maxBytes);
      }
    }),
    { numRuns: 1000 },
  );
});
