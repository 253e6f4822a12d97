import assert from "node:assert/strict";
import { z } from "zod";
import { capability } from "./plugin.ts";
import { definePlugin } from "./define_plugin.ts";
import { declaredPermissions, formatPermissionSet, mergePermissions } from "./permissions.ts";

const listener = definePlugin({
  name: "listener",
  summary: "Listens.",
  provides: capability<void>("listener"),
  needs: {},
  config: z.strictObject({ port: z.number() }),
  permissions: ({ port }) => ({ net: [`0.0.0.0:${port}`], read: ["./certs"] }),
  setup: () => {},
});

Deno.test("permissions add up, sorted and without repeats, and anything swallows every list", () => {
  assert.deepEqual(
    mergePermissions([
      { net: ["b:1", "a:1"], env: ["HOME"] },
      { net: ["a:1"], read: true, env: [] },
      { read: ["./certs"], write: [] },
    ]),
    { net: ["a:1", "b:1"], read: true, env: ["HOME"] },
  );
  assert.deepEqual(mergePermissions([]), {});
});

Deno.test("a declaration's permissions follow from its parsed configurations", () => {
  assert.deepEqual(
    declaredPermissions([
      { id: "one", plugin: listener, config: { port: 7000 } },
      { id: "two", plugin: listener, config: { port: 7001 } },
    ]),
    { net: ["0.0.0.0:7000", "0.0.0.0:7001"], read: ["./certs"] },
  );
  assert.throws(() => declaredPermissions([{ id: "one", plugin: listener }]), {
    code: "config_invalid",
  });
});

Deno.test("the permission set is printed as deno.json wants it", () => {
  assert.deepEqual(JSON.parse(formatPermissionSet("node", { net: ["b:1", "a:1"], sys: true })), {
    permissions: { node: { net: ["a:1", "b:1"], sys: true } },
  });
});
