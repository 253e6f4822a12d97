/**
 * One call being served: from the bytes of its input to the bytes of its answer.
 *
 * The way is: decode, middleware, parse the input, run the handler, parse what
 * came back through the middleware, encode, answer. A method of one answer whose schemas and handler
 * are synchronous goes that way without one promise. Two ends are kept apart.
 * *Over* is the exchange's: it was answered, or the caller is gone. *Released*
 * is the handler's: it has really finished, and only then does its place under
 * the limit of concurrent calls become free, or callers that give up at once
 * could start handlers without bound. A call that is over but not released has
 * its signal aborted and its nested calls cancelled.
 */
import type { Member } from "../bag.ts";
import type { Deadline } from "../deadlines.ts";
import { copyOf } from "../slab.ts";
import type { IncomingHandlers } from "../../contracts/peers.ts";
import type { Span } from "../../contracts/tracing.ts";
import type { SchemaResult } from "../../kernel/schema.ts";
import type { Priority } from "@mycnet/protocols/frame";
import type { Principal } from "@mycnet/protocols/identity";
import { type Ambient, type Nested, serveWithin } from "./context.ts";
import type { AnySchema } from "./define.ts";
import { codeOf } from "../../kernel/errors.ts";
import { CallError, ownErrorName } from "./errors.ts";
import { badOutput, type FailingCall, failureOf, inputError } from "./failures.ts";
import { contextOf, middlewareCallOf } from "./handler_context.ts";
import { Inbox } from "./inbox.ts";
import { parseValue } from "./schemas.ts";
import type { Arrival, ServedCallOwner, ServedMethod, ServerExchange } from "./serving.ts";
import { ParsedUpload } from "./upload.ts";
import {
  decodeBody,
  encodeBody,
  encodeBodyShared,
  encodeFailure,
  unread,
  type WireFailure,
} from "./wire.ts";

const nothing = new Uint8Array(0);
/** Retries that a caller who names no budget grants to nested calls. */
const defaultRetryBudget = 2;

/** See the head of this file. */
export class ServedCall implements IncomingHandlers, Ambient, Member {
  place = -1;
  readonly method: ServedMethod;
  readonly caller: Principal;
  metadata: Readonly<Record<string, string>>;
  readonly priority: Priority;
  readonly depth: number;
  retriesLeft: number;
  /** True once the exchange is over. */
  over = false;
  /** True once the handler has finished. */
  finished = false;
  /** Ends with the handler; undefined without a tracer. */
  span: Span | undefined;
  /** Why it failed, for the span. */
  #failure: { readonly code: string; readonly message: string } | undefined;
  readonly #owner: ServedCallOwner<ServedCall>;
  readonly #exchange: ServerExchange;
  readonly #budget: number;
  /** In the host's monotonic milliseconds. */
  readonly #deadlineAt: number;
  #started = false;
  #failed = false;
  #aborted: CallError | undefined;
  #controller: AbortController | undefined;
  #deadline: Deadline | undefined;
  #nested: Set<Nested> | undefined;
  #inbox: Inbox<unknown> | undefined;
  #upload: ParsedUpload | undefined;
  #room: (() => void) | undefined;

