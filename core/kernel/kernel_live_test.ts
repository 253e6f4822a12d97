import assert from "node:assert/strict";
import { live, slot } from "./plugin.ts";
import { Kernel } from "./kernel.ts";
import { codeOf } from "./errors.ts";
import { fakeHost, thing, tracing } from "./fake_host_test.ts";

const [transport, peers, relay] = [thing("transport"), thing("peers"), thing("relay")];
const routes = slot<string>("routes");

/** A plugin that takes whatever transports there are, and notes it. */
function consumer(trace: string[]) {
  return tracing(trace)(peers, {
    needs: { transports: live(transport) },
    setup: ({ needs }) =>
      void needs.transports.each((value, plugin) => {
        assert.equal(value.id, plugin);
        trace.push(`attach ${plugin}`);
        return {
          [Symbol.asyncDispose]: async () => {
            await Promise.resolve();
            trace.push(`detach ${plugin}`);
          },
        };
      }),
  });
}

Deno.test("a live need starts after its providers, and a provider's restart does not restart it", async () => {
  const trace: string[] = [];
  const kernel = new Kernel(fakeHost());
  const tcp = tracing(trace)(transport);
  const plugin = consumer(trace);
  await kernel.apply([{ id: "peers", plugin }, { id: "tcp", plugin: tcp }]);
  assert.deepEqual(trace, ["+tcp", "+peers", "attach tcp"]);
  trace.length = 0;
  await kernel.apply([
    { id: "peers", plugin },
    { id: "tcp", plugin: tcp, config: { note: "another port" } },
  ]);
  assert.deepEqual(trace, ["detach tcp", "-tcp", "+tcp", "attach tcp"]);
  trace.length = 0;
  await kernel.stop();
  // Consumers first again, although the provider started last.
  assert.deepEqual(trace, ["detach tcp", "-peers", "-tcp"]);
});

Deno.test("when a value leaves, its consumers' undo is awaited before its provider's signal aborts", async () => {
  const trace: string[] = [];
  const kernel = new Kernel(fakeHost());
  const gate = Promise.withResolvers<void>();
  const leaving = Promise.withResolvers<void>();
  const provider = tracing(trace)(transport, {
    setup: ({ signal }) => signal.addEventListener("abort", () => trace.push("abort")),
  });
  const reader = tracing(trace)(peers, {
    needs: { transports: live(transport) },
    setup: ({ needs }) =>
      void needs.transports.each(() => ({
        [Symbol.asyncDispose]: async () => {
          leaving.resolve();
          await gate.promise;
          trace.push(`let go, ${needs.transports.size} left`);
        },
      })),
  });
  await kernel.apply([{ id: "tcp", plugin: provider }, { id: "peers", plugin: reader }]);
  trace.length = 0;
  const applied = kernel.apply([{ id: "peers", plugin: reader }]);
  await leaving.promise;
  assert.deepEqual(trace, []);
  gate.resolve();
  await applied;
  assert.deepEqual(trace, ["let go, 0 left", "abort", "-tcp"]);
  await kernel.stop();
});

Deno.test("contributing needs no reader, and changing the reader restarts no contributor", async () => {
  const trace: string[] = [];
  const kernel = new Kernel(fakeHost());
  const admin = tracing(trace)(peers, {
    needs: { routes: live(routes) },
    setup: ({ needs }) => void needs.routes.each((route) => void trace.push(`mount ${route}`)),
  });
  const metrics = tracing(trace)(relay, {
    setup: ({ contribute }) => void contribute(routes, "/metrics"),
  });
  await kernel.apply([{ id: "metrics", plugin: metrics }]);
  await kernel.apply([{ id: "metrics", plugin: metrics }, { id: "admin", plugin: admin }]);
  await kernel.apply([
    { id: "metrics", plugin: metrics },
    { id: "admin", plugin: admin, config: { note: "another port" } },
  ]);
  assert.deepEqual(trace, [
    "+metrics",
    "+admin",
    "mount /metrics",
    "-admin",
    "+admin",
    "mount /metrics",
  ]);
  await kernel.stop();
});

Deno.test("a live need that would close a cycle gives way: the relay starts and arrives later", async () => {
  const trace: string[] = [];
  const kernel = new Kernel(fakeHost());
  const relayed = tracing(trace)(transport, { needs: { peers } });
  await kernel.apply([
    { id: "relay", plugin: relayed },
    { id: "tcp", plugin: tracing(trace)(transport) },
    { id: "peers", plugin: consumer(trace) },
  ]);
  assert.deepEqual(trace, ["+tcp", "+peers", "attach tcp", "+relay", "attach relay"]);
  trace.length = 0;
  await kernel.stop();
  assert.deepEqual(trace, ["detach relay", "-relay", "detach tcp", "-peers", "-tcp"]);
});

