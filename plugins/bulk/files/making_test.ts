import assert from "node:assert/strict";
import { codeOf } from "../../../core/kernel/errors.ts";
import { Folder } from "./folder.ts";
import { Making } from "./making.ts";

const ours = "aa".repeat(16);
const theirs = "bb".repeat(16);

/** Runs a test with a served folder. */
async function making(test: (dir: string, making: Making) => Promise<void>): Promise<void> {
  const dir = await Deno.realPath(await Deno.makeTempDir());
  try {
    await test(dir, new Making(await Folder.open(dir)));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const names = (dir: string) => [...Deno.readDirSync(dir)].map(({ name }) => name).sort();

Deno.test("a folder counts as made for its transfer until that is finished", async () => {
  await making(async (dir, it) => {
    const make = async (path: string, transfer?: string) =>
      (await it.make({ op: "make", path, transfer })).made;
    assert.equal(await make("a/new", ours), true);
    assert.equal(await make("a/new", ours), true, "given again");
    assert.equal(await make("a/new", theirs), false);
    assert.equal(await make("a/new"), false);
    assert.deepEqual(names(`${dir}/a`), [`.new.${ours}.mycnet-part`, "new"]);
    await it.finish({ op: "finish", path: "a/new", transfer: theirs });
    assert.equal(await make("a/new", ours), true);
    for (let i = 0; i < 2; i++) await it.finish({ op: "finish", path: "a/new", transfer: ours });
    assert.equal(await make("a/new", ours), false);
    assert.deepEqual(names(`${dir}/a`), ["new"]);
    // Removed by somebody in between: made anew.
    await make("b", ours);
    await Deno.remove(`${dir}/b`);
    assert.equal(await make("b", ours), true);
  });
});

Deno.test("of several who make a folder at once one has made it", async () => {
  await making(async (dir, it) => {
    const transfers = Array.from({ length: 8 }, (_, i) => `${i}`.repeat(32));
    const made = await Promise.all(
      transfers.map((transfer) => it.make({ op: "make", path: "same", transfer })),
    );
    assert.equal(made.filter(({ made }) => made).length, 1);
    assert.equal(names(dir).length, 2, "the folder, and one that says for whom");
  });
});

Deno.test("whoever makes a folder may put files into it; one that is there keeps its mode", async () => {
  await making(async (dir, it) => {
    const mode = async (path: string) => (await Deno.stat(`${dir}/${path}`)).mode! & 0o777;
    await it.make({ op: "make", path: "private", mode: 0o500 });
    assert.equal(await mode("private"), 0o700);
    await it.make({ op: "make", path: "private", mode: 0o755 });
    assert.equal(await mode("private"), 0o700);
  });
});

Deno.test("a folder is not made over a link or in place of a file", async () => {
  await making(async (dir, it) => {
    await Deno.symlink("/", `${dir}/link`);
    await Deno.symlink("/nowhere", `${dir}/dangling`);
    await Deno.writeTextFile(`${dir}/file`, "x");
    const refused: [string, string][] = [
      ["link", "permission_denied"],
      ["link/tmp/x", "permission_denied"],
      ["dangling", "permission_denied"],
      ["file", "invalid_argument"],
      ["file/x", "invalid_argument"],
      ["../x", "invalid_argument"],
    ];
    for (const [path, code] of refused) {
      const made = it.make({ op: "make", path, transfer: ours });
      await assert.rejects(made, (error) => codeOf(error) === code, path);
    }
    assert.deepEqual(names(dir), ["dangling", "file", "link"]);
  });
});
