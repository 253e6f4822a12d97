import assert from "node:assert/strict";
import { capability, type Plugin } from "./plugin.ts";
import { mergeDeclarations, resolveDeclaration } from "./declaration.ts";
import { providePlugin } from "./define_plugin.ts";
import { importModule } from "./import_module.ts";

const plugin = (name: string): Plugin<void> =>
  providePlugin<void>(name, capability<void>(name), undefined);
const tcp = plugin("tcp");
const tls = plugin("tls");
const mine = plugin("mine");
const builtIns = {
  tcp: () => Promise.resolve({ default: tcp }),
  tls: () => Promise.resolve({ default: tls }),
};

function lab(modules: Readonly<Record<string, unknown>> = {}) {
  const loaded: string[] = [];
  const resolve = (declaration: unknown, base: string | URL = "/etc/my net") =>
    resolveDeclaration(declaration, {
      builtIns,
      values: { mine },
      base,
      load: (specifier) => {
        loaded.push(specifier);
        return specifier in modules
          ? Promise.resolve(modules[specifier])
          : Promise.reject(new Error(`Module not found "${specifier}"`));
      },
    });
  return { resolve, loaded };
}

Deno.test("a built-in is declared by its name, the value being its configuration", async () => {
  const { resolve } = lab();
  assert.deepEqual(await resolve({ tls: { port: 1 }, tcp: true }), [
    { id: "tls", plugin: tls, config: { port: 1 }, path: ["mycnet", "plugins", "tls"] },
    { id: "tcp", plugin: tcp, config: {}, path: ["mycnet", "plugins", "tcp"] },
  ]);
});

Deno.test("use makes another instance, and its configuration stands under config", async () => {
  const { resolve } = lab();
  assert.deepEqual(
    await resolve({ lan: { use: "tcp", config: { port: 1 } }, wan: { use: "tcp" } }),
    [
      { id: "lan", plugin: tcp, config: { port: 1 }, path: ["mycnet", "plugins", "lan", "config"] },
      { id: "wan", plugin: tcp, config: {}, path: ["mycnet", "plugins", "wan", "config"] },
    ],
  );
});

Deno.test("false switches off, also what a default declares", async () => {
  const { resolve } = lab();
  const merged = mergeDeclarations({ tls: { port: 1 }, tcp: {} }, undefined, { tls: false });
  assert.deepEqual((await resolve(merged)).map(({ id }) => id), ["tcp"]);
});

Deno.test("a later declaration replaces a whole instance, not parts of it", () => {
  assert.deepEqual(
    mergeDeclarations({ tls: { port: 1, host: "a" }, tcp: {} }, { tls: { port: 2 } }),
    { tls: { port: 2 }, tcp: {} },
  );
});

Deno.test("a path is relative to the configuration's folder, a specifier is taken as it is", async () => {
  const module = { default: mine };
  const expected = [
    "file:///etc/my%20net/balancers/mine.ts",
    "file:///etc/up.ts",
    "file:///opt/abs.ts",
    "npm:some-plugin@1",
    "jsr:@some/plugin@1",
    "file:///srv/x.ts",
  ];
  const { resolve, loaded } = lab(Object.fromEntries(expected.map((it) => [it, module])));
  const entries = await resolve({
    a: { use: "./balancers/mine.ts" },
    b: { use: "../up.ts" },
    c: { use: "/opt/abs.ts" },
    d: { use: "npm:some-plugin@1" },
    e: { use: "jsr:@some/plugin@1" },
    f: { use: "file:///srv/x.ts" },
  });
  assert.deepEqual(loaded, expected);
  assert.ok(entries.every((entry) => entry.plugin === mine));
});

