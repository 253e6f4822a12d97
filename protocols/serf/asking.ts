/**
 * Queries of this node, from sending until all have answered or the time is up.
 *
 * An answer names the Lamport time and the number of its query; each member counts
 * once for its acknowledgement and once for its answer, since relays and lossy
 * networks bring both several times. Who is expected to answer is known from the
 * filters and the members at the time of sending, so a query ends as soon as all
 * of them have; those that joined in between may answer until then.
 */
import type { Context } from "./context.ts";
import type { LamportClock } from "./lamport.ts";
import type { Members } from "./members.ts";
import { Regexp } from "./regexp/regexp.ts";
import {
  SerfError,
  type SerfQueryHandle,
  type SerfQueryListener,
  type SerfQueryRequest,
} from "./types.ts";
import {
  encodeNodeFilter,
  encodeQuery,
  encodeTagFilter,
  queryFlag,
  type QueryMessage,
  type QueryResponseMessage,
} from "./wire/messages.ts";

/** The longest that a query may be open, ms. */
const maxTimeoutMs = 3_600_000;
/** Answers that one query takes, beside one from each member that was there. */
const spareReplies = 64;

interface Open {
  readonly message: QueryMessage;
  readonly listener: SerfQueryListener;
  readonly deadlineMs: number;
  readonly acks: Set<string>;
  readonly responses: Set<string>;
  /** Who is expected to answer. */
  readonly expected: ReadonlySet<string>;
  /** Of those, who has not answered in full. */
  readonly missing: Set<string>;
}

/** The open queries of one machine. */
export class Asking {
  readonly #c: Context;
  readonly #members: Members;
  readonly #clock: LamportClock;
  /** By Lamport time: ours differ. */
  readonly #open: Map<number, Open> = new Map();

  /** On the shared context. */
  constructor(context: Context, members: Members, clock: LamportClock) {
    this.#c = context;
    this.#members = members;
    this.#clock = clock;
  }

  /** How many queries are open. */
  get size(): number {
    return this.#open.size;
  }

  /** When to call `timer`. Infinity if nothing is open. */
  get nextMs(): number {
    let nextMs = Infinity;
    for (const { deadlineMs } of this.#open.values()) nextMs = Math.min(nextMs, deadlineMs);
    return nextMs;
  }

  /** How long a query is open that does not say. */
  get defaultTimeoutMs(): number {
    const { gossipIntervalMs, queryTimeoutMult } = this.#c.config;
    const members = this.#c.swim.liveCount;
    return gossipIntervalMs * queryTimeoutMult * Math.ceil(Math.log10(members + 1));
  }

  /**
   * Opens a query and queues it for everybody; the caller brings it before this node itself.
   * @throws {SerfError} `too_large`, `bad_filter`, `too_many_queries`.
   */
  ask(
    request: SerfQueryRequest,
    listener: SerfQueryListener,
  ): { readonly message: QueryMessage; readonly handle: SerfQueryHandle } {
    const c = this.#c;
    if (this.#open.size >= c.config.maxOpenQueries) {
      throw new SerfError(
        "too_many_queries",
        `${this.#open.size} queries are open, at most ${c.config.maxOpenQueries}: wait for some`,
      );
    }
    const expected = this.#expected(request);
    const timeoutMs = Math.min(
      Math.max(1, request.timeoutMs ?? this.defaultTimeoutMs),
      maxTimeoutMs,
    );
    const { ip, port } = c.swim.self;
    const message: QueryMessage = {
      time: this.#clock.time,
      id: Math.floor(c.random() * 0x7fff_ffff),
      ip,
      port,
      source: c.name,
      filters: this.#filters(request),
      flags: request.ack ? queryFlag.ack : 0,
      relayFactor: Math.min(Math.max(0, Math.floor(request.relayFactor ?? 0)), 255),
      timeoutMs,
      name: request.name,
      payload: request.payload?.slice() ?? new Uint8Array(0),
    };
    const bytes = encodeQuery(c.writer, message);
    if (bytes.length > c.config.maxQueryBytes) {
      throw new SerfError(
        "too_large",
        `the query takes ${bytes.length} bytes, at most ${c.config.maxQueryBytes}: shorten its payload or filters`,
      );
    }
    this.#clock.tick();
    const deadlineMs = c.nowMs + timeoutMs;
    const open: Open = {
      message,
      listener,
      deadlineMs,
      acks: new Set(),
      responses: new Set(),
      expected,
      missing: new Set(expected),
    };
    this.#open.set(message.time, open);
    c.broadcast("queries", bytes);
    const close = () => {
      if (this.#open.get(message.time) === open) this.#open.delete(message.time);
    };
    return { message, handle: { time: message.time, deadlineMs, close } };
  }

  /** An acknowledgement or answer arrived. */
  handleResponse(response: QueryResponseMessage): void {
    const { counters } = this.#c;
    const open = this.#open.get(response.time);
    if (open === undefined || open.message.id !== response.id) return void counters.strayReplies++;
    const { acks, responses, expected, missing, listener } = open;
    const isAck = (response.flags & queryFlag.ack) !== 0;
    const heard = isAck ? acks : responses;
    const { from } = response;
    if (heard.has(from) || heard.size >= expected.size + spareReplies) {
      return void counters.strayReplies++;
    }
    heard.add(from);
    counters.replies++;
    const wantsAck = (open.message.flags & queryFlag.ack) !== 0;
    if (responses.has(from) && (!wantsAck || acks.has(from))) missing.delete(from);
    if (isAck) listener.ack?.(from);
    else listener.response?.(from, response.payload);
    if (missing.size === 0 && this.#open.get(response.time) === open) this.#end(open);
  }

  /** Ends queries whose time is up. */
  timer(): void {
    for (const open of [...this.#open.values()]) {
      if (open.deadlineMs <= this.#c.nowMs) this.#end(open);
    }
  }

  #end(open: Open): void {
    this.#open.delete(open.message.time);
    open.listener.done?.({
      expected: open.expected.size,
      acks: open.acks.size,
      responses: open.responses.size,
    });
  }

  /** Who should answer, by what is known here. */
  #expected(request: SerfQueryRequest): Set<string> {
    const nodes = request.nodes === undefined || request.nodes.length === 0
      ? undefined
      : new Set(request.nodes);
    const filters = Object.entries(request.tags ?? {}).map(([tag, expression]) => {
      try {
        return { tag, regexp: new Regexp(expression) };
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new SerfError("bad_filter", `the expression for tag "${tag}" is refused: ${reason}`);
      }
    });
    const expected = new Set<string>();
    for (const { name, status, tags } of this.#members.all()) {
      if (status === "failed" || status === "left") continue;
      if (nodes !== undefined && !nodes.has(name)) continue;
      if (filters.every(({ tag, regexp }) => regexp.test(tags[tag] ?? ""))) expected.add(name);
    }
    return expected;
  }

  #filters(request: SerfQueryRequest): Uint8Array[] {
    const { writer } = this.#c;
    const filters: Uint8Array[] = [];
    if (request.nodes !== undefined && request.nodes.length > 0) {
      filters.push(encodeNodeFilter(writer, request.nodes));
    }
    for (const [tag, expression] of Object.entries(request.tags ?? {})) {
      filters.push(encodeTagFilter(writer, tag, expression));
    }
    return filters;
  }
}
