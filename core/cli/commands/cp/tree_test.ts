import assert from "node:assert/strict";
import fc from "fast-check";
import { MycnetError } from "../../../kernel/errors.ts";
import { createHost } from "../../../kernel/mod.ts";
import { AdminClient } from "../../admin_client.ts";
import { inFolder } from "../../fakes_test.ts";
import type { CopiedTree, Copying } from "./copied.ts";
import { remotePages } from "./download_tree.ts";
import { copyTree, type Page, type Tree, type TreeProgress } from "./tree.ts";
import { localPages } from "./upload_tree.ts";

type FakeProgress = TreeProgress & { readonly notes: string[] };

/** What a copy works with, for a client that is never asked. */
function copyingWith(
  signal: AbortSignal = new AbortController().signal,
): Copying & { readonly progress: FakeProgress } {
  const host = createHost();
  const notes: string[] = [];
  const note = (text: string) => void notes.push(text);
  const progress = { bytes: 0, total: undefined, files: undefined, notes, note };
  const client = new AdminClient({ address: "http://x", token: undefined }, host, signal);
  return { client, host, progress, retries: 0, signal };
}

/** A folder in memory: a number is a file of so many bytes. */
interface Folder {
  readonly [name: string]: number | Folder;
}

const none = { links: 0, special: 0, names: 0 };

/** A tree that goes from memory to a list of what was done. */
class FakeTree implements Tree {
  readonly done: string[] = [];
  /** Thrown for what is named. */
  readonly fails = new Map<string, Error>();
  isLost = false;
  atOnce = 0;
  mostAtOnce = 0;
  readonly #root: Folder;
  readonly #pageNames: number;

  constructor(root: Folder, pageNames = 2) {
    this.#root = root;
    this.#pageNames = pageNames;
  }

  async *pages(folder: string): AsyncGenerator<Page> {
    let it = this.#root;
    for (const name of folder === "" ? [] : folder.split("/")) it = it[name] as Folder;
    const entries = Object.entries(it).map(([name, value]) =>
      typeof value === "number"
        ? { name, kind: "file" as const, size: value, mode: 0o644 }
        : { name, kind: "folder" as const, size: 0, mode: 0o755 }
    );
    for (let at = 0; at < entries.length; at += this.#pageNames) {
      await Promise.resolve();
      this.#check(`list ${folder}`);
      yield { entries: entries.slice(at, at + this.#pageNames), skipped: { ...none, links: 1 } };
    }
  }

  make(folder: string): Promise<void> {
    this.#check(folder);
    this.done.push(`${folder}/`);
    return Promise.resolve();
  }

  async copy({ progress, signal }: Copying, file: string) {
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.atOnce);
    try {
      progress.bytes = 1;
      for (let i = 0; i < 3; i++) await Promise.resolve();
      signal.throwIfAborted();
      this.#check(file);
      const bytes = file.split("/").reduce(
        (it, name) => (it as Folder)[name],
        this.#root as unknown,
      );
      this.done.push(file);
      return { bytes: bytes as number, sha256: "", resumedAt: 0, attempts: 1 };
    } finally {
      this.atOnce--;
    }
  }

  probe(): Promise<void> {
    return this.isLost ? Promise.reject(new MycnetError("link_lost", "gone")) : Promise.resolve();
  }

  #check(what: string): void {
    const error = this.fails.get(what);
    if (error !== undefined) throw error;
  }
}

/** Every path in a folder, folders with a slash. */
function pathsOf(folder: Folder, prefix = ""): string[] {
  return Object.entries(folder).flatMap(([name, value]) =>
    typeof value === "number"
      ? [`${prefix}${name}`]
      : [`${prefix}${name}/`, ...pathsOf(value, `${prefix}${name}/`)]
  );
}

Deno.test("everything in a tree is copied once, each folder before what is in it", async () => {
  const { folder } = fc.letrec<{ folder: Folder; entry: number | Folder }>((tie) => ({
    entry: fc.oneof({ maxDepth: 4 }, fc.nat(1000), tie("folder")),
    folder: fc.dictionary(fc.stringMatching(/^[a-z]{1,3}$/), tie("entry"), {
      noNullPrototype: true,
    }),
  }));
  await fc.assert(fc.asyncProperty(folder, fc.integer({ min: 1, max: 5 }), async (root, size) => {
    const tree = new FakeTree(root, size);
    const copying = copyingWith();
    const copied = await copyTree(copying, tree);
    const paths = pathsOf(root);
    assert.deepEqual([...tree.done].sort(), [...paths].sort());
    for (const [at, path] of tree.done.entries()) {
      const parent = path.replace(/[^/]+\/?$/, "");
      assert(parent === "" || tree.done.indexOf(parent) < at, `${path} before ${parent}`);
    }
    const files = paths.filter((path) => !path.endsWith("/"));
    assert.equal(copied.files, files.length);
    assert.equal(copied.folders, paths.length - files.length);
    const { bytes, total, files: dealt } = copying.progress;
    assert.deepEqual([bytes, total, dealt], [copied.bytes, copied.bytes, files.length]);
    assert(tree.mostAtOnce <= 4);
  }));
});

