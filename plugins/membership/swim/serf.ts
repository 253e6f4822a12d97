/** Membership among Serf agents: Serf's machine above SWIM's. */
import {
  serfDefaults,
  type SerfEvent,
  SerfMachine,
  type SerfMember,
  type SerfQueryHandle,
  type SerfQueryListener,
  type SerfQueryRequest,
} from "@mycnet/protocols/serf";
import { type SwimDelegate, SwimMachine } from "@mycnet/protocols/swim";
import type { KeyringReply } from "../../../core/contracts/membership.ts";
import { codeOf, type ErrorCode, MycnetError } from "../../../core/kernel/errors.ts";
import type { JoinReply, Layer, LayerHandler, LayerMember } from "./layer.ts";
import type { Clocks } from "./memory.ts";
import { type LayerParts, selfOf } from "./self.ts";
import type { Tags } from "./tags.ts";

/** What Serf's part is set up with, beside what every layer is. */
export interface SerfLayerParts extends LayerParts {
  readonly reconnectIntervalMs: number;
  readonly reconnectTimeoutMs: number;
  readonly tombstoneMs: number;
}

const codes: Readonly<Record<string, ErrorCode>> = {
  leaving: "closed",
  too_large: "too_large",
  bad_filter: "invalid_argument",
  bad_name: "invalid_argument",
  too_many_queries: "overloaded",
};

/** Runs a command; what the machine refuses becomes an error of ours. */
function command<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    const code = codes[codeOf(error) ?? ""];
    if (code === undefined) throw error;
    throw new MycnetError(code, (error as Error).message, { cause: error });
  }
}

/** See the head of this file. */
export class SerfLayer implements Layer {
  readonly swim: SwimMachine;
  readonly #serf: SerfMachine;
  readonly #handler: LayerHandler;
  #nowMs: number;
  #started = false;
  #leaving: (() => void)[] = [];

  constructor(parts: SerfLayerParts, handler: LayerHandler) {
    const { name, config, incarnation, tags, keyring, clocks, random, nowMs } = parts;
    this.#handler = handler;
    this.#nowMs = nowMs;
    const encrypted = keyring.keys.length > 0;
    const serf = this.#serf = new SerfMachine(
      {
        name,
        tags,
        random,
        clocks,
        ...(encrypted ? { keyring } : {}),
        config: {
          ...serfDefaults,
          gossipIntervalMs: config.gossipIntervalMs,
          retransmitMult: config.retransmitMult,
          maxMembers: config.maxMembers,
          maxFavoursPerSecond: config.maxFavoursPerSecond,
          joinTimeoutMs: config.streamTimeoutMs + 5000,
          reconnectIntervalMs: parts.reconnectIntervalMs,
          reconnectTimeoutMs: parts.reconnectTimeoutMs,
          tombstoneMs: parts.tombstoneMs,
        },
      },
      {
        event: (event) => this.#event(event),
        admit: ({ name, tags }) => handler.admit(name, tags),
      },
    );
    this.swim = new SwimMachine(
      { self: selfOf(parts), config, incarnation, random, keyring },
      {
        packet: (to, bytes) => handler.packet(to, bytes),
        open: (stream) => handler.open(stream),
        event: (event) => {
          if (event.type === "incarnation") handler.incarnation(event.incarnation);
          else if (event.type === "paused") handler.paused(event.ms);
          else if (event.type === "refused") handler.refused(event.address, event.reason);
          if (this.#started) serf.handleSwimEvent(event, this.#nowMs);
        },
      },
      nowMs,
      tapped(serf.delegate, (name, nowMs) => handler.answered(name, nowMs)),
    );
    serf.start(this.swim, nowMs);
    this.#started = true;
  }

  get nextTimerMs(): number | undefined {
    return this.#serf.nextTimerMs;
  }

  get clocks(): Clocks {
    return this.#serf.clocks;
  }

  get counters(): Readonly<Record<string, number>> {
    const { events, queries, reconnects, clockJumps, refutations } = this.#serf.counters;
    return {
      user_events: events,
      queries,
      reconnects,
      clock_jumps: clockJumps,
      leave_refutations: refutations,
    };
  }

