// Follows CONTRIBUTING.md to the letter, in a copy of the repository: writes its
// files, adds its lines, and runs what a contributor would run.
import assert from "node:assert/strict";
import { startDeno, tempFolder } from "./harness/processes.ts";
import { houseRules } from "./tidy/rules.ts";
import { readTree, render } from "./tidy/tree.ts";

/** What a code block of the guide asks for. */
type Block =
  | { readonly kind: "file"; readonly path: string; readonly text: string }
  | {
    readonly kind: "line";
    readonly path: string;
    /** The line goes after the first one that contains this. */
    readonly after: string;
    readonly text: string;
  };

/** The blocks whose info string names a file, in order. */
function blocksOf(guide: string): Block[] {
  const fences = guide.matchAll(
    /^```\w+ (?:ignore )?(file|line)=(\S+)(?: after=(\S+))?\n(.*?)^```$/gms,
  );
  return [...fences].map(([, kind, path, after, text]) =>
    kind === "file"
      ? { kind: "file", path, text }
      : { kind: "line", path, after: after ?? "", text }
  );
}

/** Applies a block to files in memory. */
function apply(files: Map<string, string>, block: Block): void {
  if (block.kind === "file") {
    assert.ok(!files.has(block.path), `${block.path} exists: the guide's example needs a new one`);
    files.set(block.path, block.text);
    return;
  }
  const lines = files.get(block.path)?.split("\n") ?? [];
  const at = lines.findIndex((it) => it.includes(block.after));
  assert.ok(block.after && at >= 0, `${block.path} has no line with ${block.after}`);
  lines.splice(at + 1, 0, block.text.replace(/\n$/, ""));
  files.set(block.path, lines.join("\n"));
}

Deno.test("who follows CONTRIBUTING.md ends with code that passes", async (t) => {
  const files = new Map(readTree().map(({ path, text }) => [path, text]));
  const blocks = blocksOf(files.get("CONTRIBUTING.md")!);
  assert.ok(blocks.length >= 10, "the guide's blocks are not found");
  for (const block of blocks) apply(files, block);

  await using copy = await tempFolder();
  for (const [path, text] of files) {
    await Deno.mkdir(`${copy.path}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeTextFile(`${copy.path}/${path}`, text);
  }
  const written = blocks.filter((it) => it.kind === "file").map((it) => it.path);
  const tests = written.filter((it) => it.endsWith("_test.ts"));
  const steps: Record<string, string[]> = {
    "its tests pass": ["test", "--allow-all", ...tests],
    "it is formatted": ["fmt", "--check", ...written],
    "it has no lint": ["lint", ...written],
    "protocols/ is still pure": ["check", "--config", "protocols/pure.json", "protocols/mod.ts"],
  };
  for (const [sentence, args] of Object.entries(steps)) {
    await t.step(sentence, async () => {
      await using child = startDeno(args, { cwd: copy.path, patienceMs: 120_000 });
      const { success } = await child.ended();
      assert.ok(success, [...child.stdout, ...child.stderr].join("\n"));
    });
  }
  await t.step("it keeps the rules of the house", () => {
    const rules = houseRules([...files].map(([path, text]) => ({ path, text })));
    const found = Object.values(rules).flatMap((check) => check())
      .filter(({ path }) => written.includes(path));
    if (found.length > 0) assert.fail(`\n${render(found)}\n`);
  });
});
