/**
 * From this machine to a node.
 *
 * A file goes in pieces, each a request of its own that is answered once the other side has it:
 * Deno's HTTP client takes a streamed body faster than the server reads it, and slows down with
 * what gathers in between. After an interruption the other side is asked how much it has. At the end
 * the whole is put in its place, if its SHA-256 is the one of what was read here.
 *
 * The transfer is named after the file (path, size, time of change) and where it goes, so that a
 * command that was killed goes on when it is given again. Standard input can be read once: it goes
 * on after an interruption, but not after the end of the command.
 */
import { createHash } from "node:crypto";
import { codeOf, MycnetError } from "../../../kernel/errors.ts";
import type { AdminClient } from "../../admin_client.ts";
import type { Copied, Copying } from "./copied.ts";
import { type RemotePlace, routeOf } from "./places.ts";
import { retrying } from "./retries.ts";
import { RunningHash } from "./running_hash.ts";

/** How long the other side may take to compare and sync a whole file, in ms. */
export const wholeFileMs: number = 10 * 60_000;
/** Bytes in one request. */
const pieceBytes = 4 * 1024 * 1024;
/** How long the other side may take with one piece, in ms; that bytes move at all, the nodes see to. */
const pieceMs = 10 * 60_000;

/** A piece as a request can have it for a body. */
type Piece = Uint8Array<ArrayBuffer>;

/** What is sent, asked for piece by piece. */
interface Source {
  /** Has all of it go into the hash, where it can be read more than once. */
  readAll?(): Promise<void>;
  /** The next bytes from `offset` on, valid until the next call; empty at the end. */
  piece(offset: number): Promise<Piece>;
  /** All the bytes there are, where that is known. */
  readonly total: number | undefined;
  /** Of everything that was read; complete at the end. */
  readonly hash: RunningHash;
}

/** Copies a file. */
export async function uploadFile(copying: Copying, from: string, to: RemotePlace): Promise<Copied> {
  using file = await openLocal(from);
  const before = await file.stat();
  if (before.isDirectory) throw folderNamed(from);
  if (!before.isFile) throw new MycnetError("usage", `${from} is no file`);
  const hash = new RunningHash();
  const buffer = new Uint8Array(Math.min(pieceBytes, Math.max(1, before.size)));
  const source: Source = {
    total: before.size,
    hash,
    readAll: () => hash.catchUp(file, before.size),
    async piece(offset) {
      await hash.catchUp(file, offset);
      const piece = await fill(buffer, (rest) => file.read(rest));
      hash.update(offset, piece);
      return piece;
    },
  };
  copying.progress.total = before.size;
  const sent = await send(copying, source, nameOf(from, before, to), to, async () => {
    const now = await file.stat();
    if (now.size === before.size && now.mtime?.getTime() === before.mtime?.getTime()) {
      return (before.mode ?? 0o644) & 0o777;
    }
    throw new MycnetError("corrupted", `${from} changed while it was copied`, {
      remedy: "Copy it again once nobody writes to it.",
    });
  });
  return sent;
}

