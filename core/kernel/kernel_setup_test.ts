import assert from "node:assert/strict";
import { type Needs, type Scope, slot } from "./plugin.ts";
import { Kernel } from "./kernel.ts";
import { codeOf } from "./errors.ts";
import { fakeHost, thing, type ThingConfig, tracing } from "./fake_host_test.ts";

const [a, b] = [thing("a"), thing("b")];
type AnyScope = Scope<ThingConfig, Needs>;

/** A plugin whose setup hangs until the test lets it go on, and then does `then`. */
function hanging(trace: string[], then: (scope: AnyScope) => void) {
  const gate = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<unknown>();
  const plugin = tracing(trace)(b, {
    setup: async (scope) => {
      await gate.promise;
      try {
        then(scope as AnyScope);
        ended.resolve(undefined);
      } catch (error) {
        ended.resolve(error);
        throw error;
      }
    },
  });
  return { plugin, goOn: gate.resolve, ended: ended.promise };
}

Deno.test("a setup that hangs fails at its time limit, named, and the previous declaration is restored", async () => {
  const host = fakeHost();
  const trace: string[] = [];
  const kernel = new Kernel(host, { setupTimeoutMs: 500 });
  const previous = [{ id: "a", plugin: tracing(trace)(a) }];
  await kernel.apply(previous);
  const { plugin, goOn, ended } = hanging(trace, () => {});
  const applied = kernel.apply([{ id: "stuck", plugin }]).catch((error) => error);
  await host.advance(499);
  assert.deepEqual(kernel.running(), []);
  await host.advance(1);
  const error = await applied;
  assert.equal(error.code, "plugin_setup_timeout");
  assert.match(error.message, /"stuck" did not start within 500 ms/);
  assert.deepEqual(trace, ["+a", "-a", "+stuck", "-stuck", "+a"]);
  assert.deepEqual(kernel.running().map(({ id }) => id), ["a"]);
  goOn();
  await ended;
  await host.barrier();
  assert.deepEqual(
    host.lines.filter(({ fields }) => fields.plugin === "stuck").map(({ message }) => message),
    ["A plugin's set-up was abandoned", "An abandoned set-up finished after all"],
  );
  await kernel.stop();
  assert.equal(host.timers, 0);
});

Deno.test("the time limit is thirty seconds unless told otherwise", async () => {
  const host = fakeHost();
  const kernel = new Kernel(host);
  const { plugin, goOn } = hanging([], () => {});
  let over = false;
  const applied = kernel.apply([{ id: "b", plugin }]).catch((error) => {
    over = true;
    return error;
  });
  await host.advance(29_999);
  assert.equal(over, false);
  await host.advance(1);
  assert.equal((await applied).code, "plugin_setup_timeout");
  goOn();
  await kernel.stop();
});

Deno.test("what an abandoned setup owns late is disposed of at once, and owning it throws", async () => {
  const host = fakeHost();
  const trace: string[] = [];
  const kernel = new Kernel(host, { setupTimeoutMs: 10 });
  const { plugin, goOn, ended } = hanging(trace, (scope) => {
    assert.equal(scope.signal.aborted, true);
    assert.equal(codeOf(scope.signal.reason), "scope_ended");
    scope.own({ [Symbol.asyncDispose]: () => Promise.resolve(void trace.push("late socket")) });
  });
  const applied = kernel.apply([{ id: "b", plugin }]).catch((error) => error);
  await host.advance(10);
  await applied;
  goOn();
  assert.equal(codeOf(await ended), "scope_ended");
  assert.deepEqual(trace, ["+b", "-b", "late socket"]);
  await kernel.stop();
});

Deno.test("contributing from an ended scope throws and nobody sees the value", async () => {
  const host = fakeHost();
  const kernel = new Kernel(host, { setupTimeoutMs: 10 });
  const routes = slot<string>("routes");
  const { plugin, goOn, ended } = hanging([], (scope) => void scope.contribute(routes, "/late"));
  const applied = kernel.apply([{ id: "b", plugin }]).catch((error) => error);
  await host.advance(10);
  await applied;
  goOn();
  assert.equal(codeOf(await ended), "scope_ended");
  assert.equal(kernel.live(routes).size, 0);
  await kernel.stop();
});

Deno.test("what is contributed during a setup is seen only once it has succeeded", async () => {
  const host = fakeHost();
  const kernel = new Kernel(host);
  const routes = slot<string>("routes");
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const good = tracing([])(a, {
    setup: async ({ contribute }) => {
      contribute(routes, "/a");
      await using _taken = contribute(routes, "/taken back");
      begun.resolve();
      await gate.promise;
    },
  });
  const bad = tracing([])(b, {
    setup: ({ contribute }) => {
      contribute(routes, "/b");
      throw new Error("after all not");
    },
  });
  const applied = kernel.apply([{ id: "a", plugin: good }]);
  await begun.promise;
  assert.deepEqual([...kernel.live(routes)], []);
  gate.resolve();
  await applied;
  assert.deepEqual([...kernel.live(routes)], ["/a"]);
  const seen: string[] = [];
  await using _watch = kernel.live(routes).each((route) => void seen.push(route));
  await assert.rejects(kernel.apply([{ id: "a", plugin: good }, { id: "b", plugin: bad }]));
  assert.deepEqual(seen, ["/a"]);
  await kernel.stop();
});

Deno.test("owned resources are undone in reverse order, after the signal aborted, even if one fails", async () => {
  const trace: string[] = [];
  const kernel = new Kernel(fakeHost());
  const plugin = tracing([])(a, {
    setup: ({ own, signal }) => {
      signal.addEventListener("abort", () => trace.push("abort"));
      own({ [Symbol.dispose]: () => void trace.push("first") });
      own({ [Symbol.asyncDispose]: () => Promise.reject(new Error("second fails")) });
      own({ [Symbol.dispose]: () => void trace.push("third") });
      assert.throws(() => own({} as Disposable), TypeError);
    },
  });
  await kernel.apply([{ id: "a", plugin }]);
  await assert.rejects(kernel.stop(), { code: "plugin_stop_failed" });
  assert.deepEqual(trace, ["abort", "third", "first"]);
});

Deno.test("a plugin's log lines name it", async () => {
  const host = fakeHost();
  const kernel = new Kernel(host);
  const plugin = tracing([])(a, { setup: ({ host }) => host.log.info("Hello", { n: 1 }) });
  await kernel.apply([{ id: "greeter", plugin }]);
  assert.deepEqual(host.lines.find(({ message }) => message === "Hello"), {
    level: "info",
    message: "Hello",
    fields: { plugin: "greeter", n: 1 },
  });
  await kernel.stop();
});
