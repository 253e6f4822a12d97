import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import fc from "fast-check";
import { defaultProfile } from "@mycnet/protocols/negotiation";
import type { NegotiatedProfile, Profile } from "@mycnet/protocols/negotiation";
import { compressionOf, newCompressionCounters, ZstdCompression } from "./compression.ts";

const piece = 256 * 1024;

/** JSON lines, as much as asked for. */
function text(bytes: number): Uint8Array {
  const lines: string[] = [];
  for (let i = 0, length = 0; length < bytes; i++) {
    const line = JSON.stringify({
      id: i,
      node: `node-${i % 17}`,
      state: "alive",
      load: i * 31 % 101,
    });
    lines.push(line);
    length += line.length + 1;
  }
  return new TextEncoder().encode(lines.join("\n")).subarray(0, bytes);
}

const noise = (bytes: number) => new Uint8Array(randomBytes(bytes));

/** zstd's level of a frame cannot be read from it; its size at each level can be compared. */
function atLevel(bytes: Uint8Array, level: number): number {
  const options = {
    pledgedSrcSize: bytes.length,
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_windowLog]: 18 },
  };
  return zstdCompressSync(bytes, options).length;
}

const profile = (change: Partial<Profile>, algorithm = "zstd"): NegotiatedProfile => ({
  wanted: { ...defaultProfile("sclerotia", "sclerotia"), ...change },
  inForce: { encryption: "standard", compression: algorithm, reliability: "high" },
});
const still = { now: () => 0, backlog: () => 0 };

Deno.test("any body arrives as it was, at every level", () => {
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 5000 }),
    fc.record({
      unit: fc.uint8Array({ minLength: 1, maxLength: 300 }),
      times: fc.integer({ min: 1, max: 800 }),
    }).map(({ unit, times }) => {
      const whole = new Uint8Array(unit.length * times);
      for (let at = 0; at < whole.length; at += unit.length) whole.set(unit, at);
      return whole;
    }),
  );
  let compressed = 0;
  fc.assert(
    fc.property(bodies, fc.constantFrom("low", "medium", "high"), (body, level) => {
      const sender = new ZstdCompression(level);
      const smaller = sender.compress(body);
      if (smaller === undefined) return;
      compressed++;
      assert(smaller.length < body.length);
      const whole = new ZstdCompression("low").decompress(smaller, body.length);
      assert.deepEqual(new Uint8Array(whole), new Uint8Array(body));
    }),
    { numRuns: 300 },
  );
  assert(compressed > 50, `${compressed} of 300 were compressed`);
});

Deno.test("bodies of every size up to the largest piece survive", () => {
  for (const level of ["low", "medium", "high"] as const) {
    const zstd = new ZstdCompression(level);
    for (const size of [1, 100, 1023, 1024, 1025, 16_384, 65_535, 65_536, 65_537, piece]) {
      const body = text(size);
      const smaller = zstd.compress(body, size);
      if (smaller === undefined) assert(size < 1024);
      else assert.deepEqual(new Uint8Array(zstd.decompress(smaller, size)), new Uint8Array(body));
    }
  }
});

Deno.test("levels are those of the profile, and 9 is for bodies that it does not take long for", () => {
  const body = text(32_768);
  for (const [compression, level] of [["low", 1], ["medium", 3], ["high", 9]] as const) {
    const zstd = compressionOf(profile({ compression }), newCompressionCounters(), still)!;
    assert.equal(zstd.level, level);
    assert.equal(zstd.compress(body)!.length, atLevel(body, level));
  }
  const large = text(piece);
  assert.equal(new ZstdCompression("high").compress(large)!.length, atLevel(large, 3));
});

Deno.test("there is none where the profile wants none, or the other side has no zstd", () => {
  const counters = newCompressionCounters();
  assert.equal(compressionOf(profile({ compression: "none" }), counters, still), undefined);
  assert.equal(compressionOf(profile({}, "none"), counters, still), undefined);
});

Deno.test("what does not shrink goes out as it is, is soon not tried, and is tried again later", () => {
  const shared = newCompressionCounters();
  const zstd = new ZstdCompression("low", shared);
  const body = noise(32_768);
  for (let i = 0; i < 4; i++) assert.equal(zstd.compress(body, 7), undefined);
  // It rests: not even what would shrink is tried, but another type is.
  const good = text(32_768);
  for (let i = 0; i < 16; i++) assert.equal(zstd.compress(good, 7), undefined);
  assert.notEqual(zstd.compress(good, 8), undefined);
  assert.equal(shared.leftAlone, 20);
  // After the rest one is tried, and with it the type is back.
  assert.notEqual(zstd.compress(good, 7), undefined);
  assert.notEqual(zstd.compress(good, 7), undefined);
  assert.equal(zstd.counters.bytesBefore, 3 * 32_768);
  assert.equal(zstd.counters.bytesAfter, 3 * zstd.compress(good, 8)!.length);
});

