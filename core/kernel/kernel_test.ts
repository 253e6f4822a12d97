import assert from "node:assert/strict";
import { maybe, type Plugin } from "./plugin.ts";
import { Kernel } from "./kernel.ts";
import { providePlugin } from "./define_plugin.ts";
import { fakeHost, type Thing, thing, tracing } from "./fake_host_test.ts";

const [a, b, c] = [thing("a"), thing("b"), thing("c")];

/** The fields of an error that the tests look at. */
const failure = (code: string, message: RegExp) => (error: Error & { code?: string }) => {
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

function chain() {
  const trace: string[] = [];
  const make = tracing(trace);
  const plugins = {
    a: make(a),
    b: make(b, { needs: { a } }),
    c: make(c, { needs: { b } }),
  };
  const kernel = new Kernel(fakeHost());
  return { trace, make, plugins, kernel };
}

Deno.test("providers start before consumers, whatever the order of the declaration, and stop after them", async () => {
  const { trace, plugins, kernel } = chain();
  const report = await kernel.apply([
    { id: "c", plugin: plugins.c },
    { id: "b", plugin: plugins.b },
    { id: "a", plugin: plugins.a },
  ]);
  assert.deepEqual(trace, ["+a", "+b", "+c"]);
  assert.deepEqual(report.started.map(({ id }) => id), ["a", "b", "c"]);
  assert.deepEqual(kernel.running().map(({ id, plugin, provides }) => [id, plugin, provides]), [
    ["a", "makes-a", "a"],
    ["b", "makes-b", "b"],
    ["c", "makes-c", "c"],
  ]);
  await kernel.stop();
  assert.deepEqual(trace.slice(3), ["-c", "-b", "-a"]);
  assert.deepEqual(kernel.running(), []);
});

Deno.test("a need is resolved to what the provider's setup returned", async () => {
  const { make, kernel } = chain();
  let seen: Thing | undefined;
  const consumer = make(b, { needs: { a }, setup: ({ needs }) => void (seen = needs.a) });
  await kernel.apply([{ id: "b", plugin: consumer }, { id: "first", plugin: make(a) }]);
  assert.deepEqual(seen, { id: "first" });
  assert.equal(kernel.get(a), seen);
  assert.throws(() => kernel.get(c), failure("plugin_missing", /"c"/));
  await kernel.stop();
});

Deno.test("what did not change keeps running", async () => {
  const { trace, plugins, kernel } = chain();
  await kernel.apply([{ id: "a", plugin: plugins.a }, { id: "b", plugin: plugins.b }]);
  const report = await kernel.apply([
    { id: "b", plugin: plugins.b },
    { id: "c", plugin: plugins.c },
    { id: "a", plugin: plugins.a, config: {} },
  ]);
  assert.deepEqual(trace, ["+a", "+b", "+c"]);
  assert.deepEqual(report.kept, ["a", "b"]);
  await kernel.stop();
});

Deno.test("a changed configuration restarts the plugin and what rests on it, and nothing else", async () => {
  const { trace, make, plugins, kernel } = chain();
  const other = { id: "other", plugin: make(thing("other")) };
  const rest = [{ id: "b", plugin: plugins.b }, { id: "c", plugin: plugins.c }, other];
  await kernel.apply([{ id: "a", plugin: plugins.a }, ...rest]);
  trace.length = 0;
  const report = await kernel.apply([
    { id: "a", plugin: plugins.a, config: { note: "x" } },
    ...rest,
  ]);
  assert.deepEqual(trace, ["-c", "-b", "-a", "+a", "+b", "+c"]);
  assert.deepEqual(report.kept, ["other"]);
  assert.deepEqual(report.stopped.map(({ id }) => id), ["c", "b", "a"]);
  await kernel.stop();
});

Deno.test("the order of keys in a configuration is no change, and an edited object is one", async () => {
  const { trace, make, kernel } = chain();
  const config: { note?: string } = { note: "1" };
  const plugin = make(a);
  await kernel.apply([{ id: "a", plugin, config }]);
  await kernel.apply([{ id: "a", plugin, config: { ...config } }]);
  assert.deepEqual(trace, ["+a"]);
  config.note = "2";
  await kernel.apply([{ id: "a", plugin, config }]);
  assert.deepEqual(trace, ["+a", "-a", "+a"]);
  await kernel.stop();
});

Deno.test("another plugin under the same id is a change, and so is another provider of a need", async () => {
  const { trace, make, plugins, kernel } = chain();
  await kernel.apply([{ id: "a", plugin: plugins.a }, { id: "b", plugin: plugins.b }]);
  trace.length = 0;
  await kernel.apply([{ id: "a", plugin: make(a) }, { id: "b", plugin: plugins.b }]);
  assert.deepEqual(trace, ["-b", "-a", "+a", "+b"]);
  trace.length = 0;
  await kernel.apply([{ id: "a2", plugin: plugins.a }, { id: "b", plugin: plugins.b }]);
  assert.deepEqual(trace, ["-b", "-a", "+a2", "+b"]);
  await kernel.stop();
});

Deno.test("one plugin may run twice", async () => {
  const { trace, plugins, kernel } = chain();
  await kernel.apply([{ id: "one", plugin: plugins.a }, { id: "two", plugin: plugins.a }]);
  assert.deepEqual(trace, ["+one", "+two"]);
  assert.throws(() => kernel.get(a), failure("plugin_ambiguous", /"one" and "two"/));
  await kernel.stop();
});

Deno.test("a maybe need is undefined without a provider, and the plugin restarts when one comes", async () => {
  const { make, plugins, kernel } = chain();
  const seen: (string | undefined)[] = [];
  const plugin = make(b, {
    needs: { a: maybe(a) },
    setup: ({ needs }) => void seen.push(needs.a?.id),
  });
  await kernel.apply([{ id: "b", plugin }]);
  await kernel.apply([{ id: "b", plugin }, { id: "a", plugin: plugins.a }]);
  await kernel.apply([{ id: "b", plugin }]);
  assert.deepEqual(seen, [undefined, "a", undefined]);
  await kernel.stop();
});

Deno.test("everything is validated before anything stops, and all issues are named at once", async () => {
  const { trace, plugins, kernel } = chain();
  await kernel.apply([{ id: "a", plugin: plugins.a }]);
  await assert.rejects(
    kernel.apply([
      { id: "a", plugin: plugins.a, config: { not: "x" } },
      { id: "b", plugin: plugins.b, config: { note: 7 }, path: ["mycnet", "plugins", "b"] },
      { id: "b", plugin: plugins.b },
    ]),
    failure(
      "config_invalid",
      /^a: unknown key "not", did you mean "note"\?\nmycnet\.plugins\.b\.note: .*string.*\nb: this instance id is declared twice$/,
    ),
  );
  const circular: { note?: unknown } = {};
  circular.note = circular;
  await assert.rejects(
    kernel.apply([{ id: "a", plugin: plugins.a, config: circular }]),
    failure("config_invalid", /^a: may be nested 64 deep/),
  );
  await assert.rejects(
    kernel.apply([{ id: "c", plugin: plugins.c }]),
    failure("plugin_missing", /"c" needs "b"/),
  );
  await assert.rejects(
    kernel.apply([{ id: "x", plugin: {} as Plugin<Thing> }]),
    failure("plugin_invalid", /"x"/),
  );
  assert.deepEqual(trace, ["+a"]);
  assert.deepEqual(kernel.running().map(({ id }) => id), ["a"]);
  await kernel.stop();
});

Deno.test("a setup that throws undoes what it owned and restores the previous declaration", async () => {
  const { trace, make, plugins, kernel } = chain();
  await kernel.apply([{ id: "a", plugin: plugins.a }, { id: "b", plugin: plugins.b }]);
  trace.length = 0;
  const busy = Object.assign(new Error("127.0.0.1:7000 is in use"), {
    remedy: "Choose another port.",
  });
  const broken = make(c, {
    needs: { a },
    setup: () => {
      throw busy;
    },
  });
  const failed = await kernel.apply([
    { id: "a", plugin: plugins.a, config: { note: "new" } },
    { id: "c", plugin: broken },
  ]).catch((error) => error);
  assert.equal(failed.code, "plugin_setup_failed");
  assert.equal(failed.message, `"c" failed to start: 127.0.0.1:7000 is in use`);
  assert.equal(failed.remedy, "Choose another port.");
  assert.equal(failed.cause, busy);
  assert.deepEqual(trace, ["-b", "-a", "+a", "+c", "-c", "-a", "+a", "+b"]);
  assert.deepEqual(kernel.running().map(({ id }) => id), ["a", "b"]);
  await kernel.stop();
});

Deno.test("a first boot that fails leaves nothing running", async () => {
  const { trace, make, plugins, kernel } = chain();
  const broken = make(b, { needs: { a }, setup: () => Promise.reject(new Error("no")) });
  await assert.rejects(
    kernel.apply([{ id: "b", plugin: broken }, { id: "a", plugin: plugins.a }]),
    failure("plugin_setup_failed", /"b" failed to start: no/),
  );
  assert.deepEqual(trace, ["+a", "+b", "-b", "-a"]);
  assert.deepEqual(kernel.running(), []);
  await kernel.stop();
});

Deno.test("when going back fails too, what can run does, the error says so, and the next apply mends it", async () => {
  const { make, plugins, kernel } = chain();
  let works = true;
  const fickle = make(b, {
    needs: { a },
    setup: () => {
      if (!works) throw new Error("disk is gone");
    },
  });
  const entries = [
    { id: "a", plugin: plugins.a },
    { id: "b", plugin: fickle },
    { id: "c", plugin: plugins.c },
  ];
  await kernel.apply(entries);
  works = false;
  await assert.rejects(
    kernel.apply([{ ...entries[0]!, config: { note: "new" } }, ...entries.slice(1)]),
    failure(
      "plugin_setup_failed",
      /^"b" failed to start: disk is gone; and going back failed too: "b" .*; "c" needs "b", which did not start$/,
    ),
  );
  assert.deepEqual(kernel.running().map(({ id }) => id), ["a"]);
  works = true;
  await kernel.apply(entries);
  assert.deepEqual(kernel.running().map(({ id }) => id), ["a", "b", "c"]);
  await kernel.stop();
});

Deno.test("applies run one at a time, in order, each seeing the declaration as it was when asked", async () => {
  const { trace, make, kernel } = chain();
  const gate = Promise.withResolvers<void>();
  const slow = make(a, { setup: () => gate.promise });
  const config = { note: "kept" };
  const first = kernel.apply([{ id: "slow", plugin: slow }]);
  const second = kernel.apply([{ id: "b", plugin: make(b), config }]);
  config.note = 7 as unknown as string;
  gate.resolve();
  await Promise.all([first, second]);
  assert.deepEqual(trace, ["+slow", "-slow", "+b"]);
  await kernel.stop();
});

Deno.test("more than sixteen waiting applies are refused", async () => {
  const { make, kernel } = chain();
  const gate = Promise.withResolvers<void>();
  const under = kernel.apply([{ id: "slow", plugin: make(a, { setup: () => gate.promise }) }]);
  await Promise.resolve(); // It is under way now, and waits no longer.
  const waiting = Array.from({ length: 16 }, () => kernel.apply([]));
  await assert.rejects(kernel.apply([]), failure("overloaded", /16/));
  gate.resolve();
  await Promise.all([under, ...waiting]);
  await kernel.stop();
});

Deno.test("the report says how long each start and stop took", async () => {
  const host = fakeHost();
  const kernel = new Kernel(host);
  const plugin = tracing([])(a, {
    setup: async ({ host, own }) => {
      own({ [Symbol.asyncDispose]: () => host.sleep(30) });
      await host.sleep(20);
    },
  });
  const booted = kernel.apply([{ id: "a", plugin }]);
  await host.advance(20);
  const report = await booted;
  assert.deepEqual(report.started, [{ id: "a", plugin: "makes-a", provides: "a", startMs: 20 }]);
  assert.equal(report.totalMs, 20);
  const emptied = kernel.apply([]);
  await host.advance(30);
  assert.deepEqual((await emptied).stopped, [{ id: "a", plugin: "makes-a", stopMs: 30 }]);
  await kernel.stop();
  assert.equal(host.timers, 0);
});

Deno.test("a plugin around a value provides that value and takes no configuration", async () => {
  const { kernel } = chain();
  const plugin = providePlugin("settings", a, { id: "mine" });
  await kernel.apply([{ id: "settings", plugin }]);
  assert.equal(kernel.get(a).id, "mine");
  await assert.rejects(
    kernel.apply([{ id: "settings", plugin, config: { x: 1 } }]),
    failure("config_invalid", /settings\.x: "settings" takes no configuration/),
  );
  await kernel.stop();
});
