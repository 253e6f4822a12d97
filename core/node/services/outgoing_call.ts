/**
 * One call being made: attempts at nodes until one answers, or no more may be made.
 *
 * A call is in one of these places: looking for a node, waiting for the
 * directory to name one, waiting for a link, under way on an exchange, or
 * pausing before another round. One deadline stands over all of it. What
 * happens after a failed attempt:
 * - Nothing was sent (no link, no room): the call goes to another node at once,
 *   whatever the method is; nothing can have run.
 * - Something was sent, the method is idempotent, and the failure is the
 *   node's rather than the call's: the same, as far as its retries go
 *   (retries.ts).
 * - Something was sent, the link was lost, and the call has an idempotency key: it
 *   is made again to the same start of the same node, which knows whether it ran.
 * - Otherwise it has failed. `mayHaveRun` sums over all attempts.
 * When every able node has been tried, a round is over: it pauses and starts anew.
 */
import type { ExchangeHandlers, PeerLink } from "../../contracts/peers.ts";
import { callRetried } from "../../contracts/services.ts";
import type { Span } from "../../contracts/tracing.ts";
import { codeOf, type ErrorCode } from "../../kernel/errors.ts";
import {
  type MessageFields,
  messageTypes,
  type NodeRef,
  type TraceContext,
} from "@mycnet/protocols/frame";
import type { ResetCode } from "@mycnet/protocols/link";
import type { Deadline } from "../deadlines.ts";
import {
  type AttemptFailure,
  type CallParts,
  type CallPlan,
  type ExchangeEnd,
  failureOfReset,
  nobodyServes,
  type ParkedCall,
  unreached,
  wireDeadline,
} from "./attempts.ts";
import type { Nested } from "./context.ts";
import { CallWaiting } from "./call_waiting.ts";
import { callFailed, callFailedLike, type CallProgress } from "./call_errors.ts";
import type { CallError } from "./errors.ts";
import type { CallExchange } from "./loopback.ts";
import { Retries } from "./retries.ts";
import { RetryBudget } from "./retry_budget.ts";
import type { ServingNode } from "./routing.ts";
import { UploadSender } from "./upload_sender.ts";
import { decodeFailure } from "./wire.ts";

const callType = messageTypes["service.call"];

/** See the head of this file. */
export abstract class OutgoingCall implements ExchangeHandlers, Nested, ParkedCall {
  protected readonly parts: CallParts;
  protected readonly plan: CallPlan;
  protected exchange: CallExchange | undefined;
  /** True once it was answered, failed, or was given up. */
  protected over = false;
  /** False once another attempt could not start from the beginning. */
  #replayable = true;
  #flowing = false;
  readonly #budget: RetryBudget;
  readonly #retries: Retries;
  #startedAt = 0;
  #attempts = 0;
  #mayHaveRun = false;
  #node: ServingNode | undefined;
  #link: PeerLink | undefined;
  /** The one start of a node that would know the call again by its key; no other may run it. */
  #bound: NodeRef | undefined;
  #excluded: Set<string> | undefined;
  #lastFailure: AttemptFailure | undefined;
  readonly #waiting: CallWaiting;
  #deadline: Deadline | undefined;
  #pause: Deadline | undefined;
  #onAbort: (() => void) | undefined;
  #upload: UploadSender | undefined;
  #span: Span | undefined;
  /** What its requests carry; looked up where the call was made, since attempts may start elsewhere. */
  #trace: TraceContext | undefined;

  constructor(parts: CallParts, plan: CallPlan) {
    this.parts = parts;
    this.plan = plan;
    this.#waiting = new CallWaiting(parts, this);
    const budget = this.#budget = new RetryBudget(plan.attempts - 1, plan.ambient);
    this.#retries = new Retries(budget, plan);
  }

  /** The answer of a method that gives one, or the end of a stream. */
  protected abstract answered(body: Uint8Array): void;
  /** The call has failed. */
  protected abstract failed(error: CallError): void;

