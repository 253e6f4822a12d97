import assert from "node:assert/strict";
import staticPlugin from "../../plugins/discovery/static.ts";
import adminPlugin from "../admin/mod.ts";
import { overlay } from "./overlay.ts";

const path = ["mycnet"];

Deno.test("what the command line says is laid over the plugins, under whatever names they are declared", () => {
  const entries = [
    { id: "endpoint", plugin: adminPlugin, config: { bindAddress: "h:1", insecure: true }, path },
    { id: "seeds", plugin: staticPlugin, config: { seeds: ["h:2", { address: "h:3" }] } },
  ];
  const before = structuredClone(entries.map(({ config }) => config));
  const changed = overlay({ adminAddress: "h:4", seeds: ["h:5"] })(entries);
  assert.deepEqual(changed.map(({ config }) => config), [
    { bindAddress: "h:4", insecure: true },
    { seeds: ["h:2", { address: "h:3" }, "h:5"] },
  ]);
  assert.deepEqual(changed.map(({ id, path }) => ({ id, path })), [
    { id: "endpoint", path },
    { id: "seeds", path: undefined },
  ]);
  assert.deepEqual(entries.map(({ config }) => config), before, "what was given stays as it was");
  assert.equal(overlay({})(entries), entries);
});

Deno.test("an option about a plugin that is switched off says so", () => {
  const off = (option: RegExp) => ({ code: "usage", message: option });
  assert.throws(() => overlay({ adminAddress: "h:1" })([]), off(/^--admin: .*"admin" off/));
  assert.throws(() => overlay({ seeds: ["h:1"] })([]), off(/^--seed: .*"static" off/));
});
