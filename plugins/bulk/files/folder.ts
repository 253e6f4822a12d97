/**
 * The folder that files are read from and written to, and nothing outside of it.
 *
 * A path is plain names with slashes in between: nothing that a file system reads as more than a
 * name. On the way down every folder must be one: a symbolic link is refused wherever it points,
 * since whoever may write files could otherwise be led out. After opening, the file is compared with
 * the one that was looked at, so that nobody swaps it in between. Other nodes cannot make links or
 * swap folders; a program of this machine that may write to the folder could swap one on the way
 * for a link between the look and the opening, which no system call of Deno's rules out. Such a
 * folder must not be declared, or the process confined to it by `--allow-read` and `--allow-write`.
 */
import { join, resolve } from "node:path";
import { MycnetError } from "../../../core/kernel/errors.ts";

/** What ends the names of files that are not complete. */
export const partSuffix = ".mycnet-part";
/** The longest name of a file or folder, so that the name of its part, with 32 digits of a transfer, fits into 255 bytes. */
const maxNameBytes = 180;
const utf8 = new TextEncoder();
/** Control characters, for people who list the folder too, and what Windows takes for a slash. */
const unfit = /[\p{Cc}\\]/u;

function bad(path: string, why: string): MycnetError {
  return new MycnetError("invalid_argument", `path: ${JSON.stringify(path)} ${why}`);
}

/** The names in a path. @throws `invalid_argument`. */
export function namesOf(path: string): readonly string[] {
  if (path.startsWith("/")) throw bad(path, "is absolute; paths begin in the folder");
  const names = path.split("/");
  for (const name of names) {
    const why = wrongIn(name);
    if (why !== undefined) throw bad(path, why);
  }
  return names;
}

/** Whether something of this name may be copied. */
export function isName(name: string): boolean {
  return !name.includes("/") && wrongIn(name) === undefined;
}

/** Whether it is the name of a file that is not complete. In any case: some file systems do not tell them apart. */
export function isPart(name: string): boolean {
  return name.toLowerCase().endsWith(partSuffix);
}

