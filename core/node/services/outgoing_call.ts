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
 * - Otherwise it has failed. `mayHaveRun` sums over all attempts.
 * When every able node has been tried, a round is over: it pauses and starts anew.
 */
import type { ExchangeHandlers, PeerLink } from "../../contracts/peers.ts";
import { callRetried } from "../../contracts/services.ts";
import { codeOf, type ErrorCode } from "../../kernel/errors.ts";
import { type MessageFields, messageTypes } from "@mycnet/protocols/frame";
import type { ResetCode } from "@mycnet/protocols/link";
import type { Deadline } from "../deadlines.ts";
import {
  type AttemptFailure,
  type CallParts,
  type CallPlan,
  codeOfReset,
  nobodyServes,
  type ParkedCall,
  unreached,
  wireDeadline,
} from "./attempts.ts";
import type { Nested } from "./context.ts";
import { CallError } from "./errors.ts";
import type { CallExchange } from "./loopback.ts";
import { Retries } from "./retries.ts";
import { RetryBudget } from "./retry_budget.ts";
import type { ServingNode } from "./routing.ts";
import { UploadSender } from "./upload_sender.ts";
import { callErrorOf, decodeFailure } from "./wire.ts";

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
  #excluded: Set<string> | undefined;
  #lastFailure: AttemptFailure | undefined;
  #parked = false;
  #waited = false;
  #deadline: Deadline | undefined;
  #pause: Deadline | undefined;
  #look: (() => void) | undefined;
  #onAbort: (() => void) | undefined;
  #upload: UploadSender | undefined;

  constructor(parts: CallParts, plan: CallPlan) {
    this.parts = parts;
    this.plan = plan;
    const budget = this.#budget = new RetryBudget(plan.attempts - 1, plan.ambient);
    this.#retries = new Retries(budget, plan.target.idempotent);
  }

  /** The answer of a method that gives one, or the end of a stream. */
  protected abstract answered(body: Uint8Array): void;
  /** The call has failed. */
  protected abstract failed(error: CallError): void;

  /** Starts. Never throws. */
  protected begin(): void {
    const { signal, ambient, timeoutMs } = this.plan;
    this.parts.counts.made++;
    this.#startedAt = this.parts.host.now();
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
    return this.#error("internal", "its answer could not be read");
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
  }

  failure(fields: MessageFields, body: Uint8Array): void {
    if (this.over) return;
    if (fields.retryBudget !== undefined) this.#budget.returned(fields.retryBudget);
    this.#attemptFailed({ ...decodeFailure(body), sent: true });
  }

  closed(
    reason: {
      readonly code: ResetCode | "link_lost";
      readonly message: string;
      readonly sent: boolean;
    },
  ): void {
    if (this.over) return;
    const { sent } = reason;
    const code = codeOfReset(reason.code);
    const refused = reason.code === "overloaded" || reason.code === "unhandled";
    const message = reason.message === "" ? reason.code : reason.message;
    this.#attemptFailed({ code, message, sent, mayHaveRun: sent && !refused });
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
      only: plan.node,
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

  #open(node: ServingNode, link: PeerLink | undefined): void {
    if (this.over) return;
    // It has as much queued as it should: whoever calls faster than it carries waits here.
    if (link?.full) return this.#openLater(node, link.writable().then(() => link));
    this.#unpark();
    const { plan, parts } = this;
    const { target, ambient } = plan;
    const fields: MessageFields = {
      route: target.route,
      deadlineMs: target.streams ? wireDeadline(ambient?.deadline() ?? Infinity) : this.#leftMs(),
      retryBudget: this.#budget.send(),
      priority: plan.priority,
      metadata: plan.metadata,
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
    this.#park();
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
    (this.#excluded ??= new Set()).add(node);
    counts.retried++;
    const { service, method } = this.plan.target;
    host.emit(callRetried, { service, method, node, code: failure.code });
    this.#tryNext(now);
  }

  /** Every able node has been tried. */
  #endRound(): void {
    const pauseMs = this.#retries.nextRound(this.parts.host.random());
    if (pauseMs === undefined) return this.#reject(this.#lastFailure!);
    this.#excluded = undefined;
    this.#park();
    this.#pause = this.parts.deadlines.add(pauseMs, () => {
      this.#pause = undefined;
      this.#tryNext(this.parts.host.now());
    });
  }

  #waitForServer(): void {
    if (this.#look !== undefined) return;
    this.#look = () => {
      const now = this.parts.host.now();
      const { balancer, node, target } = this.plan;
      if (this.parts.routing.choose(target.routing, now, { balancer, only: node }) === undefined) {
        return;
      }
      this.#stopWaiting();
      this.#tryNext(now);
    };
    this.#park();
    if (this.parts.routing.wait(this.#look)) return;
    this.#look = undefined;
    this.#giveUp(this.#error("overloaded", "too many calls wait for a server already"));
  }

  #stopWaiting(): void {
    if (this.#look === undefined) return;
    this.parts.routing.stopWaiting(this.#look);
    this.#look = undefined;
  }

  #park(): void {
    this.#waited = true;
    if (this.#parked) return;
    this.#parked = true;
    this.parts.parking.enter(this);
  }

  #unpark(): void {
    if (!this.#parked) return;
    this.#parked = false;
    this.parts.parking.leave(this);
  }

  #leftMs(): number {
    const { plan, parts } = this;
    // A first attempt that waited for nothing leaves in the moment in which the call began.
    if (this.#attempts === 1 && !this.#waited) return wireDeadline(plan.timeoutMs)!;
    return wireDeadline(plan.timeoutMs - (parts.host.now() - this.#startedAt))!;
  }

  // The end.

  #expired(): void {
    if (this.over) return;
    const { target, timeoutMs, node } = this.plan;
    if (this.#look !== undefined || (this.#attempts === 0 && this.plan.timeoutMs > 0)) {
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
    const { cause } = failure;
    const text = `${this.#where()}: ${failure.message}`;
    const error = callErrorOf({ ...failure, message: text, mayHaveRun: this.#mayHaveRun }, {
      ...this.#place(),
      ...(cause !== undefined && { cause }),
    });
    this.#giveUp(error);
  }

  #error(code: ErrorCode, message: string, cause?: unknown): CallError {
    // Whatever is under way has been sent, as far as anybody can tell.
    const mayHaveRun = this.#mayHaveRun || this.exchange !== undefined;
    return new CallError(code, `${this.#where()}: ${message}`, {
      ...this.#place(),
      mayHaveRun,
      ...(cause !== undefined && { cause }),
    });
  }

  #where(): string {
    const { route } = this.plan.target;
    return this.#node === undefined ? route : `${route} on ${this.#node.id}`;
  }

  #place(): { service: string; method: string; node: string | undefined; attempts: number } {
    const { service, method } = this.plan.target;
    return { service, method, node: this.#node?.id, attempts: this.#attempts };
  }

  #giveUp(error: CallError | undefined, reset?: ResetCode): void {
    if (this.over) return;
    const { exchange } = this;
    this.#finish();
    if (reset !== undefined) exchange?.reset(reset);
    if (error === undefined) return;
    this.parts.counts.failed++;
    this.failed(error);
  }

  #finish(): void {
    this.over = true;
    this.#leaveExchange();
    this.#unpark();
    this.#deadline?.cancel();
    this.#pause?.cancel();
    this.#stopWaiting();
    if (this.#onAbort !== undefined) {
      this.plan.signal!.removeEventListener("abort", this.#onAbort);
    }
    this.plan.ambient?.release(this);
    this.#upload?.stop();
  }

  #leaveExchange(): void {
    if (this.exchange === undefined) return;
    this.exchange = undefined;
    this.#node!.inFlight--;
  }
}
