// Each rule of the house is shown a violation, planted in memory, and must see
// it; and its nearest innocent neighbour, which it must leave alone.
import assert from "node:assert/strict";
import { checkCycles, checkFloors, type Member } from "./floors.ts";
import house from "./house.ts";
import { scan } from "./scan.ts";
import {
  checkHeaders,
  checkIgnores,
  checkLength,
  checkLock,
  checkTestNames,
  checkWords,
  maxLines,
} from "./text.ts";
import { type SourceFile } from "./tree.ts";

const members: Member[] = [
  { name: "@mycnet/runtime", folder: "", exports: { ".": "./mod.ts" } },
  { name: "@mycnet/protocols", folder: "protocols/", exports: { "./frame": "./frame/mod.ts" } },
];
const packages = new Set(["zod", "hono", "fast-check", "@msgpack/msgpack"]);

/** Files to plant: paths to texts. */
type Planted = Readonly<Record<string, string>>;
const plant = (files: Planted): SourceFile[] =>
  Object.entries(files).map(([path, text]) => ({ path, text }));

const floorsOf = (files: Planted) =>
  checkFloors(plant(files).map(scan), members, packages).map((it) => it.message);
const cyclesOf = (files: Planted) =>
  checkCycles(plant(files).map(scan), members).map((it) => it.message);
const lint = (path: string, text: string) =>
  Deno.lint.runPlugin(house, path, text).map((it) => `${it.id}: ${it.message}`);

function sees(found: readonly string[], ...expected: RegExp[]) {
  assert.equal(found.length, expected.length, `found: ${found.join(" | ") || "nothing"}`);
  expected.forEach((pattern, at) => assert.match(found[at], pattern));
}

const empty = { "protocols/frame/mod.ts": "", "core/kernel/plugin.ts": "", "plugins/a/x.ts": "" };

Deno.test("the scanner sees every way to import", () => {
  const { imports, hasDefaultExport } = scan({
    path: "core/node/a.ts",
    text: [
      'import a, { b } from "./1.ts";',
      'import type { C } from "./2.ts";',
      'import { type D } from "./3.ts";',
      'import "./4.ts";',
      'export * from "./5.ts";',
      'export { e } from "./6.ts";',
      'export type { F } from "./7.ts";',
      'const g = await import("./8.ts");',
      "const h = await import(g.name);",
      'type I = import("./9.ts").I;',
      'const text = `import "./no.ts"`; // import "./no.ts"',
      "export default g;",
    ].join("\n"),
  });
  assert.ok(hasDefaultExport);
  assert.deepEqual(
    imports.map(({ specifier, line, typeOnly, dynamic }) => [specifier, line, typeOnly, dynamic]),
    [
      ["./1.ts", 1, false, false],
      ["./2.ts", 2, true, false],
      ["./3.ts", 3, true, false],
      ["./4.ts", 4, false, false],
      ["./5.ts", 5, false, false],
      ["./6.ts", 6, false, false],
      ["./7.ts", 7, true, false],
      ["./8.ts", 8, false, true],
      [undefined, 9, false, true],
      ["./9.ts", 10, true, false],
    ],
  );
});

Deno.test("a floor may import floors below and its own, and not the one above", () => {
  const up = 'import "../../plugins/a/x.ts";';
  sees(floorsOf({ ...empty, "core/node/a.ts": up }), /from the floor above/);
  sees(
    floorsOf({ ...empty, "core/node/a.ts": 'await import("../../plugins/a/x.ts");' }),
    /from the floor above/,
  );
  sees(
    floorsOf({ ...empty, "core/kernel/a.ts": 'import "../node/b.ts";', "core/node/b.ts": "" }),
    /from the floor above/,
  );
  sees(floorsOf({ "mod.ts": "", "plugins/a/x.ts": 'import "../../mod.ts";' }), /floor above/);
  sees(floorsOf({ "mod.ts": "", "plugins/a/x.ts": 'import "@mycnet/runtime";' }), /floor above/);
  sees(floorsOf({
    ...empty,
    "core/node/a.ts": 'import "../kernel/plugin.ts"; import "@mycnet/protocols/frame";',
    "mod.ts": 'await import("./plugins/a/x.ts");',
  }));
});

Deno.test("the kernel imports zod and nothing else", () => {
  sees(floorsOf({ "core/kernel/a.ts": 'import "hono";' }), /core\/kernel may import zod/);
  sees(floorsOf({ "core/kernel/a.ts": 'import "node:fs";' }), /core\/kernel may import zod/);
  sees(
    floorsOf({ ...empty, "core/kernel/a.ts": 'import type { F } from "@mycnet/protocols/frame";' }),
    /knows no protocol/,
  );
  sees(floorsOf({ "core/kernel/a.ts": 'import "zod";' }));
});

