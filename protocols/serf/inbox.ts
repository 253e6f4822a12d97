/**
 * Messages and push/pulls that arrive: read, weighed, handed to the room they are
 * for, and passed on if they are news.
 *
 * All of a push/pull is read before any of it counts, and all its clocks must be
 * believable. Those who left are taken up first: about a leave we only learn that
 * it came after the status time that is told, so it counts as one later, and a join
 * in the same exchange must not come before it.
 */
import type { Answering } from "./answering.ts";
import type { Asking } from "./asking.ts";
import type { Context } from "./context.ts";
import type { UserEvents } from "./events.ts";
import type { LamportClock } from "./lamport.ts";
import type { Members } from "./members.ts";
import {
  decodeIntent,
  decodePushPull,
  decodeQuery,
  decodeQueryResponse,
  decodeRelay,
  decodeUserEvent,
} from "./wire/decode.ts";
import {
  type IntentMessage,
  maxMessageBytes,
  type PushPullMessage,
  serfMessage,
} from "./wire/messages.ts";

/** What the inbox needs of the machine. */
export interface InboxRooms {
  readonly clock: LamportClock;
  readonly queryClock: LamportClock;
  readonly members: Members;
  readonly events: UserEvents;
  readonly asking: Asking;
  readonly answering: Answering;
  /** False once this node leaves. */
  active(): boolean;
  /** True while a join wants no events of the past. */
  ignoresPast(): boolean;
  /** Says that this node is here. */
  refute(): void;
}

/** What arrives at one machine. */
export class Inbox {
  readonly #c: Context;
  readonly #rooms: InboxRooms;

  /** On the shared context. */
  constructor(context: Context, rooms: InboxRooms) {
    this.#c = context;
    this.#rooms = rooms;
  }

  /** A user message; the bytes are valid during the call only. */
  receive(bytes: Uint8Array): void {
    const { counters } = this.#c;
    counters.messages++;
    if (bytes.length === 0 || bytes.length > maxMessageBytes) return void counters.malformed++;
    try {
      this.#dispatch(bytes);
    } catch (error) {
      if (!isMalformed(error)) throw error;
      counters.malformed++;
    }
  }

  /** The other side of a push/pull. */
  merge(bytes: Uint8Array, join: boolean): void {
    const { counters, config } = this.#c;
    if (bytes[0] !== serfMessage.pushPull) return void counters.malformed++;
    let state: PushPullMessage;
    try {
      state = decodePushPull(bytes, 2 * config.maxMembers);
    } catch (error) {
      if (!isMalformed(error)) throw error;
      return void counters.malformed++;
    }
    this.#apply(state, join);
  }

  #dispatch(bytes: Uint8Array): void {
    const { events, asking, answering } = this.#rooms;
    const c = this.#c;
    switch (bytes[0]) {
      case serfMessage.leave:
        if (this.#intent(decodeIntent(bytes, "leave"), c.config.maxClockJump)) {
          c.rebroadcast("intents", bytes);
        }
        return;
      case serfMessage.join:
        if (this.#intent(decodeIntent(bytes, "join"), c.config.maxClockJump)) {
          c.rebroadcast("intents", bytes);
        }
        return;
      case serfMessage.userEvent:
        if (events.handle(decodeUserEvent(bytes), c.config.maxClockJump)) {
          c.rebroadcast("events", bytes);
        }
        return;
      case serfMessage.query:
        if (answering.handle(decodeQuery(bytes))) c.rebroadcast("queries", bytes);
        return;
      case serfMessage.queryResponse:
        return asking.handleResponse(decodeQueryResponse(bytes));
      case serfMessage.relay:
        return answering.relay(decodeRelay(bytes));
    }
    c.counters.unknown++;
  }

  /** True if it is news. */
  #intent(intent: IntentMessage, maxJump: number): boolean {
    const { clock, members, active, refute } = this.#rooms;
    const { counters, nowMs } = this.#c;
    if (!clock.admits(intent.time, maxJump)) {
      counters.clockJumps++;
      return false;
    }
    clock.witness(intent.time);
    const result = members.handleIntent(intent, active(), nowMs);
    if (result === "refute") {
      counters.refutations++;
      refute();
    }
    return result === "news";
  }

  #apply(state: PushPullMessage, join: boolean): void {
    const { clock, queryClock, events } = this.#rooms;
    const { config, counters } = this.#c;
    const { time, eventTime, queryTime, statusTimes } = state;
    const jump = config.maxSyncClockJump;
    if (
      !clock.admits(time, jump) || !events.clock.admits(eventTime, jump) ||
      !queryClock.admits(queryTime, jump)
    ) return void counters.clockJumps++;
    // Nothing was sent with these times yet: they are what comes next over there.
    clock.witness(time - 1);
    events.clock.witness(eventTime - 1);
    queryClock.witness(queryTime - 1);
    const left = new Set(state.left);
    for (const node of left) {
      const after = (statusTimes.get(node) ?? 0) + 1;
      this.#intent({ kind: "leave", time: after, node, prune: false }, jump);
    }
    for (const [node, statusTime] of statusTimes) {
      if (left.has(node)) continue;
      this.#intent({ kind: "join", time: statusTime, node, prune: false }, jump);
    }
    if (join && this.#rooms.ignoresPast()) events.ignoreBefore(eventTime);
    for (const { time, events: items } of state.events) {
      for (const { name, payload } of items) {
        events.handle({ time, name, payload, coalesce: false }, jump);
      }
    }
  }
}

/** Decoders throw WireError; by name, since a second copy of a class is another class. */
function isMalformed(error: unknown): boolean {
  return error instanceof Error && error.name === "WireError";
}
