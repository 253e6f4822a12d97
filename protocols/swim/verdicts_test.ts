import assert from "node:assert/strict";
import fc from "fast-check";
import { alive, Bench, verdict } from "./testing.ts";
import { outranks, stateNames, stateOf } from "./verdicts.ts";

interface Verdict {
  readonly state: number;
  readonly incarnation: number;
}

const verdicts: fc.Arbitrary<Verdict[]> = fc.array(
  fc.record({
    state: fc.constantFrom(stateOf.alive, stateOf.suspect, stateOf.dead, stateOf.left),
    incarnation: fc.integer({ min: 1, max: 6 }),
  }),
  { minLength: 1, maxLength: 12 },
);

function merge(verdicts: readonly Verdict[]): Verdict {
  return verdicts.reduce(
    (known, said) =>
      outranks(said.incarnation, said.state, known.incarnation, known.state) ? said : known,
    { state: stateOf.alive, incarnation: 1 },
  );
}

Deno.test("verdicts are totally ordered", () => {
  fc.assert(fc.property(verdicts, (all) => {
    for (const a of all) {
      for (const b of all) {
        const over = outranks(a.incarnation, a.state, b.incarnation, b.state);
        const under = outranks(b.incarnation, b.state, a.incarnation, a.state);
        const same = a.incarnation === b.incarnation && a.state === b.state;
        assert.equal(Number(over) + Number(under) + Number(same), 1);
      }
    }
  }));
});

Deno.test("merging in any order and as often as one likes gives the same", () => {
  fc.assert(fc.property(verdicts, fc.infiniteStream(fc.nat()), (all, choices) => {
    const shuffled = [...all, ...all];
    for (let i = shuffled.length - 1; i > 0; i--) {
      const j = choices.next().value % (i + 1);
      [shuffled[i], shuffled[j]] = [shuffled[j]!, shuffled[i]!];
    }
    const [one, other] = [merge(shuffled), merge(all)];
    assert.deepEqual([one.incarnation, one.state], [other.incarnation, other.state]);
  }));
});

/** What a machine makes of verdicts about `b` that come in this order. */
function heard(all: readonly Verdict[]): { state: string; incarnation: number; meta: string } {
  const bench = new Bench();
  bench.meet("b", "c", "d", "e", "f", "g");
  for (const { state, incarnation } of all) {
    if (state === stateOf.alive) bench.hear(alive("b", 2, incarnation, `meta ${incarnation}`));
    else if (state === stateOf.suspect) bench.hear(verdict("suspect", "b", "c", incarnation));
    else bench.hear(verdict("dead", "b", state === stateOf.left ? "b" : "c", incarnation));
  }
  const { state, incarnation, meta } = bench.machine.member("b")!;
  return { state, incarnation, meta: new TextDecoder().decode(meta) };
}

Deno.test("a machine follows the order, whatever the order of arrival", () => {
  fc.assert(
    fc.property(verdicts, (all) => {
      const { state, incarnation } = merge(all);
      const result = heard(all);
      assert.deepEqual(
        [result.state, result.incarnation],
        [stateNames[state], incarnation],
      );
    }),
    { numRuns: 300 },
  );
});

Deno.test("a member is dead only by a word at its last incarnation, and alive only by its own", () => {
  fc.assert(
    fc.property(verdicts, (all) => {
      const { state, incarnation } = heard([{ state: stateOf.alive, incarnation: 1 }, ...all]);
      const highest = Math.max(1, ...all.map(({ incarnation }) => incarnation));
      assert.equal(incarnation, highest);
      const said = all.some((it) => it.incarnation === highest && stateNames[it.state] === state);
      assert.ok(said || (state === "alive" && highest === 1));
    }),
    { numRuns: 300 },
  );
});

Deno.test("two machines that hear the same in different order agree, and so do the contents", () => {
  fc.assert(
    fc.property(verdicts, (all) => {
      // The word that it is alive at the last incarnation reaches both in the end.
      const last = { state: stateOf.alive, incarnation: merge(all).incarnation };
      const forwards = heard([...all, last]);
      const backwards = heard([...all.toReversed(), last]);
      assert.deepEqual([forwards.state, forwards.incarnation], [
        backwards.state,
        backwards.incarnation,
      ]);
      const living = forwards.state === "alive" || forwards.state === "suspect";
      if (living) assert.equal(forwards.meta, backwards.meta);
    }),
    { numRuns: 300 },
  );
});