  tick(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  handleTimer(nowMs: number): void {
    this.#serf.handleTimer(nowMs);
  }

  members(): readonly LayerMember[] {
    return this.#serf.members().map((it) => this.#current(it));
  }

  member(name: string): LayerMember | undefined {
    const member = this.#serf.member(name);
    return member === undefined ? undefined : this.#current(member);
  }

  join(addresses: readonly string[], nowMs: number, done: (reply: JoinReply) => void): void {
    command(() => this.#serf.join(addresses, nowMs, { done }));
  }

  leave(nowMs: number, done: () => void): void {
    if (this.#serf.status === "left") return done();
    this.#leaving.push(done);
    this.#serf.leave(nowMs);
  }

  forceLeave(name: string, prune: boolean, nowMs: number): boolean {
    return command(() => this.#serf.forceLeave(name, nowMs, prune));
  }

  setTags(tags: Tags, nowMs: number): void {
    try {
      this.#serf.setTags(tags, nowMs);
    } catch (error) {
      throw new MycnetError("too_large", (error as Error).message, { cause: error });
    }
  }

  event(name: string, payload: Uint8Array, coalesce: boolean, nowMs: number): void {
    command(() => this.#serf.event(name, payload, nowMs, coalesce));
  }

  query(
    request: SerfQueryRequest,
    listener: SerfQueryListener,
    nowMs: number,
  ): SerfQueryHandle {
    return command(() => this.#serf.query(request, listener, nowMs));
  }

  keyring(
    operation: "list" | "install" | "use" | "remove",
    key: Uint8Array | undefined,
    nowMs: number,
    done: (reply: KeyringReply) => void,
  ): void {
    command(() => this.#serf.keys(operation, key, nowMs, done));
  }

  distanceMs(a: string, b: string): number | undefined {
    return this.#serf.distanceMs(a, b);
  }

  stop(): void {
    this.swim.stop();
  }

  /** A rise of the incarnation alone, as after a quick restart, is no event: Serf's machine does not hear of it. */
  #current(member: SerfMember): LayerMember {
    const incarnation = this.swim.member(member.name)?.incarnation ?? member.incarnation;
    return incarnation === member.incarnation ? member : { ...member, incarnation };
  }

  #event(event: SerfEvent): void {
    const handler = this.#handler;
    switch (event.type) {
      case "user_event":
        return handler.userEvent(event.name, event.payload, event.time);
      case "query":
        return handler.query(event.query);
      case "keyring":
        return handler.keyring();
      case "conflict":
        return handler.conflict(event.address);
      case "conflict_resolved":
        if (event.outcome === "lost") handler.nameLost();
        return;
      case "status":
        if (event.status === "left") { for (const done of this.#leaving.splice(0)) done(); }
        return;
      default:
        return handler.member(event.type, event.member satisfies SerfMember);
    }
  }
}

/** The delegate, with the answers to probes told on the way. */
function tapped(
  below: SwimDelegate,
  answered: (name: string, nowMs: number) => void,
): SwimDelegate {
  return {
    notifyMsg: (bytes, nowMs) => below.notifyMsg?.(bytes, nowMs),
    hasBroadcasts: () => below.hasBroadcasts?.() ?? false,
    getBroadcasts: (overhead, limit) => below.getBroadcasts?.(overhead, limit) ?? [],
    localState: (join) => below.localState?.(join) ?? new Uint8Array(0),
    mergeRemoteState: (bytes, join, nowMs) => below.mergeRemoteState?.(bytes, join, nowMs),
    ackPayload: () => below.ackPayload?.() ?? new Uint8Array(0),
    pingComplete: (member, rttMs, payload, nowMs) => {
      answered(member.name, nowMs);
      below.pingComplete?.(member, rttMs, payload, nowMs);
    },
    notifyAlive: (member) => below.notifyAlive?.(member),
    notifyMerge: (members) => below.notifyMerge?.(members),
  };
}