  constructor(
    owner: ServedCallOwner<ServedCall>,
    method: ServedMethod,
    exchange: ServerExchange,
    arrival: Arrival,
  ) {
    const { fields } = arrival;
    this.#owner = owner;
    this.#exchange = exchange;
    this.method = method;
    this.caller = arrival.caller;
    this.metadata = arrival.metadata;
    this.depth = arrival.depth;
    this.priority = fields.priority ?? "normal";
    this.retriesLeft = this.#budget = fields.retryBudget ?? defaultRetryBudget;
    this.#deadlineAt = fields.deadlineMs === undefined
      ? Infinity
      : owner.clock.now() + fields.deadlineMs;
    if (method.uploads) {
      this.#inbox = new Inbox({
        consumed: (bytes) => {
          if (!this.over) exchange.grant(bytes);
        },
        abandoned: () => {},
      });
    }
  }

  /** Starts. The bytes are valid during the call only. Never throws. */
  run(body: Uint8Array): void {
    let input: unknown;
    try {
      input = decodeBody(body);
    } catch {
      return this.#answerFailure({
        code: "invalid_argument",
        message: "the input is not MessagePack",
        mayHaveRun: false,
      });
    }
    if (this.#owner.chain.empty) this.#parse(input);
    else this.#runThroughMiddleware(input);
  }

  // What the exchange tells.

  item(body: Uint8Array): void {
    const inbox = this.#inbox;
    if (inbox === undefined || this.over) return;
    try {
      inbox.push(decodeBody(body), body.length);
    } catch {
      inbox.fail(new CallError("invalid_argument", "an uploaded item is not MessagePack"));
    }
  }

  end(): void {
    this.#inbox?.end();
  }

  writable(): void {
    this.#wake();
  }

  closed(reason: { readonly code: string; readonly message: string }): void {
    const late = reason.code === "deadline_exceeded";
    const message = reason.code === "link_lost"
      ? `the link to the caller ${this.caller.id} was lost`
      : late
      ? "the caller's deadline passed"
      : `the caller gave up: ${reason.message || reason.code}`;
    this.#abandon(new CallError(late ? "deadline_exceeded" : "cancelled", message));
  }

  /** The server is going and waits no longer. */
  shutDown(): void {
    if (this.over) return;
    this.#answerFailure({
      code: "unavailable",
      message: "the serving node stopped before the handler had answered",
      mayHaveRun: this.#started,
    });
    this.#abort(new CallError("closed", "this node is stopping or reloading"));
  }

  // What nested calls and the handler's context ask.

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted !== undefined) this.#controller.abort(this.#aborted);
      else if (this.#deadlineAt !== Infinity && !this.finished) {
        const left = this.#deadlineAt - this.#owner.host.now();
        this.#deadline = this.#owner.deadlines.add(left, () => {
          this.#abort(new CallError("deadline_exceeded", "the call's deadline has passed"));
        });
      }
    }
    return this.#controller.signal;
  }

  get upload(): ParsedUpload {
    const { definition } = this.method;
    return this.#upload ??= new ParsedUpload(this.#inbox!, definition.upload!);
  }

  deadline(): number {
    if (this.#deadlineAt === Infinity) return Infinity;
    return Math.max(0, this.#deadlineAt - this.#owner.host.now());
  }

  adopt(nested: Nested): void {
    if (this.#aborted !== undefined) nested.cancel();
    else (this.#nested ??= new Set()).add(nested);
  }

  release(nested: Nested): void {
    this.#nested?.delete(nested);
  }

  // The way through.

  async #runThroughMiddleware(input: unknown): Promise<void> {
    const { method } = this;
    // Middleware may add to it, for the handler and for the calls that it makes.
    const metadata = this.metadata = { ...this.metadata };
    const call = middlewareCallOf(this, metadata, input);
    try {
      const result = await this.#owner.chain.run(call, async () => {
        const parsed = await parseValue(method.definition.input, input);
        if (parsed.issues !== undefined) throw inputError(parsed.issues);
        this.#started = true;
        return await method.handler(parsed.value, contextOf(this));
      });
      this.#returned(result);
    } catch (error) {
      this.#threw(error);
    }
  }

  #parse(input: unknown): void {
    const parsed = parseValue(this.method.definition.input, input);
    if (parsed instanceof Promise) {
      // Later, and on another stack.
      parsed.then((result) => serveWithin(this, (it) => it.#invoke(result), true));
    } else this.#invoke(parsed);
  }

  #invoke(parsed: SchemaResult<unknown>): void {
    if (this.over) return this.#release();
    if (parsed.issues !== undefined) return this.#threw(inputError(parsed.issues));
    this.#started = true;
    let result: unknown;
    try {
      result = this.method.handler(parsed.value, contextOf(this));
    } catch (error) {
      return this.#threw(error);
    }
    if (isThenable(result)) {
      this.method.lasting = true;
      result.then((value) => this.#returned(value), (error) => this.#threw(error));
    } else this.#returned(result);
  }

  #returned(result: unknown): void {
    const { definition, streams } = this.method;
    if (streams) return void this.#pump(result as AsyncIterable<unknown>, definition.stream!);
    if (this.over) return this.#release();
    const parsed = parseValue(definition.output!, result);
    if (parsed instanceof Promise) parsed.then((late) => this.#answer(late));
    else this.#answer(parsed);
  }

  #answer(parsed: SchemaResult<unknown>): void {
    if (this.over) return this.#release();
    if (parsed.issues !== undefined) {
      return this.#answerFailure(badOutput(this.#failing(), "output", parsed.issues));
    }
    try {
      const body = encodeBodyShared(parsed.value, "output");
      const { link } = this.#exchange;
      // A link copies what it is given at once; what has to wait needs bytes of its own.
      this.#respond(link === undefined || link.full ? copyOf(body) : body);
    } catch (error) {
      this.#threw(error);
    }
  }

  #respond(body: Uint8Array): void {
    const { link } = this.#exchange;
    if (link?.full) {
      // Or a burst of large answers would be more than the link holds.
      link.writable(undefined, body.length).then(
        () => this.over ? this.#release() : this.#respond(body),
        (error) => codeOf(error) === "overloaded" ? this.#answerFailure(unread) : this.#release(),
      );
      return;
    }
    this.over = true;
    if (this.retriesLeft === this.#budget) this.#exchange.respond(body);
    else this.#exchange.respond(body, { retryBudget: this.retriesLeft });
    this.#release();
  }

  async #pump(items: AsyncIterable<unknown>, schema: AnySchema): Promise<void> {
    // A generator that never started holds nothing that would have to be closed.
    if (this.over) return this.#release();
    let failure: WireFailure | undefined;
    try {
      for await (const item of items) {
        if (this.over) break;
        let parsed = parseValue(schema, item);
        if (parsed instanceof Promise) parsed = await parsed;
        if (parsed.issues !== undefined) {
          failure = badOutput(this.#failing(), "stream", parsed.issues);
          break;
        }
        const body = encodeBody(parsed.value, "item");
        if (this.over) break;
        if (!this.#exchange.item(body)) await this.#writable();
        if (this.over) break;
      }
    } catch (error) {
      return this.#threw(error);
    }
    if (failure !== undefined) this.#answerFailure(failure);
    else if (this.over) this.#release();
    else this.#respond(nothing);
  }

  #writable(): Promise<void> {
    return new Promise((resolve) => this.#room = resolve);
  }

  #wake(): void {
    const room = this.#room;
    this.#room = undefined;
    room?.();
  }

  #threw(error: unknown): void {
    const { service } = this.method;
    const name = ownErrorName(service.name, error);
    if (this.over || name === undefined || !Object.hasOwn(service.errors, name)) {
      if (!this.over) this.#answerFailure(failureOf(this.#failing(), error));
      return this.#release();
    }
    const { message, data } = error as CallError;
    const parsed = parseValue(service.errors[name], data);
    const declared = (result: SchemaResult<unknown>) => {
      const failure: WireFailure = result.issues === undefined
        ? { code: "application", message, mayHaveRun: true, errorName: name, data: result.value }
        : badOutput(this.#failing(), `errors.${name}`, result.issues);
      this.#answerFailure(failure);
    };
    if (parsed instanceof Promise) parsed.then(declared);
    else declared(parsed);
  }

  #failing(): FailingCall {
    const { service, name } = this.method;
    const { log } = this.#owner.host;
    return {
      log,
      service: service.name,
      method: name,
      caller: this.caller.id,
      started: this.#started,
    };
  }

  #answerFailure(failure: WireFailure): void {
    if (!this.over) {
      this.over = true;
      this.#failed = true;
      this.#failure = failure;
      this.#exchange.fail(encodeFailure(failure), { retryBudget: this.retriesLeft });
    }
    this.#release();
  }

  /** The caller is gone. */
  #abandon(reason: CallError): void {
    this.over = true;
    this.#failed = true;
    this.#failure = reason;
    this.#abort(reason);
  }

  #abort(reason: CallError): void {
    if (this.#aborted !== undefined) return;
    this.#aborted = reason;
    this.#wake();
    this.#inbox?.fail(reason);
    this.#controller?.abort(reason);
    const nested = this.#nested;
    this.#nested = undefined;
    for (const call of nested ?? []) call.cancel();
  }

  #release(): void {
    if (this.finished) return;
    this.finished = true;
    this.#deadline?.cancel();
    this.span?.end(this.#failure);
    this.#exchange.released?.();
    this.#owner.released(this, this.#failed);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === "function";
}
