import assert from "node:assert/strict";
import fc from "fast-check";
import { codeOf } from "../../../core/kernel/errors.ts";
import { Folder } from "./folder.ts";
import { Listing } from "./listing.ts";
import { type FolderPage, pageNames } from "./protocol.ts";

/** Runs a test with a served folder. */
async function serving(test: (dir: string, folder: Folder) => Promise<void>): Promise<void> {
  const dir = await Deno.realPath(await Deno.makeTempDir());
  try {
    await Deno.mkdir(`${dir}/root`);
    await test(`${dir}/root`, await Folder.open(`${dir}/root`));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** All pages of a folder. */
async function all(
  listing: Listing,
  path = "",
  between: (page: FolderPage) => void = () => {},
): Promise<FolderPage[]> {
  const pages: FolderPage[] = [];
  let after: string | undefined;
  do {
    const page = await listing.list({ op: "list", path, after }, "ada");
    pages.push(page);
    after = page.next;
    between(page);
  } while (after !== undefined);
  return pages;
}

const namesOf = (pages: readonly FolderPage[]) =>
  pages.flatMap(({ entries }) => entries.map(({ name }) => name));

Deno.test("pages give every name once and in order, whatever a scan can keep", async () => {
  await serving(async (dir, folder) => {
    const names = Array.from({ length: 2000 }, (_, i) => `file-${i}`);
    for (const name of names) Deno.writeTextFileSync(`${dir}/${name}`, "");
    names.sort();
    const most = fc.integer({ min: pageNames, max: 2500 });
    await fc.assert(
      fc.asyncProperty(most, async (most) => {
        const pages = await all(new Listing(folder, most));
        assert.deepEqual(namesOf(pages), names);
        assert(pages.every(({ entries }) => entries.length <= pageNames));
      }),
      { numRuns: 12, examples: [[pageNames], [1000], [1999], [2000]] },
    );
  });
});

Deno.test("what is there from the first page to the last is listed once, whatever else changes", async () => {
  await serving(async (dir, folder) => {
    const stays: string[] = [];
    for (let i = 0; i < 1500; i++) {
      const name = `${i % 2 === 0 ? "stays" : "goes"}-${`${i}`.padStart(4, "0")}`;
      Deno.writeTextFileSync(`${dir}/${name}`, "");
      if (i % 2 === 0) stays.push(name);
    }
    let round = 0;
    const pages = await all(new Listing(folder, 600), "", ({ entries }) => {
      for (const { name } of entries) {
        if (name.startsWith("goes")) Deno.removeSync(`${dir}/${name}`);
      }
      for (let i = 0; i < 50; i++) Deno.writeTextFileSync(`${dir}/a-new-${round}-${i}`, "");
      round++;
    });
    assert.deepEqual(namesOf(pages).filter((name) => name.startsWith("stays")), stays);
    assert.equal(new Set(namesOf(pages)).size, namesOf(pages).length);
  });
});

Deno.test("links, sockets and unfit names are counted, parts not even that", async () => {
  await serving(async (dir, folder) => {
    await Deno.writeTextFile(`${dir}/file`, "12345");
    await Deno.chmod(`${dir}/file`, 0o640);
    await Deno.mkdir(`${dir}/folder`, { mode: 0o750 });
    await Deno.symlink("..", `${dir}/up`);
    await Deno.symlink("file", `${dir}/inside`);
    await Deno.writeTextFile(`${dir}/back\\slash`, "x");
    await Deno.writeTextFile(`${dir}/new\nline`, "x");
    await Deno.writeTextFile(`${dir}/.file.abababababababab.mycnet-part`, "x");
    using _socket = Deno.listen({ transport: "unix", path: `${dir}/socket` });
    const listing = new Listing(folder);
    const [page, ...more] = await all(listing);
    assert.equal(more.length, 0);
    assert.deepEqual(page.skipped, { links: 2, special: 1, names: 2 });
    const [file, sub, ...rest] = page.entries;
    assert.deepEqual(rest, []);
    assert.deepEqual([file.name, file.kind, file.size, file.mode], ["file", "file", 5, 0o640]);
    assert.deepEqual([sub.name, sub.kind, sub.size, sub.mode], ["folder", "folder", 0, 0o750]);
    assert.deepEqual((await all(listing, "folder")).map(({ entries }) => entries), [[]]);

    const refused: [string, string][] = [
      ["up", "permission_denied"],
      ["up/root", "permission_denied"],
      ["..", "invalid_argument"],
      ["file", "invalid_argument"],
      ["none", "not_found"],
    ];
    for (const [path, code] of refused) {
      await assert.rejects(all(listing, path), (error) => codeOf(error) === code, path);
    }
  });
});

Deno.test("a listing that begins sees what is there now, and one that goes on what it began with", async () => {
  await serving(async (dir, folder) => {
    for (let i = 0; i < 700; i++) Deno.writeTextFileSync(`${dir}/m-${1000 + i}`, "");
    const listing = new Listing(folder);
    const first = await listing.list({ op: "list", path: "" }, "ada");
    Deno.writeTextFileSync(`${dir}/z`, "");
    Deno.removeSync(`${dir}/m-1699`);
    const second = await listing.list({ op: "list", path: "", after: first.next }, "ada");
    assert.equal(second.next, undefined);
    assert.equal(second.entries.at(-1)!.name, "m-1698", "no second scan, but nothing that is gone");
    assert.equal(namesOf(await all(listing)).at(-1), "z");
    // Another node's listing has a window of its own.
    const other = await listing.list({ op: "list", path: "", after: first.next }, "eve");
    assert.equal(other.entries.at(-1)!.name, "z");
  });
});
