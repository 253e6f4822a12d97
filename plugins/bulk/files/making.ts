/**
 * Folders that are made for a copy.
 *
 * A copy of a folder goes into one that is there, and becomes one that is not. Given again after an
 * interruption it must not take what it made itself for one that was there. So a folder that is made
 * for a transfer has an empty part beside it, named like that of a file: while it is there, whoever
 * comes back with the transfer hears that the folder was made for it. `finish` removes it; one that
 * nobody finishes goes as other parts do (receiver.ts).
 */
import { join } from "node:path";
import { MycnetError } from "../../../core/kernel/errors.ts";
import { diskError, type Folder, look, syncFolder, unless } from "./folder.ts";
import type { FinishQuestion, MakeQuestion } from "./protocol.ts";
import { partMode, partOf } from "./receiver.ts";

const usualMode = 0o755;
/** Who makes a folder puts files into it. */
const ownersMode = 0o700;

/** Makes folders. */
export class Making {
  readonly #folder: Folder;

  constructor(folder: Folder) {
    this.#folder = folder;
  }

  /** Sees to it that a folder is there; tells whether it was made, now or earlier for the same transfer. */
  async make({ path, transfer, mode = usualMode }: MakeQuestion): Promise<{ made: boolean }> {
    try {
      const { dir, name } = await this.#folder.place(path, true);
      const at = join(dir, name);
      const part = transfer === undefined ? undefined : partOf(dir, name, transfer);
      let made = false;
      if (await look(at) === undefined) {
        const isNew = part !== undefined && await touch(part);
        made = await makeFolder(at, mode | ownersMode);
        // Somebody else was faster: to this transfer the folder is one that was there.
        if (!made && isNew) await Deno.remove(part).catch(unless("ENOENT"));
        await syncFolder(dir);
      }
      const { info } = await this.#folder.look(path);
      if (!info.isDirectory) {
        throw new MycnetError(
          "invalid_argument",
          `path: ${JSON.stringify(path)} is there already and is no folder`,
        );
      }
      return { made: made || (part !== undefined && await look(part) !== undefined) };
    } catch (error) {
      throw diskError(error, path);
    }
  }

  /** Forgets that a folder was made for a transfer. */
  async finish({ path, transfer }: FinishQuestion): Promise<void> {
    try {
      const { info } = await this.#folder.look(path);
      const { dir, name } = await this.#folder.place(path, false);
      if (info.isDirectory) await Deno.remove(partOf(dir, name, transfer)).catch(unless("ENOENT"));
    } catch (error) {
      throw diskError(error, path);
    }
  }
}

/** Makes an empty file. @returns whether there was none. */
async function touch(at: string): Promise<boolean> {
  try {
    (await Deno.open(at, { write: true, createNew: true, mode: partMode })).close();
    return true;
  } catch (error) {
    unless("EEXIST")(error);
    return false;
  }
}

/** Makes a folder. @returns whether there was none. */
async function makeFolder(at: string, mode: number): Promise<boolean> {
  try {
    await Deno.mkdir(at, { mode });
    return true;
  } catch (error) {
    unless("EEXIST")(error);
    return false;
  }
}
