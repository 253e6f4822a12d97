import assert from "node:assert/strict";
import { countsIn, warningsIn } from "./steps.ts";

Deno.test("a warning is found whatever its dress", () => {
  const output = [
    "Check mod.ts",
    "\x1b[33mWarning\x1b[0m Permissions in the config file is an experimental feature",
    "warning[slow-types]: missing explicit type",
    "a node logs: warning, the peer is slow",
    "forewarning",
  ].join("\n");
  assert.deepEqual(warningsIn(output, []), [
    "Warning Permissions in the config file is an experimental feature",
    "warning[slow-types]: missing explicit type",
  ]);
});

Deno.test("only the listed warning is borne, and only where it is listed for", () => {
  const borne = [{ pattern: /^warning\[known\]/, place: /a\.ts/, reason: "for this test" }];
  const output = "warning[known]: x\n --> a.ts:1\nwarning[new]: y\nwarning[known]: x\n --> b.ts:1";
  assert.deepEqual(warningsIn(output, borne), ["warning[new]: y", "warning[known]: x"]);
});

Deno.test("the closing line of deno test is read, the last one where there are several", () => {
  assert.deepEqual(countsIn("ok | 12 passed | 0 failed (35ms)\n"), {
    passed: 12,
    failed: 0,
    ignored: 0,
  });
  assert.deepEqual(
    countsIn(
      "ok | 1 passed | 0 failed (1ms)\n\x1b[31mFAILED\x1b[0m | 7 passed (3 steps) | 2 failed | 4 ignored (1m2s)",
    ),
    { passed: 7, failed: 2, ignored: 4 },
  );
  assert.equal(countsIn("error: Type checking failed"), undefined);
});
