import assert from "node:assert/strict";
import { Kernel } from "./kernel.ts";
import { codeOf } from "./errors.ts";
import { fakeHost, thing, tracing } from "./fake_host_test.ts";

const [a, b, c] = [thing("a"), thing("b"), thing("c")];

const failing = (message: string): Disposable => ({
  [Symbol.dispose]: () => {
    throw new Error(message);
  },
});

Deno.test("several failing stops are collected in one error, and everything else is stopped", async () => {
  const trace: string[] = [];
  const make = tracing(trace);
  const host = fakeHost();
  const kernel = new Kernel(host);
  await kernel.apply([
    { id: "a", plugin: make(a, { setup: ({ own }) => void own(failing("a is stuck")) }) },
    { id: "b", plugin: make(b, { needs: { a } }) },
    { id: "c", plugin: make(c, { setup: ({ own }) => void own(failing("c is stuck")) }) },
  ]);
  const error = await kernel.stop().catch((error) => error);
  assert.equal(error.code, "plugin_stop_failed");
  assert.equal(error.message, `Failed to stop: "c": c is stuck; "a": a is stuck`);
  assert.equal(error.cause.errors.length, 2);
  assert.deepEqual(trace, ["+a", "+b", "+c", "-c", "-b", "-a"]);
  assert.deepEqual(
    host.lines.filter(({ level }) => level === "error").map(({ fields }) => fields.plugin),
    ["c", "a"],
  );
});

Deno.test("a failing stop does not keep the next declaration from running, and stands in the report", async () => {
  const make = tracing([]);
  const kernel = new Kernel(fakeHost());
  const plugin = make(a, { setup: ({ own }) => void own(failing("stuck")) });
  await kernel.apply([{ id: "a", plugin }]);
  const report = await kernel.apply([{ id: "b", plugin: make(b) }]);
  assert.equal(report.stopFailure?.code, "plugin_stop_failed");
  assert.match(report.stopFailure?.message ?? "", /"a": stuck/);
  assert.deepEqual(kernel.running().map(({ id }) => id), ["b"]);
  await kernel.stop();
});

Deno.test("a stop that hangs is given up at its time limit and the others stop", async () => {
  const trace: string[] = [];
  const make = tracing(trace);
  const host = fakeHost();
  const kernel = new Kernel(host, { stopTimeoutMs: 100 });
  const gate = Promise.withResolvers<void>();
  const stuck = make(b, {
    needs: { a },
    setup: ({ own }) => void own({ [Symbol.asyncDispose]: () => gate.promise }),
  });
  await kernel.apply([{ id: "a", plugin: make(a) }, { id: "b", plugin: stuck }]);
  const stopped = kernel.stop().catch((error) => error);
  await host.advance(100);
  const error = await stopped;
  assert.equal(error.code, "plugin_stop_failed");
  assert.match(error.message, /"b": took more than 100 ms to undo what it owns/);
  assert.deepEqual(trace, ["+a", "+b", "-a"]);
  gate.reject(new Error("and then it failed"));
  await host.barrier();
  assert.equal(host.lines.at(-1)?.message, "A stop that took too long failed in the end");
  assert.equal(host.timers, 0);
});

Deno.test("stopping interrupts a setup under way, refuses what waits, and is final", async () => {
  const trace: string[] = [];
  const make = tracing(trace);
  const host = fakeHost();
  const kernel = new Kernel(host);
  const begun = Promise.withResolvers<void>();
  const hangs = make(b, {
    needs: { a },
    setup: ({ host, signal }) => {
      begun.resolve();
      return host.sleep(1e9, signal);
    },
  });
  const first = kernel.apply([{ id: "a", plugin: make(a) }, { id: "b", plugin: hangs }]);
  const second = kernel.apply([{ id: "c", plugin: make(c) }]);
  await begun.promise;
  const stopped = kernel.stop();
  assert.equal(kernel.stop(), stopped);
  const codes = await Promise.all(
    [first, second, kernel.apply([])].map((it) => it.then(() => "ran", codeOf)),
  );
  await stopped;
  assert.deepEqual(codes, ["closed", "closed", "closed"]);
  assert.deepEqual(trace, ["+a", "+b", "-b", "-a"]);
  assert.equal(host.timers, 0);
});

Deno.test("a kernel is stopped at the end of its block", async () => {
  const trace: string[] = [];
  {
    await using kernel = new Kernel(fakeHost());
    await kernel.apply([{ id: "a", plugin: tracing(trace)(a) }]);
  }
  assert.deepEqual(trace, ["+a", "-a"]);
});

Deno.test("a plugin that stops is told whether everything does, or a reload restarts it", async () => {
  const ends: boolean[] = [];
  const make = tracing([]);
  const plugin = make(a, {
    setup: ({ own, closing }) => {
      own({ [Symbol.dispose]: () => void ends.push(closing.aborted) });
    },
  });
  const kernel = new Kernel(fakeHost());
  await kernel.apply([{ id: "a", plugin }]);
  await kernel.apply([]);
  await kernel.apply([{ id: "a", plugin }]);
  await kernel.stop();
  assert.deepEqual(ends, [false, true]);
});
