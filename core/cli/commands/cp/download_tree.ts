/**
 * A folder from a node to this machine.
 *
 * Into a folder that is there it goes under its own name; else it becomes the one that is named. A
 * folder that is made has an empty part beside it until the copy is complete, so that a command that
 * was interrupted goes on when it is given again, and does not take what it made for what was there.
 * Symbolic links are followed in the place that the command line names, and nowhere below.
 */
import { join } from "node:path";
import { MycnetError } from "../../../kernel/errors.ts";
import type { CopiedTree, Copying } from "./copied.ts";
import { downloadTo, type Stat, unusable } from "./download.ts";
import { partOf } from "./part.ts";
import { type RemotePlace, routeOf } from "./places.ts";
import { patiently } from "./retries.ts";
import { below, copyTree, type Entry, type Page, type TreeProgress } from "./tree.ts";
import { wholeFileMs } from "./upload.ts";

/** Whoever copies a folder puts files into it. */
const ownersMode = 0o700;

/** What a node says of a part of a folder. */
interface RemotePage extends Page {
  readonly next?: string;
}

/** What a node says is at a place. */
export function statOf(copying: Copying, from: RemotePlace): Promise<Stat> {
  return patiently(copying, () => copying.client.get<Stat>(routeOf(from, { op: "stat" })));
}

/**
 * Copies a folder.
 * @param keep the name that it has in a folder that is there; undefined: what is in it goes there.
 * @param mode the folder's permission bits.
 */
export async function downloadTree(
  copying: Copying & { readonly progress: TreeProgress },
  from: RemotePlace,
  to: string,
  keep: string | undefined,
  mode: number,
): Promise<CopiedTree> {
  // Says that the folder was made for this copy.
  const note = keep === undefined ? undefined : partOf(to, "folder", from.node, from.path);
  const root = await rootOf(to, keep, note, mode);
  const place = (path: string): RemotePlace => ({ node: from.node, path: below(from.path, path) });
  const copied = await copyTree(copying, {
    pages: (folder) => remotePages(copying, place(folder)),
    make: (folder, mode) => makeFolder(join(root, folder), mode),
    copy: (copying, file) => downloadTo(copying, place(file), join(root, file)),
    probe: () => copying.client.get(routeOf(from, { op: "stat" })),
  });
  if (note !== undefined && root === to && copied.failed === 0 && copied.ended === undefined) {
    await Deno.remove(note).catch(unlessMissing);
  }
  return copied;
}

/** The folder that it becomes, made. */
async function rootOf(
  to: string,
  keep: string | undefined,
  note: string | undefined,
  mode: number,
): Promise<string> {
  try {
    const there = await Deno.stat(to).catch(unlessMissing);
    if (there === undefined) {
      if (note !== undefined) await Deno.writeFile(note, new Uint8Array(), { mode: 0o600 });
      await Deno.mkdir(to, { mode: mode | ownersMode });
      return to;
    }
    if (there.isDirectory && keep === undefined) return to;
    if (there.isDirectory && await Deno.lstat(note!).catch(unlessMissing) !== undefined) return to;
  } catch (error) {
    throw unusable(to, error);
  }
  const root = keep === undefined ? to : join(to, keep);
  await makeFolder(root, mode);
  return root;
}

/** Makes a folder unless it is there. */
async function makeFolder(at: string, mode: number): Promise<void> {
  try {
    await Deno.mkdir(at, { mode: (mode & 0o777) | ownersMode });
  } catch (error) {
    const there = await Deno.lstat(at).catch(() => undefined);
    if (there?.isDirectory) return;
    if (there === undefined) throw unusable(at, error);
    throw new MycnetError(
      "usage",
      there.isSymlink
        ? `${at} is a symbolic link, which is not followed`
        : `${at} is there already and is no folder`,
    );
  }
}

/** What is in a folder of a node, by name. */
export async function* remotePages(
  copying: Copying,
  from: RemotePlace,
): AsyncGenerator<Page> {
  let after: string | undefined;
  do {
    const page = await patiently(copying, async () => {
      // A folder with very much in it is read whole.
      const route = routeOf(from, { op: "list", after });
      const response = await copying.client.ask(route, { limitMs: wholeFileMs });
      return await response.json() as RemotePage;
    });
    if (page.next !== undefined && after !== undefined && page.next <= after) {
      throw new MycnetError("corrupted", `the list of ${from.path} goes round in circles`);
    }
    const entries = page.entries.filter(fits);
    const names = page.skipped.names + page.entries.length - entries.length;
    yield { entries, skipped: { ...page.skipped, names } };
    after = page.next;
  } while (after !== undefined);
}

/** Whether a name is no more than one on this machine. The node that was asked may run on another. */
function fits({ name }: Entry): boolean {
  const unfit = Deno.build.os === "windows" ? /[\p{Cc}\\/:*?"<>|]|[. ]$/u : /[\0/]/;
  return name !== "" && name !== "." && name !== ".." && !unfit.test(name);
}

function unlessMissing(error: unknown): undefined {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
