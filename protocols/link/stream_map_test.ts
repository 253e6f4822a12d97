import assert from "node:assert/strict";
import fc from "fast-check";
import { StreamMap } from "./stream_map.ts";

/** Something done to a map, as it might happen to the exchanges of a link. */
type Step = { readonly do: "set" | "take" | "get"; readonly stream: number } | {
  readonly do: "clear";
};

const stream = fc.oneof(
  fc.integer({ min: 1, max: 64 }),
  fc.integer({ min: 0x3fff_ff00, max: 0x3fff_ffff }),
  fc.integer({ min: 1, max: 0xffff_ffff }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: fc.record({ do: fc.constant("set" as const), stream }), weight: 6 },
  { arbitrary: fc.record({ do: fc.constant("take" as const), stream }), weight: 5 },
  { arbitrary: fc.record({ do: fc.constant("get" as const), stream }), weight: 2 },
  { arbitrary: fc.constant({ do: "clear" as const }), weight: 1 },
);

Deno.test("a stream map does what a Map does, whatever comes and goes", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const map = new StreamMap<number>();
      const model = new Map<number, number>();
      for (const [i, it] of steps.entries()) {
        if (it.do === "clear") {
          map.clear();
          model.clear();
        } else if (it.do === "set") {
          map.set(it.stream, i);
          model.set(it.stream, i);
        } else {
          assert.equal(map.get(it.stream), model.get(it.stream));
          if (it.do === "take") {
            assert.equal(map.take(it.stream), model.get(it.stream));
            model.delete(it.stream);
          }
        }
        assert.equal(map.size, model.size);
      }
      for (const [key, value] of model) assert.equal(map.get(key), value);
      assert.deepEqual(map.values().sort(), [...model.values()].sort());
    }),
  );
});

Deno.test("a stream map keeps a window of streams that moves on for long", () => {
  const map = new StreamMap<number>();
  const window = 300;
  for (let stream = 1; stream < 200_000; stream += 2) {
    map.set(stream, stream);
    const leaving = stream - 2 * window;
    if (leaving > 0) assert.equal(map.take(leaving), leaving);
  }
  assert.equal(map.size, window);
  assert.equal(map.take(1), undefined);
});

Deno.test("what was taken out of a stream map may be put in again while its values are read", () => {
  const map = new StreamMap<string>();
  for (let stream = 1; stream <= 20; stream++) map.set(stream, `${stream}`);
  for (const value of map.values()) {
    map.take(Number(value));
    map.set(Number(value) + 100, value);
  }
  assert.equal(map.size, 20);
  assert.equal(map.get(1), undefined);
  assert.equal(map.get(101), "1");
});
