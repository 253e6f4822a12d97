/**
 * Writing files that must be whole or absent, and private where they hold keys:
 * written beside their place under a name of chance, synced, then renamed.
 */

import { join } from "node:path";

/** Readable and writable by the owner alone. */
export const privateMode = 0o600;
/** Readable by all, for certificates. */
export const publicMode = 0o644;
/** A folder for its owner alone. */
export const folderMode = 0o700;

/**
 * Writes a text file at once: a reader sees the old content or the new, never a part.
 * @param suffix something unique for the temporary name, e.g. `host.id()`.
 */
export async function writeWhole(
  path: string,
  text: string,
  mode: number,
  suffix: string,
): Promise<void> {
  const temporary = `${path}.${suffix}.tmp`;
  try {
    await writeNew(temporary, text, mode);
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}

/** Writes a text file that must not exist yet, and syncs it. */
export async function writeNew(path: string, text: string, mode: number): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true, mode });
  let rest: Uint8Array = new TextEncoder().encode(text);
  while (rest.length > 0) rest = rest.subarray(await file.write(rest));
  await file.sync();
}

/** Keeps a state folder's keys and tokens out of version control, whatever the project's own rules say. */
export async function ignoreFolder(stateDir: string): Promise<void> {
  try {
    await Deno.writeTextFile(join(stateDir, ".gitignore"), "*\n", { createNew: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

/** True for a folder that exists and may be read and written. Asks nobody for a permission. */
export async function isUsableFolder(path: string): Promise<boolean> {
  const granted = (["read", "write"] as const).every((name) =>
    Deno.permissions.querySync({ name, path }).state === "granted"
  );
  if (!granted) return false;
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch {
    return false;
  }
}

/** The text of a file, or undefined if there is none. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
