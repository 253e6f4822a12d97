/** What the SWIM machine below asks of Serf and tells it: memberlist's delegate. */
import { Inbox, type InboxRooms } from "./inbox.ts";
import type { Context } from "./context.ts";
import type { Coordinates } from "./coordinate/coordinates.ts";
import type { SwimDelegate, SwimMember } from "../swim/types.ts";
import { encodePushPull } from "./wire/messages.ts";
import { decodeTags } from "./wire/tags.ts";

/** What the delegate needs of the machine. */
export interface DelegateRooms extends InboxRooms {
  readonly coordinates: Coordinates;
}

/** The delegate of one machine. */
export class Delegate implements SwimDelegate {
  readonly #c: Context;
  readonly #rooms: DelegateRooms;
  readonly #inbox: Inbox;

  /** On the shared context. */
  constructor(context: Context, rooms: DelegateRooms) {
    this.#c = context;
    this.#rooms = rooms;
    this.#inbox = new Inbox(context, rooms);
  }

  /** A user message arrived. */
  notifyMsg(bytes: Uint8Array, nowMs: number): void {
    this.#c.enter(nowMs);
    this.#inbox.receive(bytes);
  }

  /** True if `getBroadcasts` would have something. */
  hasBroadcasts(): boolean {
    return this.#c.queued > 0;
  }

  /** Rumours to send along. */
  getBroadcasts(overhead: number, limit: number): readonly Uint8Array[] {
    return this.#c.takeBroadcasts(overhead, limit, Math.max(1, this.#rooms.members.size));
  }

  /** What a push/pull carries. */
  localState(_join: boolean): Uint8Array {
    const { clock, queryClock, members, events } = this.#rooms;
    return encodePushPull(this.#c.writer, {
      time: clock.time,
      statusTimes: members.statusTimes(),
      left: members.leftNames(),
      eventTime: events.clock.time,
      events: events.remembered(),
      queryTime: queryClock.time,
    });
  }

  /** The other side of a push/pull. */
  mergeRemoteState(bytes: Uint8Array, join: boolean, nowMs: number): void {
    this.#c.enter(nowMs);
    this.#inbox.merge(bytes, join);
  }

  /** What acks carry. */
  ackPayload(): Uint8Array {
    return this.#rooms.coordinates.payload();
  }

  /** A probe was answered. */
  pingComplete(member: SwimMember, rttMs: number, payload: Uint8Array, nowMs: number): void {
    this.#c.enter(nowMs);
    if (this.#rooms.members.get(member.name) === undefined) return;
    this.#rooms.coordinates.measured(member.name, rttMs, payload);
  }

  /** Why somebody shall not be a member. */
  notifyAlive(member: SwimMember): string | undefined {
    return this.#admit(member, false);
  }

  /** Why a push/pull shall not count. */
  notifyMerge(members: readonly SwimMember[]): string | undefined {
    for (const member of members) {
      const reason = this.#admit(member, true);
      if (reason !== undefined) return reason;
    }
    return undefined;
  }

  #admit({ name, address, meta }: SwimMember, merge: boolean): string | undefined {
    const { handler } = this.#c;
    if (handler.admit === undefined) return undefined;
    return handler.admit({ name, address, tags: decodeTags(meta) }, merge);
  }
}
