/** `mycnet cp -r` between nodes over mutual TLS: what arrives, what must not, and what goes on. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { FakeIo } from "../../core/cli/fakes_test.ts";
import { clusterTest } from "../harness/leaks.ts";
import { FileNodes } from "./bulk_nodes.ts";

const noise = (length: number) => new Uint8Array(randomBytes(length));
const mode = async (path: string) => (await Deno.stat(path)).mode! & 0o777;
const nothing = { links: 0, special: 0, names: 0 };

/** What is below a folder: files with what they hold, folders with a slash, links with an arrow. */
function contents(folder: string): Record<string, string> {
  const found: [string, string][] = [];
  const walk = (path: string) => {
    for (const { name, isDirectory, isSymlink } of Deno.readDirSync(`${folder}/${path}`)) {
      const at = `${path}${name}`;
      if (isSymlink) found.push([at, `-> ${Deno.readLinkSync(`${folder}/${at}`)}`]);
      else if (!isDirectory) found.push([at, Deno.readTextFileSync(`${folder}/${at}`)]);
      else {
        found.push([`${at}/`, ""]);
        walk(`${at}/`);
      }
    }
  };
  walk("");
  return Object.fromEntries(found.sort(([a], [b]) => a < b ? -1 : 1));
}

/** Makes files and, where a name ends with a slash, folders. */
function plant(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    const at = `${folder}/${path}`;
    Deno.mkdirSync(at.slice(0, at.lastIndexOf("/")), { recursive: true });
    if (!path.endsWith("/")) Deno.writeTextFileSync(at, text);
  }
}

const tree = {
  "a.txt": "first",
  "empty": "",
  "nested/": "",
  "nested/deep/": "",
  "nested/deep/er/": "",
  "nested/deep/er/b.txt": "second",
  "nested/nothing/": "",
  "ünï ✓ 100%&?#/": "",
  "ünï ✓ 100%&?#/+=.txt": "third",
};

clusterTest("a folder goes to a node and comes back, with empty ones and modes", async () => {
  await using nodes = await FileNodes.start();
  plant(`${nodes.desk}/dir`, tree);
  await Deno.chmod(`${nodes.desk}/dir/a.txt`, 0o640);
  await Deno.chmod(`${nodes.desk}/dir/nested`, 0o500);
  await Deno.chmod(`${nodes.desk}/dir`, 0o700);
  // Without the option it is refused before anything is made.
  for (const places of [["dir", "bob:new"], ["bob:", "new"]]) {
    const { code, err } = await nodes.cp(places);
    assert.equal(code, 2);
    assert.match(err, /mycnet cp -r \(--recursive\)/);
  }
  assert.deepEqual(nodes.names(), []);

  const up = await nodes.copied("-r", "dir", "bob:new");
  assert.deepEqual({ ...up, seconds: 0 }, {
    from: "dir",
    to: "bob:new",
    files: 4,
    folders: 5,
    bytes: 16,
    resumed: 0,
    unchanged: 0,
    skipped: nothing,
    failed: 0,
    failures: [],
    seconds: 0,
  });
  assert.deepEqual(contents(nodes.shared), {
    "new/": "",
    ...Object.fromEntries(Object.entries(tree).map(([path, text]) => [`new/${path}`, text])),
  });
  assert.equal(await mode(`${nodes.shared}/new/a.txt`), 0o640);
  assert.equal(await mode(`${nodes.shared}/new/nested`), 0o700, "who copies it writes to it");
  assert.equal(await mode(`${nodes.shared}/new`), 0o700);

  assert.equal((await nodes.cp(["bob:new", "back"])).code, 2, "a folder is named");
  const down = await nodes.copied("bob:new", "back", "--recursive");
  assert.deepEqual([down.files, down.folders, down.failed], [4, 5, 0]);
  assert.deepEqual(contents(`${nodes.desk}/back`), tree);
  assert.equal(await mode(`${nodes.desk}/back/a.txt`), 0o640);
  assert.equal(await mode(`${nodes.desk}/back/nested`), 0o700);
  const inDesk = [...Deno.readDirSync(nodes.desk)].map(({ name }) => name).sort();
  assert.deepEqual(inDesk, ["back", "dir"], "nothing is left beside it");
  // A file is a file, with the option too.
  await nodes.copied("-r", "dir/a.txt", "bob:one");
  await nodes.copied("-r", "bob:one", "two");
  assert.equal(await Deno.readTextFile(`${nodes.desk}/two`), "first");
});

