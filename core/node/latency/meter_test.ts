import assert from "node:assert/strict";
import { messageTypes } from "@mycnet/protocols/frame";
import { LatencyMeter, windowMs } from "./meter.ts";

const call = messageTypes["service.call"];

Deno.test("percentiles tell of all types together, histograms of each type alone", () => {
  const meter = new LatencyMeter();
  for (let i = 0; i < 90; i++) meter.record(call, 1, 1000);
  for (let i = 0; i < 10; i++) meter.record(messageTypes.query, 100, 1000);
  const [p50, p90, p99] = meter.percentilesMs([0.5, 0.9, 0.99], 1000);
  assert.ok(p50! >= 1 && p50! <= 1.125, `${p50}`);
  assert.ok(p90! <= 1.125, `${p90}`);
  assert.ok(p99! >= 100 && p99! <= 112.5, `${p99}`);
  const byType = new Map(meter.byType());
  assert.deepEqual([...byType.keys()].toSorted(), ["query", "service.call"]);
  assert.equal(byType.get("service.call")!.count, 90);
  assert.ok(Math.abs(byType.get("query")!.sum - 1) < 1e-9);
});

Deno.test("percentiles forget what is older than two windows, histograms forget nothing", () => {
  const meter = new LatencyMeter();
  meter.record(call, 500, 0);
  const median = (nowMs: number) => meter.percentilesMs([0.5], nowMs)[0];
  assert.ok(median(windowMs - 1)! >= 500);
  assert.ok(median(windowMs)! >= 500, "the window before still counts");
  meter.record(call, 1, windowMs + 1);
  assert.equal(median(2 * windowMs)! < 2, true, "the first window is gone");
  assert.equal(median(10 * windowMs), undefined, "a long silence leaves nothing");
  assert.equal(new Map(meter.byType()).get("service.call")!.count, 2);
});

Deno.test("types that nobody registered share one histogram", () => {
  const meter = new LatencyMeter();
  for (let type = 0x0700; type < 0x0800; type++) meter.record(type, 1, 0);
  assert.deepEqual(meter.byType().map(([name, { count }]) => [name, count]), [["other", 256]]);
});
