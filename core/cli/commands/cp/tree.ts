/**
 * A folder with all that is in it, in either direction: what to copy next, and what became of it.
 *
 * The walk is depth-first and goes by pages, so that memory grows with how deep a tree is and not
 * with how much is in it. A folder is made before anything is put into it; files are copied a few at
 * a time, since each of many small ones would mostly wait. What fails is counted and the others go
 * on. Only when something failed for a broken link, after all its attempts, and the node does not
 * answer a question of its own either, the copy ends.
 */
import { codeOf, MycnetError } from "../../../kernel/errors.ts";
import type { Copied, CopiedTree, Copying, Failure, Progress } from "./copied.ts";
import { passes } from "./retries.ts";

/** Files that are copied at once. */
const maxAtOnce = 4;
/** Failures that are told one by one. */
const maxFailures = 10;
/** The longest path that a node takes, in UTF-16 units. */
const maxPath = 1024;

/** Something in a folder. */
export interface Entry {
  readonly name: string;
  readonly kind: "file" | "folder";
  /** In bytes. */
  readonly size: number;
  /** Permission bits. */
  readonly mode: number;
}

/** Some of what is in a folder. */
export interface Page {
  readonly entries: readonly Entry[];
  readonly skipped: CopiedTree["skipped"];
}

/** Where a tree comes from and where it goes. Paths begin in the tree; empty: the tree itself. */
export interface Tree {
  /** What is in a folder. */
  pages(folder: string): AsyncIterable<Page>;
  /** Makes a folder where it goes, unless it is there. */
  make(folder: string, mode: number): Promise<void>;
  /** Copies a file. */
  copy(copying: Copying, file: string): Promise<Copied>;
  /** Asks the node something small, once. */
  probe(): Promise<unknown>;
}

/** How all of it does. */
export interface TreeProgress extends Progress {
  /** Files that were dealt with. */
  files: number | undefined;
}

/** A folder that is being walked. */
interface Level {
  readonly path: string;
  readonly pages: AsyncIterator<Page>;
  entries: readonly Entry[];
  at: number;
}

/** Copies what is in a folder; the folder itself is there. @throws only if the command is ended. */
export async function copyTree(
  copying: Copying & { readonly progress: TreeProgress },
  tree: Tree,
): Promise<CopiedTree> {
  const walk = new Walk(copying, tree);
  await walk.run();
  copying.signal.throwIfAborted();
  return walk.outcome();
}

/** The path of something in a folder; either may be empty. */
export function below(folder: string, path: string): string {
  return folder === "" || path === "" ? folder + path : `${folder}/${path}`;
}

class Walk {
  readonly #copying: Copying;
  readonly #progress: TreeProgress;
  readonly #tree: Tree;
  /** Ends the files that are under way when one has lost the node. */
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();
  /** Kept when one of these is over. */
  #room: PromiseWithResolvers<void> | undefined;
  readonly #failures: Failure[] = [];
  readonly #skipped = { links: 0, special: 0, names: 0 };
  #files = 0;
  #folders = 0;
  #bytes = 0;
  #resumed = 0;
  #unchanged = 0;
  #failed = 0;
  #ended: Error | undefined;

