/** SHA-256 of files, in pieces so that the event loop goes on in between. */
import { createHash, type Hash } from "node:crypto";

/** What is read at a time, in bytes: about 0.25 ms of hashing. */
export const pieceBytes: number = 256 * 1024;

/** Hashes the first `bytes` of a file (default all); the number tells how many there were. */
export async function hashFile(
  file: Deno.FsFile,
  bytes: number = Infinity,
): Promise<{ readonly hash: Hash; readonly bytes: number }> {
  const hash = createHash("sha256");
  const buffer = new Uint8Array(pieceBytes);
  await file.seek(0, Deno.SeekMode.Start);
  let done = 0;
  while (done < bytes) {
    const count = await file.read(buffer.subarray(0, Math.min(pieceBytes, bytes - done)));
    if (count === null) break;
    hash.update(buffer.subarray(0, count));
    done += count;
  }
  return { hash, bytes: done };
}
