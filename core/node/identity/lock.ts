/**
 * One process a node.
 *
 * Two processes under one id and one folder would take turns being refused by
 * everybody and write over each other's files. So the first holds a lock on a
 * file in the node's folder, and the second does not start. The lock is the
 * system's (flock): it goes with the process that holds it, however that ends,
 * and so needs no clearing away. The file stays, and says who held it last.
 * Two copies of a folder are two locks; those the peers tell apart
 * (peers/table.ts).
 */
import { MycnetError } from "../../kernel/errors.ts";
import type { Host } from "../../kernel/host.ts";
import { privateMode } from "./files.ts";

/**
 * Takes the lock of a node until disposed. Where the folder takes no locks, that is logged and
 * nothing is locked.
 * @throws {MycnetError} `node_running` if another process holds it.
 */
export async function lockNode(path: string, id: string, host: Host): Promise<Disposable> {
  let file: Deno.FsFile | undefined;
  try {
    file = await Deno.open(path, { read: true, write: true, create: true, mode: privateMode });
    if (await file.tryLock(true)) {
      await file.truncate();
      await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
      return file;
    }
  } catch (error) {
    file?.close();
    // Without a folder there is nothing that two processes could share.
    if (!(error instanceof Deno.errors.NotFound)) {
      host.log.warn(
        "The node's folder cannot be locked: a second process could start under its id",
        {
          path,
          error: (error as Error).message,
        },
      );
    }
    return { [Symbol.dispose]: () => {} };
  }
  const holder = await readHolder(file);
  file.close();
  throw new MycnetError(
    "node_running",
    `node "${id}" runs already: ${holder} holds ${path}`,
  );
}

/** The process that holds a lock, as far as its file can be read. */
async function readHolder(file: Deno.FsFile): Promise<string> {
  try {
    const bytes = new Uint8Array(16);
    const length = await file.read(bytes) ?? 0;
    const pid = /^\d+/.exec(new TextDecoder().decode(bytes.subarray(0, length)))?.[0];
    if (pid !== undefined) return `process ${pid}`;
  } catch {
    // Some systems let nobody else read a locked file.
  }
  return "another process";
}
