/**
 * What other nodes send to this one, acknowledged.
 *
 * A message counts in the lane that its link announced; without an announcement, or
 * out of sequence, it is refused, and its sender sends it again or gives it up. What is
 * taken is handed to the receiver: `high` at once, `guaranteed` one after the other
 * (guaranteed_lane.ts). Acknowledgements go out once a turn over the link that the
 * messages came by: one number for each lane that moved.
 *
 * Memory: a volatile lane is two numbers; senders without a link are forgotten beyond
 * `maxSenders`, the oldest first. Bodies are held for guaranteed messages alone, within
 * the bounds that guaranteed_lane.ts names.
 */
import type { ArrivedMessage, Taken } from "../../contracts/delivery.ts";
import type { PeerLink, Peers } from "../../contracts/peers.ts";
import type { Host } from "../../kernel/host.ts";
import {
  encodeNotices,
  lanes,
  maxNotices,
  type Notice,
  type ReceiveLane,
  type SenderLanes,
  Senders,
} from "@mycnet/protocols/delivery";
import type { MessageFields, Priority } from "@mycnet/protocols/frame";
import type { DeliveryConfig } from "./config.ts";
import type { Counters } from "./counters.ts";
import { GuaranteedLane, Held } from "./guaranteed_lane.ts";
import type { DeliveryStore } from "./store.ts";

/** The highest sequence at which a lane may begin: it can never count to the end of what the wire carries. */
const maxFirst = 2 ** 52;

/** The number of a priority. */
export function laneIndex(priority: Priority | undefined): number {
  return priority === undefined ? 2 : lanes.indexOf(priority);
}

/** What it is made with. */
export interface IncomingSetup {
  readonly host: Host;
  readonly peers: Peers;
  readonly config: DeliveryConfig;
  readonly counters: Counters;
  /** The database, opened if need be; undefined if there can be none. */
  store(): DeliveryStore | undefined;
  /** Hands a message up. */
  receive(message: ArrivedMessage): Taken;
}

/** What a link announced, and what is to be said on it. */
class IncomingLink {
  volatile: SenderLanes | undefined;
  readonly durable: (GuaranteedLane | undefined)[] = new Array(4).fill(undefined);
  /** One bit for each lane to acknowledge, the durable ones above. */
  dirty = 0;
  readonly said: Notice[] = [];
  scheduled = false;
  unableSaid = false;
}

/** The receiving side of one node. */
export class Incoming implements Disposable {
  readonly #setup: IncomingSetup;
  readonly #senders: Senders;
  readonly #links = new Map<PeerLink, IncomingLink>();
  /** By sender, four each; those with neither link nor messages are forgotten. */
  readonly #guaranteed = new Map<string, (GuaranteedLane | undefined)[]>();
  readonly #held = new Held();
  #closed = false;

