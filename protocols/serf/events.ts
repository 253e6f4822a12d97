/**
 * User events: each is told once, however often it arrives, and passed on once.
 *
 * Events of one Lamport time with the same name and payload are one event, as in
 * Serf. Those that may be coalesced wait until it has been quiet for a while, and
 * then only the newest of each name are told; what arrives by push/pull or may not
 * be coalesced is told at once.
 */
import type { Context } from "./context.ts";
import { LamportClock } from "./lamport.ts";
import { Recent } from "./recent.ts";
import { SerfError } from "./types.ts";
import { encodeUserEvent, type EventsAtTime, type UserEventMessage } from "./wire/messages.ts";
import { utf8Length } from "../utf8.ts";

/** Names of events that are held back; more of them and all are told at once. */
const maxHeldNames = 256;
/** Events of one name and time that are held back. */
const maxHeldOfName = 64;

interface Remembered {
  readonly name: string;
  readonly payload: Uint8Array;
}

/** The user events of one machine. */
export class UserEvents {
  readonly clock: LamportClock;
  readonly #c: Context;
  readonly #recent: Recent<Remembered>;
  readonly #held: Map<string, UserEventMessage[]> = new Map();
  #quietMs = Infinity;
  #latestMs = Infinity;

  /** `lastTime`: of the last event that an earlier life saw. */
  constructor(context: Context, lastTime: number | undefined) {
    this.#c = context;
    const { eventBuffer, maxRemembered } = context.config;
    this.clock = new LamportClock(lastTime === undefined ? 1 : lastTime + 1);
    this.#recent = new Recent(eventBuffer, maxRemembered, same, (lastTime ?? -1) + 1);
  }

  /** When to call `timer`. Infinity if nothing is held back. */
  get nextMs(): number {
    return Math.min(this.#quietMs, this.#latestMs);
  }

  /** Sends an event to everybody, this node included. @throws {SerfError} `too_large`. */
  send(name: string, payload: Uint8Array, coalesce: boolean): void {
    const { maxEventBytes } = this.#c.config;
    const bytes = utf8Length(name) + payload.length;
    if (bytes > maxEventBytes) {
      throw new SerfError(
        "too_large",
        `the event's name and payload have ${bytes} bytes, at most ${maxEventBytes}: send a reference`,
      );
    }
    const event = { time: this.clock.tick(), name, payload: payload.slice(), coalesce };
    this.#c.broadcast("events", encodeUserEvent(this.#c.writer, event));
    this.#accept(event);
  }

  /** An event arrived. True if it is new and to be passed on. */
  handle(event: UserEventMessage, maxJump: number): boolean {
    if (!this.clock.admits(event.time, maxJump)) {
      this.#c.counters.clockJumps++;
      return false;
    }
    this.clock.witness(event.time);
    return this.#accept(event);
  }

  /** Everything before this time is of no interest. */
  ignoreBefore(time: number): void {
    this.#recent.ignoreBefore(time);
  }

  /** What a push/pull carries. */
  remembered(): EventsAtTime[] {
    return Array.from(this.#recent.all(), ({ time, items }) => ({ time, events: items }));
  }

  /** Tells what has been held back for long enough. */
  timer(): void {
    if (this.#c.nowMs >= this.nextMs) this.flush();
  }

  /** Tells what is held back. */
  flush(): void {
    const held = [...this.#held.values()];
    this.#held.clear();
    this.#quietMs = this.#latestMs = Infinity;
    for (const events of held) for (const event of events) this.#tell(event);
  }

  #accept(event: UserEventMessage): boolean {
    const { name, payload } = event;
    const fate = this.#recent.add(event.time, { name, payload }, this.clock.time);
    if (fate === "old") this.#c.counters.old++;
    if (fate !== "new") return false;
    this.#c.counters.events++;
    if (event.coalesce && this.#c.config.coalesceQuietMs > 0) this.#hold(event);
    else this.#tell(event);
    return true;
  }

  #hold(event: UserEventMessage): void {
    const { nowMs, config } = this.#c;
    const held = this.#held.get(event.name);
    if (held === undefined || held[0]!.time < event.time) {
      if (held === undefined && this.#held.size >= maxHeldNames) this.flush();
      this.#held.set(event.name, [event]);
    } else if (held[0]!.time === event.time && held.length < maxHeldOfName) held.push(event);
    this.#quietMs = nowMs + config.coalesceQuietMs;
    if (this.#latestMs === Infinity) this.#latestMs = nowMs + config.coalesceMaxMs;
  }

  #tell(event: UserEventMessage): void {
    this.#c.emit({ type: "user_event", ...event });
  }
}

function same(a: Remembered, b: Remembered): boolean {
  return a.name === b.name && a.payload.length === b.payload.length &&
    a.payload.every((byte, i) => byte === b.payload[i]);
}
