/**
 * The `databases` plugin: SQLite files in a folder of the node's own, for its
 * owner's eyes alone.
 *
 * The folder is nodes/<id> of the state folder, if that is there: nobody makes a
 * state folder by starting a node. A file is open once: another process that wants
 * it is told so. What can go wrong is told by name of the file, and costs only what
 * needs the database; the node starts all the same.
 */
import { existsSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { type Databases, databases, type OpenedDatabase } from "../../contracts/databases.ts";
import { settings } from "../../contracts/settings.ts";
import { definePlugin } from "../../kernel/define_plugin.ts";
import { MycnetError } from "../../kernel/errors.ts";
import type { Plugin } from "../../kernel/plugin.ts";
import { folderMode, isUsableFolder, privateMode } from "../identity/files.ts";
import { nodePaths } from "../identity/paths.ts";

const config = z.strictObject({
  folder: z.string().min(1).optional().describe(
    "Where databases are kept; made if it is not there. " +
      "Default: nodes/<id> of the state folder, where that exists.",
  ),
});

/** The plugin. It is always present. */
const plugin: Plugin<Databases> = definePlugin({
  name: "databases",
  summary: "SQLite databases of the node's own, for what must survive a kill.",
  provides: databases,
  needs: { settings },
  config,
  permissions: ({ folder }) => folder === undefined ? {} : { read: [folder], write: [folder] },
  async setup({ config, needs: { settings } }): Promise<Databases> {
    const { folder } = config;
    if (folder !== undefined) {
      const path = resolve(settings.baseDir, folder);
      mkdirSync(path, { recursive: true, mode: folderMode });
      return new FolderDatabases(path, undefined);
    }
    const path = nodePaths(settings.stateDir, settings.id).dir;
    const problem = await isUsableFolder(path)
      ? undefined
      : `this node keeps nothing on disk: there is no folder ${path} that it may write`;
    return new FolderDatabases(path, problem);
  },
});

export default plugin;

class FolderDatabases implements Databases {
  readonly unavailable: string | undefined;
  readonly #folder: string;

  constructor(folder: string, unavailable: string | undefined) {
    this.#folder = folder;
    this.unavailable = unavailable;
  }

  exists(name: string): boolean {
    return this.unavailable === undefined && existsSync(join(this.#folder, name));
  }

  open(name: string): OpenedDatabase {
    if (this.unavailable !== undefined) {
      throw new MycnetError("unavailable", this.unavailable, {
        remedy:
          "Make the node's folder with `mycnet init`, or name one in plugins.databases.folder.",
      });
    }
    const path = join(this.#folder, name);
    let database: DatabaseSync | undefined;
    try {
      makePrivate(path);
      database = new DatabaseSync(path);
      // Exclusive: no second process, and no file of shared memory beside it.
      database.exec("PRAGMA locking_mode=EXCLUSIVE");
      database.exec("PRAGMA journal_mode=WAL");
      database.exec("PRAGMA synchronous=FULL");
      // The lock is taken with the first read, damage shows with it.
      database.exec("BEGIN IMMEDIATE; COMMIT");
      const opened = database;
      return { database, path, [Symbol.dispose]: () => opened.close() };
    } catch (error) {
      database?.close();
      const why = (error as Error).message;
      throw new MycnetError("unavailable", `the database ${path} cannot be used: ${why}`, {
        cause: error,
        remedy: /locked/.test(why)
          ? "Another process has it open: stop that, or give this node another folder."
          : "Restore the file, or move it and its -wal file away: what they hold is lost then.",
      });
    }
  }
}

/** SQLite makes its files with the mode of the first, so that is made before. */
function makePrivate(path: string): void {
  try {
    Deno.openSync(path, { write: true, createNew: true, mode: privateMode }).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}
