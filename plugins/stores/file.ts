/**
 * The store `file`: files in a folder of the node's own.
 *
 * Operations run one after the other. A replacement is written beside its
 * place, synced, renamed over the old file, and the folder synced, so a crash
 * leaves the old or the new file. A name left over from an interrupted
 * replacement ends in `.tmp~`, which no file of a user can, and is removed at
 * the start. Only one process may use a folder: it is locked while the plugin
 * runs, and a second one fails to start instead of tearing files.
 */
import { join, resolve } from "node:path";
import { z } from "zod";
import { settings } from "../../core/contracts/settings.ts";
import { type Store, store, storeLimits } from "../../core/contracts/store.ts";
import { definePlugin } from "../../core/kernel/define_plugin.ts";
import { MycnetError } from "../../core/kernel/errors.ts";
import type { Plugin } from "../../core/kernel/plugin.ts";

/** Operations that may wait at once. */
const maxWaiting = 4096;
const fileMode = 0o600;
const folderMode = 0o700;
const temporary = /\.tmp~$/;
const lockName = ".lock";

const config = z.strictObject({
  dir: z.string().min(1).optional()
    .describe("The folder. Default: nodes/<id>/store in the state folder."),
});

/** The plugin. */
const plugin: Plugin<Store> = definePlugin({
  name: "file",
  summary: "Keeps what must survive a restart in files of the state folder.",
  provides: store,
  needs: { settings },
  config,
  permissions: ({ dir }) => dir === undefined ? {} : { read: [dir], write: [dir] },
  async setup({ id, config, needs: { settings }, own }) {
    const dir = config.dir === undefined
      ? join(settings.stateDir, "nodes", settings.id, "store")
      : resolve(settings.baseDir, config.dir);
    await Deno.mkdir(dir, { recursive: true, mode: folderMode });
    own(await lock(dir));
    await sweep(dir);
    return own(new FileStore(id, dir));
  },
});
export default plugin;

/** Keeps other processes out. The system gives the lock back however this one ends. */
async function lock(dir: string): Promise<Disposable> {
  const file = await Deno.open(join(dir, lockName), { write: true, create: true, mode: fileMode });
  let held = false;
  try {
    held = await file.tryLock(true);
  } finally {
    if (!held) file.close();
  }
  if (held) return file;
  throw new MycnetError(
    "already_exists",
    `${dir} is in use by another process: stop it, or give this node another id or folder`,
  );
}

/** Removes what interrupted replacements left. */
async function sweep(dir: string): Promise<void> {
  const left: string[] = [];
  for await (const { name } of Deno.readDir(dir)) if (temporary.test(name)) left.push(name);
  for (const name of left) await Deno.remove(join(dir, name));
}

class FileStore implements Store, AsyncDisposable {
  readonly id: string;
  readonly #dir: string;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #closed = false;

  constructor(id: string, dir: string) {
    this.id = id;
    this.#dir = dir;
  }

  read(name: string): Promise<Uint8Array | undefined> {
    return this.#run(name, async (path) => {
      try {
        return await Deno.readFile(path);
      } catch (error) {
        return ifMissing(error, undefined);
      }
    });
  }

  write(name: string, bytes: Uint8Array): Promise<void> {
    const copy = bytes.slice(); // The caller may reuse its bytes at once.
    return this.#run(name, async (path) => {
      checkSize(name, copy.length);
      const aside = `${path}.tmp~`;
      {
        using file = await Deno.open(aside, {
          write: true,
          create: true,
          truncate: true,
          mode: fileMode,
        });
        await writeAll(file, copy);
        await file.sync();
      }
      await Deno.rename(aside, path);
      await this.#syncFolder();
    });
  }

  append(name: string, bytes: Uint8Array): Promise<void> {
    const copy = bytes.slice();
    return this.#run(name, async (path) => {
      using file = await Deno.open(path, { append: true, create: true, mode: fileMode });
      checkSize(name, (await file.stat()).size + copy.length);
      await writeAll(file, copy);
    });
  }

  sync(name: string): Promise<void> {
    return this.#run(name, async (path) => {
      try {
        using file = await Deno.open(path, { write: true });
        await file.sync();
      } catch (error) {
        return ifMissing(error, undefined);
      }
      await this.#syncFolder(); // The file itself may be new.
    });
  }

  remove(name: string): Promise<void> {
    return this.#run(name, async (path) => {
      try {
        await Deno.remove(path);
      } catch (error) {
        return ifMissing(error, undefined);
      }
      await this.#syncFolder();
    });
  }

  list(): Promise<readonly string[]> {
    return this.#queue(async () => {
      const names: string[] = [];
      for await (const { name, isFile } of Deno.readDir(this.#dir)) {
        if (isFile && storeLimits.name.test(name)) names.push(name);
      }
      return names.sort();
    });
  }

  /** Takes nothing new and waits for what is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#last;
  }

  async #run<T>(name: string, action: (path: string) => Promise<T>): Promise<T> {
    if (!storeLimits.name.test(name)) {
      throw new MycnetError(
        "invalid_argument",
        `name: ${JSON.stringify(name)} must match ${storeLimits.name.source}`,
      );
    }
    return await this.#queue(() => action(join(this.#dir, name)));
  }

  #queue<T>(action: () => Promise<T>): Promise<T> {
    if (this.#closed) {
      return Promise.reject(new MycnetError("closed", "the store's plugin has stopped"));
    }
    if (this.#waiting >= maxWaiting) {
      return Promise.reject(
        new MycnetError("overloaded", `${maxWaiting} operations wait for the disk`),
      );
    }
    this.#waiting++;
    const done = this.#last.then(action).finally(() => this.#waiting--);
    this.#last = done.catch(() => {});
    return done;
  }

  /** Makes a new name, or its absence, durable. Windows has no such thing. */
  async #syncFolder(): Promise<void> {
    if (Deno.build.os === "windows") return;
    using folder = await Deno.open(this.#dir);
    await folder.sync();
  }
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  let rest = bytes;
  while (rest.length > 0) rest = rest.subarray(await file.write(rest));
}

function checkSize(name: string, size: number): void {
  if (size <= storeLimits.maxFileBytes) return;
  throw new MycnetError(
    "too_large",
    `${name} would grow to ${size} bytes, and a file has at most ${storeLimits.maxFileBytes}`,
  );
}

function ifMissing<T>(error: unknown, value: T): T {
  if (error instanceof Deno.errors.NotFound) return value;
  throw error;
}
