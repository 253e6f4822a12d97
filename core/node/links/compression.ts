/**
 * zstd on one link, where it pays.
 *
 * The level comes from the profile (low 1, medium 3, high 9) or, where the profile is adaptive by
 * bandwidth or latency, from what the link does: bytes that pile up say that the network is the
 * slower part and more work is worth it; an empty queue says that the processor is, and less is.
 * A step takes a run of equal observations and a second since the last one, so that it does not
 * swing. (The zstd command's --adapt goes by the same signs.)
 *
 * What does not shrink is left alone: a body that saves less than a tenth goes out as it was, and
 * after a few of them in a row bodies of that message type are not tried for a while, then one is,
 * by a sample first. The while doubles up to a bound and ends with the first success.
 *
 * Everything happens at once on the caller's turn: one body of 64 KiB costs 0.1 ms at level 1 and
 * 0.6 ms at level 9, one of 256 KiB 0.4 and 0.5 ms (level 9 is for bodies up to 64 KiB; above, level
 * 3 saves as much in a quarter of the time). A Worker was measured: to hand it 64 KiB and have them
 * back takes a copy, some 20 µs of this thread to post alone, and about 0.2 ms by the clock, in which
 * whatever follows in the lane would have to be held back. That is no gain over 0.1 ms; so there is none.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { LinkCompression } from "@mycnet/protocols/link";
import type { CompressionLevel, NegotiatedProfile } from "@mycnet/protocols/negotiation";

/** zstd's levels in use, the cheapest first. */
const steps = [1, 3, 9] as const;
const stepOf: Readonly<Record<Exclude<CompressionLevel, "none">, number>> = {
  low: 0,
  medium: 1,
  high: 2,
};
/** The largest body, as the link machine sends them, and so the largest window that a frame may ask for. */
const windowLog = 18;
/** Above this size level 9 takes milliseconds, which critical messages would wait. */
const bestEffortBytes = 64 * 1024;
/** A body must shrink below this part of its size. */
const worthwhile = 10 / 11;
/** Failures in a row after which bodies of a type are left alone. */
const patience = 4;
/** How many bodies are left alone at first, and at most. */
const firstRest = 16;
const longestRest = 1024;
/** What is tried of a large body after a rest. */
const sampleBytes = 4096;
/** Message types that are told apart; the rest share one place. */
const maxTypes = 64;
/** Queued bytes from which on the network counts as the slower part, and below which the processor does. */
const backlogBytes = 256 * 1024;
const idleBytes = 16 * 1024;
/** Equal observations, and time between steps, that a step takes. */
const run = 32;
const stepMs = 1000;

/** True if this runtime has zstd. */
export const zstdAvailable: boolean = typeof zstdCompressSync === "function" &&
  typeof zstdDecompressSync === "function";

/** What compression has come to. Shared by all links of a node, or of one link. */
export interface CompressionCounters {
  /** Bytes of bodies before they were compressed, of those that were. */
  bytesBefore: number;
  /** The same after. */
  bytesAfter: number;
  /** Bytes of compressed bodies that arrived. */
  bytesReceived: number;
  /** The same after decompression. */
  bytesExpanded: number;
  /** Bodies over the threshold that were sent as they were. */
  leftAlone: number;
}

/** All at zero. */
export function newCompressionCounters(): CompressionCounters {
  return { bytesBefore: 0, bytesAfter: 0, bytesReceived: 0, bytesExpanded: 0, leftAlone: 0 };
}

/** What an adaptive level goes by. */
export interface CompressionLoad {
  /** Monotonic time in ms. */
  now(): number;
  /** Bytes that wait to be written. */
  backlog(): number;
}

/** What is known of the bodies of one message type. */
interface Experience {
  /** Failures in a row. */
  failures: number;
  /** Bodies still to be left alone. */
  resting: number;
  /** How many the next rest lasts. */
  rest: number;
}

/** How hard one link compresses. */
class Effort {
  #step: number;
  readonly #highest: number;
  readonly #load: CompressionLoad | undefined;
  #more = 0;
  #less = 0;
  #changedMs = -Infinity;

  constructor(step: number, highest: number, load: CompressionLoad | undefined) {
    this.#step = step;
    this.#highest = highest;
    this.#load = load;
  }

