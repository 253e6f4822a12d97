import assert from "node:assert/strict";
import { createHost } from "../../kernel/real_host.ts";
import { MycnetError } from "../../kernel/errors.ts";
import type { Host } from "../../kernel/host.ts";
import { type Attempt, attempt } from "./attempt.ts";

/** A host with one timer, which the test fires. */
function oneTimer() {
  let armed: (() => void) | undefined;
  const host: Host = createHost();
  host.after = (_delayMs, run) => {
    armed = run;
    return { [Symbol.dispose]: () => armed = undefined };
  };
  return { host, fire: () => armed?.(), isArmed: () => armed !== undefined };
}

function begin(signal = new AbortController().signal) {
  const timer = oneTimer();
  let made: Attempt<string> | undefined;
  const result = attempt<string>(
    { host: timer.host, address: "there:1", signal, timeoutMs: 50 },
    (it) => made = it,
  );
  return { ...timer, result, attempt: made! };
}

Deno.test("an attempt succeeds once, and its limits are lifted", async () => {
  const caller = new AbortController();
  const it = begin(caller.signal);
  assert.equal(it.attempt.succeed("first"), true);
  assert.equal(it.attempt.succeed("second"), false);
  it.attempt.fail(new Error("too late"));
  caller.abort();
  assert.equal(await it.result, "first");
  assert.equal(it.isArmed(), false);
  assert.equal(it.attempt.signal.aborted, false);
});

Deno.test("an attempt times out, tells its beginner, and takes no late success", async () => {
  const it = begin();
  it.fire();
  await assert.rejects(it.result, {
    code: "timeout",
    message: /^there:1 did not answer within 50 ms/,
  });
  assert.equal(it.attempt.signal.aborted, true);
  assert.equal(it.attempt.succeed("late"), false);
});

Deno.test("an attempt ends with the caller's signal", async () => {
  const caller = new AbortController();
  const it = begin(caller.signal);
  caller.abort(new Error("enough"));
  await assert.rejects(it.result, { code: "aborted" });
  assert.equal(it.attempt.signal.aborted, true);
  assert.equal(it.isArmed(), false);
});

Deno.test("an attempt that is aborted beforehand is not begun", async () => {
  const { host } = oneTimer();
  const options = { host, address: "there:1", signal: AbortSignal.abort(), timeoutMs: 50 };
  await assert.rejects(attempt(options, () => assert.fail("begun")), { code: "aborted" });
});

Deno.test("a failure is unreachable unless it has a dialling code of its own", async () => {
  const refused = begin();
  refused.attempt.fail(new Error("connection refused"));
  await assert.rejects(refused.result, {
    code: "unreachable",
    message: /^there:1 cannot be reached: connection refused\. Check that/,
  });
  const invalid = begin();
  invalid.attempt.fail(new MycnetError("address_invalid", "no port"));
  await assert.rejects(invalid.result, { code: "address_invalid", message: "no port" });
  const { host } = oneTimer();
  const { signal } = new AbortController();
  await assert.rejects(
    attempt({ host, address: "there:1", signal, timeoutMs: 50 }, () => {
      throw new Error("at once");
    }),
    { code: "unreachable", message: /at once/ },
  );
});