/** Copies a stream that can be read once. */
export async function uploadStream(
  copying: Copying,
  from: ReadableStream<Uint8Array>,
  to: RemotePlace,
): Promise<Copied> {
  const reader = from.getReader();
  const hash = new RunningHash();
  const buffer = new Uint8Array(pieceBytes);
  let rest: Uint8Array = new Uint8Array();
  let piece: Piece = buffer.subarray(0, 0);
  let start = 0;
  const read = async (into: Uint8Array): Promise<number | null> => {
    while (rest.length === 0) {
      const { done, value } = await reader.read();
      if (done) return null;
      rest = value;
    }
    const part = rest.subarray(0, into.length);
    into.set(part);
    rest = rest.subarray(part.length);
    return part.length;
  };
  const source: Source = {
    total: undefined,
    hash,
    async piece(offset) {
      if (offset >= start && offset < start + piece.length) return piece.subarray(offset - start);
      if (offset !== start + piece.length) {
        throw new MycnetError(
          "corrupted",
          `the other side is at byte ${offset}, which is gone here`,
        );
      }
      start = offset;
      piece = await fill(buffer, read);
      hash.update(offset, piece);
      return piece;
    },
  };
  try {
    return await send(copying, source, copying.host.id(), to, () => Promise.resolve(undefined));
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Sends what is missing, as often as it takes, and has it put in its place. */
async function send(
  copying: Copying,
  source: Source,
  transfer: string,
  to: RemotePlace,
  finished: () => Promise<number | undefined>,
): Promise<Copied> {
  const { client, progress, signal } = copying;
  const { piece, total, hash } = source;
  let resumedAt: number | undefined;
  let hasSent = false;
  const { value, attempts } = await retrying({
    ...copying,
    moved: () => progress.bytes,
    again: (error) => progress.note(`interrupted (${error.message}); trying again`),
  }, async () => {
    const response = await client.ask(routeOf(to, { op: "have", transfer, total }), {
      limitMs: wholeFileMs,
    });
    let { bytes: offset, inPlace } = await response.json() as { bytes: number; inPlace?: number };
    resumedAt ??= offset;
    const wholeOf = async (bytes: number) => {
      const mode = await finished();
      return { bytes, sha256: hash.digest(), ...(mode === undefined ? {} : { mode }) };
    };
    if (copying.skipEqual && offset === 0 && inPlace === total && source.readAll !== undefined) {
      await source.readAll();
      // Nothing was sent: a commit is then right only if the same bytes are in place.
      const isThere = await commit(client, to, transfer, await wholeOf(hash.bytes))
        .then(() => true, unlessDifferent);
      // What was sent before is there because of that: only the answer got lost.
      if (isThere) return { bytes: hash.bytes, ...(hasSent ? {} : { isUnchanged: true as const }) };
    }
    while (true) {
      progress.bytes = offset;
      signal.throwIfAborted();
      const body = await piece(offset);
      // An empty file is a piece, too.
      if (body.length === 0 && offset > 0) break;
      hasSent = true;
      await put(client, to, { transfer, offset, end: offset + body.length }, body);
      offset += body.length;
      if (body.length === 0) break;
    }
    await commit(client, to, transfer, await wholeOf(offset));
    return { bytes: offset };
  });
  return { ...value, sha256: hash.digest(), resumedAt: resumedAt ?? 0, attempts };
}

async function put(
  client: AdminClient,
  to: RemotePlace,
  query: { readonly transfer: string; readonly offset: number; readonly end: number },
  body: Piece,
): Promise<void> {
  const response = await client.ask(routeOf(to, query), {
    method: "PUT",
    body,
    headers: { "content-type": "application/octet-stream" },
    limitMs: pieceMs,
  });
  await response.body?.cancel();
}

async function commit(
  client: AdminClient,
  to: RemotePlace,
  transfer: string,
  whole: { readonly bytes: number; readonly sha256: string; readonly mode?: number },
): Promise<void> {
  const response = await client.ask(routeOf(to, { transfer }), {
    method: "POST",
    body: JSON.stringify(whole),
    headers: { "content-type": "application/json" },
    limitMs: wholeFileMs,
  });
  await response.body?.cancel();
}

/** False for the refusals of a commit that was not preceded by anything. */
function unlessDifferent(error: unknown): false {
  const code = codeOf(error);
  if (code === "not_found" || code === "corrupted") return false;
  throw error;
}

/** Reads until the buffer is full or there is no more. */
async function fill(
  buffer: Piece,
  read: (rest: Uint8Array) => Promise<number | null>,
): Promise<Piece> {
  let filled = 0;
  while (filled < buffer.length) {
    const count = await read(buffer.subarray(filled));
    if (count === null) break;
    filled += count;
  }
  return buffer.subarray(0, filled);
}

/** A folder, where only files are copied. */
export function folderNamed(place: string): MycnetError {
  return new MycnetError("usage", `${place} is a folder`, {
    remedy: "Copy it with all that is in it: mycnet cp -r (--recursive).",
  });
}

/** Opens a file of this machine for reading. @throws `usage`. */
export async function openLocal(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path);
  } catch (error) {
    throw new MycnetError("usage", `${path} cannot be read: ${(error as Error).message}`);
  }
}

/** The transfer's name: the same for the same file on its way to the same place. */
function nameOf(from: string, { size, mtime, ino }: Deno.FileInfo, to: RemotePlace): string {
  const parts = [from, size, mtime?.getTime(), ino, to.node, to.path];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}
