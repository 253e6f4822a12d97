/** The answering side: one message being handled. */
import type { MessageContext, NamedHandler } from "../../contracts/messenger.ts";
import type { ArrivedMessage } from "../../contracts/delivery.ts";
import type { IncomingExchange, IncomingHandlers } from "../../contracts/peers.ts";
import type { Span } from "../../contracts/tracing.ts";
import { codeOf, type ErrorCode, errorCodes, MycnetError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/host.ts";
import type { MessageFields, Priority, TraceContext } from "@mycnet/protocols/frame";
import type { Principal } from "@mycnet/protocols/identity";
import type { ReliabilityLevel } from "@mycnet/protocols/negotiation";
import type { ResetCode } from "@mycnet/protocols/link";
import type { SqlDatabase } from "../../contracts/databases.ts";
import type { Member } from "../bag.ts";
import type { Deadline, Deadlines } from "../deadlines.ts";
import type { Tracing } from "../tracing/mod.ts";
import { encodeFailure } from "./request.ts";

const nothing = new Uint8Array(0);

/** What handling a message works with. */
export interface ServingSetup {
  readonly log: Logger;
  readonly deadlines: Deadlines;
  readonly tracing: Tracing;
  /** It is over, whichever way. */
  done(serving: Serving): void;
}

/** One message or request being handled. */
export class Serving implements MessageContext, IncomingHandlers, Member {
  place = -1;
  readonly from: Principal;
  readonly name: string;
  readonly priority: Priority;
  readonly timeLeftMs: number | undefined;
  readonly reliability: ReliabilityLevel;
  readonly redelivered: boolean;
  /** What it came to nothing with, once it did. */
  failure: unknown;
  readonly #setup: ServingSetup;
  readonly #arrived: ArrivedMessage | undefined;
  #finished: PromiseWithResolvers<void> | undefined;
  readonly #exchange: IncomingExchange | undefined;
  #deadline: Deadline | undefined;
  /** Made when the handler asks for its signal: most never do. */
  #abort: AbortController | undefined;
  #ended: MycnetError | undefined;
  #over = false;
  readonly #trace: TraceContext | undefined;
  #span: Span | undefined;

  /**
   * @param exchange absent for a message that wants no answer.
   * @param arrived present for one that is acknowledged.
   */
  constructor(
    setup: ServingSetup,
    from: Principal,
    name: string,
    fields: MessageFields,
    exchange: IncomingExchange | undefined,
    arrived?: ArrivedMessage,
  ) {
    this.#setup = setup;
    this.#exchange = exchange;
    this.#arrived = arrived;
    this.from = from;
    this.reliability = arrived?.level ?? "best-effort";
    this.redelivered = arrived?.redelivered ?? false;
    this.name = name;
    this.priority = fields.priority ?? "normal";
    this.timeLeftMs = fields.deadlineMs;
    this.#trace = fields.trace;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#ended !== undefined) this.#abort.abort(this.#ended);
    }
    return this.#abort.signal;
  }

  transaction<T>(work: (database: SqlDatabase) => T): T {
    const transaction = this.#arrived?.transaction;
    if (transaction !== undefined) return transaction(work);
    throw new MycnetError(
      "invalid_argument",
      `"${this.name}" was sent ${this.reliability}; only a guaranteed message has a transaction`,
    );
  }

  /** True once it was answered, failed or given up. */
  get over(): boolean {
    return this.#over;
  }

  /** Settles once it is over, with what it failed with. */
  finished(): Promise<void> {
    this.#finished ??= Promise.withResolvers();
    return this.#finished.promise;
  }

  /** Runs the handler. Never throws. */
  run(handler: NamedHandler, bytes: Uint8Array<ArrayBuffer>): void {
    const { tracing } = this.#setup;
    const trace = this.#trace;
    if (tracing.idle(trace)) return this.#handle(handler, bytes);
    // A message that wants no answer is a span only where it belongs to a trace: there may be many.
    if (this.#exchange !== undefined || trace !== undefined) {
      const kind = this.#exchange === undefined ? "consumer" : "server";
      const work = { service: "messenger", method: this.name, peer: this.from.id };
      this.#span = tracing.begin({ kind, ...work }, trace);
    }
    tracing.within(this.#span, trace, () => this.#handle(handler, bytes));
  }

  #handle(handler: NamedHandler, bytes: Uint8Array<ArrayBuffer>): void {
    let result: ReturnType<NamedHandler>;
    try {
      result = handler(bytes, this);
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (!(result instanceof Promise)) {
      this.#answer(result);
      return;
    }
    result.then((answer) => this.#answer(answer), (error) => this.#fail(error));
  }

  /** Its handler is still at work: from now on its deadline ends it. */
  kept(): void {
    if (this.#exchange === undefined || this.timeLeftMs === undefined) return;
    this.#deadline = this.#setup.deadlines.add(this.timeLeftMs, () => this.#expire());
  }

  /** This node stops. */
  stop(): void {
    this.#exchange?.reset("shutting_down", "the serving node is stopping or reloading");
    this.#end(new MycnetError("closed", "this node is stopping or reloading"));
  }

  item(body: Uint8Array): void {
    // Requests here have no items; giving the credit back lets a sender that differs finish.
    this.#exchange?.grant(body.length);
  }
  end(): void {}
  writable(): void {}

  closed({ code, message }: { readonly code: ResetCode | "link_lost"; readonly message: string }) {
    const known: ErrorCode = Object.hasOwn(errorCodes, code) ? code as ErrorCode : "cancelled";
    this.#end(new MycnetError(known, message === "" ? `the sender gave up (${code})` : message));
  }

  #expire(): void {
    this.#exchange?.reset("deadline_exceeded", "the handler took too long");
    this.#end(new MycnetError("deadline_exceeded", "the deadline passed"));
  }

  #answer(answer: Uint8Array | void): void {
    if (this.#over) return;
    const exchange = this.#exchange;
    if (exchange?.link.full) {
      // The answer waits here, not in the link: it is what a peer that does not read costs,
      // and the bound of exchanges bounds it.
      exchange.link.writable(undefined, answer?.length).then(
        () => this.#respond(answer),
        (error) => this.#noRoom(error),
      );
      return;
    }
    this.#respond(answer);
  }

  /** The link is gone, which the exchange hears as well, or holds as many answers as it may. */
  #noRoom(error: unknown): void {
    if (this.#over || codeOf(error) !== "overloaded") return;
    this.#exchange?.reset("overloaded", "answers that nobody reads wait already");
    this.#end(error as MycnetError);
  }

  #respond(answer: Uint8Array | void): void {
    if (this.#over) return;
    this.#exchange?.respond(answer ?? nothing);
    this.#finish();
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    const code = codeOf(error);
    const known = code !== undefined && Object.hasOwn(errorCodes, code);
    // Who tries again says so, once.
    if (!known && this.reliability !== "guaranteed") {
      this.#setup.log.error("A message handler failed.", {
        name: this.name,
        from: this.from.id,
        error: error instanceof Error ? error.stack ?? error.message : String(error),
      });
    }
    // What an unforeseen error says may be nobody else's business.
    this.#exchange?.fail(
      known
        ? encodeFailure(code as ErrorCode, error instanceof Error ? error.message : code)
        : encodeFailure("internal", `the handler of "${this.name}" failed`),
    );
    this.failure = error ?? "nothing";
    this.#finish({ code: code ?? "internal", message: messageOf(error) });
  }

  #end(reason: MycnetError): void {
    if (this.#over) return;
    this.#ended = this.failure = reason;
    this.#finish(reason);
    this.#abort?.abort(reason);
  }

  #finish(failure?: { readonly code: string; readonly message: string }): void {
    this.#over = true;
    this.#span?.end(failure);
    this.#deadline?.cancel();
    this.#setup.done(this);
    if (this.failure === undefined) this.#finished?.resolve();
    else this.#finished?.reject(this.failure);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
