import assert from "node:assert/strict";
import { join } from "node:path";
import type { Store } from "../../core/contracts/store.ts";
import { codeOf } from "../../core/kernel/errors.ts";
import { testSettings } from "../../tests/harness/settings.ts";
import { startPlugin } from "../../tests/harness/start_plugin.ts";
import plugin from "./file.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined) => value && new TextDecoder().decode(value);

async function withFolder(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "mycnet-store-" });
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const start = (stateDir: string) =>
  startPlugin<Store>(plugin, { needs: { settings: testSettings({ stateDir }) } });

Deno.test("files survive the plugin, are private, and are listed by name", () =>
  withFolder(async (dir) => {
    {
      await using started = await start(dir);
      const store = started.value;
      await store.write("vote", bytes("term 1"));
      await store.write("vote", bytes("term 2"));
      await store.append("log", bytes("one,"));
      await store.append("log", bytes("two,"));
      await store.sync("log");
      await store.sync("never-was");
      await store.write("gone", bytes("x"));
      await store.remove("gone");
      await store.remove("gone");
    }
    await using again = await start(dir);
    const store = again.value;
    assert.deepEqual(await store.list(), ["log", "vote"]);
    assert.equal(text(await store.read("vote")), "term 2");
    assert.equal(text(await store.read("log")), "one,two,");
    assert.equal(await store.read("gone"), undefined);
    const { mode } = await Deno.stat(join(dir, "nodes", "node-1", "store", "vote"));
    assert.equal(mode! & 0o777, 0o600);
  }));

Deno.test("operations take effect in the order of the calls, and bytes may be reused at once", () =>
  withFolder(async (dir) => {
    await using started = await start(dir);
    const store = started.value;
    const buffer = bytes("a");
    const done = [store.write("f", buffer)];
    buffer[0] = "b".charCodeAt(0);
    for (const letter of "bcdef") done.push(store.append("f", bytes(letter)));
    const seen = store.read("f");
    const removed = store.remove("f");
    await Promise.all([...done, removed]);
    assert.equal(text(await seen), "abcdef");
    assert.equal(await store.read("f"), undefined);
  }));

Deno.test("bad names, too large files and a stopped store are refused with their codes", () =>
  withFolder(async (dir) => {
    const started = await start(dir);
    const store = started.value;
    for (const name of ["", "../x", "A", "a/b", ".lock", "vote.tmp~"]) {
      await assert.rejects(store.read(name), (error) => codeOf(error) === "invalid_argument");
    }
    await assert.rejects(
      store.write("big", new Uint8Array(64 * 1024 * 1024 + 1)),
      (error) => codeOf(error) === "too_large",
    );
    assert.deepEqual(await store.list(), []);
    await started[Symbol.asyncDispose]();
    await assert.rejects(store.list(), (error) => codeOf(error) === "closed");
    await assert.rejects(store.write("a", bytes("b")), (error) => codeOf(error) === "closed");
  }));

Deno.test("what an interrupted replacement left is removed at the start", () =>
  withFolder(async (dir) => {
    const folder = join(dir, "nodes", "node-1", "store");
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(join(folder, "vote"), "old");
    await Deno.writeTextFile(join(folder, "vote.tmp~"), "ne");
    await using started = await start(dir);
    assert.equal(text(await started.value.read("vote")), "old");
    const names = [...Deno.readDirSync(folder)].map((it) => it.name).sort();
    assert.deepEqual(names, [".lock", "vote"]);
  }));

Deno.test("a folder that another holds is refused", () =>
  withFolder(async (dir) => {
    await using _first = await start(dir);
    await assert.rejects(start(dir), (error) => codeOf(error) === "already_exists");
  }));

Deno.test("operations that wait for the disk are bounded", () =>
  withFolder(async (dir) => {
    await using started = await start(dir);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 4100 }, () => started.value.read("none")),
    );
    const refused = outcomes.filter((it) => it.status === "rejected");
    assert.equal(refused.length, 4);
    assert.ok(refused.every((it) => codeOf(it.reason) === "overloaded"));
    assert.equal(await started.value.read("none"), undefined);
  }));