Deno.test("contracts take tokens of the kernel and types of protocols", () => {
  const contract = (text: string) =>
    floorsOf({ ...empty, "core/kernel/kernel.ts": "", "core/contracts/a.ts": text });
  sees(contract('import { f } from "@mycnet/protocols/frame";'), /import type/);
  sees(contract('import { K } from "../kernel/kernel.ts";'), /no machinery/);
  sees(contract('import "zod";'), /may import no package/);
  sees(contract(
    'import { c } from "../kernel/plugin.ts"; import type { F } from "@mycnet/protocols/frame";',
  ));
});

Deno.test("plugins do not import each other, and share only within their kind", () => {
  const sideways = (text: string) =>
    floorsOf({
      "plugins/a/x.ts": text,
      "plugins/a/y.ts": "export default 1;",
      "plugins/a/shared.ts": "",
      "plugins/b/z.ts": "",
    });
  sees(sideways('import "./y.ts";'), /imports the plugin "plugins\/a\/y.ts"/);
  sees(sideways('import "../b/z.ts";'), /imports the plugin "plugins\/b\/z.ts"/);
  sees(sideways('import "./shared.ts";'));
});

Deno.test("protocols/ stands alone, its tests too", () => {
  const protocols = (path: string, text: string) => floorsOf({ ...empty, [path]: text });
  sees(
    protocols("protocols/x/a.ts", 'import "../../core/kernel/plugin.ts";'),
    /published alone/,
  );
  sees(protocols("protocols/x/a.ts", 'import "zod";'), /may import @msgpack\/msgpack/);
  sees(protocols("protocols/x/a.ts", 'import "node:fs";'), /may import @msgpack\/msgpack/);
  sees(protocols("protocols/x/a_test.ts", 'import "../../core/kernel/plugin.ts";'), /alone/);
  sees(protocols("protocols/x/a_test.ts", 'import "hono";'), /is a test of protocols/);
  sees(protocols("protocols/x/a_test.ts", 'import "fast-check"; import "node:assert/strict";'));
  sees(
    protocols("core/node/a.ts", 'import "../../protocols/frame/mod.ts";'),
    /by path: import it as @mycnet\/protocols/,
  );
});

Deno.test("a package is imported by a name that deno.json maps", () => {
  sees(floorsOf({ "mod.ts": 'import "npm:zod@4.6.7";' }), /by address/);
  sees(floorsOf({ "mod.ts": 'import "left-pad";' }), /does not map/);
  sees(floorsOf({ "mod.ts": 'import "@mycnet/protocols/nothing";' }), /does not export/);
  sees(floorsOf({ "mod.ts": 'import "./nowhere.ts";' }), /no such file/);
  sees(floorsOf({ "mod.ts": 'import "hono/jsx";' }));
});

Deno.test("a file belongs on a floor, and does not lean on tests", () => {
  sees(
    floorsOf({ ...empty, "stray/a.ts": 'import "../core/kernel/plugin.ts";' }),
    /stands on no floor/,
  );
  sees(
    floorsOf({ "core/node/a.ts": 'import "./b_test.ts";', "core/node/b_test.ts": "" }),
    /imports the test file/,
  );
});

Deno.test("a circle of imports is seen, and told with its way round", () => {
  sees(
    cyclesOf({
      "a.ts": 'import "./b.ts";',
      "b.ts": 'import type { X } from "./c.ts";',
      "c.ts": 'export * from "./a.ts";',
    }),
    /a\.ts -> b\.ts -> c\.ts -> a\.ts/,
  );
  sees(cyclesOf({ "a.ts": 'import "./a.ts";' }), /a\.ts -> a\.ts/);
  sees(cyclesOf({ "a.ts": 'import "./b.ts";', "b.ts": 'await import("./a.ts");' }));
});

Deno.test("what reads the world behind the host's back is seen in all its disguises", () => {
  const disguises = [
    "Date.now()",
    'Date["now"]()',
    "globalThis.Date.now()",
    "const { now } = Date",
    "new Date()",
    "Date()",
    "Math.random()",
    "[].map(Math.random)",
    "performance.now()",
    "setTimeout(f, 1)",
    "globalThis.setTimeout(f, 1)",
    "const later = setInterval",
    "f({ later: setImmediate })",
    "crypto.randomUUID()",
    "crypto.getRandomValues(a)",
    "crypto.subtle.digest",
    "AbortSignal.timeout(5)",
    'import { setTimeout as wait } from "node:timers/promises"',
    'import { randomBytes } from "node:crypto"',
  ];
  for (const text of disguises) {
    assert.equal(lint("core/node/a.ts", text).length, 1, text);
    sees(lint("core/node/a.ts", text), /^house\/host-only: .* use /);
    sees(lint("core/node/a_test.ts", text));
    sees(lint("core/kernel/real_host.ts", text));
  }
});

Deno.test("what merely looks like a clock is left alone", () => {
  const innocent = [
    "new Date(wallTime).toISOString()",
    "Date.parse(text)",
    "const x = { setTimeout: 1 }",
    "interface Timers { setTimeout(): void }",
    "host.setTimeout()",
    "let when: Date",
    'const text = "Date.now()" // Math.random()',
    'import { createHash } from "node:crypto"',
    "Math.max(1, 2)",
  ];
  for (const text of innocent) sees(lint("core/node/a.ts", text));
});

