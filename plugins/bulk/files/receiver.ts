/**
 * Files that arrive.
 *
 * The bytes of a transfer go to a part beside the file's place; a running SHA-256 goes along, and is
 * computed anew from the disk where it is not in memory any more. `commit` compares it, syncs the
 * part, renames it over the file and syncs the folder. Transfers of different names to one path do
 * not touch each other: each has its part, and the last to commit stays. A second transfer of the
 * same name ends the first, which is most likely a sender that lost its link and is back; one that
 * comes during a commit waits for its end, so that it never writes to what is in place. Parts that
 * nobody went on with for long are removed when a file is next written to their folder.
 */
import type { Hash } from "node:crypto";
import { join } from "node:path";
import type { IncomingBulk } from "../../../core/contracts/bulk.ts";
import { MycnetError } from "../../../core/kernel/errors.ts";
import type { Host } from "../../../core/kernel/host.ts";
import { diskError, type Folder, look, partSuffix, same, syncFolder } from "./folder.ts";
import { hashFile, pieceBytes } from "./hashing.ts";
import { type CommitQuestion, type Had, type HaveQuestion, readPut } from "./protocol.ts";
import { Recent } from "./recent.ts";

/** Running hashes that are remembered; for others the part is read once more. */
const maxHashes = 64;
/** Entries of a folder that are looked at for stale parts. */
const maxSwept = 10_000;
/** Between two looks at a folder for stale parts, in ms: a copy of many files asks often. */
const sweepEveryMs = 60_000;
/** Folders of which the time of that look is remembered. */
const maxSweptFolders = 256;
/** Permission bits of what is not complete. */
export const partMode = 0o600;
const usualMode = 0o644;

/** What files are received with. */
export interface ReceiverSetup {
  readonly host: Pick<Host, "now" | "wallTime" | "log">;
  readonly folder: Folder;
  /** The largest file, in bytes. */
  readonly maxBytes: number;
  /** How long an unfinished transfer is kept, in ms. */
  readonly partTtlMs: number;
}

/** An open part. */
interface Part extends Disposable {
  readonly at: string;
  readonly file: Deno.FsFile;
  size: number;
}

/** Who has a part now: a transfer that writes to it, or a commit that moves it. */
interface Writing {
  /** Ends a transfer; a commit goes on to its end, which is near. */
  readonly stop: AbortController;
  readonly over: Promise<void>;
}

/** Takes files in. */
export class Receiver {
  readonly #setup: ReceiverSetup;
  readonly #hashes = new Recent<{ readonly hash: Hash; readonly bytes: number }>(maxHashes);
  readonly #writing = new Map<string, Writing>();
  readonly #swept = new Recent<number>(maxSweptFolders);

  constructor(setup: ReceiverSetup) {
    this.#setup = setup;
  }

  /** How much of a transfer is here. @throws `too_large` for a file that will not be taken. */
  async have({ path, transfer, total }: HaveQuestion): Promise<Had> {
    this.#checkSize(total ?? 0);
    const { dir, name, size } = await this.#place(path);
    await this.#sweep(dir);
    const inPlace = size === undefined ? {} : { inPlace: size };
    const at = partOf(dir, name, transfer);
    if (this.#writing.has(at)) return { bytes: (await look(at))?.size ?? 0, ...inPlace };
    using part = await this.#open(at, path, false);
    if (part === undefined) return { bytes: 0, ...inPlace };
    // Now and not when the bytes come, since it may take a while.
    await this.#hashOf(part);
    return { bytes: part.size, ...inPlace };
  }

  /** A transfer of bytes. */
  async put(transfer: IncomingBulk): Promise<void> {
    const { path, transfer: id } = readPut(transfer.metadata);
    this.#checkSize(transfer.total ?? 0);
    const { dir, name } = await this.#place(path);
    const at = partOf(dir, name, id);
    // Whoever comes takes the place at once, and begins when those before have ended.
    const before = this.#writing.get(at);
    using taken = this.#take(at);
    try {
      before?.stop.abort(
        new MycnetError("cancelled", `another attempt to send ${JSON.stringify(path)} has begun`),
      );
      await before?.over;
      taken.signal.throwIfAborted();
      using part = (await this.#open(at, path, true))!;
      await this.#write(part, transfer, path, taken.signal);
    } catch (error) {
      throw diskError(error, path);
    }
  }

  /** Puts a transfer in its place. @throws `corrupted` if it is not what was sent; it is gone then. */
  async commit(question: CommitQuestion): Promise<void> {
    const { path, transfer, bytes, sha256, mode = usualMode } = question;
    const { dir, name } = await this.#place(path);
    const at = partOf(dir, name, transfer);
    if (this.#writing.has(at)) {
      throw new MycnetError("overloaded", `${JSON.stringify(path)} is still being written`);
    }
    using _taken = this.#take(at);
    try {
      using part = await this.#open(at, path, false);
      if (part === undefined) {
        if (await this.#committed(path, bytes, sha256)) return;
        throw new MycnetError("not_found", `nothing of ${JSON.stringify(path)} has arrived`);
      }
      const { hash } = await this.#hashOf(part);
      this.#hashes.delete(at);
      if (part.size !== bytes || hash.copy().digest("hex") !== sha256) {
        await Deno.remove(at);
        throw new MycnetError(
          "corrupted",
          `${
            JSON.stringify(path)
          }: the ${part.size} bytes that arrived are not those that were sent`,
        );
      }
      if (Deno.build.os !== "windows") await Deno.chmod(at, mode & 0o777);
      await part.file.sync();
    } catch (error) {
      throw diskError(error, path);
    }
    try {
      await Deno.rename(at, join(dir, name));
      await syncFolder(dir);
    } catch (error) {
      throw diskError(error, path);
    }
  }

  /** Has a part until disposed, or until somebody else takes it. */
  #take(at: string): Disposable & { readonly signal: AbortSignal } {
    const stop = new AbortController();
    const over = Promise.withResolvers<void>();
    const writing = { stop, over: over.promise };
    this.#writing.set(at, writing);
    return {
      signal: stop.signal,
      [Symbol.dispose]: () => {
        if (this.#writing.get(at) === writing) this.#writing.delete(at);
        over.resolve();
      },
    };
  }

  async #write(
    part: Part,
    transfer: IncomingBulk,
    path: string,
    stop: AbortSignal,
  ): Promise<void> {
    if (transfer.total !== undefined && part.size > transfer.total) await this.#restart(part);
    let { hash, bytes } = await this.#hashOf(part);
    // That may have taken a while, and a signal that has aborted tells nobody who comes later.
    stop.throwIfAborted();
    // Into one buffer again and again: see core/node/bulk/inflow.ts.
    const reader = transfer.accept(part.size).getReader({ mode: "byob" });
    let buffer = new Uint8Array(pieceBytes);
    const superseded = () => void reader.cancel(stop.reason).catch(() => {});
    stop.addEventListener("abort", superseded);
    try {
      await part.file.seek(part.size, Deno.SeekMode.Start);
      while (true) {
        const { done, value } = await reader.read(buffer);
        stop.throwIfAborted();
        if (done) return;
        this.#checkSize(bytes + value.length);
        for (let rest = value; rest.length > 0;) rest = rest.subarray(await part.file.write(rest));
        hash.update(value);
        bytes += value.length;
        part.size = bytes;
        buffer = new Uint8Array(value.buffer);
      }
    } finally {
      stop.removeEventListener("abort", superseded);
      // A write that failed half way left more in the part than went into the hash.
      await part.file.truncate(bytes).catch((error) => {
        this.#setup.host.log.warn("A part could not be cut to what is known of it.", {
          path,
          error: `${error}`,
        });
        bytes = -1;
      });
      if (bytes < 0) this.#hashes.delete(part.at);
      else this.#hashes.set(part.at, { hash, bytes });
      await reader.cancel().catch(() => {});
    }
  }