  /** Starts. Never throws. */
  protected begin(): void {
    const { signal, ambient, timeoutMs, target, node } = this.plan;
    const { tracing } = this.parts;
    this.parts.counts.made++;
    if (tracing.active) {
      const { service, method } = target;
      this.#span = tracing.begin({ kind: "client", service, method, peer: node });
    }
    this.#trace = tracing.outgoing(this.#span);
    this.#startedAt = this.parts.clock.now();
    if (signal?.aborted) return this.#giveUp(this.#aborted());
    if (this.parts.parking.closed) return this.nodeStopped();
    if (timeoutMs <= 0) return this.#expired();
    if (signal !== undefined) {
      this.#onAbort = () => this.#giveUp(this.#aborted(), "cancelled");
      signal.addEventListener("abort", this.#onAbort, { once: true });
    }
    this.#deadline = this.parts.deadlines.add(timeoutMs, () => this.#expired());
    ambient?.adopt(this);
    this.#tryNext(this.#startedAt);
  }

  /** The caller wants no more. */
  protected abandon(): void {
    this.#giveUp(undefined, "cancelled");
  }

  /** An item of a stream is here. The deadline was for the first, the rest may take its time. */
  protected flowing(): void {
    if (this.#flowing) return;
    this.#flowing = true;
    this.#replayable = false;
    this.#deadline?.cancel();
    const left = this.plan.ambient?.deadline() ?? Infinity;
    this.#deadline = left === Infinity
      ? undefined
      : this.parts.deadlines.add(left, () => this.#expired());
  }

  /** Fails the call from this side. */
  protected fail(code: ErrorCode, message: string, cause?: unknown): void {
    this.#giveUp(this.#error(code, message, cause), "cancelled");
  }

  /** An answer that cannot be read. */
  protected unreadable(): CallError {
    this.parts.counts.failed++;
    this.#mayHaveRun = true;
    const error = this.#error("internal", "its answer could not be read");
    this.#endSpan(error);
    return error;
  }

  // What the exchange tells.

  item(_body: Uint8Array): void {}

  end(): void {}

  writable(): void {
    this.#upload?.writable();
  }

  response(fields: MessageFields, body: Uint8Array): void {
    if (this.over) return;
    if (fields.retryBudget !== undefined) this.#budget.returned(fields.retryBudget);
    this.#finish();
    this.answered(body);
    this.#endSpan();
  }

  failure(fields: MessageFields, body: Uint8Array): void {
    if (this.over) return;
    if (fields.retryBudget !== undefined) this.#budget.returned(fields.retryBudget);
    this.#attemptFailed({ ...decodeFailure(body), sent: true });
  }

  closed(reason: ExchangeEnd): void {
    if (!this.over) this.#attemptFailed(failureOfReset(reason));
  }

  /** The call that this one is made for is over. */
  cancel(): void {
    this.#giveUp(this.#error("cancelled", "the call that it was made for is over"), "cancelled");
  }

  nodeStopped(): void {
    this.#giveUp(this.#error("closed", "this node is stopping or reloading"), "shutting_down");
  }

  // The way.

  #tryNext(now: number): void {
    if (this.over) return;
    const { plan, parts } = this;
    const node = parts.routing.choose(plan.target.routing, now, {
      balancer: plan.balancer,
      only: this.#only,
      excluded: this.#excluded,
    });
    if (node === undefined) {
      if (this.#excluded === undefined) this.#waitForServer();
      else this.#endRound();
      return;
    }
    this.#node = node;
    this.#attempts++;
    if (node.local || node.link !== undefined) return this.#open(node, node.link);
    this.#openLater(node, parts.routing.connect(node));
  }

  #open(node: ServingNode, given: PeerLink | undefined): void {
    if (this.over) return;
    // It has as much queued as it should: whoever calls faster than it carries waits here.
    const link = given?.full ? this.parts.routing.roomy(node, given) : given;
    if (link instanceof Promise) return this.#openLater(node, link);
    this.#waiting.unpark();
    if (this.#bound !== undefined && link?.peer.generation !== this.#bound.generation) {
      const message = "it has started anew since, and what it did with this call went with it";
      return this.#reject({ code: "link_lost", message, mayHaveRun: true, sent: true });
    }
    this.#link = link;
    const { plan, parts } = this;
    const { target, ambient } = plan;
    const fields: MessageFields = {
      route: target.route,
      deadlineMs: target.streams ? wireDeadline(ambient?.deadline() ?? Infinity) : this.#leftMs(),
      retryBudget: this.#budget.send(),
      priority: plan.priority,
      metadata: plan.metadata,
      idempotencyKey: plan.idempotencyKey,
      trace: this.#trace,
    };
    try {
      this.exchange = link === undefined
        ? parts.loopback.open(fields, plan.body, target.uploads, this)
        : link.open(callType, fields, plan.body, target.uploads, this);
    } catch (error) {
      const code = (codeOf(error) ?? "internal") as ErrorCode;
      const message = (error as Error).message;
      this.#attemptFailed({ code, message, mayHaveRun: false, sent: false, cause: error });
      return;
    }
    node.inFlight++;
    if (!target.uploads) return;
    this.#replayable = false;
    this.#upload = new UploadSender(this.exchange, plan.items!, (code, error) => {
      this.fail(code, `the upload failed: ${(error as Error)?.message ?? error}`, error);
    });
  }