Deno.test("protocols/ names nothing that its types would refuse", () => {
  const impure = [
    "Deno.cwd()",
    "new WeakRef(x)",
    "(globalThis as X).fetch",
    "performance",
    "new Date(3)",
    'import "node:fs"',
    'await import("./x.ts")',
    '/// <reference lib="dom" />\nconst x = 1',
  ];
  for (const text of impure) {
    sees(lint("protocols/swim/a.ts", text), /^house\/pure-protocols: .* has no place/);
    sees(lint("protocols/swim/a_test.ts", text));
    sees(lint("core/node/a.ts", text));
  }
});

Deno.test("a cast to any and a test left out are seen", () => {
  sees(lint("core/node/a.ts", "const x = y as any"), /no-as-any/);
  sees(lint("core/node/a.ts", "const x = y as unknown"));
  sees(lint("core/node/a_test.ts", 'Deno.test.only("x", f)'), /no-skipped-tests/);
  sees(lint("core/node/a_test.ts", 'Deno.test.ignore("x", f)'), /no-skipped-tests/);
  sees(lint("core/node/a_test.ts", 'Deno.test({ name: "x", only: true, fn })'), /no-skipped/);
  sees(lint("core/node/a_test.ts", 'Deno.test("x", { ignore: true }, fn)'), /no-skipped/);
  sees(lint("core/node/a_test.ts", "walk({ ignore: true })"));
});

Deno.test("words that tie the project to a machine or a moment are seen", () => {
  const words = (text: string) =>
    checkWords([{ path: "core/node/a.ts", text }]).map((it) => it.message);
  const slash = (...parts: string[]) => ["", ...parts].join("/");
  const join = (...parts: string[]) => parts.join("");
  sees(words(`open("${slash("work", "main")}")`), /one machine/);
  sees(words(`open("${slash("root", ".cache")}")`), /one machine/);
  sees(words(`open("${slash("home", "ada", "x")}")`), /one machine/);
  sees(words(`open("${slash("tmp", "bash_jobs", "x")}")`), /one machine/, /fixed temporary/);
  sees(words(`open("${slash("tmp", "node.sock")}")`), /fixed temporary/);
  sees(words(join("https://regis", "try.npmjs.org/zod")), /package registry/);
  sees(words(`// ${join("TO", "DO")}: later`), /unfinished/);
  sees(words(`// ${join("FIX", "ME")}`), /unfinished/);
  sees(words(`// ${join("not imple", "mented")}`), /unfinished/);
  sees(words(`// see ${join("iss", "ue 2")}`), /how the work was organised/);
  sees(words(`// ${join("ses", "sion #12")} decided`), /how the work was organised/);
  sees(words(`// ${join("AI-", "generated")}`), /tools at work/);
  sees(
    words("// a session of the application; ./work/x; the issuer; var/tmp/x; registry of types"),
  );
});

Deno.test("a lock that names a host is seen", () => {
  const lock = (text: string) => checkLock([{ path: "deno.lock", text }]).map((it) => it.message);
  sees(lock('{ "npm": { "zod": { "tarball": 1 } } }'), /ties the lock/);
  sees(lock('{ "npm": { "zod": "http://mirror.example/zod.tgz" } }'), /mirror\.example/);
  sees(lock('{ "npm": { "zod": { "integrity": "sha512-x" } } }'));
});

Deno.test("length, headers, silent ignores and nameless tests are seen", () => {
  const long = { path: "core/node/a.ts", text: "// a\n".repeat(maxLines + 1) };
  const short = { path: "core/node/a.ts", text: "// a\n".repeat(maxLines) };
  assert.match(checkLength([long])[0].message, /asking to be two files/);
  assert.deepEqual(checkLength([short]), []);
  assert.deepEqual(checkLength([long], new Map([[long.path, "generated"]])), []);
  const stale = checkLength([short], new Map([[short.path, "generated"]]));
  assert.match(stale[0].message, /strike its exemption/);

  assert.equal(checkHeaders([{ path: "core/a.ts", text: "export {};" }]).length, 1);
  assert.equal(checkHeaders([{ path: "core/a.ts", text: "/** A. */\nexport {};" }]).length, 0);
  assert.equal(checkHeaders([{ path: "core/a_test.ts", text: "export {};" }]).length, 0);

  const ignore = (rest: string) =>
    checkIgnores([{ path: "core/a.ts", text: `// ${"deno-lint"}-ignore ${rest}` }]);
  assert.match(ignore("no-explicit-any")[0].message, /the reason/);
  assert.match(ignore("house/host-only -- because")[0].message, /tests\/tidy/);
  assert.deepEqual(ignore("no-explicit-any -- only the output type matters"), []);

  const named = (name: string) =>
    checkTestNames([{ path: "core/a_test.ts", text: `Deno.${"test"}("${name}", f)` }]);
  assert.match(named("parser")[0].message, /in a sentence/);
  assert.deepEqual(named("a frame is parsed"), []);
});
