/**
 * Is the other end alive, and how far away is it?
 *
 * A check is a ping and a wait. Any byte that arrives counts as life; silence
 * until the time is up is a miss, which is checked again at once; some misses in
 * a row (`failureThreshold`) make the link unhealthy. Checks follow each other
 * quickly while messages flow and slowly otherwise. Round trips are smoothed as
 * RFC 6298 smooths them (alpha 1/8, beta 1/4), and a path slower than the fixed
 * time-out gets its own: SRTT + 4 RTTVAR. A timer that fires much too late means
 * that this process was paused: what the peer sent may still be unread, so the
 * wait starts over, once for each ping, before it counts against the peer.
 * What is alive and yet gets nowhere is the business of progress.ts.
 */
import { Progress } from "./progress.ts";
import type { LinkHealth, LinkLimits } from "./types.ts";

// A round trip is degraded above the limit and well again below this share of it.
const recovery = 0.75;
// The time-out grows with the round trip, but not beyond this many times the configured one.
const maxTimeoutFactor = 10;
const activeForMs = 1000;
const remembered = 8;

/** What a timer asks for. `ping`: send {@linkcode Liveness.pingId}. `dead`: close. */
export type LivenessAction = "none" | "ping" | "dead";

/** The checks of one link, from the moment it is up. */
export class Liveness {
  /** The id of the latest ping; 0 before the first. */
  pingId = 0;
  /** Misses in a row. */
  misses = 0;
  /** The smoothed round trip in ms. */
  roundTripMs: number | undefined;
  /** Whether frames get anywhere. */
  readonly progress: Progress;
  readonly #limits: LinkLimits;
  // A buffer outside of the heap for so few would cost a link more than they do.
  readonly #sentMs: number[] = new Array<number>(remembered).fill(NaN);
  #varianceMs = 0;
  #waiting = false;
  #waitSinceMs = 0;
  #heardSince = false;
  #graced = false;
  #nextPingMs: number;
  #lastTrafficMs = -Infinity;
  #slow = false;

  /** The first check is due at once, so that the round trip is known early. */
  constructor(limits: LinkLimits, nowMs: number) {
    this.#limits = limits;
    this.progress = new Progress(limits, nowMs);
    this.#nextPingMs = nowMs;
  }

  /** When to call {@linkcode Liveness.timer}. */
  get nextMs(): number {
    return this.#waiting ? this.#waitSinceMs + this.#timeoutMs : this.#nextPingMs;
  }

  /** How the link does. */
  get health(): LinkHealth {
    if (this.misses >= this.#limits.failureThreshold) return "unhealthy";
    return this.misses > 0 || this.#slow ? "degraded" : "healthy";
  }

  /** Why it is not healthy. */
  get reason(): string | undefined {
    if (this.misses > 0) return `nothing heard after ${this.misses} pings`;
    return this.#slow ? `round trip of ${Math.round(this.roundTripMs!)} ms` : undefined;
  }

  /** Bytes arrived. True if that ends a row of misses. */
  heard(): boolean {
    this.#heardSince = true;
    if (this.misses === 0) return false;
    this.misses = 0;
    return true;
  }

  /** Messages went one way or the other: checks come more often for a while. */
  traffic(nowMs: number): void {
    this.#lastTrafficMs = nowMs;
    const soon = nowMs + this.#limits.activePingIntervalMs;
    if (!this.#waiting && this.#nextPingMs > soon) this.#nextPingMs = soon;
  }

  /** A pong arrived. True if it was one of ours, and the round trip has been updated. */
  pong(id: number, nowMs: number): boolean {
    const slot = id % remembered;
    const sentMs = this.#sentMs[slot]!;
    if (id > this.pingId || id <= this.pingId - remembered || !(sentMs <= nowMs)) return false;
    this.#sentMs[slot] = NaN;
    this.#measure(nowMs - sentMs);
    if (id === this.pingId) this.#passed(nowMs);
    return true;
  }

  /** The time has come. `late`: it came much later than asked. */
  timer(nowMs: number, late: boolean): LivenessAction {
    if (this.#waiting) {
      if (nowMs < this.nextMs) return "none";
      if (this.#heardSince) this.#passed(nowMs);
      else if (late && !this.#graced) {
        this.#graced = true;
        this.#waitSinceMs = nowMs;
        return "none";
      } else {
        this.misses++;
        if (this.misses >= this.#limits.failureThreshold) return "dead";
        this.#waiting = false;
        this.#nextPingMs = nowMs;
      }
    }
    if (nowMs < this.#nextPingMs) return "none";
    this.pingId++;
    this.progress.asked(nowMs);
    this.#sentMs[this.pingId % remembered] = nowMs;
    this.#waiting = true;
    this.#waitSinceMs = nowMs;
    this.#heardSince = false;
    this.#graced = false;
    return "ping";
  }

  /** True if no messages flowed of late. */
  idle(nowMs: number): boolean {
    return nowMs - this.#lastTrafficMs > activeForMs;
  }

  get #timeoutMs(): number {
    const { pingTimeoutMs } = this.#limits;
    if (this.roundTripMs === undefined) return pingTimeoutMs;
    const measured = this.roundTripMs + 4 * this.#varianceMs;
    return Math.min(Math.max(pingTimeoutMs, measured), maxTimeoutFactor * pingTimeoutMs);
  }

  #passed(nowMs: number): void {
    this.#waiting = false;
    const { pingIntervalMs, activePingIntervalMs } = this.#limits;
    const interval = this.idle(nowMs) ? pingIntervalMs : activePingIntervalMs;
    this.#nextPingMs = Math.max(nowMs, this.#waitSinceMs + interval);
  }

  #measure(ms: number): void {
    if (this.roundTripMs === undefined) {
      this.roundTripMs = ms;
      this.#varianceMs = ms / 2;
    } else {
      this.#varianceMs += (Math.abs(this.roundTripMs - ms) - this.#varianceMs) / 4;
      this.roundTripMs += (ms - this.roundTripMs) / 8;
    }
    const limit = this.#limits.degradedRoundTripMs;
    this.#slow = this.roundTripMs > (this.#slow ? limit * recovery : limit);
  }
}
