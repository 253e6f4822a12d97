import assert from "node:assert/strict";
import { Kernel } from "./kernel.ts";
import { fakeHost, thing, tracing } from "./fake_host_test.ts";

const [a, b] = [thing("a"), thing("b")];

/** A plugin that accepts a new note unless `declines` says otherwise, and what rests on it. */
function lab(declines: (note: string | undefined) => boolean = () => false) {
  const trace: string[] = [];
  const make = tracing(trace);
  let read: (() => string | undefined) | undefined;
  const plugin = make(a, {
    setup: (scope) => {
      read = () => scope.config.note;
      scope.onReconfigure((next) => {
        trace.push(`offer ${next.note}`);
        return !declines(next.note);
      });
    },
  });
  const rest = { id: "b", plugin: make(b, { needs: { a } }) };
  const host = fakeHost();
  const kernel = new Kernel(host);
  const apply = (note: string, ...more: Parameters<Kernel["apply"]>[0]) =>
    kernel.apply([{ id: "a", plugin, config: { note } }, rest, ...more]);
  return { trace, make, host, kernel, apply, note: () => read?.() };
}

Deno.test("a plugin that accepts its new configuration keeps running, and so does what rests on it", async () => {
  const { trace, kernel, apply, note } = lab();
  await apply("1");
  const report = await apply("2");
  assert.deepEqual(trace, ["+a", "+b", "offer 2"]);
  assert.equal(note(), "2");
  assert.deepEqual([report.kept, report.reconfigured], [["b"], ["a"]]);
  await apply("2");
  assert.deepEqual(trace, ["+a", "+b", "offer 2"]);
  await kernel.stop();
});

Deno.test("a plugin that declines is restarted with the new configuration", async () => {
  const { trace, kernel, apply, note } = lab(() => true);
  await apply("1");
  await apply("2");
  assert.deepEqual(trace, ["+a", "+b", "offer 2", "-b", "-a", "+a", "+b"]);
  assert.equal(note(), "2");
  await kernel.stop();
});

Deno.test("a plugin that throws at its new configuration is restarted, and that is logged", async () => {
  const { trace, host, kernel, apply } = lab(() => {
    throw new Error("cannot decide");
  });
  await apply("1");
  await apply("2");
  assert.deepEqual(trace, ["+a", "+b", "offer 2", "-b", "-a", "+a", "+b"]);
  assert.ok(host.lines.some(({ level, fields }) => level === "warn" && fields.plugin === "a"));
  await kernel.stop();
});

Deno.test("a configuration that does not parse is never offered", async () => {
  const { trace, kernel, apply } = lab();
  await apply("1");
  await assert.rejects(apply(7 as unknown as string), { code: "config_invalid" });
  assert.deepEqual(trace, ["+a", "+b"]);
  await kernel.stop();
});

Deno.test("when a start fails after a reconfiguration, the plugin is offered the old one back", async () => {
  const { trace, make, kernel, apply, note } = lab();
  await apply("1");
  const broken = make(thing("broken"), {
    setup: () => {
      throw new Error("no");
    },
  });
  await assert.rejects(apply("2", { id: "x", plugin: broken }), { code: "plugin_setup_failed" });
  assert.deepEqual(trace, ["+a", "+b", "offer 2", "+x", "-x", "offer 1"]);
  assert.equal(note(), "1");
  await kernel.stop();
});

Deno.test("a plugin that takes the new configuration but not the old one back is restarted with the old one", async () => {
  const { trace, make, kernel, apply, note } = lab((next) => next === "1");
  await apply("1");
  const broken = make(thing("broken"), { setup: () => Promise.reject(new Error("no")) });
  await assert.rejects(apply("2", { id: "x", plugin: broken }));
  assert.deepEqual(trace.slice(4), ["-x", "offer 1", "-b", "-a", "+a", "+b"]);
  assert.equal(note(), "1");
  await kernel.stop();
});