  constructor(copying: Copying & { readonly progress: TreeProgress }, tree: Tree) {
    const signal = AbortSignal.any([copying.signal, this.#stop.signal]);
    this.#copying = { ...copying, signal, skipEqual: true };
    this.#progress = copying.progress;
    this.#progress.files = 0;
    this.#progress.total = 0;
    this.#tree = tree;
  }

  async run(): Promise<void> {
    const levels = [this.#level("")];
    try {
      while (levels.length > 0 && !this.#copying.signal.aborted) {
        const level = levels.at(-1)!;
        const entry = await this.#next(level);
        if (entry === undefined) {
          levels.pop();
          continue;
        }
        const path = below(level.path, entry.name);
        if (entry.kind === "file") await this.#begin(path, entry.size);
        else if (await this.#make(path, entry.mode)) levels.push(this.#level(path));
      }
    } finally {
      for (const { pages } of levels) await pages.return?.();
      await Promise.all(this.#running);
    }
  }

  outcome(): CopiedTree {
    return {
      files: this.#files,
      folders: this.#folders,
      bytes: this.#bytes,
      resumed: this.#resumed,
      unchanged: this.#unchanged,
      skipped: { ...this.#skipped },
      failed: this.#failed,
      failures: this.#failures,
      ...(this.#ended === undefined ? {} : { ended: this.#ended }),
    };
  }

  #level(path: string): Level {
    return { path, pages: this.#tree.pages(path)[Symbol.asyncIterator](), entries: [], at: 0 };
  }

  /** What comes next in a folder; undefined where it ends, or cannot be read further. */
  async #next(level: Level): Promise<Entry | undefined> {
    while (level.at === level.entries.length) {
      try {
        const { done, value } = await level.pages.next();
        if (done) return undefined;
        this.#take(level, value);
      } catch (error) {
        await this.#fail(level.path, error);
        return undefined;
      }
    }
    return level.entries[level.at++];
  }

  #take(level: Level, { entries, skipped }: Page): void {
    level.entries = entries;
    level.at = 0;
    this.#skipped.links += skipped.links;
    this.#skipped.special += skipped.special;
    this.#skipped.names += skipped.names;
    for (const { kind, size } of entries) {
      if (kind === "file") this.#progress.total! += size;
    }
  }

  async #make(path: string, mode: number): Promise<boolean> {
    try {
      // A node that makes its answers up could go down for ever.
      if (path.length > maxPath) throw new MycnetError("too_large", "the path is too long");
      await this.#tree.make(path, mode);
      this.#folders++;
      return true;
    } catch (error) {
      await this.#fail(path, error);
      return false;
    }
  }

  /** Begins with a file once there is room for it. */
  async #begin(path: string, size: number): Promise<void> {
    while (this.#running.size >= maxAtOnce) {
      // Not a race of those that run: each would leave something with a file that takes long.
      this.#room = Promise.withResolvers();
      await this.#room.promise;
    }
    const copy = this.#copy(path, size).finally(() => {
      this.#running.delete(copy);
      this.#room?.resolve();
    });
    this.#running.add(copy);
  }

  async #copy(path: string, size: number): Promise<void> {
    if (this.#copying.signal.aborted) return;
    const progress = new Share(this.#progress);
    try {
      const copied = await this.#tree.copy({ ...this.#copying, progress }, path);
      if (copied.isUnchanged) this.#unchanged++;
      else {
        this.#files++;
        this.#bytes += copied.bytes;
        this.#resumed += copied.resumedAt;
      }
      // It may have grown since it was listed.
      this.#progress.total! += copied.bytes - size;
      progress.bytes = copied.bytes;
    } catch (error) {
      progress.bytes = 0;
      this.#progress.total! -= size;
      await this.#fail(path, error);
    }
    this.#progress.files!++;
  }

  async #fail(path: string, error: unknown): Promise<void> {
    if (!this.#copying.signal.aborted && passes(error) && !await this.#answers()) {
      this.#ended ??= error as Error;
      this.#stop.abort(error);
    }
    // What is ended with all the rest has not failed by itself.
    if (this.#copying.signal.aborted) return;
    this.#failed++;
    if (this.#failures.length === maxFailures) return;
    const message = error instanceof Error ? error.message : String(error);
    this.#failures.push({ path, code: codeOf(error) ?? "internal", message });
  }

  async #answers(): Promise<boolean> {
    try {
      await this.#tree.probe();
      return true;
    } catch (error) {
      return !passes(error);
    }
  }
}

/** What one file adds to the progress of all. */
class Share implements Progress {
  total: number | undefined;
  readonly #all: Progress;
  #bytes = 0;

  constructor(all: Progress) {
    this.#all = all;
  }

  get bytes(): number {
    return this.#bytes;
  }

  set bytes(bytes: number) {
    this.#all.bytes += bytes - this.#bytes;
    this.#bytes = bytes;
  }

  note(text: string): void {
    this.#all.note(text);
  }
}