Deno.test("the folder may be a URL, with or without a slash at its end, or a Windows path", async () => {
  const bases: [string | URL, string][] = [
    ["file:///etc/net", "file:///etc/net/p.ts"],
    [new URL("file:///etc/net/"), "file:///etc/net/p.ts"],
    ["/", "file:///p.ts"],
    ["/a#b", "file:///a%23b/p.ts"],
    ["C:\\nodes\\one", "file:///C:/nodes/one/p.ts"],
  ];
  for (const [base, specifier] of bases) {
    const { resolve, loaded } = lab({ [specifier]: { default: mine } });
    await resolve({ p: { use: "./p.ts" } }, base);
    assert.deepEqual(loaded, [specifier]);
  }
});

Deno.test("plugins passed by value are found by name, by use, or stand there themselves", async () => {
  const { resolve } = lab();
  const entries = await resolve({
    mine: { a: 1 },
    second: { use: mine, config: { a: 2 } },
    third: mine,
  });
  assert.deepEqual(entries.map(({ id, plugin, config }) => [id, plugin === mine, config]), [
    ["mine", true, { a: 1 }],
    ["second", true, { a: 2 }],
    ["third", true, {}],
  ]);
});

Deno.test("an unknown name is an error that names the field and the nearest known one", async () => {
  const { resolve } = lab();
  await assert.rejects(resolve({ tlss: {} }), {
    code: "plugin_unknown",
    message: `mycnet.plugins.tlss: there is no plugin "tlss", did you mean "tls"?`,
  });
  await assert.rejects(resolve({ lan: { use: "tpc" } }), {
    code: "plugin_unknown",
    message: `mycnet.plugins.lan.use: there is no plugin "tpc", did you mean "tcp"?`,
  });
  await assert.rejects(resolve({ constructor: {} }), { code: "plugin_unknown" });
});

Deno.test("a module that does not load, or is no plugin, is an error that names it", async () => {
  const { resolve } = lab({ "npm:other": { default: {} }, "npm:none": null });
  await assert.rejects(resolve({ a: { use: "./gone.ts" } }), {
    code: "plugin_unknown",
    message:
      `mycnet.plugins.a.use: cannot load "./gone.ts": Module not found "file:///etc/my%20net/gone.ts"`,
  });
  for (const use of ["npm:other", "npm:none"]) {
    await assert.rejects(resolve({ a: { use } }), {
      code: "plugin_invalid",
      message: `mycnet.plugins.a.use: the default export of "${use}" is not a plugin`,
    });
  }
});

Deno.test("a declaration of the wrong shape says which field and what would be right", async () => {
  const { resolve } = lab();
  const wrong: [unknown, RegExp][] = [
    [[], /^mycnet\.plugins: must be an object of plugins$/],
    [{ tls: 3 }, /^mycnet\.plugins\.tls: must be an object, true or false$/],
    [{ tls: null }, /^mycnet\.plugins\.tls: must be an object, true or false$/],
    [{ lan: { use: 3 } }, /^mycnet\.plugins\.lan\.use: must name a plugin/],
    [{ lan: { use: "tcp", port: 1 } }, /lan: unknown key "port"; known are "use", "config"/],
    [{ lan: { use: "tcp", conf: {} } }, /lan: unknown key "conf", did you mean "config"\?/],
    [{ "no good": {} }, /^mycnet\.plugins\.no good: an instance id has/],
    [{ ["__proto__"]: {} }, /an instance id has/],
    [Object.fromEntries(Array.from({ length: 257 }, (_, at) => [`p${at}`, {}])), /at most 256/],
  ];
  for (const [declaration, message] of wrong) {
    await assert.rejects(resolve(declaration), { code: "config_invalid", message });
  }
});

Deno.test("all that is wrong is said at once", async () => {
  const { resolve } = lab();
  const error = await resolve({ tlss: {}, tcp: 3, tls: {} }).catch((error) => error);
  assert.equal(error.code, "plugin_unknown");
  assert.equal(error.message.split("\n").length, 2);
  assert.equal(error.cause.errors.length, 2);
});

Deno.test("a module beside the configuration is imported for real", async () => {
  const file = new URL("./import_module.ts", import.meta.url);
  const module = await importModule(file.href) as { importModule?: unknown };
  assert.equal(module.importModule, importModule);
});