  get level(): number {
    return steps[this.#step];
  }

  /** The level for a body, after a look at the link. */
  levelFor(size: number): number {
    if (this.#load !== undefined) this.#observe(this.#load);
    return size > bestEffortBytes ? Math.min(this.level, 3) : this.level;
  }

  #observe(load: CompressionLoad): void {
    const waiting = load.backlog();
    this.#more = waiting >= backlogBytes ? this.#more + 1 : 0;
    this.#less = waiting <= idleBytes ? this.#less + 1 : 0;
    const to = this.#more >= run
      ? Math.min(this.#highest, this.#step + 1)
      : this.#less >= run
      ? Math.max(0, this.#step - 1)
      : this.#step;
    if (to === this.#step) return;
    const now = load.now();
    if (now - this.#changedMs < stepMs) return;
    this.#changedMs = now;
    this.#step = to;
    this.#more = this.#less = 0;
  }
}

/** The compressor of one link. */
export class ZstdCompression implements LinkCompression {
  /** What this link has come to. */
  readonly counters: CompressionCounters = newCompressionCounters();
  readonly #effort: Effort;
  readonly #shared: CompressionCounters;
  readonly #types = new Map<number, Experience>();

  /**
   * @param level as the profile has it.
   * @param highest the most that an adaptive level may become.
   * @param load what an adaptive level goes by; undefined: the level stays.
   */
  constructor(
    level: Exclude<CompressionLevel, "none">,
    shared: CompressionCounters = newCompressionCounters(),
    load?: CompressionLoad,
    highest: Exclude<CompressionLevel, "none"> = "high",
  ) {
    this.#effort = new Effort(stepOf[level], stepOf[highest], load);
    this.#shared = shared;
  }

  /** zstd's level now. */
  get level(): number {
    return this.#effort.level;
  }

  /** What a link shows of it. */
  get info(): {
    readonly level: number;
    readonly bytesBefore: number;
    readonly bytesAfter: number;
  } {
    const { bytesBefore, bytesAfter } = this.counters;
    return { level: this.level, bytesBefore, bytesAfter };
  }

  /** The body compressed, or undefined if that is not worth it. */
  compress(bytes: Uint8Array, type: number = 0): Uint8Array | undefined {
    const known = this.#experience(type);
    if (known.resting > 0) {
      known.resting--;
      return this.#leave();
    }
    const level = this.#effort.levelFor(bytes.length);
    // After failures, a part tells as much as the whole.
    if (known.failures > 0 && bytes.length > 4 * sampleBytes) {
      const sample = bytes.subarray(0, sampleBytes);
      if (!pays(deflate(sample, steps[0]), sample)) return this.#failed(known);
    }
    const smaller = deflate(bytes, level);
    if (!pays(smaller, bytes)) return this.#failed(known);
    known.failures = 0;
    known.rest = firstRest;
    for (const counters of [this.counters, this.#shared]) {
      counters.bytesBefore += bytes.length;
      counters.bytesAfter += smaller.length;
    }
    return smaller;
  }

  /** What was compressed; throws, or gives another number of bytes, for what is not `size` bytes. */
  decompress(bytes: Uint8Array, size: number): Uint8Array {
    const whole = plain(zstdDecompressSync(bytes, {
      maxOutputLength: Math.max(1, size),
      params: { [constants.ZSTD_d_windowLogMax]: windowLog },
    }));
    for (const counters of [this.counters, this.#shared]) {
      counters.bytesReceived += bytes.length;
      counters.bytesExpanded += whole.length;
    }
    return whole;
  }

  #experience(type: number): Experience {
    const key = this.#types.has(type) || this.#types.size < maxTypes ? type : -1;
    let known = this.#types.get(key);
    if (known === undefined) {
      known = { failures: 0, resting: 0, rest: firstRest };
      this.#types.set(key, known);
    }
    return known;
  }

  #failed(known: Experience): undefined {
    known.failures++;
    if (known.failures >= patience) {
      // One more failure after the rest begins the next.
      known.failures = patience - 1;
      known.resting = known.rest;
      known.rest = Math.min(longestRest, known.rest * 2);
    }
    return this.#leave();
  }

  #leave(): undefined {
    this.counters.leftAlone++;
    this.#shared.leftAlone++;
    return undefined;
  }
}

/**
 * The compressor that a profile calls for; undefined where it has none in force.
 * @param shared where all links of a node count together.
 */
export function compressionOf(
  { wanted, inForce }: NegotiatedProfile,
  shared: CompressionCounters,
  load: CompressionLoad,
): ZstdCompression | undefined {
  if (inForce.compression !== "zstd" || wanted.compression === "none") return undefined;
  switch (wanted.adaptation?.strategy) {
    case "bandwidth-based":
      return new ZstdCompression(wanted.compression, shared, load);
    case "latency-based":
      // Level 9 buys bytes with time, which is what such a link is short of.
      return new ZstdCompression(
        wanted.compression === "high" ? "medium" : wanted.compression,
        shared,
        load,
        "medium",
      );
    default:
      return new ZstdCompression(wanted.compression, shared);
  }
}

function deflate(bytes: Uint8Array, level: number): Uint8Array {
  const options = {
    // Told the size, zstd makes its tables no larger than that takes.
    pledgedSrcSize: bytes.length,
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_windowLog]: windowLog,
    },
  };
  return plain(zstdCompressSync(bytes, options));
}

/** Without what Node adds: `slice` of a Buffer shares memory, where whoever gets a body expects a copy. */
function plain({ buffer, byteOffset, length }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, length);
}

function pays(smaller: Uint8Array, bytes: Uint8Array): boolean {
  return smaller.length < bytes.length * worthwhile;
}