  /** Knows of nobody. */
  constructor(setup: IncomingSetup) {
    this.#setup = setup;
    this.#senders = new Senders(
      setup.config.maxSenders,
      (id) => setup.peers.link(id) !== undefined,
    );
  }

  /** How many guaranteed messages are being handled or wait for it. */
  get held(): number {
    return this.#held.messages;
  }

  /** A message with a sequence arrived. Never throws. */
  message(link: PeerLink, fields: MessageFields, body: Uint8Array, type: number): void {
    const state = this.#links.get(link);
    const index = laneIndex(fields.priority);
    if (state === undefined) {
      this.#setup.counters.refused++;
      return;
    }
    if (fields.durable === true) {
      this.#guaranteedMessage(state, link, index, fields, body, type);
      return;
    }
    const known = state.volatile;
    const lane = known === undefined || known.retired ? undefined : known.lanes[index];
    if (lane === undefined || !this.#isNext(state, link, lane, index, fields.sequence!)) {
      if (lane === undefined) this.#setup.counters.refused++;
      return;
    }
    const taken = this.#setup.receive({
      from: link.peer,
      type,
      fields,
      body,
      level: "high",
      redelivered: fields.redelivered === true,
      transaction: undefined,
    });
    if (taken === "busy") {
      this.#setup.counters.refused++;
      return;
    }
    lane.take();
    lane.finish();
    if (taken === "unhandled") {
      const { sequence } = fields;
      state.said.push({
        kind: "unhandled",
        space: "volatile",
        lane: lanes[index],
        epoch: known!.epoch,
        sequence: sequence!,
      });
      if (state.said.length >= maxNotices - 8) this.#say(link, state);
    }
    this.#acknowledge(link, state, 1 << index);
  }

  /** A sender says where a lane begins. */
  announced(link: PeerLink, notice: Notice): void {
    const { id, generation } = link.peer;
    const { space, epoch, sequence } = notice;
    if (sequence > maxFirst) {
      this.#setup.counters.refused++;
      return;
    }
    const index = lanes.indexOf(notice.lane);
    let state = this.#links.get(link);
    if (state === undefined) this.#links.set(link, state = new IncomingLink());
    if (space === "volatile") {
      state.volatile = this.#senders.announced(id, generation, epoch, index, sequence);
      if (state.volatile === undefined) this.#setup.counters.refused++;
      else this.#acknowledge(link, state, 1 << index);
      return;
    }
    const lane = this.#guaranteedLane(id, generation, epoch, index, sequence);
    if (lane === undefined) {
      this.#unable(link, state, notice);
      return;
    }
    if (lane.generation > generation) {
      this.#setup.counters.refused++;
      return;
    }
    state.durable[index] = lane;
    lane.announced(link, sequence);
    this.#acknowledge(link, state, 16 << index);
  }

  /** A link is gone. */
  linkDown(link: PeerLink): void {
    this.#links.delete(link);
    const { id } = link.peer;
    for (const lane of this.#guaranteed.get(id) ?? []) lane?.linkDown(link);
    this.#forgetIdle(id);
  }

  /** Guaranteed messages that were put off are handled now. */
  retry(): void {
    for (const byLane of this.#guaranteed.values()) for (const lane of byLane) lane?.retry();
  }

  /** Says what is to be said, and handles no more. */
  [Symbol.dispose](): void {
    for (const [link, state] of this.#links) this.#say(link, state);
    this.#closed = true;
    for (const byLane of this.#guaranteed.values()) for (const lane of byLane) lane?.close();
    this.#guaranteed.clear();
    this.#links.clear();
  }

  #guaranteedMessage(
    state: IncomingLink,
    link: PeerLink,
    index: number,
    fields: MessageFields,
    body: Uint8Array,
    type: number,
  ): void {
    const lane = state.durable[index];
    if (lane === undefined || lane.closed) {
      this.#setup.counters.refused++;
      return;
    }
    if (!this.#isNext(state, link, lane.lane, 4 + index, fields.sequence!)) return;
    if (!lane.take(link.peer, type, fields, body)) this.#setup.counters.refused++;
  }

  #isNext(
    state: IncomingLink,
    link: PeerLink,
    lane: ReceiveLane,
    bit: number,
    sequence: number,
  ): boolean {
    const judgement = lane.judge(sequence);
    if (judgement === "next") return true;
    if (judgement === "gap") this.#setup.counters.refused++;
    else {
      this.#setup.counters.duplicates++;
      this.#acknowledge(link, state, 1 << bit);
    }
    return false;
  }

  #guaranteedLane(
    id: string,
    generation: number,
    epoch: bigint,
    index: number,
    base: number,
  ): GuaranteedLane | undefined {
    let byLane = this.#guaranteed.get(id);
    const known = byLane?.[index];
    if (known !== undefined && !known.closed) {
      if (known.generation > generation) return known;
      if (known.epoch === epoch) {
        known.generation = generation;
        return known;
      }
      known.close();
    }
    const store = this.#setup.store();
    if (store === undefined) return undefined;
    const { host, config, counters } = this.#setup;
    const lane = new GuaranteedLane({
      host,
      config,
      counters,
      store,
      held: this.#held,
      sender: id,
      index,
      epoch,
      first: Math.max(base, store.handled(id, index, epoch) ?? 0),
      receive: (message) => this.#setup.receive(message),
      acknowledge: (link) => {
        const state = this.#links.get(link);
        if (state !== undefined) this.#acknowledge(link, state, 16 << index);
      },
      idle: () => this.#forgetIdle(id),
    }, generation);
    if (byLane === undefined) {
      this.#guaranteed.set(id, byLane = new Array<GuaranteedLane | undefined>(4).fill(undefined));
    }
    byLane[index] = lane;
    return lane;
  }

  /** Lanes that hold nothing are on disk; those of senders without a link need not be here as well. */
  #forgetIdle(id: string): void {
    const byLane = this.#guaranteed.get(id);
    if (byLane === undefined || this.#setup.peers.link(id) !== undefined) return;
    for (const lane of byLane) if (lane !== undefined && !lane.idle) return;
    for (const lane of byLane) lane?.close();
    this.#guaranteed.delete(id);
  }

  #unable(link: PeerLink, state: IncomingLink, { space, lane, epoch, sequence }: Notice): void {
    if (state.unableSaid) return;
    state.unableSaid = true;
    state.said.push({ kind: "unable", space, lane, epoch, sequence });
    this.#acknowledge(link, state, 0);
  }

  #acknowledge(link: PeerLink, state: IncomingLink, bits: number): void {
    state.dirty |= bits;
    if (state.scheduled || this.#closed) return;
    state.scheduled = true;
    queueMicrotask(() => this.#say(link, state));
  }

  /** Sends what is to be said on a link. */
  #say(link: PeerLink, state: IncomingLink): void {
    state.scheduled = false;
    if (this.#closed) return;
    const notices = state.said.splice(0);
    for (let index = 0; index < 4; index++) {
      const known = state.volatile;
      const lane = known?.lanes[index];
      if ((state.dirty & 1 << index) !== 0 && lane !== undefined && !known!.retired) {
        notices.push(ack("volatile", index, known!.epoch, lane.done));
      }
      const durable = state.durable[index];
      if ((state.dirty & 16 << index) !== 0 && durable !== undefined && !durable.closed) {
        notices.push(ack("durable", index, durable.epoch, durable.lane.done));
      }
    }
    state.dirty = 0;
    if (notices.length > 0) link.ack(encodeNotices(notices));
  }
}

function ack(space: Notice["space"], index: number, epoch: bigint, sequence: number): Notice {
  return { kind: "ack", space, lane: lanes[index], epoch, sequence };
}
