import assert from "node:assert/strict";
import { checkShape, defaultsFor, mergeConfig, type MycnetConfig } from "./declaration.ts";

Deno.test("node and profiles are merged key by key, plugins instance by instance", () => {
  const file: MycnetConfig = {
    node: { id: "a", rack: "r1", metadata: { from: "file", kept: "no" } },
    plugins: { static: { seeds: ["a:1"] }, tls: { bindAddress: "a:1" }, quic: false },
    profiles: {
      "sclerotia-hyphae": { encryption: "high" },
      "hyphae-hyphae": { compression: "low" },
    },
  };
  const program: MycnetConfig = {
    node: { rack: "r2", metadata: { from: "program" } },
    plugins: { static: { seeds: ["b:1"] }, tls: false, admin: {} },
    profiles: { "sclerotia-hyphae": { validation: "strict" } },
  };
  assert.deepEqual(mergeConfig(file, program), {
    node: { id: "a", rack: "r2", metadata: { from: "program" } },
    plugins: { static: { seeds: ["b:1"] }, tls: false, quic: false, admin: {} },
    profiles: {
      "sclerotia-hyphae": { validation: "strict" },
      "hyphae-hyphae": { compression: "low" },
    },
  });
});

Deno.test("what the program leaves undefined is what the file says", () => {
  const unset = undefined as unknown as string;
  const merged = mergeConfig(
    { node: { id: "a" }, plugins: { tls: { bindAddress: "a:1" } } },
    { node: { id: unset }, plugins: { tls: unset as unknown as boolean } },
  );
  assert.deepEqual(merged.node, { id: "a" });
  assert.deepEqual(merged.plugins, { tls: { bindAddress: "a:1" } });
});

Deno.test("merging changes neither of the two", () => {
  const under: MycnetConfig = Object.freeze({ node: Object.freeze({ id: "a" }) });
  const over: MycnetConfig = Object.freeze({ node: Object.freeze({ rack: "r" }) });
  assert.deepEqual(mergeConfig(under, over).node, { id: "a", rack: "r" });
  assert.deepEqual(under, { node: { id: "a" } });
});

Deno.test("a key that claims to be mycnet but has another shape is refused with the field", () => {
  const cases: [unknown, RegExp][] = [
    [[], /^here: must be an object$/],
    [null, /^here: must be an object$/],
    ["text", /^here: must be an object$/],
    [{ plugin: {} }, /^here: unknown key "plugin", did you mean "plugins"\?$/],
    [{ node: [] }, /^here\.node: must be an object$/],
    [{ plugins: "tls" }, /^here\.plugins: must be an object$/],
    [{ profiles: null }, /^here\.profiles: must be an object$/],
  ];
  for (const [value, message] of cases) {
    assert.throws(() => checkShape(value, "here"), { code: "config_invalid", message });
  }
  const whole = { node: {}, plugins: {}, profiles: {} };
  assert.equal(checkShape(whole, "here"), whole);
});

Deno.test("membership is a default where there are keys and a place to take links", () => {
  const gossips = (config: MycnetConfig) => {
    const on = ["sockets", "file", "swim"].filter((id) => id in defaultsFor(config));
    assert.ok(on.length === 0 || on.length === 3, `${on} without the rest`);
    return on.length === 3;
  };
  const cases: [MycnetConfig, boolean][] = [
    [{}, true],
    [{ node: { bindAddress: "127.0.0.1:7000" }, plugins: { tls: {}, identity: {} } }, true],
    [{ node: { bindAddress: false } }, false],
    [{ plugins: { tls: false } }, false],
    [{ plugins: { identity: { insecure: true } } }, false],
    [{ plugins: { swim: false } }, false],
    // Declared, it runs wherever it is.
    [{ plugins: { swim: {}, tls: false, identity: { insecure: true } } }, true],
    [{ node: { bindAddress: false }, plugins: { swim: { join: ["a:7946"] } } }, true],
  ];
  for (const [config, expected] of cases) {
    assert.equal(gossips(config), expected, JSON.stringify(config));
  }
});
