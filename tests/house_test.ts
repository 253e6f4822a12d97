// What deno.json promises: tasks that run, pinned packages, one version of
// everything wherever it is named.
import assert from "node:assert/strict";
import { readTree } from "./tidy/tree.ts";

interface Config {
  readonly version: string;
  readonly tasks: Readonly<Record<string, { readonly command: string; description?: string }>>;
  readonly imports: Readonly<Record<string, string>>;
  readonly permissions: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

const files = new Map(readTree().map(({ path, text }) => [path, text]));
const config: Config = JSON.parse(files.get("deno.json")!);

Deno.test("each task says what it is for and names only files that exist", () => {
  for (const [name, { command, description }] of Object.entries(config.tasks)) {
    assert.ok(description, `task ${name} has no description`);
    for (const word of command.split(" ").filter((it) => /^[^-].*\.(ts|json)$/.test(it))) {
      assert.ok(files.has(word), `task ${name} names ${word}, which does not exist`);
    }
  }
});

Deno.test("a permission set grants what the task of its name does", () => {
  for (const [name, set] of Object.entries(config.permissions)) {
    const flags = config.tasks[name].command.split(" ")
      .flatMap((it) => /^--allow-(\w+)$/.exec(it)?.[1] ?? []);
    assert.deepEqual(Object.keys(set).sort(), flags.sort());
    assert.ok(Object.values(set).every((it) => it === true));
  }
});

Deno.test("packages are pinned to exact versions of one registry", () => {
  for (const [name, specifier] of Object.entries(config.imports)) {
    assert.match(specifier, /^npm:(@[\w-]+\/)?[\w-]+@\d+\.\d+\.\d+(\/[\w./-]+)?$/, name);
  }
});

Deno.test("both packages and the changelog speak of the same version", () => {
  const { version } = config;
  assert.equal(JSON.parse(files.get("protocols/deno.json")!).version, version);
  assert.ok(files.get("CHANGELOG.md")!.includes(`\n## ${version}`));
});

Deno.test("the same Deno is named everywhere", () => {
  const named = [...files].flatMap(([path, text]) =>
    path.startsWith("tests/")
      ? []
      : [...text.matchAll(/\bdeno@(\d[\w.-]*)/g)].map(([, version]) => ({ path, version }))
  );
  assert.ok(named.length > 0);
  for (const { path, version } of named) assert.equal(version, named[0].version, path);
});
