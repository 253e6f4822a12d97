/** What calls under way are made of, and how the ends of their attempts are judged. */
import type { Balancer } from "../../contracts/balancer.ts";
import type { ExchangeHandlers } from "../../contracts/peers.ts";
import { codeOf, type ErrorCode } from "../../kernel/errors.ts";
import type { MethodDescription } from "../../contracts/services.ts";
import type { Host } from "../../kernel/host.ts";
import type { Priority } from "@mycnet/protocols/frame";
import type { ResetCode } from "@mycnet/protocols/link";
import type { Deadlines } from "../deadlines.ts";
import type { Tracing } from "../tracing/mod.ts";
import type { TurnClock } from "../turn_clock.ts";
import type { Ambient } from "./context.ts";
import type { Loopback } from "./loopback.ts";
import type { Routing, RoutingTarget } from "./routing.ts";
import type { WireFailure } from "./wire.ts";

/** What has been called since the node started. */
export interface CallCounts {
  made: number;
  failed: number;
  retried: number;
}

/** A call that no exchange carries at present: it waits for a server, a link or another round. */
export interface ParkedCall {
  /** The node stops; nothing that it waits for will come. */
  nodeStopped(): void;
}

/** What ends calls that no link would end when the node stops. */
export class Parking {
  /** True: no call can be made any more. */
  closed = false;
  readonly #parked = new Set<ParkedCall>();

  /** Until {@linkcode Parking.leave}. */
  enter(call: ParkedCall): void {
    this.#parked.add(call);
  }

  /** It goes on, or is over. */
  leave(call: ParkedCall): void {
    this.#parked.delete(call);
  }

  /** Ends them all. */
  close(): void {
    this.closed = true;
    for (const call of this.#parked) call.nodeStopped();
    this.#parked.clear();
  }
}

/** What calls need of the node. */
export interface CallParts {
  readonly host: Host;
  readonly clock: TurnClock;
  readonly deadlines: Deadlines;
  readonly routing: Routing;
  readonly loopback: Loopback;
  readonly counts: CallCounts;
  readonly parking: Parking;
  readonly tracing: Tracing;
}

/** A method as a client calls it. */
export interface MethodTarget {
  readonly routing: RoutingTarget;
  readonly service: string;
  readonly method: string;
  readonly route: string;
  readonly kind: MethodDescription["kind"];
  readonly idempotent: boolean;
  readonly streams: boolean;
  readonly uploads: boolean;
  readonly timeoutMs: number | undefined;
}

/** A call with its options resolved. */
export interface CallPlan {
  readonly target: MethodTarget;
  readonly body: Uint8Array;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly priority: Priority | undefined;
  readonly metadata: Uint8Array | undefined;
  readonly node: string | undefined;
  readonly attempts: number;
  /** See CallOptions. */
  readonly idempotencyKey: string | undefined;
  readonly balancer: Balancer;
  /** The call being served that this one is made for. */
  readonly ambient: Ambient | undefined;
  readonly items: AsyncIterable<unknown> | Iterable<unknown> | undefined;
}

/** How an attempt ended without an answer. */
export interface AttemptFailure extends WireFailure {
  /** False: nothing left this process. */
  readonly sent: boolean;
  readonly cause?: unknown;
}

/** Failures of a node, rather than of the call: another node may do better. */
export const othersMayDoBetter: ReadonlySet<string> = new Set([
  "link_lost",
  "unavailable",
  "overloaded",
]);
/** Failures that no node mends, even though nothing was sent. */
export const nobodyDoesBetter: ReadonlySet<string> = new Set(["too_large", "invalid_argument"]);

const longestDeadlineMs = 2 ** 32 - 1;

/** Milliseconds as the frame takes them; undefined for no deadline. */
export function wireDeadline(ms: number): number | undefined {
  return ms === Infinity ? undefined : Math.min(longestDeadlineMs, Math.max(1, Math.floor(ms)));
}

/** An exchange that is over without an answer. */
export type ExchangeEnd = Parameters<ExchangeHandlers["closed"]>[0];

/** The end of an exchange, as a failure of the attempt. */
export function failureOfReset(reason: ExchangeEnd): AttemptFailure {
  const { sent } = reason;
  const refused = reason.code === "overloaded" || reason.code === "unhandled";
  const message = reason.message === "" ? reason.code : reason.message;
  return { code: codeOfReset(reason.code), message, sent, mayHaveRun: sent && !refused };
}

/** What a reset means to the caller. */
export function codeOfReset(code: ResetCode | "link_lost"): ErrorCode {
  switch (code) {
    case "protocol":
      return "internal";
    case "shutting_down":
    case "unhandled": // Every node handles calls, except while its services stop or start.
      return "unavailable";
    default:
      return code;
  }
}

/** A dial that failed, as a failure of the call. */
export function unreached(error: unknown): WireFailure {
  const code = codeOf(error);
  const known = code === "overloaded" || code === "closed";
  const message = `it could not be reached: ${(error as Error)?.message ?? error}`;
  return { code: known ? code : "unavailable", message, mayHaveRun: false };
}

/** Why a call still waits for a server. */
export function nobodyServes(
  target: RoutingTarget,
  known: ReturnType<Routing["versions"]>,
  only: string | undefined,
): string {
  const { service, version } = target;
  const nodes = known.slice(0, 5).map((it) => `${it.node} (version ${it.version})`).join(", ");
  const who = nodes === "" ? "no node is known to serve it" : `known to serve it: ${nodes}`;
  const wanted = only === undefined ? "" : ` on ${only}`;
  return `nobody serves ${service} version ${version} or higher${wanted}; ${who}`;
}