/** What is wrong with a name, said of the path that it stands in. */
function wrongIn(name: string): string | undefined {
  if (name === "" || name === "." || name === "..") {
    return "has an empty name, a dot or two dots in it";
  }
  if (unfit.test(name)) return "has a backslash or a control character in it";
  if (Deno.build.os === "windows" && /[:*?"<>|]|[. ]$/.test(name)) {
    return "has a character in it that Windows reserves";
  }
  if (utf8.encode(name).length > maxNameBytes) {
    return `has a name of more than ${maxNameBytes} bytes in it`;
  }
  if (isPart(name)) return "names a file that is not complete";
  return undefined;
}

/** An open file and what it was like at that moment. */
export interface OpenFile extends Disposable {
  readonly file: Deno.FsFile;
  readonly info: Deno.FileInfo;
}

/** A folder. */
export class Folder {
  /** Where it is, absolute and without symbolic links. */
  readonly root: string;

  private constructor(root: string) {
    this.root = root;
  }

  /** @throws `config_invalid` unless it is a folder. */
  static async open(dir: string): Promise<Folder> {
    const remedy = `Make the folder ${dir}, or name another one as "root" of the plugin files.`;
    try {
      const root = await Deno.realPath(resolve(dir));
      if ((await Deno.stat(root)).isDirectory) return new Folder(root);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new MycnetError("config_invalid", `root: ${dir} cannot be opened: ${why}`, {
        cause,
        remedy,
      });
    }
    throw new MycnetError("config_invalid", `root: ${dir} is no folder`, { remedy });
  }

  /**
   * Where a path leads: its folder exists and is inside.
   * @param make whether folders on the way are made.
   * @throws `invalid_argument`, `not_found`, `permission_denied` for a symbolic link.
   */
  async place(
    path: string,
    make: boolean,
  ): Promise<{ readonly dir: string; readonly name: string }> {
    const names = [...namesOf(path)];
    const name = names.pop()!;
    let dir = this.root;
    for (const next of names) {
      dir = join(dir, next);
      let info = await look(dir);
      if (info === undefined && make) {
        await Deno.mkdir(dir, { mode: 0o755 }).catch(unless("EEXIST"));
        info = await look(dir);
      }
      if (info === undefined) throw missing(path);
      if (info.isSymlink) throw symlink(path);
      if (!info.isDirectory) {
        throw bad(path, `leads through ${JSON.stringify(next)}, which is a file`);
      }
    }
    return { dir, name };
  }

  /**
   * A file or folder and what it is like, itself and not what it points to.
   * @param path empty: the folder itself.
   * @throws as {@linkcode Folder.place}; `invalid_argument` for what is neither.
   */
  async look(path: string): Promise<{ readonly at: string; readonly info: Deno.FileInfo }> {
    let at = this.root;
    if (path !== "") {
      const { dir, name } = await this.place(path, false);
      at = join(dir, name);
    }
    const info = await look(at);
    if (info === undefined) throw missing(path);
    if (info.isSymlink) throw symlink(path);
    if (!info.isFile && !info.isDirectory) throw bad(path, "is neither a file nor a folder");
    return { at, info };
  }

  /** Opens a file for reading. @throws as {@linkcode Folder.place}; `invalid_argument` for what is no file. */
  async read(path: string): Promise<OpenFile> {
    const { at, info: before } = await this.look(path);
    if (!before.isFile) throw bad(path, "is no file");
    const file = await Deno.open(at);
    return await same(file, before, path);
  }

  /** What stands at a path now and may be replaced: a file, or nothing. @throws like {@linkcode Folder.read}. */
  async replaceable(path: string, dir: string, name: string): Promise<Deno.FileInfo | undefined> {
    const info = await look(join(dir, name));
    if (info?.isSymlink) throw symlink(path);
    if (info !== undefined && !info.isFile) throw bad(path, "is there already and is no file");
    return info;
  }
}

/** A file, if it is still the one that was looked at. Closes it otherwise. */
export async function same(
  file: Deno.FsFile,
  before: Deno.FileInfo,
  path: string,
): Promise<OpenFile> {
  const info = await file.stat().catch((error) => {
    file.close();
    throw error;
  });
  if (info.isFile && info.ino === before.ino && info.dev === before.dev) {
    return { file, info, [Symbol.dispose]: () => file.close() };
  }
  file.close();
  throw symlink(path);
}

/** What is there, itself and not what it points to; undefined for nothing. */
export async function look(at: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.lstat(at);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function missing(path: string): MycnetError {
  return new MycnetError("not_found", `the folder that it serves has no ${JSON.stringify(path)}`);
}

function symlink(path: string): MycnetError {
  return new MycnetError(
    "permission_denied",
    `path: ${JSON.stringify(path)} leads over a symbolic link, which is not followed`,
  );
}

/** Lets one kind of failure pass. */
export function unless(code: string): (error: unknown) => void {
  return (error) => {
    if ((error as { code?: unknown }).code !== code) throw error;
  };
}

/** Makes a name, or its absence, durable. Windows has no such thing. */
export async function syncFolder(dir: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  using folder = await Deno.open(dir);
  await folder.sync();
}

/** A failure of the file system as one that the other node may hear. */
export function diskError(error: unknown, path: string): unknown {
  switch ((error as { code?: unknown }).code) {
    case "ENOSPC":
    case "EDQUOT":
    case "EFBIG":
      return new MycnetError("too_large", `no room on its disk for ${JSON.stringify(path)}`, {
        cause: error,
      });
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new MycnetError(
        "permission_denied",
        `the other node may not touch ${JSON.stringify(path)}`,
        { cause: error },
      );
    default:
      return error;
  }
}
