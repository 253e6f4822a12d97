import assert from "node:assert/strict";
import { join } from "node:path";
import { findConfig, parseConfigText, readConfig } from "./file.ts";

/** Runs a test in a folder of its own, with `MYCNET_CONFIG` unset. */
async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const before = Deno.env.get("MYCNET_CONFIG");
  Deno.env.delete("MYCNET_CONFIG");
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
    if (before === undefined) Deno.env.delete("MYCNET_CONFIG");
    else Deno.env.set("MYCNET_CONFIG", before);
  }
}

const declaring = (id: string) => JSON.stringify({ mycnet: { node: { id } } });
const idIn = (file: { readonly value: unknown } | undefined) =>
  (file?.value as { node: { id: string } } | undefined)?.node.id;

Deno.test("a file is looked for by argument, then MYCNET_CONFIG, then upward, the nearest first", async () => {
  await inFolder(async (folder) => {
    const deep = join(folder, "project", "src", "deep");
    await Deno.mkdir(deep, { recursive: true });
    await Deno.writeTextFile(join(folder, "deno.json"), declaring("far"));
    await Deno.writeTextFile(join(folder, "project", "deno.jsonc"), declaring("near"));
    await Deno.writeTextFile(join(folder, "given.json"), declaring("given"));
    await Deno.writeTextFile(join(folder, "named.json"), declaring("named"));

    assert.equal(idIn(await findConfig(undefined, deep)), "near");
    Deno.env.set("MYCNET_CONFIG", "");
    assert.equal(idIn(await findConfig(undefined, deep)), "near", "empty is as good as unset");
    Deno.env.set("MYCNET_CONFIG", join(folder, "named.json"));
    assert.equal(idIn(await findConfig(undefined, deep)), "named");
    const given = await findConfig(join("..", "..", "..", "given.json"), deep);
    assert.equal(idIn(given), "given", "relative to where the search starts");
    assert.equal(given?.path, join(folder, "given.json"));
  });
});

Deno.test("upward, a file without a mycnet key is passed over, and deno.json comes before deno.jsonc", async () => {
  await inFolder(async (folder) => {
    const inner = join(folder, "inner");
    await Deno.mkdir(inner);
    await Deno.writeTextFile(join(inner, "deno.json"), `{"imports": {}}`);
    await Deno.writeTextFile(join(folder, "deno.json"), declaring("json"));
    await Deno.writeTextFile(join(folder, "deno.jsonc"), declaring("jsonc"));
    const found = await findConfig(undefined, inner);
    assert.equal(found?.path, join(folder, "deno.json"));
    assert.equal(idIn(found), "json");
  });
});

Deno.test("a file that is named must be there, be readable and have the key", async () => {
  await inFolder(async (folder) => {
    const unreadable = (path: string, message: RegExp) =>
      assert.rejects(readConfig(path), { code: "config_unreadable", message });
    await unreadable(join(folder, "none.json"), /none\.json: No such file/);
    await unreadable(folder, /: /);
    const path = join(folder, "deno.json");
    await Deno.writeTextFile(path, "{}");
    await unreadable(path, /deno\.json has no "mycnet" key$/);
    for (const text of ["", "null", "5", "[]"]) {
      await Deno.writeTextFile(path, text);
      await assert.rejects(readConfig(path), { code: "config_unreadable" });
    }
    Deno.env.set("MYCNET_CONFIG", join(folder, "gone.json"));
    await assert.rejects(findConfig(undefined, folder), { code: "config_unreadable" });
  });
});

Deno.test("comments and trailing commas are fine, mistakes are named with line and column", async () => {
  const text = `{
  // A node.
  "mycnet": { "node": { "id": "a", }, /* more */ },
}`;
  assert.deepEqual(await parseConfigText(text, "x.json"), { node: { id: "a" } });
  await assert.rejects(parseConfigText(`{\n  "mycnet": {,}\n}`, "x.json"), {
    code: "config_unreadable",
    message: /^x\.json:2:14: property name expected$|^x\.json:2:14: value expected$/,
  });
});

Deno.test("a key that would become a prototype is an unknown key, not one that vanishes", async () => {
  const text = `{ "mycnet": { "node": { "id": "a", "__proto__": { "rack": "r" } } } }`;
  await assert.rejects(parseConfigText(text, "x.json"), {
    code: "config_invalid",
    message: /^x\.json:1:36: unknown key "__proto__"$/,
  });
  await assert.rejects(parseConfigText(text.replace("__p", "\\u005f_p"), "x.json"), {
    code: "config_invalid",
  });
  const elsewhere = `{ "__proto__": {}, "mycnet": {} }`;
  assert.deepEqual(
    await parseConfigText(elsewhere, "x.json"),
    {},
    "the rest of the file is not ours",
  );
});