clusterTest("into a folder that is there it goes under its name, both ways", async () => {
  await using nodes = await FileNodes.start();
  plant(nodes.desk, { "dir/x": "1", "here/kept": "k" });
  plant(nodes.shared, { "there/kept": "k" });
  await nodes.copied("-r", "dir", "bob:there");
  await nodes.copied("-r", "dir/", "bob:made/on/the/way/");
  await nodes.copied("-r", "dir/.", "bob:");
  assert.deepEqual(contents(nodes.shared), {
    "made/": "",
    "made/on/": "",
    "made/on/the/": "",
    "made/on/the/way/": "",
    "made/on/the/way/dir/": "",
    "made/on/the/way/dir/x": "1",
    "there/": "",
    "there/dir/": "",
    "there/dir/x": "1",
    "there/kept": "k",
    "x": "1",
  });
  await nodes.copied("-r", "bob:there/dir", "here");
  await nodes.copied("-r", "bob:there/.", "here");
  await nodes.copied("-r", "bob:", "all");
  assert.deepEqual(contents(`${nodes.desk}/here`), { "dir/": "", "dir/x": "1", "kept": "k" });
  assert.equal(Object.keys(contents(`${nodes.desk}/all`)).length, 11);
  // What was copied in full is one that is there from then on.
  await nodes.copied("-r", "dir", "bob:new");
  await nodes.copied("-r", "dir", "bob:new");
  await nodes.copied("-r", "bob:there", "new");
  await nodes.copied("-r", "bob:there", "new");
  assert.deepEqual(nodes.names("new"), ["dir", "x"]);
  assert.deepEqual(Object.keys(contents(`${nodes.desk}/new`)).filter((it) => it.endsWith("x")), [
    "dir/x",
    "there/dir/x",
  ]);
  // Neither a folder over a file nor a file over a folder.
  assert.equal(await nodes.refused("-r", "dir", "bob:x"), "invalid_argument");
  assert.equal(await nodes.refused("-r", "bob:there", "dir/x"), "usage");
});

clusterTest("links lead nowhere, whichever side has them and whichever way it goes", async () => {
  await using nodes = await FileNodes.start();
  await Deno.writeTextFile(`${nodes.shared}/../secret`, "secret");
  for (const dir of [`${nodes.desk}/dir`, `${nodes.shared}/dir`]) {
    plant(dir, { "file": "f", "sub/": "" });
    await Deno.symlink("../../secret", `${dir}/secret`);
    await Deno.symlink("../..", `${dir}/sub/up`);
    await Deno.symlink("file", `${dir}/inside`);
    await Deno.writeTextFile(`${dir}/.x.abababababababab.mycnet-part`, "part");
  }
  const skipped = { ...nothing, links: 3 };
  const clean = { "file": "f", "sub/": "" };
  assert.deepEqual((await nodes.copied("-r", "dir", "bob:up")).skipped, skipped);
  assert.deepEqual(contents(`${nodes.shared}/up`), clean);
  assert.deepEqual((await nodes.copied("-r", "bob:dir", "down")).skipped, skipped);
  assert.deepEqual(contents(`${nodes.desk}/down`), clean);
  const { out } = await nodes.cp(["-r", "dir", "bob:again"]);
  assert.match(out, /^dir to bob:again: 1 file, 1 B in .*\npassed over: 3 symbolic links\n$/);

  // Links where it goes: what they point to stays as it is.
  const outside = `${nodes.desk}/../outside`;
  await Deno.mkdir(outside);
  for (const dir of [`${nodes.desk}/trap`, `${nodes.shared}/trap/dir`]) {
    await Deno.mkdir(dir, { recursive: true });
    await Deno.symlink(outside, `${dir}/sub`);
    await Deno.symlink(`${outside}/file`, `${dir}/file`);
  }
  plant(`${nodes.desk}/dir`, { "sub/s": "s" });
  plant(`${nodes.shared}/dir`, { "sub/s": "s" });
  const up = await nodes.cp(["-r", "dir", "bob:trap", "--json"]);
  assert.equal(up.code, 1);
  assert.deepEqual(
    JSON.parse(up.out).failures.map((it: { path: string; code: string }) => [it.path, it.code])
      .sort(),
    [["file", "permission_denied"], ["sub", "permission_denied"]],
  );
  const down = await nodes.cp(["-r", "bob:dir/.", "trap"]);
  assert.equal(down.code, 1);
  assert.match(down.err, /1 could not be copied:\n {2}sub: .*symbolic link, which is not followed/);
  assert.equal((await Deno.lstat(`${nodes.desk}/trap/file`)).isFile, true, "the link is replaced");
  assert.deepEqual(contents(outside), {});
});

