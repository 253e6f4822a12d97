/**
 * Compressed bodies on one link: which algorithm, and trust in nothing it yields.
 *
 * What arrives says how large it was before; the driver's hook gets that size and
 * must give exactly as much. Whatever else happens, a bomb, garbage, a hook that
 * throws, is the fault of whoever sent it and ends the link.
 */
import { FrameError } from "../frame/header.ts";
import type { Compressor } from "../frame/large.ts";
import type { NegotiatedProfile } from "../negotiation/profile.ts";
import type { LinkCompression } from "./types.ts";

/** The algorithms by their names in a profile, and their numbers on the wire. */
export const compressionAlgorithms: Readonly<Record<string, number>> = Object.freeze({ zstd: 1 });

/** How bodies of one link are compressed. */
export class BodyCompression implements Compressor {
  readonly algorithm: number;
  readonly thresholdBytes: number;
  readonly #hook: LinkCompression;

  /** @param algorithm its number on the wire. */
  constructor(hook: LinkCompression, algorithm: number, thresholdBytes: number) {
    this.#hook = hook;
    this.algorithm = algorithm;
    this.thresholdBytes = thresholdBytes;
  }

  /** What the profile has come to: undefined where nothing is compressed. */
  static of(
    profile: NegotiatedProfile,
    thresholdBytes: number,
    make: ((profile: NegotiatedProfile) => LinkCompression | undefined) | undefined,
  ): BodyCompression | undefined {
    const name = profile.inForce.compression;
    if (!Object.hasOwn(compressionAlgorithms, name)) return undefined;
    const hook = make?.(profile);
    return hook && new BodyCompression(hook, compressionAlgorithms[name]!, thresholdBytes);
  }

  compress(bytes: Uint8Array, type: number): Uint8Array | undefined {
    try {
      return this.#hook.compress(bytes, type);
    } catch {
      // What cannot be compressed goes as it is: nobody loses a link over it.
      return undefined;
    }
  }

  /** @throws {FrameError} if it is not exactly `size` bytes. */
  decompress(bytes: Uint8Array, size: number): Uint8Array {
    let plain: Uint8Array;
    try {
      plain = this.#hook.decompress(bytes, size);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new FrameError("peer", `compressed bytes that cannot be read: ${why}`);
    }
    if (plain.length === size) return plain;
    throw new FrameError(
      "peer",
      `compressed bytes that should be ${size} and are ${plain.length}`,
    );
  }
}

/** Reads compressed bytes. @throws {FrameError} if they are not what they say, or nothing may be compressed on this link. */
export function decompress(
  compression: BodyCompression | undefined,
  bytes: Uint8Array,
  size: number,
): Uint8Array {
  if (compression !== undefined) return compression.decompress(bytes, size);
  throw new FrameError("peer", "compressed bytes on a link without compression");
}
