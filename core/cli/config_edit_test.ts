import assert from "node:assert/strict";
import { join } from "node:path";
import { withSettings, writeConfig } from "./config_edit.ts";
import { inFolder } from "./fakes_test.ts";

Deno.test("settings are written where they belong and nothing else moves", () => {
  const settings = [{ path: ["node", "id"], value: "a" }];
  assert.equal(
    withSettings("", settings),
    '{\n  "mycnet": {\n    "node": {\n      "id": "a"\n    }\n  }\n}\n',
  );
  const crlf = withSettings('{\r\n    "x": 1\r\n}\r\n', settings);
  assert.equal(
    crlf,
    '{\r\n    "x": 1,\r\n    "mycnet": {\r\n        "node": {\r\n            "id": "a"\r\n        }\r\n    }\r\n}\r\n',
  );
  assert.equal(withSettings(crlf, settings), crlf, "twice is once");
});

Deno.test("a link is followed, so that what it points to is what changes", async () => {
  await inFolder(async (folder) => {
    const target = join(folder, "real.json");
    const link = join(folder, "deno.json");
    await Deno.writeTextFile(target, "{}");
    await Deno.symlink(target, link);
    await writeConfig(link, '{"a":1}');
    assert.equal(await Deno.readTextFile(target), '{"a":1}');
    assert.ok((await Deno.lstat(link)).isSymlink);
    assert.deepEqual([...Deno.readDirSync(folder)].length, 2, "no draft is left");
  });
});
