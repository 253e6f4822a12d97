import assert from "node:assert/strict";
import { durationMs, parseDuration } from "./duration.ts";

Deno.test("durations are read in milliseconds", () => {
  const expected: [number | string, number][] = [
    ["100ms", 100],
    ["5s", 5000],
    ["1.1s", 1100],
    ["2m", 120_000],
    ["1h", 3_600_000],
    ["1d", 86_400_000],
    ["0s", 0],
    [250, 250],
    [0, 0],
  ];
  for (const [written, ms] of expected) assert.equal(durationMs(written), ms);
});

Deno.test("what is no duration is refused, naming the field and what would be one", () => {
  for (const written of ["", "5", "s", "-1s", "5 s", "1e3s", "5S", "1h30m", -1, NaN, Infinity]) {
    assert.equal(durationMs(written), undefined);
  }
  assert.equal(durationMs(`${"9".repeat(400)}d`), undefined);
  assert.throws(() => parseDuration("soon", "timeout"), {
    code: "invalid_argument",
    message:
      `timeout: "soon" is no duration; write "5s", "100ms", "2m", "1h" or a number of milliseconds`,
  });
});
