import assert from "node:assert/strict";
import fc from "fast-check";
import { SerfWriter } from "../wire/pack.ts";
import { WireError } from "../../swim/wire/msgpack.ts";
import { decodeCoordinate, distance, encodeCoordinate, isValid } from "./coordinate.ts";
import { Vivaldi, vivaldiDefaults } from "./vivaldi.ts";

/** Numbers in [0, 1) that repeat for a seed (mulberry32). */
function seeded(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Runs a system in which everybody probes a random other member, and returns estimates beside the truth. */
function run(count: number, rounds: number, rttMs: (a: number, b: number) => number) {
  const random = seeded(7);
  const nodes = Array.from({ length: count }, () => new Vivaldi(random));
  for (let round = 0; round < rounds; round++) {
    for (let a = 0; a < count; a++) {
      const b = (a + 1 + Math.floor(random() * (count - 1))) % count;
      nodes[a]!.update(`n${b}`, nodes[b]!.coordinate, rttMs(a, b));
    }
  }
  const errors: number[] = [];
  for (let a = 0; a < count; a++) {
    for (let b = 0; b < a; b++) {
      const estimate = distance(nodes[a]!.coordinate, nodes[b]!.coordinate) * 1000;
      errors.push(Math.abs(estimate - rttMs(a, b)) / rttMs(a, b));
    }
  }
  return { nodes, meanError: errors.reduce((a, b) => a + b) / errors.length };
}

Deno.test("members on a line find out how far apart they are", () => {
  const { meanError } = run(10, 1000, (a, b) => 10 * Math.abs(a - b));
  assert.ok(meanError < 0.1, `mean error ${meanError}`);
});

Deno.test("members on a grid find out how far apart they are", () => {
  const at = (i: number) => [i % 5, Math.floor(i / 5)] as const;
  const { meanError } = run(25, 1000, (a, b) => {
    const [ax, ay] = at(a), [bx, by] = at(b);
    return 10 * Math.hypot(ax - bx, ay - by);
  });
  assert.ok(meanError < 0.05, `mean error ${meanError}`);
});

Deno.test("two data centres far apart are seen as two", () => {
  const { nodes, meanError } = run(20, 1000, (a, b) => (a < 10) === (b < 10) ? 1 : 50);
  assert.ok(meanError < 0.15, `mean error ${meanError}`);
  const near = distance(nodes[0]!.coordinate, nodes[1]!.coordinate);
  const far = distance(nodes[0]!.coordinate, nodes[15]!.coordinate);
  assert.ok(far > 10 * near, `near ${near}, far ${far}`);
});

Deno.test("gravity keeps a system at the origin", () => {
  const { nodes } = run(10, 2000, () => 20);
  for (let d = 0; d < 8; d++) {
    const mean = nodes.reduce((sum, node) => sum + node.coordinate.vec[d]!, 0) / nodes.length;
    assert.ok(Math.abs(mean) < 0.02, `dimension ${d} is ${mean} away`);
  }
});

Deno.test("one spike moves nothing, and what cannot be a round trip is refused", () => {
  const other = new Vivaldi(seeded(2)).coordinate;
  const calm = new Vivaldi(seeded(1)), spiked = new Vivaldi(seeded(1));
  for (const rtt of [10, 10, 10]) calm.update("x", other, rtt);
  for (const rtt of [10, 10, 5000]) spiked.update("x", other, rtt);
  assert.deepEqual(spiked.coordinate, calm.coordinate);
  for (const rtt of [-1, NaN, Infinity, vivaldiDefaults.maxRttMs + 1]) {
    assert.equal(calm.update("x", other, rtt), false);
  }
  assert.equal(calm.update("x", other, 0), true);
});

Deno.test("forgetting a member drops its samples", () => {
  const node = new Vivaldi(seeded(1));
  node.update("x", node.coordinate, 3);
  assert.equal(node.size, 1);
  node.forget("x");
  assert.equal(node.size, 0);
});

Deno.test("a coordinate survives the wire, an impossible one does not", () => {
  const writer = new SerfWriter();
  const value = fc.double({ min: -1000, max: 1000, noNaN: true });
  const positive = fc.double({ min: 0, max: 1000, noNaN: true });
  fc.assert(fc.property(
    fc.array(value, { minLength: 8, maxLength: 8 }),
    positive,
    value,
    positive,
    (vec, error, adjustment, height) => {
      const coordinate = { vec: Float64Array.from(vec), error, adjustment, height };
      assert.deepEqual(decodeCoordinate(encodeCoordinate(writer, coordinate)), coordinate);
    },
  ));
  const here = new Vivaldi(seeded(1)).coordinate;
  for (
    const wrong of [
      { ...here, error: NaN },
      { ...here, error: -1 },
      { ...here, height: -1e-9 },
      { ...here, adjustment: 1e300 },
      { ...here, vec: here.vec.map(() => Infinity) },
    ]
  ) {
    assert.equal(isValid(wrong), false);
    assert.throws(() => decodeCoordinate(encodeCoordinate(writer, wrong)), WireError);
  }
  assert.throws(() => decodeCoordinate(new Uint8Array([2, 0x80])), /version 2/);
  assert.throws(() => decodeCoordinate(new Uint8Array([1, 0x80])), WireError);
  assert.throws(
    () => decodeCoordinate(new Uint8Array([1, 0x81, 0xa3, 86, 101, 99, 0x91, 0])),
    /1 dim/,
  );
});

Deno.test("however hostile the others are, the coordinate stays possible", () => {
  const value = fc.double({ min: -1000, max: 1000, noNaN: true });
  const positive = fc.double({ min: 0, max: 1000, noNaN: true });
  const other = fc.record({
    vec: fc.array(value, { minLength: 8, maxLength: 8 }).map((it) => Float64Array.from(it)),
    error: positive,
    adjustment: value,
    height: positive,
  });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(other, fc.double({ min: 0, max: 10_000, noNaN: true })), { maxLength: 50 }),
      (samples) => {
        const node = new Vivaldi(seeded(3));
        for (const [coordinate, rttMs] of samples) node.update("evil", coordinate, rttMs);
        assert.ok(isValid(node.coordinate));
      },
    ),
    { numRuns: 300 },
  );
});
