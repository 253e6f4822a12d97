/**
 * The SHA-256 of a file that passes by in pieces, some of them more than once.
 *
 * A copy that resumes begins somewhere: before what was hashed already (the other side lost what was
 * on its way), or behind it (an earlier run of the command got so far). Pieces that were seen are
 * not hashed again; what was not is read from the disk.
 */
import { createHash, type Hash } from "node:crypto";

/** What is read at a time, in bytes. */
const pieceBytes = 256 * 1024;

/** A hash that knows how far it is. */
export class RunningHash {
  #hash: Hash = createHash("sha256");
  #at = 0;

  /** How many bytes went in. */
  get bytes(): number {
    return this.#at;
  }

  /** A piece that begins at byte `at`, which is not beyond what went in. */
  update(at: number, piece: Uint8Array): void {
    const skip = this.#at - at;
    if (skip >= piece.length) return;
    this.#hash.update(skip === 0 ? piece : piece.subarray(skip));
    this.#at = at + piece.length;
  }

  /** Reads what is missing before byte `to`, leaving the file there. */
  async catchUp(file: Deno.FsFile, to: number): Promise<void> {
    if (this.#at < to) {
      await file.seek(this.#at, Deno.SeekMode.Start);
      const buffer = new Uint8Array(pieceBytes);
      while (this.#at < to) {
        const count = await file.read(buffer.subarray(0, Math.min(pieceBytes, to - this.#at)));
        if (count === null) break;
        this.update(this.#at, buffer.subarray(0, count));
      }
    }
    await file.seek(to, Deno.SeekMode.Start);
  }

  /** Begins anew. */
  reset(): void {
    this.#hash = createHash("sha256");
    this.#at = 0;
  }

  /** What it has come to, hexadecimal; it may go on. */
  digest(): string {
    return this.#hash.copy().digest("hex");
  }
}