Deno.test("a contribution can be taken back while its plugin runs, and its removal is awaited once", async () => {
  const trace: string[] = [];
  const kernel = new Kernel(fakeHost());
  let undo: AsyncDisposable | undefined;
  const contributor = tracing([])(relay, {
    setup: ({ contribute }) => {
      contribute(routes, "/kept");
      undo = contribute(routes, "/taken");
    },
  });
  await kernel.apply([{ id: "r", plugin: contributor }]);
  const list = kernel.live(routes);
  await using _watch = list.each((route) => ({
    [Symbol.dispose]: () => void trace.push(`unmount ${route}`),
  }));
  assert.deepEqual([...list], ["/kept", "/taken"]);
  await undo?.[Symbol.asyncDispose]();
  await undo?.[Symbol.asyncDispose]();
  assert.deepEqual(list.entries(), [{ plugin: "r", value: "/kept" }]);
  assert.deepEqual(trace, ["unmount /taken"]);
  await kernel.stop();
  assert.deepEqual(trace, ["unmount /taken", "unmount /kept"]);
});

Deno.test("disposing a subscription undoes what it attached, once, and nothing arrives afterwards", async () => {
  const trace: string[] = [];
  const kernel = new Kernel(fakeHost());
  const tcp = { id: "tcp", plugin: tracing([])(transport) };
  await kernel.apply([tcp]);
  const subscription = kernel.live(transport).each((value) => {
    trace.push(`attach ${value.id}`);
    return { [Symbol.dispose]: () => void trace.push(`detach ${value.id}`) };
  });
  await subscription[Symbol.asyncDispose]();
  await subscription[Symbol.asyncDispose]();
  await kernel.apply([tcp, { id: "tls", plugin: tracing([])(transport) }]);
  await kernel.stop();
  assert.deepEqual(trace, ["attach tcp", "detach tcp"]);
});

Deno.test("disposing a subscription waits for an undo that is already under way", async () => {
  const kernel = new Kernel(fakeHost());
  const gate = Promise.withResolvers<void>();
  const leaving = Promise.withResolvers<void>();
  await kernel.apply([{ id: "tcp", plugin: tracing([])(transport) }]);
  const subscription = kernel.live(transport).each(() => ({
    [Symbol.asyncDispose]: () => {
      leaving.resolve();
      return gate.promise;
    },
  }));
  const emptied = kernel.apply([]);
  await leaving.promise;
  let disposed = false;
  const disposal = subscription[Symbol.asyncDispose]().then(() => disposed = true);
  await fakeHost().barrier();
  assert.equal(disposed, false);
  gate.resolve();
  await Promise.all([disposal, emptied]);
  await kernel.stop();
});

Deno.test("an attach that throws is logged with both names and harms neither", async () => {
  const host = fakeHost();
  const kernel = new Kernel(host);
  const reader = tracing([])(peers, {
    needs: { transports: live(transport) },
    setup: ({ needs }) =>
      void needs.transports.each(() => {
        throw new Error("cannot use it");
      }),
  });
  await kernel.apply([
    { id: "tcp", plugin: tracing([])(transport) },
    { id: "peers", plugin: reader },
  ]);
  const line = host.lines.find(({ level }) => level === "error");
  assert.equal(line?.fields.plugin, "peers");
  assert.equal(line?.fields.contributor, "tcp");
  assert.equal(line?.fields.error, "cannot use it");
  assert.equal(kernel.running().length, 2);
  await kernel.stop();
});

Deno.test("an undo that fails is reported at the stop that caused it, naming the consumer", async () => {
  const kernel = new Kernel(fakeHost());
  const reader = {
    id: "peers",
    plugin: tracing([])(peers, {
      needs: { transports: live(transport) },
      setup: ({ needs }) =>
        void needs.transports.each(() => ({
          [Symbol.asyncDispose]: () => Promise.reject(new Error("links are stuck")),
        })),
    }),
  };
  await kernel.apply([{ id: "tcp", plugin: tracing([])(transport) }, reader]);
  const report = await kernel.apply([reader]);
  assert.match(
    report.stopFailure?.message ?? "",
    /"tcp": "peers" failed to let go: links are stuck/,
  );
  await kernel.stop();
});

Deno.test("a consumer that has stopped hears nothing more, even if it did not own its subscription", async () => {
  const trace: string[] = [];
  const kernel = new Kernel(fakeHost());
  let late: (() => void) | undefined;
  const plugin = tracing([])(peers, {
    needs: { transports: live(transport) },
    setup: ({ needs }) => {
      needs.transports.each(({ id }) => void trace.push(id));
      late = () => void needs.transports.each(({ id }) => void trace.push(`late ${id}`));
    },
  });
  await kernel.apply([{ id: "peers", plugin }]);
  await kernel.apply([{ id: "tcp", plugin: tracing([])(transport) }]);
  assert.deepEqual(trace, []);
  assert.throws(() => late?.(), (error) => codeOf(error) === "scope_ended");
  assert.deepEqual(trace, []);
  await kernel.stop();
});