  async #restart(part: Part): Promise<void> {
    await part.file.truncate(0);
    part.size = 0;
  }

  /** True if a commit whose answer was lost did happen. */
  async #committed(path: string, bytes: number, sha256: string): Promise<boolean> {
    try {
      using open = await this.#setup.folder.read(path);
      if (open.info.size !== bytes) return false;
      return (await hashFile(open.file)).hash.digest("hex") === sha256;
    } catch {
      return false;
    }
  }

  /** The running hash of a part, from the disk where it is not known. */
  async #hashOf(part: Part): Promise<{ hash: Hash; bytes: number }> {
    const known = this.#hashes.get(part.at);
    if (known?.bytes === part.size) return { ...known };
    const made = await hashFile(part.file, part.size);
    this.#hashes.set(part.at, made);
    return { ...made };
  }

  /** Where a file goes, and the size of the one that is there. */
  async #place(
    path: string,
  ): Promise<{ readonly dir: string; readonly name: string; readonly size: number | undefined }> {
    try {
      const { folder } = this.#setup;
      const { dir, name } = await folder.place(path, true);
      return { dir, name, size: (await folder.replaceable(path, dir, name))?.size };
    } catch (error) {
      throw diskError(error, path);
    }
  }

  async #open(at: string, path: string, create: boolean): Promise<Part | undefined> {
    if (await look(at) === undefined) {
      if (!create) return undefined;
      const made = await Deno.open(at, { write: true, createNew: true, mode: partMode });
      made.close();
    }
    const before = await look(at);
    if (before === undefined || !before.isFile) {
      throw new MycnetError("permission_denied", `the part of ${JSON.stringify(path)} is no file`);
    }
    const file = await Deno.open(at, { read: true, write: true });
    const { info } = await same(file, before, path);
    return { at, file, size: info.size, [Symbol.dispose]: () => file.close() };
  }

  #checkSize(bytes: number): void {
    const { maxBytes } = this.#setup;
    if (bytes <= maxBytes) return;
    throw new MycnetError(
      "too_large",
      `more than the ${maxBytes} bytes that its "maxBytes" allows a file`,
    );
  }

  /** Removes parts that nobody went on with. */
  async #sweep(dir: string): Promise<void> {
    const { host, partTtlMs } = this.#setup;
    const now = host.now();
    if (now - (this.#swept.get(dir) ?? -Infinity) < sweepEveryMs) return;
    this.#swept.set(dir, now);
    let seen = 0;
    for await (const { name, isFile } of Deno.readDir(dir)) {
      if (++seen > maxSwept) break;
      if (!isFile || !name.endsWith(partSuffix)) continue;
      const at = join(dir, name);
      const changed = (await look(at))?.mtime?.getTime();
      if (changed === undefined || host.wallTime() - changed < partTtlMs) continue;
      if (this.#writing.has(at)) continue;
      this.#hashes.delete(at);
      await Deno.remove(at).catch(() => {}); // Somebody else was faster, or it stays until the next time.
    }
  }
}

/** Where the bytes of a transfer wait. */
export function partOf(dir: string, name: string, transfer: string): string {
  return join(dir, `.${name}.${transfer}${partSuffix}`);
}
