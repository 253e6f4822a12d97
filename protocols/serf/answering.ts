/**
 * Queries that ask this node: filters, acknowledgements, answers, relays.
 *
 * Whoever gossips can put any return address into a query and any target into a
 * relay, and so make the whole cluster send packets to a victim. So answers go
 * only to addresses of members that SWIM sees alive, relays carry only answers and
 * only to such addresses, and all of it is bounded by a rate. Filters are run by an
 * engine that needs a number of steps known beforehand.
 */
import { formatAddress } from "../swim/address.ts";
import type { Context } from "./context.ts";
import type { LamportClock } from "./lamport.ts";
import type { Members } from "./members.ts";
import { Recent } from "./recent.ts";
import { Regexp } from "./regexp/regexp.ts";
import { RegexpError } from "./regexp/parse.ts";
import type { RespondResult, SerfQuery } from "./types.ts";
import { decodeFilter } from "./wire/decode.ts";
import {
  encodeQueryResponse,
  encodeRelay,
  queryFlag,
  type QueryMessage,
  type QueryResponseMessage,
  type RelayMessage,
  serfMessage,
} from "./wire/messages.ts";

/** Names of queries with this prefix are the cluster's own. */
export const internalPrefix = "_serf_";
/** Relays understand messages of this version of memberlist's protocol. */
const relayVersion = 5;
/** The most steps of a match per filter, for texts of a length that metadata cannot have. */
const maxTagCharacters = 512;

/** What answering needs of the machine. */
export interface AnsweringSink {
  /** A query of the cluster's own. */
  internal(query: SerfQuery): void;
  /** An answer to a query of this very node. */
  own(response: QueryResponseMessage): void;
}

/** The queries that ask one machine. */
export class Answering {
  readonly #c: Context;
  readonly #members: Members;
  readonly #clock: LamportClock;
  readonly #recent: Recent<number>;
  readonly #sink: AnsweringSink;

  /** `lastTime`: of the last query that an earlier life saw. */
  constructor(
    context: Context,
    members: Members,
    clock: LamportClock,
    sink: AnsweringSink,
    lastTime: number | undefined,
  ) {
    this.#c = context;
    this.#members = members;
    this.#clock = clock;
    this.#sink = sink;
    const { queryBuffer, maxRemembered } = context.config;
    this.#recent = new Recent(queryBuffer, maxRemembered, (a, b) => a === b, (lastTime ?? -1) + 1);
  }

  /** A query arrived, or this node asks itself. True if it is new and to be passed on. */
  handle(query: QueryMessage): boolean {
    const c = this.#c;
    if (!this.#clock.admits(query.time, c.config.maxClockJump)) {
      c.counters.clockJumps++;
      return false;
    }
    this.#clock.witness(query.time);
    const fate = this.#recent.add(query.time, query.id, this.#clock.time);
    if (fate === "old") c.counters.old++;
    if (fate !== "new") return false;
    c.counters.queries++;
    const passOn = (query.flags & queryFlag.noBroadcast) === 0;
    if (!this.#asked(query.filters)) return passOn;
    if ((query.flags & queryFlag.ack) !== 0) {
      this.#send(query, { flags: queryFlag.ack, payload: new Uint8Array(0) });
    }
    const asked = this.#describe(query);
    if (query.name.startsWith(internalPrefix)) this.#sink.internal(asked);
    else c.emit({ type: "query", query: asked });
    return passOn;
  }

  /** Somebody asks to hand on an answer. */
  relay(relay: RelayMessage): void {
    const { counters, swim, nowMs } = this.#c;
    const to = formatAddress(relay.ip, relay.port);
    if (relay.message[0] !== serfMessage.queryResponse) return void counters.malformed++;
    if (swim.memberAt(to) === undefined) return void counters.strangers++;
    if (this.#c.afford()) swim.sendBestEffort(to, relay.message, nowMs);
  }

  #describe(query: QueryMessage): SerfQuery {
    const deadlineMs = this.#c.nowMs + query.timeoutMs;
    let answered = false;
    return {
      name: query.name,
      payload: query.payload,
      time: query.time,
      from: query.source,
      deadlineMs,
      respond: (payload, nowMs): RespondResult => {
        this.#c.enter(nowMs);
        if (answered) return "twice";
        if (nowMs > deadlineMs) return "late";
        const result = this.#send(query, { flags: 0, payload: payload.slice() });
        answered = result === "sent";
        return result;
      },
    };
  }

  #send(
    query: QueryMessage,
    answer: { readonly flags: number; readonly payload: Uint8Array },
  ): RespondResult {
    const c = this.#c;
    const response = { time: query.time, id: query.id, from: c.name, ...answer };
    const bytes = encodeQueryResponse(c.writer, response);
    if (bytes.length > c.config.maxResponseBytes) return "too_large";
    const to = formatAddress(query.ip, query.port);
    if (query.source === c.name && to === c.swim.self.address) {
      this.#sink.own(response);
      return "sent";
    }
    if (c.swim.memberAt(to) === undefined) {
      c.counters.strangers++;
      return "refused";
    }
    if (!c.afford()) return "refused";
    c.swim.sendBestEffort(to, bytes, c.nowMs);
    if (query.relayFactor > 0) this.#relay(query, bytes);
    return "sent";
  }

  /** Sends an answer once more through some others, since the way back may lose packets. */
  #relay(query: QueryMessage, message: Uint8Array): void {
    const c = this.#c;
    const { ip, port, source, relayFactor } = query;
    // As in Serf, only where there are that many others.
    if (this.#members.size < relayFactor + 1) return;
    const bytes = encodeRelay(c.writer, { ip, port, name: source, message });
    if (bytes.length > c.config.maxResponseBytes) return;
    const others: string[] = [];
    for (const { name, status, versions, address } of this.#members.all()) {
      if (status === "alive" && versions[1] >= relayVersion && name !== c.name && name !== source) {
        others.push(address);
      }
    }
    for (let i = 0; i < relayFactor && others.length > 0; i++) {
      const at = Math.floor(c.random() * others.length);
      const [to] = others.splice(at, 1, others.at(-1)!);
      others.pop();
      if (c.afford()) c.swim.sendBestEffort(to!, bytes, c.nowMs);
    }
  }

  /** True if this node matches all filters. */
  #asked(filters: readonly Uint8Array[]): boolean {
    const c = this.#c;
    const tags = this.#members.get(c.name)?.tags ?? {};
    let steps = 0;
    for (const bytes of filters) {
      try {
        const filter = decodeFilter(bytes);
        if (filter.kind === "nodes") {
          if (!filter.nodes.includes(c.name)) return false;
          continue;
        }
        const regexp = new Regexp(filter.expression);
        const text = (tags[filter.tag] ?? "").slice(0, maxTagCharacters);
        steps += regexp.cost(text.length);
        if (steps > c.config.maxFilterSteps) throw new RegexpError("the filters take too long");
        if (!regexp.test(text)) return false;
      } catch {
        // Wrong, unknown or too expensive: not knowing who is meant, it is not us.
        c.counters.filtersRefused++;
        return false;
      }
    }
    return true;
  }
}
