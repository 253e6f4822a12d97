/**
 * A small soak (bench/soak.ts is the long one): hundreds of rounds of everything
 * that nodes do to each other, with links cut, after which exactly the handles and
 * timers of the beginning are there, and about its memory.
 */
import assert from "node:assert/strict";
import { type Census, takeCensus } from "../bench/lib/census.ts";
import { Churn } from "../bench/lib/churn.ts";
import { growthOf, type Sample } from "../bench/lib/growth.ts";
import { clusterTest } from "./harness/leaks.ts";

const mebibyte = 1024 * 1024;
/** Without a collector to call, memory holds garbage besides. */
const memoryAllowed = 64 * mebibyte;

/** The same counts as `wanted`, which may take links a moment to come back to. */
async function settled(wanted: Omit<Census, "resident" | "held">): Promise<Census> {
  const endsAt = performance.now() + 10_000;
  while (true) {
    const now = takeCensus();
    const { files, resources, timers } = now;
    const same = files <= wanted.files && resources <= wanted.resources && timers <= wanted.timers;
    if (same || performance.now() > endsAt) return now;
    await new Promise((resume) => setTimeout(resume, 10));
  }
}

clusterTest("churn and cut links leave no handle and no timer, and no more memory", async () => {
  const atFirst = takeCensus();
  {
    await using churn = await Churn.start();
    const work = async (rounds: number) => {
      for (let i = 0; i < rounds; i++) {
        await churn.round();
        if (i % 100 === 99) await churn.cut();
      }
    };
    await work(200);
    const before = takeCensus();
    await work(600);
    const after = await settled(before);
    assert.ok(after.files <= before.files, `${after.files} files instead of ${before.files}`);
    assert.ok(after.resources <= before.resources, `${after.resources} of ${before.resources}`);
    assert.ok(after.timers <= before.timers, `${after.timers} timers instead of ${before.timers}`);
    assert.ok(after.resident <= before.resident + memoryAllowed, "resident memory");
    const { rounds, cuts, calls, services } = churn.done;
    assert.equal(rounds, 800);
    assert.ok(cuts >= 8, `${cuts} cuts`);
    assert.ok(calls >= rounds * 16 && services === rounds / 8);
  }
  const atLast = await settled(atFirst);
  assert.ok(atLast.resources <= atFirst.resources, `${atLast.resources} resources left`);
  assert.ok(atLast.timers <= atFirst.timers, `${atLast.timers} timers left`);
  assert.ok(atLast.files <= atFirst.files + 4, `${atLast.files} files left`);
});

Deno.test("growth is seen against the first quarter, and noise within the tolerance is not", () => {
  const flat: Census = {
    resident: 100 * mebibyte,
    held: 20 * mebibyte,
    files: 30,
    resources: 4,
    timers: 10,
  };
  const series = (at: (i: number) => Partial<Census>): Sample[] =>
    Array.from({ length: 40 }, (_, i) => ({ atMs: i * 90_000, census: { ...flat, ...at(i) } }));
  const grows = (at: (i: number) => Partial<Census>) =>
    growthOf(series(at)).filter((it) => it.grows).map((it) => it.what);
  assert.deepEqual(grows(() => ({})), []);
  assert.deepEqual(
    grows((i) => ({ held: flat.held + (i % 5) * mebibyte, timers: 10 + i % 7 })),
    [],
  );
  assert.deepEqual(grows((i) => ({ timers: 10 + i })), ["timers"]);
  assert.deepEqual(grows((i) => ({ held: flat.held + i * mebibyte })), ["held"]);
  assert.deepEqual(grows((i) => ({ resident: flat.resident + i * 2 * mebibyte, files: 30 + i })), [
    "resident",
    "files",
  ]);
  const [resident] = growthOf(series((i) => ({ resident: i * mebibyte })));
  assert.equal(Math.round(resident!.perHour / mebibyte), 40);
  assert.throws(() => growthOf(series(() => ({})).slice(0, 3)), /3 samples: four at least/);
});
