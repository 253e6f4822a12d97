/**
 * Files that are asked for: each is sent back to whoever asked, as a transfer.
 *
 * A file has a version, which changes when it does. A transfer that resumes names the version that
 * it began with, so that no file is put together from two. What was sent from the beginning has its
 * SHA-256 remembered; for others the file is read once more.
 */
import { createHash } from "node:crypto";
import type { Bulk } from "../../../core/contracts/bulk.ts";
import { MycnetError } from "../../../core/kernel/errors.ts";
import type { Host } from "../../../core/kernel/host.ts";
import { diskError, type Folder, type OpenFile } from "./folder.ts";
import { hashFile, pieceBytes } from "./hashing.ts";
import type { DigestQuestion, FetchQuestion, FileStat, StatQuestion } from "./protocol.ts";
import { Recent } from "./recent.ts";

/** Digests that are remembered. */
const maxDigests = 64;

/** What files are sent with. */
export interface SenderSetup {
  readonly host: Pick<Host, "log">;
  readonly folder: Folder;
  readonly bulk: Bulk;
  readonly signal: AbortSignal;
}

/** Sends files. */
export class Sender {
  readonly #setup: SenderSetup;
  readonly #digests = new Recent<string>(maxDigests);

  constructor(setup: SenderSetup) {
    this.#setup = setup;
  }

  /** What a file or folder is like. */
  async stat({ path }: StatQuestion): Promise<FileStat> {
    try {
      return statOf((await this.#setup.folder.look(path)).info);
    } catch (error) {
      throw diskError(error, path);
    }
  }

  /** Starts a transfer to a node and says of how many bytes. What becomes of it, that node sees. */
  async fetch(
    { path, offset, version, reply }: FetchQuestion,
    to: string,
  ): Promise<{ bytes: number }> {
    const open = await this.#open(path, version);
    const { size } = open.info;
    if (offset > size) {
      open[Symbol.dispose]();
      throw new MycnetError("invalid_argument", `offset: ${offset} is beyond the ${size} bytes`);
    }
    const { bulk, host, signal } = this.#setup;
    const hash = offset === 0 ? createHash("sha256") : undefined;
    bulk.send(to, reply, async () => {
      await open.file.seek(offset, Deno.SeekMode.Start);
      return fileStream(open.file, size - offset, (piece) => hash?.update(piece));
    }, { total: size - offset, signal })
      .then(() => {
        if (hash !== undefined) this.#digests.set(`${version} ${path}`, hash.digest("hex"));
      })
      .catch((error) =>
        host.log.debug("A file was not sent to its end.", { to, error: `${error}` })
      )
      .finally(() => open[Symbol.dispose]());
    return { bytes: size - offset };
  }

  /** The SHA-256 of a file. */
  async digest({ path, version }: DigestQuestion): Promise<{ sha256: string }> {
    using open = await this.#open(path, version);
    const key = `${version} ${path}`;
    let sha256 = this.#digests.get(key);
    if (sha256 === undefined) {
      sha256 = (await hashFile(open.file)).hash.digest("hex");
      this.#digests.set(key, sha256);
    }
    return { sha256 };
  }

  async #open(path: string, version: string): Promise<OpenFile> {
    let open: OpenFile;
    try {
      open = await this.#setup.folder.read(path);
    } catch (error) {
      throw diskError(error, path);
    }
    if (statOf(open.info).version === version) return open;
    open[Symbol.dispose]();
    throw new MycnetError("corrupted", `${JSON.stringify(path)} has changed meanwhile`);
  }
}

/** What is said of a file or folder. */
export function statOf({ isFile, size, mtime, ino, mode }: Deno.FileInfo): FileStat {
  return {
    kind: isFile ? "file" : "folder",
    size: isFile ? size : 0,
    version: `${size}-${mtime?.getTime() ?? 0}-${ino ?? 0}`,
    mode: (mode ?? 0o644) & 0o777,
  };
}

/** The next `bytes` of a file, in pieces of their own: they are on their way while the next is read. */
function fileStream(
  file: Deno.FsFile,
  bytes: number,
  seen: (piece: Uint8Array) => void,
): ReadableStream<Uint8Array> {
  let left = bytes;
  return new ReadableStream({
    async pull(controller) {
      const buffer = new Uint8Array(Math.min(pieceBytes, left));
      const count = left === 0 ? null : await file.read(buffer);
      if (count === null) return controller.close();
      const piece = buffer.subarray(0, count);
      left -= count;
      seen(piece);
      controller.enqueue(piece);
    },
  }, { highWaterMark: 1 });
}