clusterTest("what cannot be copied is counted and named, and the rest arrives", async () => {
  await using nodes = await FileNodes.start({ root: "shared", write: true, maxBytes: 10 });
  plant(`${nodes.desk}/dir`, {
    "back\\slash": "x",
    "bad\nfolder/inside": "x",
    "fits": "ok",
    "large": "more than ten",
    "taken/x": "x",
  });
  plant(nodes.shared, { "to/dir/taken": "a file" });
  const up = await nodes.cp(["-r", "dir", "bob:to", "--json"]);
  assert.equal(up.code, 1);
  const { files, failed, failures } = JSON.parse(up.out);
  assert.deepEqual([files, failed], [1, 4]);
  const told = failures.map((it: { path: string; code: string }) => [it.path, it.code]).sort();
  assert.deepEqual(told, [
    ["back\\slash", "invalid_argument"],
    ["bad\nfolder", "invalid_argument"],
    ["large", "too_large"],
    ["taken", "invalid_argument"],
  ]);
  assert.deepEqual(nodes.names("to/dir"), ["fits", "taken"]);

  // From there, such names are not even listed.
  plant(`${nodes.shared}/odd`, { "back\\slash": "x", "fine": "x", "new\nline/x": "x" });
  const down = await nodes.copied("-r", "bob:odd", "odd");
  assert.deepEqual([down.files, down.skipped], [1, { ...nothing, names: 2 }]);
  const many = Object.fromEntries(Array.from({ length: 13 }, (_, i) => [`a\\${i}`, ""]));
  plant(`${nodes.desk}/many`, many);
  const { code, err } = await nodes.cp(["-r", "many", "bob:many"]);
  assert.equal(code, 1);
  assert.match(err, /^13 could not be copied:\n( {2}a\\\d+: .*\n){10} {2}and 3 more\n$/);
});

clusterTest("thousands of small files pass by pages, and again without being sent", async () => {
  await using nodes = await FileNodes.start();
  const count = 1300;
  const bytes = Array.from({ length: count }, (_, i) => `${i}`.length)
    .reduce((sum, length) => sum + length);
  plant(nodes.shared, { "all/": "" });
  for (let i = 0; i < count; i++) Deno.writeTextFileSync(`${nodes.shared}/all/${i}`, `${i}`);
  const pages = [];
  for (let after = ""; after !== undefined;) {
    const query = after === "" ? "" : `&after=${after}`;
    const page = await (await nodes.ask(`/api/v1/files/bob?path=all&op=list${query}`)).json();
    pages.push(page.entries.length);
    after = page.next;
  }
  assert.deepEqual(pages, [512, 512, 276]);
  const down = await nodes.copied("-r", "bob:all", "all");
  assert.deepEqual([down.files, down.bytes, down.failed], [count, bytes, 0]);
  assert.deepEqual(contents(`${nodes.desk}/all`), contents(`${nodes.shared}/all`));

  // Some of them differ: by size, by content alone, by being gone.
  await Deno.writeTextFile(`${nodes.desk}/all/1`, "longer");
  await Deno.writeTextFile(`${nodes.desk}/all/222`, "xyz");
  await Deno.remove(`${nodes.desk}/all/3`);
  const again = await nodes.copied("-r", "bob:all/.", "all");
  assert.deepEqual([again.files, again.unchanged], [3, count - 3]);
  assert.deepEqual(contents(`${nodes.desk}/all`), contents(`${nodes.shared}/all`));
  await Deno.writeTextFile(`${nodes.desk}/all/1`, "longer");
  await Deno.writeTextFile(`${nodes.desk}/all/222`, "xyz");
  const back = await nodes.copied("-r", "all", "bob:");
  assert.deepEqual([back.files, back.unchanged], [2, count - 2]);
  assert.deepEqual(contents(`${nodes.shared}/all`), contents(`${nodes.desk}/all`));
});

