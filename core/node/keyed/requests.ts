/**
 * Requests with an idempotency key, between a link and whoever handles them.
 *
 * The first request of a key goes on to its handler with an exchange that notes
 * what is answered before it passes it on. It outlives its link: when the link
 * is lost, the handler goes on, and the caller that comes back gets what it
 * found. A repeat never reaches the handler.
 *
 * A key belongs to the node that calls (its id, from the handshake) and to what
 * it asks for; two callers may use the same one. It is remembered as long as
 * this start of the node lives, within the bounds of results.ts.
 */
import { createHash } from "node:crypto";
import { type ErrorCode, MycnetError } from "../../kernel/errors.ts";
import type { MessageFields } from "@mycnet/protocols/frame";
import { copyOf } from "../slab.ts";
import { type KeyedEntry, type Outcome, type ResultLimits, Results } from "./results.ts";

/** The default bounds. */
export const defaultResultLimits: ResultLimits = Object.freeze({
  maxEntries: 10_000,
  maxBytes: 16 * 1024 * 1024,
  maxAgeMs: 10 * 60_000,
});

/** The part of an incoming exchange that answers. */
export interface Answerable {
  respond(body: Uint8Array, fields?: MessageFields): boolean;
  fail(body: Uint8Array, fields?: MessageFields): void;
}

/** What a failure says that decides whether it is remembered. */
export interface FailureHead {
  readonly code: string;
  /** False: the handler did not run. */
  readonly mayHaveRun: boolean;
}

/** Why a request with a key is refused. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly mayHaveRun: boolean;
}

/** What is to be done with a request. */
export type Entrance =
  /** Handle it, answering by `recorder`. */
  | { readonly kind: "first"; readonly recorder: Recorder }
  /** Answer what `outcome` says, now or later; undefined: the first came to nothing. */
  | { readonly kind: "repeat"; readonly outcome: Outcome | Promise<Outcome | undefined> }
  | { readonly kind: "refused"; readonly refusal: Refusal };

/** Failures that say something about the moment rather than the request. */
const transient: ReadonlySet<string> = new Set([
  "overloaded",
  "unavailable",
  "cancelled",
  "aborted",
  "deadline_exceeded",
  "closed",
  "link_lost",
]);

/** The keys that one layer of a node has seen. */
export class KeyedRequests {
  readonly #results: Results;
  readonly #now: () => number;
  readonly #headOf: (failure: Uint8Array) => FailureHead;

  /**
   * @param now monotonic milliseconds.
   * @param headOf reads an encoded failure.
   */
  constructor(
    parts: {
      readonly now: () => number;
      readonly limits: () => ResultLimits;
      readonly headOf: (failure: Uint8Array) => FailureHead;
    },
  ) {
    this.#now = parts.now;
    this.#headOf = parts.headOf;
    this.#results = new Results(parts.limits);
  }

  /** Keys remembered. */
  get size(): number {
    return this.#results.size;
  }

  /** Bytes of results that are kept. */
  get bytes(): number {
    return this.#results.bytes;
  }

  /**
   * A request with a key is here.
   * @param subject what it asks for, e.g. `service/method`.
   * @param body its input; valid during the call only.
   */
  enter(
    caller: string,
    subject: string,
    key: string,
    body: Uint8Array,
    exchange: Answerable,
  ): Entrance {
    const results = this.#results;
    const digest = createHash("sha256").update(body).digest("base64");
    const claim = results.claim(`${caller}\n${subject}\n${key}`, digest, this.#now());
    switch (claim.kind) {
      case "first":
        return {
          kind: "first",
          recorder: new Recorder(exchange, claim.entry, results, this.#now, this.#headOf),
        };
      case "done":
        return { kind: "repeat", outcome: claim.outcome };
      case "running":
        return {
          kind: "repeat",
          outcome: new Promise((resolve) => results.join(claim.entry, resolve)),
        };
      case "gone":
        return refused(
          "answer_gone",
          `${subject} has run with the idempotency key ${JSON.stringify(key)}; ` +
            "its answer is not kept any more",
          true,
        );
      case "differs":
        return refused(
          "invalid_argument",
          `idempotencyKey ${JSON.stringify(key)} was used for ${subject} with another input`,
          false,
        );
      case "full":
        return refused(
          "overloaded",
          `this node has ${results.size} idempotency keys under way, as many as it may`,
          false,
        );
    }
  }
}

/** The way back of a first request: notes the answer, then passes it on. */
export class Recorder implements Answerable {
  readonly #exchange: Answerable;
  readonly #entry: KeyedEntry;
  readonly #results: Results;
  readonly #now: () => number;
  readonly #headOf: (failure: Uint8Array) => FailureHead;
  #linked = true;

  /** Made by {@linkcode KeyedRequests.enter}. */
  constructor(
    exchange: Answerable,
    entry: KeyedEntry,
    results: Results,
    now: () => number,
    headOf: (failure: Uint8Array) => FailureHead,
  ) {
    this.#exchange = exchange;
    this.#entry = entry;
    this.#results = results;
    this.#now = now;
    this.#headOf = headOf;
  }

  respond(body: Uint8Array, fields?: MessageFields): boolean {
    this.#results.keep(this.#entry, { ok: true, body: copyOf(body) }, this.#now());
    return this.#linked ? this.#exchange.respond(body, fields) : true;
  }

  fail(body: Uint8Array, fields?: MessageFields): void {
    const { code, mayHaveRun } = this.#headOf(body);
    if (!mayHaveRun || transient.has(code)) this.#results.drop(this.#entry);
    else this.#results.keep(this.#entry, { ok: false, body: copyOf(body) }, this.#now());
    if (this.#linked) this.#exchange.fail(body, fields);
  }

  /** The link is lost: what comes is for whoever asks again. */
  detach(): void {
    this.#linked = false;
  }

  /** The handler is over. If it has answered nothing, its caller gave up. */
  released(): void {
    this.#results.drop(this.#entry);
  }
}

const longestKeyBytes = 64;

/** @throws {MycnetError} `invalid_argument` if it is no key that can be sent. */
export function checkIdempotencyKey(key: unknown): void {
  if (typeof key === "string" && key !== "" && utf8Length(key) <= longestKeyBytes) return;
  const shown = typeof key === "string" ? `has ${utf8Length(key)} bytes` : `is ${typeof key}`;
  throw new MycnetError(
    "invalid_argument",
    `idempotencyKey ${shown}; it must be a text of 1 to ${longestKeyBytes} bytes of UTF-8`,
  );
}

/** What a repeat is told when the first request came to nothing. */
export function cameToNothing(subject: string): Refusal {
  return {
    code: "unavailable",
    message: `the first request to ${subject} with this idempotency key was given up; ask again`,
    mayHaveRun: true,
  };
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}

function refused(code: ErrorCode, message: string, mayHaveRun: boolean): Entrance {
  return { kind: "refused", refusal: { code, message, mayHaveRun } };
}
