/**
 * From a node to this machine.
 *
 * The bytes go to a part beside the file's place, named after what is copied: its node, its path and
 * its version there. So a command that was killed goes on when it is given again, and a file that
 * changed meanwhile begins anew. At the end the SHA-256 of the whole is compared with the node's,
 * and only then the part is renamed over the file.
 */
import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { codeOf, MycnetError } from "../../../kernel/errors.ts";
import type { Copied, Copying } from "./copied.ts";
import { type RemotePlace, routeOf } from "./places.ts";
import { retrying } from "./retries.ts";
import { RunningHash } from "./running_hash.ts";
import { wholeFileMs } from "./upload.ts";

/** What the node says of the file. */
interface Stat {
  readonly size: number;
  readonly version: string;
  readonly mode: number;
}

/** Copies a file. */
export async function download(copying: Copying, from: RemotePlace, to: string): Promise<Copied> {
  const { client, progress } = copying;
  const place = await placeOf(from, to);
  let resumedAt: number | undefined;
  const { value, attempts } = await retrying({
    ...copying,
    moved: () => progress.bytes,
    again: (error) => progress.note(`interrupted (${error.message}); trying again`),
  }, async () => {
    const stat = await client.get<Stat>(routeOf(from, { op: "stat" }));
    progress.total = stat.size;
    const at = partOf(place, from, stat.version);
    using part = await openPart(at);
    const offset = Math.min((await part.stat()).size, stat.size);
    // Whatever lies behind the end would be in the file, and in no SHA-256.
    await part.truncate(offset);
    resumedAt ??= offset;
    progress.bytes = offset;
    const hash = new RunningHash();
    await hash.catchUp(part, offset);
    await receive(copying, from, stat, part, hash);
    const response = await client.ask(
      routeOf(from, { op: "digest", version: stat.version }),
      { limitMs: wholeFileMs },
    );
    const { sha256 } = await response.json() as { sha256: string };
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

function partOf(place: string, { node, path }: RemotePlace, version: string): string {
  const name = createHash("sha256").update(JSON.stringify([node, path, version])).digest("hex");
  return join(dirname(place), `.${basename(place)}.${name.slice(0, 16)}.mycnet-part`);
}

async function openPart(at: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(at, { read: true, write: true, create: true, mode: 0o600 });
  } catch (error) {
    throw unusable(at, error);
  }
}

function unusable(path: string, error: unknown): MycnetError {
  const why = error instanceof Error ? error.message : String(codeOf(error));
  return new MycnetError("usage", `${path} cannot be written: ${why}`);
}
