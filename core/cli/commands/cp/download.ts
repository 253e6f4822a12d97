/**
 * From a node to this machine.
 *
 * The bytes go to a part beside the file's place, named after what is copied: its node, its path and
 * its version there. So a command that was killed goes on when it is given again, and a file that
 * changed meanwhile begins anew. At the end the SHA-256 of the whole is compared with the node's,
 * and only then the part is renamed over the file.
 */
import { basename, join } from "node:path";
import { codeOf, MycnetError } from "../../../kernel/errors.ts";
import type { Copied, Copying } from "./copied.ts";
import { partOf } from "./part.ts";
import { type RemotePlace, routeOf } from "./places.ts";
import { retrying } from "./retries.ts";
import { RunningHash } from "./running_hash.ts";
import { folderNamed, openLocal, wholeFileMs } from "./upload.ts";

/** What the node says of the file. */
export interface Stat {
  readonly kind: "file" | "folder";
  readonly size: number;
  readonly version: string;
  readonly mode: number;
}

/** Copies a file to a place, or into a folder. */
export async function download(copying: Copying, from: RemotePlace, to: string): Promise<Copied> {
  return await downloadTo(copying, from, await placeOf(from, to));
}

/** Copies a file to a place; what stands there is replaced. */
export async function downloadTo(
  copying: Copying,
  from: RemotePlace,
  place: string,
): Promise<Copied> {
  const { client, progress } = copying;
  let resumedAt: number | undefined;
  const { value, attempts } = await retrying({
    ...copying,
    moved: () => progress.bytes,
    again: (error) => progress.note(`interrupted (${error.message}); trying again`),
  }, async () => {
    const stat = await client.get<Stat>(routeOf(from, { op: "stat" }));
    if (stat.kind === "folder") throw folderNamed(`${from.node}:${from.path}`);
    progress.total = stat.size;
    if (copying.skipEqual) {
      const sha256 = await equalDigest(copying, from, stat, place);
      if (sha256 !== undefined) return { bytes: stat.size, sha256, isUnchanged: true as const };
    }
    const at = partOf(place, from.node, from.path, stat.version);
    using part = await openPart(at);
    const offset = Math.min((await part.stat()).size, stat.size);
    // Whatever lies behind the end would be in the file, and in no SHA-256.
    await part.truncate(offset);
    resumedAt ??= offset;
    progress.bytes = offset;
    const hash = new RunningHash();
    await hash.catchUp(part, offset);
    await receive(copying, from, stat, part, hash);
    const sha256 = await digestOf(copying, from, stat);
    if (hash.bytes !== stat.size || hash.digest() !== sha256) {
      await Deno.remove(at);
      throw new MycnetError("corrupted", `what arrived of ${from.path} is not what is there`);
    }
    if (Deno.build.os !== "windows") await Deno.chmod(at, stat.mode & 0o777);
    await part.sync();
    await Deno.rename(at, place);
    return { bytes: stat.size, sha256 };
  });
  return { ...value, resumedAt: resumedAt ?? 0, attempts };
}

/** The SHA-256 that the node's file has. */
async function digestOf(
  { client }: Copying,
  from: RemotePlace,
  { version }: Stat,
): Promise<string> {
  const route = routeOf(from, { op: "digest", version });
  const response = await client.ask(route, { limitMs: wholeFileMs });
  return (await response.json() as { sha256: string }).sha256;
}

/** The SHA-256 of the file that is in place, if it is the same as the node's. */
async function equalDigest(
  copying: Copying,
  from: RemotePlace,
  stat: Stat,
  place: string,
): Promise<string | undefined> {
  const there = await Deno.lstat(place).catch(() => undefined);
  if (there === undefined || !there.isFile || there.size !== stat.size) return undefined;
  const sha256 = await digestOf(copying, from, stat);
  const hash = new RunningHash();
  using file = await openLocal(place);
  await hash.catchUp(file, stat.size);
  return hash.bytes === stat.size && hash.digest() === sha256 ? sha256 : undefined;
}

/** Reads the rest of the file into the part. */
async function receive(
  { client, progress, signal }: Copying,
  from: RemotePlace,
  { size, version }: Stat,
  part: Deno.FsFile,
  hash: RunningHash,
): Promise<void> {
  let at = hash.bytes;
  if (at === size) return;
  const response = await client.ask(routeOf(from, { op: "read", version, offset: at }), {
    headers: { accept: "application/octet-stream" },
  });
  for await (const piece of response.body ?? []) {
    signal.throwIfAborted();
    if (at + piece.length > size) {
      throw new MycnetError("corrupted", `more than the ${size} bytes of ${from.path} arrived`);
    }
    for (let rest = piece; rest.length > 0;) rest = rest.subarray(await part.write(rest));
    hash.update(at, piece);
    at += piece.length;
    progress.bytes = at;
  }
  if (at !== size) {
    throw new MycnetError("link_lost", `the file broke off at byte ${at} of ${size}`);
  }
}

/** The file itself, where a folder is named. */
async function placeOf(from: RemotePlace, to: string): Promise<string> {
  try {
    if ((await Deno.stat(to)).isDirectory) return join(to, basename(from.path));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw unusable(to, error);
  }
  return to;
}

async function openPart(at: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(at, { read: true, write: true, create: true, mode: 0o600 });
  } catch (error) {
    throw unusable(at, error);
  }
}

/** A file that cannot be written. */
export function unusable(path: string, error: unknown): MycnetError {
  const why = error instanceof Error ? error.message : String(codeOf(error));
  return new MycnetError("usage", `${path} cannot be written: ${why}`);
}