Deno.test("rests grow to a bound, so that one body in about a thousand is tried", () => {
  const zstd = new ZstdCompression("low");
  const body = noise(4096);
  let tried = 0;
  const before = performance.now();
  for (let i = 0; i < 20_000; i++) zstd.compress(body);
  const elapsed = performance.now() - before;
  assert.equal(zstd.counters.leftAlone, 20_000);
  // The next success comes no later than a rest from now.
  const good = text(4096);
  while (zstd.compress(good) === undefined) tried++;
  assert(tried <= 1024, `${tried} were left alone`);
  assert(elapsed < 2000, `${elapsed} ms for what should cost next to nothing`);
});

Deno.test("the number of types that are told apart is bounded", () => {
  const zstd = new ZstdCompression("low");
  const bad = noise(2048);
  for (let type = 0; type < 64; type++) zstd.compress(bad, type);
  // All further ones share a place: four failures of different types put them all to rest.
  for (let type = 100; type < 104; type++) zstd.compress(bad, type);
  assert.equal(zstd.compress(text(2048), 5000), undefined);
  assert.notEqual(zstd.compress(text(2048), 3), undefined);
});

Deno.test("a body that expands to more than it says is refused before it is expanded", () => {
  const zstd = new ZstdCompression("low");
  const bomb = zstdCompressSync(new Uint8Array(64 * 1024 * 1024));
  assert(bomb.length < 10_000);
  const before = Deno.memoryUsage().rss;
  for (let i = 0; i < 20; i++) assert.throws(() => zstd.decompress(bomb, 1000));
  assert(Deno.memoryUsage().rss - before < 64 * 1024 * 1024);
  assert.equal(zstd.counters.bytesExpanded, 0);
});

Deno.test("a frame that asks for a larger window than any piece needs is refused", () => {
  const body = text(piece);
  const greedy = zstdCompressSync(body, {
    params: { [constants.ZSTD_c_compressionLevel]: 19, [constants.ZSTD_c_windowLog]: 26 },
  });
  assert.equal(zstdDecompressSync(greedy).length, piece);
  // With the size unknown to zstd, the frame announces the whole window of 64 MiB.
  assert.throws(() => new ZstdCompression("low").decompress(greedy, piece));
});

Deno.test("mutated frames throw or give what is not the announced size, and never hang", () => {
  const body = text(3000);
  const good = new Uint8Array(new ZstdCompression("low").compress(body)!);
  const reader = new ZstdCompression("low");
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 }),
      fc.nat(good.length),
      (changes, cut) => {
        const bytes = good.slice(0, cut);
        for (const [at, value] of changes) if (at < cut) bytes[at] = value;
        try {
          assert(reader.decompress(bytes, 3000).length <= 3000);
        } catch (error) {
          assert(error instanceof Error && !(error instanceof assert.AssertionError));
        }
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("an adaptive level rises while bytes pile up, falls when none wait, and does not swing", () => {
  let backlog = 0;
  let now = 0;
  const load = { now: () => now, backlog: () => backlog };
  const adaptive = {
    adaptation: { base: "standard", strategy: "bandwidth-based", fallback: "minimal" },
  } as const;
  const zstd = compressionOf(profile(adaptive), newCompressionCounters(), load)!;
  const body = text(2000);
  const carry = (bodies: number) => {
    for (let i = 0; i < bodies; i++) zstd.compress(body);
    return zstd.level;
  };
  assert.equal(carry(100), 1, "nothing below the cheapest");
  backlog = 512 * 1024;
  assert.equal(carry(31), 1, "too few to tell");
  assert.equal(carry(1), 3);
  assert.equal(carry(500), 3, "not twice within a second");
  now = 1000;
  assert.equal(carry(1), 9);
  now = 2000;
  backlog = 100 * 1024;
  assert.equal(carry(500), 9, "neither full nor empty: it stays");
  // Now this, now that: no run of either.
  for (let i = 0; i < 50; i++) {
    backlog = i % 2 === 0 ? 0 : 512 * 1024;
    assert.equal(carry(10), 9);
  }
  backlog = 0;
  assert.equal(carry(32), 3);
  now = 3000;
  assert.equal(carry(32), 1);
});

Deno.test("by latency the level stays out of milliseconds; by capability it stays where it was", () => {
  let now = 0;
  const load = { now: () => now += 1000, backlog: () => 1 << 20 };
  const body = text(2000);
  for (const [strategy, level] of [["latency-based", 3], ["capability-based", 1]] as const) {
    const adaptation = { base: "standard", strategy, fallback: "minimal" } as const;
    const zstd = compressionOf(profile({ adaptation }), newCompressionCounters(), load)!;
    for (let i = 0; i < 500; i++) zstd.compress(body);
    assert.equal(zstd.level, level, strategy);
  }
});