Deno.test("what fails is counted with all that is in it, and the rest goes on", async () => {
  const tree = new FakeTree({ a: 1, b: 2, c: { d: 4 }, e: { f: 8, g: 16, h: 32 }, i: 64 });
  const refused = new MycnetError("too_large", "too large");
  // A broken link at one file, while the node answers, is that file's matter.
  tree.fails.set("b", new MycnetError("link_lost", "broke off"));
  tree.fails.set("c", refused);
  tree.fails.set("e/g", refused);
  const copying = copyingWith();
  const copied = await copyTree(copying, tree);
  assert.deepEqual(tree.done.sort(), ["a", "e/", "e/f", "e/h", "i"]);
  const expected: CopiedTree = {
    files: 4,
    folders: 1,
    bytes: 105,
    resumed: 0,
    unchanged: 0,
    skipped: { ...none, links: 5 },
    failed: 3,
    failures: copied.failures,
  };
  assert.deepEqual(copied, expected);
  const told = copied.failures.map(({ path, code }) => `${path}: ${code}`).sort();
  assert.deepEqual(told, ["b: link_lost", "c: too_large", "e/g: too_large"]);
  assert.deepEqual([copying.progress.bytes, copying.progress.total], [105, 105]);
});

Deno.test("a folder that cannot be read to its end has failed; only the first failures are kept", async () => {
  const tree = new FakeTree({ a: { b: 1 }, c: 2 });
  tree.fails.set("list a", new Error("odd"));
  const { failures, files } = await copyTree(copyingWith(), tree);
  assert.deepEqual(failures, [{ path: "a", code: "internal", message: "odd" }]);
  assert.equal(files, 1);

  const many = new FakeTree(
    Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`f${i}`, 1])),
  );
  for (let i = 0; i < 500; i++) many.fails.set(`f${i}`, new MycnetError("too_large", "no"));
  const all = await copyTree(copyingWith(), many);
  assert.deepEqual([all.failed, all.failures.length], [500, 10]);
});

Deno.test("a node that is lost ends the copy; a signal does, too", async () => {
  const root = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`f${i}`, 1]));
  const tree = new FakeTree(root);
  const lost = new MycnetError("link_lost", "gone");
  for (let i = 10; i < 100; i++) tree.fails.set(`f${i}`, lost);
  tree.isLost = true;
  const copied = await copyTree(copyingWith(), tree);
  assert.equal(copied.ended, lost);
  assert.deepEqual([copied.files, copied.failed], [10, 0]);

  const abort = new AbortController();
  const other = new FakeTree(root);
  const make = other.copy.bind(other);
  other.copy = (copying, file) => {
    if (file === "f20") abort.abort(lost);
    return make(copying, file);
  };
  const ended = copyTree(copyingWith(abort.signal), other);
  await assert.rejects(ended, (error) => error === lost);
  assert(other.done.length <= 20 && other.atOnce === 0);
});

Deno.test("a local folder gives files and folders by pages, and counts what it passes over", async () => {
  await inFolder(async (dir) => {
    const names = Array.from({ length: 1100 }, (_, i) => `file-${i}`);
    for (const name of names) Deno.writeTextFileSync(`${dir}/${name}`, name);
    await Deno.mkdir(`${dir}/sub`);
    await Deno.symlink("/etc", `${dir}/link`);
    await Deno.writeTextFile(`${dir}/.x.abababababababab.mycnet-part`, "part");
    using _socket = Deno.listen({ transport: "unix", path: `${dir}/socket` });
    const pages: Page[] = [];
    for await (const page of localPages(dir)) pages.push(page);
    assert.equal(pages.length, 3);
    const entries = pages.flatMap(({ entries }) => entries);
    assert.deepEqual(entries.map(({ name }) => name).sort(), [...names, "sub"].sort());
    assert.equal(entries.find(({ name }) => name === "sub")!.kind, "folder");
    assert.equal(entries.find(({ name }) => name === "file-1000")!.size, 9);
    const sum = (of: keyof typeof none) => pages.reduce((sum, it) => sum + it.skipped[of], 0);
    assert.deepEqual([sum("links"), sum("special"), sum("names")], [1, 1, 0]);
    await assert.rejects(localPages(`${dir}/none`).next(), /none cannot be read/);
  });
});

Deno.test("names and pages that a node makes up lead nowhere", async () => {
  const host = createHost();
  const pages: unknown[] = [];
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    () => Response.json(pages.shift()),
  );
  const address = `http://127.0.0.1:${server.addr.port}`;
  const copying = copyingWith();
  const client = new AdminClient({ address, token: undefined }, host, copying.signal);
  const entry = (name: string) => ({ name, kind: "file", size: 1, mode: 0o644 });
  const bad = ["", ".", "..", "../x", "a/b", "/etc", "nul\0"];
  pages.push({ entries: [...bad, "a"].map(entry), skipped: { ...none, names: 1 }, next: "b" });
  pages.push({ entries: [], skipped: none, next: "b" });
  const read = remotePages({ ...copying, client }, { node: "bob", path: "" });
  const first = (await read.next()).value as Page;
  assert.deepEqual(first.entries.map(({ name }) => name), ["a"]);
  assert.equal(first.skipped.names, bad.length + 1);
  await assert.rejects(read.next(), { code: "corrupted" });
});
