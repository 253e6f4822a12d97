import assert from "node:assert/strict";
import { topic } from "./host.ts";
import type { LogFields } from "./host.ts";
import { createHost } from "./real_host.ts";

function hostAndLines() {
  const lines: [string, string, LogFields][] = [];
  const host = createHost({ log: (...line) => void lines.push(line) });
  return { host, lines };
}

Deno.test("a timer runs once and not before its time", async () => {
  const { host } = hostAndLines();
  const began = host.now();
  const ran = Promise.withResolvers<number>();
  host.after(5, () => ran.resolve(host.now()));
  const tookMs = await ran.promise - began;
  assert.ok(tookMs >= 5, `${tookMs} ms`);
});

Deno.test("a disposed timer does not run, and disposing it twice is harmless", async () => {
  const { host } = hostAndLines();
  let ran = false;
  const timer = host.after(1, () => ran = true);
  timer[Symbol.dispose]();
  timer[Symbol.dispose]();
  await host.sleep(3);
  assert.equal(ran, false);
});

Deno.test("a delay of months does not fire at once", async () => {
  const { host } = hostAndLines();
  let ran = false;
  using _timer = host.after(2 ** 33, () => ran = true);
  await host.sleep(3);
  assert.equal(ran, false);
});

Deno.test("a period repeats until disposed, and must be one that the platform can keep", async () => {
  const { host } = hostAndLines();
  const thrice = Promise.withResolvers<void>();
  let beats = 0;
  const timer = host.every(1, () => {
    if (++beats < 3) return;
    timer[Symbol.dispose]();
    thrice.resolve();
  });
  await thrice.promise;
  await host.sleep(4);
  assert.equal(beats, 3);
  for (const period of [0, -1, NaN, 2 ** 31]) {
    assert.throws(() => host.every(period, () => {}), RangeError);
  }
});

Deno.test("a timer that throws is logged", async () => {
  const { host, lines } = hostAndLines();
  host.after(0, () => {
    throw new Error("oops");
  });
  await host.sleep(2);
  const [level, message, fields] = lines[0]!;
  assert.deepEqual([level, message, fields.error], ["error", "A timer threw", "oops"]);
});

Deno.test("a sleep rejects with the reason of its signal, at once if that has aborted already", async () => {
  const { host } = hostAndLines();
  const abort = new AbortController();
  const sleeping = host.sleep(1e6, abort.signal);
  const reason = new Error("enough");
  abort.abort(reason);
  await assert.rejects(sleeping, reason);
  await assert.rejects(host.sleep(1e6, abort.signal), reason);
});

Deno.test("the barrier lets everything run that was due", async () => {
  const { host } = hostAndLines();
  const trace: string[] = [];
  queueMicrotask(() => trace.push("microtask"));
  Promise.resolve().then(() => {}).then(() => trace.push("promise"));
  await host.barrier();
  assert.deepEqual(trace, ["microtask", "promise"]);
});

Deno.test("random bytes fill more than one chunk, and ids are 32 hexadecimal digits", () => {
  const { host } = hostAndLines();
  const bytes = host.randomBytes(200_000);
  assert.equal(bytes.length, 200_000);
  assert.ok(bytes.subarray(190_000).some((byte) => byte !== 0));
  assert.match(host.id(), /^[0-9a-f]{32}$/);
  assert.notEqual(host.id(), host.id());
  const number = host.random();
  assert.ok(number >= 0 && number < 1);
});

Deno.test("wall time is the epoch's, monotonic time only grows", () => {
  const { host } = hostAndLines();
  assert.ok(host.wallTime() > 1.7e12);
  const before = host.now();
  assert.ok(host.now() >= before);
});

Deno.test("subscribers hear an event in the order in which they subscribed, until disposed", () => {
  const { host } = hostAndLines();
  const ticked = topic<number>("tests.ticked");
  const trace: string[] = [];
  using _first = host.on(ticked, (n) => void trace.push(`first ${n}`));
  {
    using _second = host.on(ticked, (n) => void trace.push(`second ${n}`));
    host.emit(ticked, 1);
  }
  host.emit(ticked, 2);
  assert.deepEqual(trace, ["first 1", "second 1", "first 2"]);
});

Deno.test("whoever subscribes during an event hears the next one, whoever leaves hears nothing more", () => {
  const { host } = hostAndLines();
  const ticked = topic<number>("tests.ticked");
  const trace: string[] = [];
  const subscriptions: Disposable[] = [];
  subscriptions.push(host.on(ticked, (n) => {
    if (n > 1) return;
    subscriptions.push(host.on(ticked, (n) => void trace.push(`late ${n}`)));
    subscriptions[1]?.[Symbol.dispose]();
  }));
  subscriptions.push(host.on(ticked, (n) => void trace.push(`gone ${n}`)));
  host.emit(ticked, 1);
  host.emit(ticked, 2);
  assert.deepEqual(trace, ["late 2"]);
});

Deno.test("a subscriber that throws or rejects is logged, and the others hear all the same", async () => {
  const { host, lines } = hostAndLines();
  const ticked = topic<number>("tests.ticked");
  const heard: number[] = [];
  host.on(ticked, () => {
    throw new Error("thrown");
  });
  host.on(ticked, () => Promise.reject(new Error("rejected")));
  host.on(ticked, (n) => void heard.push(n));
  host.emit(ticked, 7);
  await host.barrier();
  assert.deepEqual(heard, [7]);
  assert.deepEqual(
    lines.map(([level, message, { topic, error }]) => [level, message, topic, error]),
    [
      ["error", "A subscriber threw", "tests.ticked", "thrown"],
      ["error", "A subscriber threw", "tests.ticked", "rejected"],
    ],
  );
});

Deno.test("a logger adds its fields to each line, and a sink that throws harms nobody", () => {
  const { host, lines } = hostAndLines();
  host.log.with({ plugin: "tls", port: 1 }).with({ port: 2 }).warn("Certificate expires", {
    days: 3,
  });
  assert.deepEqual(lines, [["warn", "Certificate expires", { plugin: "tls", port: 2, days: 3 }]]);
  const broken = createHost({
    log: () => {
      throw new Error("disk full");
    },
  });
  assert.doesNotThrow(() => broken.log.error("Unheard"));
});

Deno.test("unless told otherwise, warnings and errors go to standard error, one line each, and nothing else does", () => {
  const printed: string[] = [];
  const { error } = console;
  console.error = (line: string) => void printed.push(line);
  try {
    const { log } = createHost();
    log.debug("Quiet");
    log.info("Quiet too");
    log.with({ plugin: "tls" }).warn("Certificate expires", { days: 3, names: ["a"] });
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    log.error("Broken", { circular, big: 1n, stack: "at x.ts:1" });
  } finally {
    console.error = error;
  }
  assert.deepEqual(printed, [
    `WARN Certificate expires plugin=tls days=3 names=["a"]`,
    "ERROR Broken circular=[object Object] big=1\nat x.ts:1",
  ]);
});
