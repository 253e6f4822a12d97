/**
 * Two rhythms: gossip while there is news, and push/pull now and then.
 *
 * Probes carry rumours, but a member sends only one in a period; gossip adds
 * packets of rumours alone, to a few members at random, in rounds of their own
 * (memberlist). Without news there are no rounds and no timer, but the phase
 * stays, so that members that hear of something at the same moment do not all
 * speak at the same moment. Push/pull compares everything with one member, which
 * heals whatever gossip lost, a partition among it.
 */
import type { Context } from "./context.ts";
import type { Outbox } from "./outbox.ts";
import { pushPullMs } from "./scaling.ts";
import { stateOf } from "./verdicts.ts";

/** The rhythms of one machine. */
export class Gossip {
  readonly #c: Context;
  readonly #outbox: Outbox;
  readonly #sync: (address: string) => void;
  readonly #picked: number[] = [];
  readonly #phaseMs: number;
  /** When the next round is; Infinity without news. */
  #gossipMs = Infinity;
  #pushPullMs: number;
  #spread = false;

  /** `sync` begins a push/pull. */
  constructor(
    context: Context,
    outbox: Outbox,
    sync: (address: string) => void,
    nowMs: number,
  ) {
    this.#c = context;
    this.#outbox = outbox;
    this.#sync = sync;
    const { gossipIntervalMs, pushPullIntervalMs } = context.config;
    this.#phaseMs = nowMs + context.random() * gossipIntervalMs;
    this.#pushPullMs = pushPullIntervalMs > 0
      ? nowMs + context.random() * pushPullIntervalMs
      : Infinity;
  }

  /** When to call `timer`. */
  get nextMs(): number {
    return Math.min(this.#gossipMs, this.#pushPullMs);
  }

  /** To be called after whatever may have made news. */
  arm(): void {
    if (this.#c.missedNews) {
      this.#c.missedNews = false;
      if (this.#pushPullMs !== Infinity) this.#pushPullMs = this.#c.nowMs;
    }
    if (this.#gossipMs !== Infinity || !this.#outbox.pending) return;
    const { gossipIntervalMs } = this.#c.config;
    const rounds = Math.floor((this.#c.nowMs - this.#phaseMs) / gossipIntervalMs) + 1;
    this.#gossipMs = this.#phaseMs + rounds * gossipIntervalMs;
  }

  /** The time has come, or any other time has. */
  timer(): void {
    const { nowMs } = this.#c;
    if (nowMs >= this.#gossipMs) {
      this.#gossipMs = Infinity;
      this.#round();
    }
    if (nowMs >= this.#pushPullMs) this.#exchange();
  }

  /** This process stood still for so long: after a while of that, ask what was missed. */
  paused(ms: number): void {
    const { nowMs, config } = this.#c;
    if (this.#gossipMs !== Infinity) this.#gossipMs = nowMs;
    if (this.#pushPullMs === Infinity) return;
    if (ms >= missedAfterProbes * config.probeIntervalMs) this.#pushPullMs = nowMs;
    else this.#pushPullMs += ms;
  }

  #round(): void {
    const { table, config, selfId, nowMs } = this.#c;
    const count = table.pick(config.gossipNodes, (id) => {
      if (id === selfId) return false;
      const state = table.state(id);
      if (state <= stateOf.suspect) return true;
      // The dead hear of their death for a while, in case they are not.
      return state === stateOf.dead &&
        nowMs - (table.sinceMs(id) ?? nowMs) <= config.gossipToTheDeadMs;
    }, this.#picked);
    for (let i = 0; i < count; i++) {
      const { address, versions } = table.card(this.#picked[i]!);
      if (!this.#outbox.gossip(address, versions[1])) return;
    }
  }

  #exchange(): void {
    const { table, config, selfId, nowMs, status, random } = this.#c;
    const intervalMs = pushPullMs(config.pushPullIntervalMs, table.size);
    if (!this.#spread) {
      // The start was spread over the interval of a small cluster; in a large one, over its own.
      this.#spread = true;
      this.#pushPullMs = nowMs + random() * (intervalMs - config.pushPullIntervalMs);
      if (this.#pushPullMs > nowMs) return;
    }
    this.#pushPullMs = nowMs + intervalMs;
    if (status !== "active") return;
    const found = table.pick(
      1,
      (id) => id !== selfId && table.state(id) === stateOf.alive,
      this.#picked,
    );
    if (found === 1) this.#sync(table.card(this.#picked[0]!).address);
  }
}

/** After so many periods of standing still, others may have declared us dead. */
const missedAfterProbes = 2;
