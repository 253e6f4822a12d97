/**
 * A folder from this machine to a node.
 *
 * Into a folder that is there it goes under its own name; else it becomes the one that is named. So
 * that a command that was interrupted goes on when it is given again, and does not take what it made
 * for what was there, the node is told what the folder is made for, and when that has happened.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { MycnetError } from "../../../kernel/errors.ts";
import type { CopiedTree, Copying } from "./copied.ts";
import { partSuffix } from "./part.ts";
import { type RemotePlace, routeOf } from "./places.ts";
import { patiently } from "./retries.ts";
import { below, copyTree, type Entry, type Page, type TreeProgress } from "./tree.ts";
import { uploadFile } from "./upload.ts";

/** Entries that are looked at together. */
const pageNames = 512;

/**
 * Copies a folder.
 * @param keep the name that it has in a folder that is there; undefined: what is in it goes there.
 */
export async function uploadTree(
  copying: Copying & { readonly progress: TreeProgress },
  from: string,
  to: RemotePlace,
  keep: string | undefined,
): Promise<CopiedTree> {
  const { client } = copying;
  const { ino, mode } = await Deno.stat(from);
  const make = async ({ node, path }: RemotePlace, mode: number | null, transfer?: string) => {
    const bits = mode === null ? {} : { mode: mode & 0o777 };
    const route = routeOf({ node, path }, { op: "make", transfer });
    return (await client.post<{ made: boolean }>(route, bits)).made;
  };
  const transfer = keep === undefined ? undefined : transferOf(from, ino, to);
  let root = to;
  if (to.path !== "") {
    const made = await patiently(copying, () => make(to, mode, transfer));
    if (keep !== undefined && !made) {
      root = { node: to.node, path: below(to.path, keep) };
      await patiently(copying, () => make(root, mode));
    }
  }
  const place = (path: string): RemotePlace => ({ node: to.node, path: below(root.path, path) });
  const copied = await copyTree(copying, {
    pages: (folder) => localPages(join(from, folder)),
    make: async (folder, mode) => void await patiently(copying, () => make(place(folder), mode)),
    copy: (copying, file) => uploadFile(copying, join(from, file), place(file)),
    // Any answer will do, also that the folder served has no name.
    probe: () => make(root, null),
  });
  if (transfer !== undefined && root === to && copied.failed === 0 && copied.ended === undefined) {
    await patiently(copying, () => client.post(routeOf(to, { op: "finish", transfer }), {}));
  }
  return copied;
}

/** What is in a folder of this machine, in no order. */
export async function* localPages(dir: string): AsyncGenerator<Page> {
  let names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(dir)) {
      // What an interrupted copy left here.
      if (name.toLowerCase().endsWith(partSuffix)) continue;
      names.push(name);
      if (names.length < pageNames) continue;
      yield await pageOf(dir, names);
      names = [];
    }
    if (names.length > 0) yield await pageOf(dir, names);
  } catch (error) {
    throw new MycnetError("usage", `${dir} cannot be read: ${(error as Error).message}`);
  }
}

async function pageOf(dir: string, names: readonly string[]): Promise<Page> {
  const entries: Entry[] = [];
  const skipped = { links: 0, special: 0, names: 0 };
  const infos = await Promise.all(names.map((name) => look(join(dir, name))));
  for (const [at, info] of infos.entries()) {
    if (info === undefined) continue; // It has gone meanwhile.
    if (info.isSymlink) skipped.links++;
    else if (!info.isFile && !info.isDirectory) skipped.special++;
    else {
      const kind = info.isFile ? "file" : "folder";
      const mode = (info.mode ?? (info.isFile ? 0o644 : 0o755)) & 0o777;
      entries.push({ name: names[at], kind, size: info.size, mode });
    }
  }
  return { entries, skipped };
}

async function look(at: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.lstat(at);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The same for the same folder on its way to the same place. */
function transferOf(from: string, ino: number | null, { node, path }: RemotePlace): string {
  const parts = ["folder", from, ino, node, path];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}