clusterTest("a link that is cut in the middle costs nothing, up and down", async () => {
  await using nodes = await FileNodes.start();
  for (let i = 0; i < 12; i++) {
    plant(`${nodes.desk}/dir`, { [`sub-${i % 3}/`]: "" });
    await Deno.writeFile(`${nodes.desk}/dir/sub-${i % 3}/${i}`, noise(300_000));
  }
  for (const [from, to] of [["dir", "bob:dir"], ["bob:dir", "back"]]) {
    const cuts = nodes.wire.cuts;
    nodes.wire.cutAfter(700_000, 900_000, 800_000);
    const copied = await nodes.copied("-r", from, to);
    assert(nodes.wire.cuts > cuts);
    assert.deepEqual([copied.files, copied.failed], [12, 0]);
  }
  assert.deepEqual(contents(`${nodes.desk}/back`), contents(`${nodes.desk}/dir`));
});

clusterTest("a copy that was interrupted goes on when it is given again", async () => {
  await using nodes = await FileNodes.start();
  plant(`${nodes.desk}/dir/`, { "z/": "" });
  for (let i = 0; i < 8; i++) {
    await Deno.writeFile(`${nodes.desk}/dir/${i}`, noise(500_000));
  }
  const total = 8 * 500_000;
  for (const [from, to] of [["dir", "bob:new"], ["bob:new", "new"]]) {
    const io = new FakeIo();
    nodes.wire.onCut = () => void io.signal("SIGINT");
    nodes.wire.cutAfter(3_000_000);
    assert.equal((await nodes.cp(["-r", from, to], io)).code, 130);
    nodes.wire.onCut = () => {};
    const second = await nodes.copied("-r", from, to);
    assert.equal(second.failed, 0);
    assert.equal(Number(second.files) + Number(second.unchanged), 8);
    const copied = Number(second.bytes) - Number(second.resumed);
    assert(copied < total - 900_000, `${copied} bytes were copied: it began anew`);
  }
  const names = [..."01234567", "z"];
  assert.deepEqual(nodes.names("new"), names, "not under its name in what it had made itself");
  assert.deepEqual(nodes.names(), ["new"]);
  assert.deepEqual(contents(`${nodes.desk}/new`), contents(`${nodes.desk}/dir`));
  const inDesk = [...Deno.readDirSync(nodes.desk)].map(({ name }) => name).sort();
  assert.deepEqual(inDesk, ["dir", "new"]);
});

clusterTest("a copy that loses the node for good ends and tells how far it got", async () => {
  await using nodes = await FileNodes.start();
  for (let i = 0; i < 20; i++) {
    plant(`${nodes.desk}/dir`, { [`${i}`]: "" });
    await Deno.writeFile(`${nodes.desk}/dir/${i}`, noise(200_000));
  }
  let stopped: Promise<void> | undefined;
  nodes.wire.onCut = () => {
    stopped ??= nodes.bob.stop();
  };
  nodes.wire.cutAfter(1_500_000);
  const { code, out, err } = await nodes.cp(["-r", "dir", "bob:new", "--retries", "1"]);
  await stopped;
  assert(code === 1 || code === 3, `${code}`);
  assert.match(out, /^dir to bob:new: \d files, /);
  assert.match(err, /error: /);
  assert.doesNotMatch(err, /\d\d could not be copied/, "what was not tried has not failed");
});

clusterTest("listing needs reading, making needs writing, and both a name in allow", async () => {
  const outcomes = async (files: Record<string, unknown>) => {
    await using nodes = await FileNodes.start(files);
    plant(nodes.desk, { "dir/x": "x" });
    plant(nodes.shared, { "dir/x": "x" });
    const codes = [];
    for (const places of [["dir", "bob:new"], ["bob:dir", "new"]]) {
      codes.push((await nodes.cp(["-r", ...places])).code);
    }
    const list = await nodes.ask("/api/v1/files/bob?path=&op=list");
    await list.body?.cancel();
    return [...codes, list.status];
  };
  assert.deepEqual(await outcomes({ root: "shared" }), [4, 0, 200]);
  assert.deepEqual(await outcomes({ root: "shared", write: true, read: false }), [0, 4, 403]);
  const allow = { nodes: ["eve"] };
  assert.deepEqual(await outcomes({ root: "shared", write: true, allow }), [4, 4, 403]);
});
