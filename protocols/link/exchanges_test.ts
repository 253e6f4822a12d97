import assert from "node:assert/strict";
import fc from "fast-check";
import { ExchangeTable } from "./exchanges.ts";

const call = 0x0301;

Deno.test("stream ids wrap and pass over those in use", () => {
  const table = new ExchangeTable(1, 7);
  const open = () => table.open(call, 2, false, 0);
  const [one, three] = [open(), open()];
  assert.deepEqual([one.stream, three.stream], [1, 3]);
  assert.deepEqual([open().stream, open().stream], [5, 7]);
  table.remove(three);
  assert.equal(open().stream, 3);
  const even = new ExchangeTable(0, 7);
  const streams = [1, 2, 3].map(() => even.open(call, 2, false, 0).stream);
  assert.deepEqual(streams, [2, 4, 6]);
  even.remove(even.get(2)!);
  assert.equal(even.open(call, 2, false, 0).stream, 2);
  assert.equal(even.isPeers(1), true);
  assert.equal(even.isPeers(0), false);
  assert.equal(even.isPeers(4), false);
});

Deno.test("the table of exchanges finds what is in it, however ids collide", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom("open", "accept", "remove"), fc.nat(3000)), {
        maxLength: 300,
      }),
      (steps) => {
        const table = new ExchangeTable(1, 1200);
        const model = new Map<number, boolean>();
        for (const [step, number] of steps) {
          if (step === "open") {
            const { stream } = table.open(call, 2, false, 0);
            assert(!model.has(stream) && stream % 2 === 1 && stream <= 1200);
            model.set(stream, false);
          } else if (step === "accept") {
            // Few residues, so that many meet in one slot.
            const stream = 2 + (number % 6) * 512 + (number % 4) * 2;
            if (model.has(stream)) continue;
            table.accept(stream, call, 2, false, 0);
            model.set(stream, true);
          } else {
            const stream = [...model.keys()][number % (model.size || 1)];
            if (stream === undefined) continue;
            table.remove(table.get(stream)!);
            model.delete(stream);
          }
          assert.equal(table.size, model.size);
          assert.equal(table.incoming, [...model.values()].filter((incoming) => incoming).length);
        }
        for (let stream = 0; stream < 3100; stream++) {
          assert.equal(table.get(stream)?.stream, model.has(stream) ? stream : undefined);
        }
        table.clear();
        assert.equal(table.size, 0);
        for (const stream of model.keys()) assert.equal(table.get(stream), undefined);
      },
    ),
  );
});
