/**
 * From this machine to a node.
 *
 * Each attempt asks how much of the transfer is there and sends the rest; then the whole is put in
 * its place, if its SHA-256 is the one of the file here. The transfer is named after the file (path,
 * size, time of change) and where it goes, so that a command that was killed goes on when it is
 * given again. Standard input can be read once: it is not resumed.
 */
import { createHash } from "node:crypto";
import { MycnetError } from "../../../kernel/errors.ts";
import { AdminClient } from "../../admin_client.ts";
import type { Copied, Copying } from "./copied.ts";
import { type RemotePlace, routeOf } from "./places.ts";
import { retrying } from "./retries.ts";
import { pieceBytes, RunningHash } from "./running_hash.ts";

/** How long the other side may take to compare and sync a whole file, in ms. */
export const wholeFileMs: number = 10 * 60_000;

/** Copies a file. */
export async function uploadFile(copying: Copying, from: string, to: RemotePlace): Promise<Copied> {
  using file = await openLocal(from);
  const before = await file.stat();
  if (!before.isFile) throw new MycnetError("usage", `${from} is no file`);
  const total = before.size;
  const transfer = nameOf(from, before, to);
  const { client, progress, signal } = copying;
  const hash = new RunningHash();
  progress.total = total;
  let resumedAt: number | undefined;
  let had = 0;
  const { attempts } = await retrying({
    ...copying,
    // What was handed over may have been lost on the way; what the other side has counts.
    moved: () => had,
    again: (error) => progress.note(`interrupted (${error.message}); trying again`),
  }, async () => {
    const query = { op: "have", transfer, total };
    const response = await client.ask(routeOf(to, query), { limitMs: wholeFileMs });
    const { bytes: offset } = await response.json() as { bytes: number };
    resumedAt ??= offset;
    progress.bytes = had = offset;
    if (offset < total || total === 0) {
      await hash.catchUp(file, offset);
      const body = pieces(file, offset, (at, piece) => {
        hash.update(at, piece);
        progress.bytes = at + piece.length;
        signal.throwIfAborted();
      });
      await put(client, to, { transfer, offset, total }, body);
    }
    await hash.catchUp(file, total);
    const now = await file.stat();
    if (now.size !== total || now.mtime?.getTime() !== before.mtime?.getTime()) {
      throw new MycnetError("corrupted", `${from} changed while it was copied`, {
        remedy: "Copy it again once nobody writes to it.",
      });
    }
    await commit(client, to, transfer, {
      bytes: total,
      sha256: hash.digest(),
      mode: (before.mode ?? 0o644) & 0o777,
    });
  });
  return { bytes: total, sha256: hash.digest(), resumedAt: resumedAt ?? 0, attempts };
}

/** Copies a stream that can be read once. */
export async function uploadStream(
  { client, host, progress, signal }: Copying,
  from: ReadableStream<Uint8Array>,
  to: RemotePlace,
): Promise<Copied> {
  const transfer = host.id();
  const hash = new RunningHash();
  const counted = from.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array<ArrayBuffer>>({
      transform(piece, controller) {
        signal.throwIfAborted();
        hash.update(hash.bytes, piece);
        progress.bytes = hash.bytes;
        controller.enqueue(piece as Uint8Array<ArrayBuffer>);
      },
    }),
  );
  // Asked first, so that a refusal is heard before bytes are sent for nothing.
  await client.get(routeOf(to, { op: "have", transfer }));
  await put(client, to, { transfer, offset: 0, total: undefined }, counted);
  await commit(client, to, transfer, { bytes: hash.bytes, sha256: hash.digest() });
  return { bytes: hash.bytes, sha256: hash.digest(), resumedAt: 0, attempts: 1 };
}

async function put(
  client: AdminClient,
  to: RemotePlace,
  query: { readonly transfer: string; readonly offset: number; readonly total: number | undefined },
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<void> {
  // Its answer comes at the end; that bytes move meanwhile, the nodes see to.
  const response = await client.ask(routeOf(to, query), {
    method: "PUT",
    body,
    headers: { "content-type": "application/octet-stream" },
    limitMs: Infinity,
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

async function openLocal(path: string): Promise<Deno.FsFile> {
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

/** A file from a byte on, in pieces that are not used again. */
function pieces(
  file: Deno.FsFile,
  offset: number,
  seen: (at: number, piece: Uint8Array) => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let at = offset;
  return new ReadableStream({
    async pull(controller) {
      const buffer = new Uint8Array(pieceBytes);
      const count = await file.read(buffer);
      if (count === null) return controller.close();
      const piece = buffer.subarray(0, count);
      seen(at, piece);
      at += count;
      controller.enqueue(piece);
    },
  }, { highWaterMark: 1 });
}
