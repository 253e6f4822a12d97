import assert from "node:assert/strict";
import type { LogFormat } from "./logging.ts";
import { openLog } from "./logging.ts";

/** What one line of log looks like. */
async function line(format: LogFormat, fields: Record<string, unknown>): Promise<string> {
  let text = "";
  const stderr = { write: (it: string) => void (text += it), isTerminal: false, broken: false };
  await using log = await openLog(stderr, () => 0, "info", format);
  log.sink("debug", "not shown", fields);
  log.sink("warn", "A link was refused.", fields);
  return text;
}

Deno.test("a line for programs is JSON with the fields beside the sentence", async () => {
  const { "@timestamp": at, level, message, node } = JSON.parse(await line("json", { node: "b" }));
  assert.deepEqual([at, level, message, node], [
    "1970-01-01T00:00:00.000Z",
    "WARN",
    "A link was refused.",
    "b",
  ]);
});

Deno.test("a field never takes the place of the sentence, the level or the time", async () => {
  const names = ["@timestamp", "level", "message", "logger"];
  const fields = Object.fromEntries(names.map((it) => [it, "mine"]));
  const found = JSON.parse(await line("json", fields));
  assert.equal(found.message, "A link was refused.");
  assert.equal(found.level, "WARN");
  for (const name of names) assert.equal(found[`${name}_`], "mine");
});

Deno.test("a line for people shows fields as name=value, and no control characters", async () => {
  assert.equal(
    await line("text", { node: "b", reason: "it is\x1b[2J gone" }),
    '1970-01-01T00:00:00.000Z warn  A link was refused. node=b reason="it is\\u001b[2J gone"\n',
  );
});