  /** Opens when the link can be had, unless the node serves this no more by then. */
  #openLater(node: ServingNode, ready: Promise<PeerLink>): void {
    this.#waiting.park();
    const open = (link: PeerLink) => {
      if (this.over) return;
      const { target, balancer } = this.plan;
      const { routing, host } = this.parts;
      const serves = routing.choose(target.routing, host.now(), { balancer, only: node.id });
      if (serves !== undefined) return this.#open(node, link);
      const message = `it serves ${target.service} no more`;
      this.#attemptFailed({ code: "unavailable", message, mayHaveRun: false, sent: false });
    };
    ready.then(open, (error) => {
      if (!this.over) this.#attemptFailed({ ...unreached(error), sent: false, cause: error });
    });
  }

  #attemptFailed(failure: AttemptFailure): void {
    this.#leaveExchange();
    this.#lastFailure = failure;
    if (failure.mayHaveRun) this.#mayHaveRun = true;
    const { host, parking, counts } = this.parts;
    const now = host.now();
    const another = this.#replayable && !parking.closed && this.#retries.allowed(failure, now);
    if (!another) return this.#reject(failure);
    const node = this.#node!.id;
    const { target } = this.plan;
    // Whether it ran only that node can tell: it is asked again.
    if (failure.sent && !target.idempotent) {
      this.#bound = { id: node, generation: this.#link!.peer.generation };
    } else (this.#excluded ??= new Set()).add(node);
    counts.retried++;
    this.#span?.event("attempt failed", {
      "mycnet.peer.id": node,
      "error.type": failure.code,
      "mycnet.attempt": this.#attempts,
    });
    const { service, method } = target;
    host.emit(callRetried, { service, method, node, code: failure.code });
    this.#tryNext(now);
  }

  /** Every able node has been tried. */
  #endRound(): void {
    const pauseMs = this.#retries.nextRound(this.parts.host.random());
    if (pauseMs === undefined) return this.#reject(this.#lastFailure!);
    this.#excluded = undefined;
    this.#waiting.park();
    this.#pause = this.parts.deadlines.add(pauseMs, () => {
      this.#pause = undefined;
      this.#tryNext(this.parts.host.now());
    });
  }

  #waitForServer(): void {
    if (this.#waiting.looking) return;
    const { routing, host } = this.parts;
    const served = () => {
      const { balancer, target } = this.plan;
      const choice = { balancer, only: this.#only };
      return routing.choose(target.routing, host.now(), choice) !== undefined;
    };
    if (this.#waiting.lookOut(served, () => this.#tryNext(host.now()))) return;
    this.#giveUp(this.#error("overloaded", "too many calls wait for a server already"));
  }

  #leftMs(): number {
    const { plan, parts } = this;
    // A first attempt that waited for nothing leaves in the moment in which the call began.
    if (this.#attempts === 1 && !this.#waiting.waited) return wireDeadline(plan.timeoutMs)!;
    return wireDeadline(plan.timeoutMs - (parts.clock.now() - this.#startedAt))!;
  }

  // The end.

  #expired(): void {
    if (this.over) return;
    const { target, timeoutMs, node } = this.plan;
    if (this.#waiting.looking || (this.#attempts === 0 && this.plan.timeoutMs > 0)) {
      const known = this.parts.routing.versions(target.service);
      const message = nobodyServes(target.routing, known, node);
      return this.#giveUp(this.#error("unavailable", message));
    }
    const last = this.#lastFailure;
    const message = `no answer within ${Math.round(timeoutMs)} ms` +
      (last === undefined ? "" : `; before, ${last.message}`);
    this.#giveUp(this.#error("deadline_exceeded", message, last?.cause), "deadline_exceeded");
  }

  #aborted(): CallError {
    return this.#error("aborted", "the caller's signal aborted", this.plan.signal!.reason);
  }

  #reject(failure: AttemptFailure): void {
    this.#giveUp(callFailedLike(this.#progress(this.#mayHaveRun), failure));
  }

  #error(code: ErrorCode, message: string, cause?: unknown): CallError {
    // Whatever is under way has been sent, as far as anybody can tell.
    const mayHaveRun = this.#mayHaveRun || this.exchange !== undefined;
    return callFailed(this.#progress(mayHaveRun), code, message, cause);
  }

  #progress(mayHaveRun: boolean): CallProgress {
    return { target: this.plan.target, node: this.#node, attempts: this.#attempts, mayHaveRun };
  }

  /** The one node that may be tried, if there is such a one. */
  get #only(): string | undefined {
    return this.#bound?.id ?? this.plan.node;
  }

  #giveUp(error: CallError | undefined, reset?: ResetCode): void {
    if (this.over) return;
    const { exchange } = this;
    this.#finish();
    this.#endSpan(error);
    if (reset !== undefined) exchange?.reset(reset);
    if (error === undefined) return;
    this.parts.counts.failed++;
    this.failed(error);
  }

  #finish(): void {
    this.over = true;
    this.#leaveExchange();
    this.#waiting.unpark();
    this.#deadline?.cancel();
    this.#pause?.cancel();
    this.#waiting.stopLooking();
    if (this.#onAbort !== undefined) {
      this.plan.signal!.removeEventListener("abort", this.#onAbort);
    }
    this.plan.ambient?.release(this);
    this.#upload?.stop();
  }

  #endSpan(failure?: CallError): void {
    const span = this.#span;
    if (span === undefined) return;
    this.#span = undefined;
    if (this.#node !== undefined) span.set({ "mycnet.peer.id": this.#node.id });
    if (this.#attempts > 1) span.set({ "mycnet.attempts": this.#attempts });
    span.end(failure);
  }

  #leaveExchange(): void {
    if (this.exchange === undefined) return;
    this.exchange = undefined;
    this.#node!.inFlight--;
  }
}
