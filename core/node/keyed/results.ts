/**
 * What requests with an idempotency key came to: the memory behind "at most once".
 *
 * A caller gives a request a key of its own choosing. The first request with it
 * runs; a repeat gets the first one's result, at once if it is there, else when
 * it comes. An entry is in one of these states:
 *
 *     absent --claim--> running --keep--> done --(bytes wanted)--> gone
 *        ^                 |                |                        |
 *        +------drop-------+                +-- (age, count) --------+--> absent
 *
 * `drop` is for what says nothing about the request (it was refused, cancelled,
 * the node was overloaded): whoever repeats it may well have more luck. `gone`
 * remembers that it ran and no more, so that a result that is too large to keep,
 * or that others pushed out, is never made up for by running it again. Once the
 * entry itself is forgotten, by age or number, a repeat is a new request.
 *
 * Kept are so many entries and so many bytes of results, for so long after they
 * were last asked for; the least recently used go first. Running ones are not
 * pushed out: when they alone fill the memory, no further key is taken.
 */

/** Bounds of {@linkcode Results}. */
export interface ResultLimits {
  /** Keys remembered, those under way included. */
  readonly maxEntries: number;
  /** Bytes of all results that are kept. A larger one is not. */
  readonly maxBytes: number;
  /** How long a result is kept after it was last asked for, in milliseconds. */
  readonly maxAgeMs: number;
}

/** The answer to a request, or with `ok` false its encoded failure. */
export interface Outcome {
  readonly ok: boolean;
  readonly body: Uint8Array;
}

/** A key that is remembered. */
export class KeyedEntry {
  /** Caller, subject and key. */
  readonly id: string;
  /** Of the input that the first request had. */
  readonly digest: string;
  /** The result, while it is kept. */
  outcome: Outcome | undefined;
  usedAtMs = 0;
  readonly waiting: ((outcome: Outcome | undefined) => void)[] = [];

  constructor(id: string, digest: string) {
    this.id = id;
    this.digest = digest;
  }
}

/** What a request with a key is told. */
export type Claim =
  /** It is the first: run it, and `keep` or `drop` the entry. */
  | { readonly kind: "first"; readonly entry: KeyedEntry }
  /** The first is under way: `join` it. */
  | { readonly kind: "running"; readonly entry: KeyedEntry }
  /** It was done. */
  | { readonly kind: "done"; readonly outcome: Outcome }
  /** It was done, and its result is not there any more. */
  | { readonly kind: "gone" }
  /** The key was used with another input. */
  | { readonly kind: "differs" }
  /** No place for another key. */
  | { readonly kind: "full" };

/** See the head of this file. Times are monotonic milliseconds. */
export class Results {
  readonly #limits: () => ResultLimits;
  readonly #running = new Map<string, KeyedEntry>();
  /** Done or gone; the least recently used first. */
  readonly #settled = new Map<string, KeyedEntry>();
  /** Those of them that have their result; the least recently used first. */
  readonly #kept = new Set<KeyedEntry>();
  #bytes = 0;

  /** @param limits read at each use, so that they may be changed. */
  constructor(limits: () => ResultLimits) {
    this.#limits = limits;
  }

  /** Keys remembered. */
  get size(): number {
    return this.#running.size + this.#settled.size;
  }

  /** Bytes of the results that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * A request with a key is here.
   * @param id caller, subject and key, in one text.
   * @param digest of its input.
   */
  claim(id: string, digest: string, nowMs: number): Claim {
    const limits = this.#limits();
    this.#forgetOld(nowMs - limits.maxAgeMs);
    const running = this.#running.get(id);
    if (running !== undefined) {
      return running.digest === digest ? { kind: "running", entry: running } : { kind: "differs" };
    }
    const settled = this.#settled.get(id);
    if (settled !== undefined) {
      if (settled.digest !== digest) return { kind: "differs" };
      this.#use(settled, nowMs);
      const { outcome } = settled;
      return outcome === undefined ? { kind: "gone" } : { kind: "done", outcome };
    }
    while (this.size >= limits.maxEntries) {
      const [oldest] = this.#settled.values();
      if (oldest === undefined) return { kind: "full" };
      this.#forget(oldest);
    }
    const entry = new KeyedEntry(id, digest);
    this.#running.set(id, entry);
    return { kind: "first", entry };
  }

  /** Runs `told` with the outcome of one that is under way; with undefined when it is dropped. */
  join(entry: KeyedEntry, told: (outcome: Outcome | undefined) => void): void {
    entry.waiting.push(told);
  }

  /** It is done: tells whoever waits, and remembers it. The body is kept as it is. */
  keep(entry: KeyedEntry, outcome: Outcome, nowMs: number): void {
    if (!this.#running.delete(entry.id)) return;
    this.#settled.set(entry.id, entry);
    const { maxBytes } = this.#limits();
    if (outcome.body.length <= maxBytes) {
      entry.outcome = outcome;
      this.#bytes += outcome.body.length;
    }
    this.#use(entry, nowMs);
    for (const oldest of this.#kept) {
      if (this.#bytes <= maxBytes) break;
      this.#letGo(oldest);
    }
    this.#tell(entry, outcome);
  }

  /** It came to nothing that is worth remembering: a repeat is a new request. */
  drop(entry: KeyedEntry): void {
    if (this.#running.delete(entry.id)) this.#tell(entry, undefined);
  }

  #tell(entry: KeyedEntry, outcome: Outcome | undefined): void {
    for (const told of entry.waiting.splice(0)) told(outcome);
  }

  #use(entry: KeyedEntry, nowMs: number): void {
    entry.usedAtMs = nowMs;
    this.#settled.delete(entry.id);
    this.#settled.set(entry.id, entry);
    if (entry.outcome === undefined) return;
    this.#kept.delete(entry);
    this.#kept.add(entry);
  }

  #letGo(entry: KeyedEntry): void {
    if (!this.#kept.delete(entry)) return;
    this.#bytes -= entry.outcome!.body.length;
    entry.outcome = undefined;
  }

  #forget(entry: KeyedEntry): void {
    this.#letGo(entry);
    this.#settled.delete(entry.id);
  }

  #forgetOld(untilMs: number): void {
    for (const entry of this.#settled.values()) {
      if (entry.usedAtMs > untilMs) return;
      this.#forget(entry);
    }
  }
}
