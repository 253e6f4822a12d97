/**
 * What both sides compute over the bytes of a transfer.
 *
 * CRC-32 is nearly free (tens of GB/s with carry-less multiplication) and finds what a broken
 * program or memory does to bytes; what somebody does on purpose, TLS keeps out. SHA-256 names the
 * content, and at about 1 GB/s is slower than the socket: so only for those who ask.
 */
import { createHash, type Hash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Trailer } from "./wire.ts";

/** A running digest. */
export class Digest {
  /** How much went in. */
  bytes = 0;
  #crc = 0;
  readonly #hash: Hash | undefined;

  /** @param sha256 whether to compute that as well. */
  constructor(sha256: boolean) {
    this.#hash = sha256 ? createHash("sha256") : undefined;
  }

  /** Takes the next bytes in. */
  update(bytes: Uint8Array): void {
    this.bytes += bytes.length;
    this.#crc = crc32(bytes, this.#crc);
    this.#hash?.update(bytes);
  }

  /** What it has come to; the end of it. */
  finish(): Trailer {
    return { bytes: this.bytes, crc32: this.#crc, sha256: this.#hash?.digest("hex") };
  }
}

/** How two digests differ, in words; undefined if they do not. */
export function difference(theirs: Trailer, ours: Trailer): string | undefined {
  if (theirs.bytes !== ours.bytes) {
    return `${theirs.bytes} bytes were sent, and ${ours.bytes} arrived`;
  }
  if (theirs.crc32 !== ours.crc32) return "the CRC-32 of what arrived is another";
  if (theirs.sha256 !== ours.sha256) return "the SHA-256 of what arrived is another";
  return undefined;
}
