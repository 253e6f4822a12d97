import assert from "node:assert/strict";
import fc from "fast-check";
import { codeOf } from "../kernel/errors.ts";
import { type Deadline, Deadlines } from "./deadlines.ts";
import { FakeHost } from "./fakes_test.ts";

Deno.test("deadlines expire in order, never early, at most a bucket late", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ ms: fc.integer({ min: 0, max: 200 }), cancel: fc.boolean() }), {
        maxLength: 40,
      }),
      async (wanted) => {
        const host = new FakeHost();
        using deadlines = new Deadlines(host);
        const start = host.now();
        const fired: number[] = [];
        for (const { ms, cancel } of wanted) {
          const deadline = deadlines.add(ms, () => {
            const late = host.now() - start - ms;
            assert(late >= 0 && late <= 8, `${late} ms late`);
            fired.push(host.now());
          });
          if (cancel) deadline.cancel();
        }
        await host.advance(300);
        assert.equal(fired.length, wanted.filter(({ cancel }) => !cancel).length);
        assert.deepEqual(fired, [...fired].sort((a, b) => a - b));
        assert.equal(deadlines.size, 0);
        assert.equal(host.pendingTimers, 0);
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("ten thousand requests that are answered in time cost a handful of host timers", async () => {
  const host = new FakeHost();
  using deadlines = new Deadlines(host);
  for (let i = 0; i < 1000; i++) {
    const batch = Array.from({ length: 10 }, () => deadlines.add(5000, () => assert.fail()));
    await host.advance(1);
    for (const deadline of batch) deadline.cancel();
  }
  assert.equal(deadlines.size, 0);
  assert(host.timersSet <= 3, `${host.timersSet} timers`);
});

Deno.test("one expiring deadline may cancel another of the same bucket and add new ones", async () => {
  const host = new FakeHost();
  using deadlines = new Deadlines(host);
  const order: string[] = [];
  let second: Deadline | undefined = undefined;
  deadlines.add(10, () => {
    order.push("first");
    second?.cancel();
    deadlines.add(0, () => order.push("added"));
  });
  second = deadlines.add(10, () => order.push("second"));
  await host.advance(50);
  assert.deepEqual(order, ["first", "added"]);
  assert.equal(deadlines.size, 0);
});

Deno.test("a handler that throws is logged and the others run", async () => {
  const host = new FakeHost();
  using deadlines = new Deadlines(host);
  let ran = false;
  deadlines.add(1, () => {
    throw new Error("bad handler");
  });
  deadlines.add(1, () => ran = true);
  await host.advance(20);
  assert(ran);
  assert.equal(host.lines[0].level, "error");
});

Deno.test("a disposed queue runs nothing, holds no timer and takes no more", async () => {
  const host = new FakeHost();
  const deadlines = new Deadlines(host);
  deadlines.add(10, () => assert.fail("ran after dispose"));
  deadlines[Symbol.dispose]();
  assert.equal(host.pendingTimers, 0);
  await host.advance(100);
  assert.throws(() => deadlines.add(1, () => {}), (error) => codeOf(error) === "closed");
});

Deno.test("a thousand deadlines of one turn cost one reading of the clock", async () => {
  const host = new FakeHost();
  let readings = 0;
  const now = host.now.bind(host);
  host.now = () => (readings++, now());
  using deadlines = new Deadlines(host);
  const all = Array.from({ length: 1000 }, () => deadlines.add(5000, () => assert.fail()));
  all[0].cancel();
  assert.equal(deadlines.size, 999);
  await Promise.resolve();
  assert.equal(deadlines.size, 999);
  assert(readings <= 2, `${readings} readings`);
  for (const deadline of all) deadline.cancel();
  assert.equal(deadlines.size, 0);
});

Deno.test("a queue disposed of in the turn of an addition sets no timer", async () => {
  const host = new FakeHost();
  const deadlines = new Deadlines(host);
  deadlines.add(10, () => assert.fail("ran after dispose"));
  deadlines[Symbol.dispose]();
  await host.advance(100);
  assert.equal(host.timersSet, 0);
});

Deno.test("emptied buckets do not pile up while requests with long deadlines come and go", async () => {
  const host = new FakeHost();
  using deadlines = new Deadlines(host);
  const kept = deadlines.add(3_600_000, () => {});
  for (let i = 0; i < 5000; i++) {
    const deadline = deadlines.add(1_000_000 + i * 8, () => {});
    await Promise.resolve(); // It is in its bucket now.
    deadline.cancel();
  }
  assert.equal(deadlines.size, 1);
  assert(deadlines.buckets <= 130, `${deadlines.buckets} buckets`);
  kept.cancel();
  await host.advance(0);
});
