import assert from "node:assert/strict";
import { benchFalsePositives } from "./false_positives.ts";
import { CrashRun, detect, expectedProbeMs } from "./lib/detection.ts";
import { jsonLine, serfLine } from "./lib/live_members.ts";
import { type BenchOptions, defaultOptions } from "./lib/options.ts";
import { benchMembership } from "./membership.ts";
import { measureLive } from "./membership_live.ts";
import { assertFigures } from "./testing.ts";

/** So little that it says nothing, and shows that everything runs. */
const tiny: BenchOptions = {
  ...defaultOptions,
  members: [5, 20],
  crashes: 3,
  slow: [4],
  runs: 1,
};

Deno.test("the bench of membership tells detection, dissemination and cost for each size", async () => {
  const report = await benchMembership(tiny);
  assert.deepEqual(report.rows.map((it) => it.members), [5, 20]);
  assertFigures(report, ["probe", "suspect", "dead", "all", "packets", "bytes", "wall", "peak"]);
  for (const row of report.rows) {
    assert.equal(row.falseDeaths, 0);
    // Not more than a period and the verdict's, on average, by far.
    assert.ok(Number(row.suspect) < 6 && Number(row.dead) > Number(row.suspect));
  }
  assert.match(report.what, /after -?[0-9.]+ [+] -?[0-9.]+ log10/);
});

Deno.test("expected detection is about one period, less in small clusters", () => {
  assert.equal(expectedProbeMs(10, 1), 900);
  assert.ok(Math.abs(expectedProbeMs(10_000, 100) - 1009.9) < 0.1);
});

Deno.test("a crash in a simulated cluster is suspected, known to all, and buried", () => {
  const run = new CrashRun(10, 1, 2000);
  run.advance(20_000);
  const { stories: [story], quiet, whole, falseDeaths } = run.findings();
  assert.ok(story.suspectMs > 0 && story.suspectMs < story.deadMs);
  assert.ok(story.halfHeardMs <= story.allHeardMs);
  // A ping and an ack for each member and second.
  assert.ok(Math.abs(quiet.packets - 2) < 0.5, `${quiet.packets}`);
  assert.ok(whole.bytes > quiet.bytes);
  assert.equal(falseDeaths, 0);
  assert.equal(detect(10, 1).length, 1);
});

Deno.test("slow members make plain SWIM err, and Lifeguard not", async () => {
  const { rows: [row] } = await benchFalsePositives(tiny);
  assert.ok(Number(row.plain) > 50 * Number(row.lifeguard), JSON.stringify(row));
  assert.ok(Number(row.plainVictims) > 50 * Number(row.victims), JSON.stringify(row));
  assert.match(String(row.proven), /^[0-9.]+\/[0-9.]+$/);
});

Deno.test("live members are stopped, killed, missed and taken back", async () => {
  const row = await measureLive("mycnet", 8, {
    preset: "local",
    quietMs: 1000,
    shortStopMs: 1000,
    longStopMs: 5000,
    patienceMs: 60_000,
  });
  for (const key of ["first", "last", "stopFirst", "stopLast", "back"]) {
    assert.ok(Number(row[key]) > 0, `${key}: ${row[key]}`);
  }
  assert.equal(row.falseDeaths, 0);
  assert.equal(row.shortDeaths, 0);
});

Deno.test("what agents and programs of others print is understood", () => {
  assert.deepEqual(
    serfLine("a")("2026/01/01 00:00:00 [INFO] serf: EventMemberFailed: b 127.0.0.1"),
    {
      by: "a",
      type: "failed",
      about: "b",
    },
  );
  assert.equal(serfLine("a")("[INFO] agent: Serf agent starting"), undefined);
  assert.deepEqual(jsonLine('{"by":"a","type":"joined","about":"b"}'), {
    by: "a",
    type: "joined",
    about: "b",
  });
  assert.equal(jsonLine("panic"), undefined);
});
