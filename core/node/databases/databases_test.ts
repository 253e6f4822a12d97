import assert from "node:assert/strict";
import { join } from "node:path";
import { MycnetError } from "../../kernel/errors.ts";
import { startPlugin } from "../../../tests/harness/start_plugin.ts";
import { tempFolder } from "../../../tests/harness/processes.ts";
import { testSettings } from "../../../tests/harness/settings.ts";
import type { Databases } from "../../contracts/databases.ts";
import plugin from "./plugin.ts";

/** The databases of a node `a` with this state folder. */
const start = (stateDir: string, config: unknown = {}) =>
  startPlugin<Databases>(plugin, {
    config,
    needs: { settings: { ...testSettings({ id: "a" }), stateDir, baseDir: stateDir } },
  });

const mode = (path: string) => Deno.statSync(path).mode! & 0o777;

Deno.test("a database is made for its owner alone, survives, and is open once", async () => {
  await using folder = await tempFolder();
  await Deno.mkdir(join(folder.path, "nodes/a"), { recursive: true });
  await using started = await start(folder.path);
  const databases = started.value;
  assert.equal(databases.unavailable, undefined);
  assert.equal(databases.exists("x.db"), false);
  {
    using opened = databases.open("x.db");
    opened.database.exec("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    assert.equal(opened.database.prepare("PRAGMA synchronous").get()!.synchronous, 2);
    assert.equal(opened.database.prepare("PRAGMA journal_mode").get()!.journal_mode, "wal");
    if (Deno.build.os !== "windows") {
      assert.equal(mode(opened.path), 0o600);
      assert.equal(mode(`${opened.path}-wal`), 0o600);
    }
    assert.throws(() => databases.open("x.db"), (error: MycnetError) => {
      assert.equal(error.code, "unavailable");
      assert(error.message.includes(opened.path));
      assert.match(error.remedy, /Another process/);
      return true;
    });
  }
  assert.equal(databases.exists("x.db"), true);
  using again = databases.open("x.db");
  assert.deepEqual({ ...again.database.prepare("SELECT a FROM t").get() }, { a: 1 });
});

Deno.test("without a folder of its own a node has no databases, and the error says what helps", async () => {
  await using folder = await tempFolder();
  await using started = await start(folder.path);
  assert.match(started.value.unavailable!, /nodes\/a/);
  assert.equal(started.value.exists("x.db"), false);
  assert.throws(() => started.value.open("x.db"), { code: "unavailable" });
  assert.deepEqual([...Deno.readDirSync(folder.path)], [], "nobody makes it by starting a node");
});

Deno.test("a folder that is named is made", async () => {
  await using folder = await tempFolder();
  await using started = await start(folder.path, { folder: "deep/er" });
  using opened = started.value.open("x.db");
  assert.equal(opened.path, join(folder.path, "deep/er/x.db"));
});

Deno.test("a damaged file is an error that names it, and stays as it is", async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, "nodes/a/x.db");
  await Deno.mkdir(join(folder.path, "nodes/a"), { recursive: true });
  await Deno.writeTextFile(path, "no database at all ".repeat(500));
  const before = await Deno.readFile(path);
  await using started = await start(folder.path);
  assert.throws(() => started.value.open("x.db"), (error: MycnetError) => {
    assert.equal(error.code, "unavailable");
    assert(error.message.includes(path), error.message);
    assert.match(error.remedy, /Restore the file/);
    return true;
  });
  assert.deepEqual(await Deno.readFile(path), before);
});
