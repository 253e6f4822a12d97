/**
 * What is in a folder, page by page in the order of names.
 *
 * A page begins behind a name, so what comes and goes meanwhile moves nothing: whatever is there
 * from the first page to the last is listed once. A file system has no such order, so a scan reads
 * the whole folder and keeps the first names behind the one asked for, a window of them; the pages
 * that follow come out of it, and a folder of n names is scanned about n / `windowNames` times.
 * Windows are few and scans go one after the other, so that memory is bounded whatever a folder
 * holds and however many ask. A window that is gone is scanned again.
 *
 * Links, sockets and the like, and names that no path may have, are counted and passed over. Parts
 * of files that are under way are not even that.
 */
import { join } from "node:path";
import { MycnetError } from "../../../core/kernel/errors.ts";
import { diskError, type Folder, isName, isPart, look } from "./folder.ts";
import { type FolderPage, type ListQuestion, pageNames } from "./protocol.ts";
import { Recent } from "./recent.ts";
import { statOf } from "./sender.ts";

/** Names that a scan keeps; while it runs, twice as many. */
const windowNames = 32_768;
/** Windows that are remembered. */
const maxWindows = 8;

/** Some names of a folder, without a gap. */
interface Window {
  /** They begin behind this one. */
  readonly after: string;
  /** In order. */
  readonly names: readonly string[];
  /** Whether there is nothing behind the last. */
  readonly isEnd: boolean;
}

/** Lists folders. */
export class Listing {
  readonly #folder: Folder;
  readonly #windowNames: number;
  readonly #windows = new Recent<Window>(maxWindows);
  #scanning: Promise<unknown> = Promise.resolve();

  /** @param most names that a scan keeps, at least a page. */
  constructor(folder: Folder, most: number = windowNames) {
    this.#folder = folder;
    this.#windowNames = most;
  }

  /** A page, for the node `asker`. @throws `invalid_argument` for what is no folder; as Folder.look. */
  async list({ path, after = "" }: ListQuestion, asker: string): Promise<FolderPage> {
    try {
      const { at, info } = await this.#folder.look(path);
      if (!info.isDirectory) {
        throw new MycnetError("invalid_argument", `path: ${JSON.stringify(path)} is no folder`);
      }
      const { names, isEnd } = await this.#window(`${asker} ${path}`, at, after);
      const from = firstBehind(names, after);
      const to = Math.min(from + pageNames, names.length);
      const page = await pageOf(at, names.slice(from, to));
      return isEnd && to === names.length ? page : { ...page, next: names[to - 1] };
    } catch (error) {
      throw diskError(error, path);
    }
  }

  async #window(key: string, at: string, after: string): Promise<Window> {
    // A listing that begins sees what is there now.
    const known = after === "" ? undefined : this.#windows.get(key);
    if (known !== undefined && known.after <= after) {
      if (known.isEnd || after < known.names.at(-1)!) return known;
    }
    const scan = this.#scanning.then(() => this.#scan(at, after));
    this.#scanning = scan.catch(() => {});
    const window = await scan;
    if (window.names.length > pageNames) this.#windows.set(key, window);
    else this.#windows.delete(key);
    return window;
  }

  async #scan(at: string, after: string): Promise<Window> {
    const most = this.#windowNames;
    const names: string[] = [];
    let last: string | undefined;
    const cut = () => {
      names.sort();
      if (names.length <= most) return;
      names.length = most;
      last = names[most - 1];
    };
    for await (const { name } of Deno.readDir(at)) {
      if (name <= after || isPart(name) || (last !== undefined && name > last)) continue;
      names.push(name);
      if (names.length >= 2 * most) cut();
    }
    cut();
    return { after, names, isEnd: last === undefined };
  }
}

/** Where names behind `after` begin. */
function firstBehind(names: readonly string[], after: string): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (names[middle] <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}

async function pageOf(at: string, names: readonly string[]): Promise<FolderPage> {
  const entries: FolderPage["entries"][number][] = [];
  const skipped = { links: 0, special: 0, names: 0 };
  const infos = await Promise.all(
    names.map((name) => isName(name) ? look(join(at, name)) : undefined),
  );
  for (const [index, name] of names.entries()) {
    const info = infos[index];
    if (!isName(name)) skipped.names++;
    else if (info === undefined) continue; // It has gone since the scan.
    else if (info.isSymlink) skipped.links++;
    else if (!info.isFile && !info.isDirectory) skipped.special++;
    else entries.push({ name, ...statOf(info) });
  }
  return { entries, skipped };
}
