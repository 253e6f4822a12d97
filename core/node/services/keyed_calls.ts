/**
 * Served calls with an idempotency key (core/node/keyed says what it promises).
 *
 * The first call of a key is served as any other, through an exchange that
 * notes its answer, and goes on when its link is lost. A repeat is served as a
 * call as well, so that it passes through the middleware, which may refuse it,
 * and takes a place under the limit while it waits; in place of the method's
 * own handler stands one that waits for the first, and whatever comes back
 * through the middleware, the first's answer is what is sent.
 */
import type { IncomingHandlers } from "../../contracts/peers.ts";
import type { MessageFields } from "@mycnet/protocols/frame";
import type { Schema } from "../../kernel/schema.ts";
import {
  type Answerable,
  cameToNothing,
  type Entrance,
  type KeyedRequests,
  type Outcome,
  type Recorder,
  type Refusal,
} from "../keyed/mod.ts";
import type { ServedMethod, ServerExchange } from "./serving.ts";
import { decodeBody, encodeFailure, unread } from "./wire.ts";

/** What a call with a key is served with. */
export interface KeyedCall<M extends ServedMethod> {
  readonly method: M;
  readonly exchange: ServerExchange;
  /** What the link is to tell of the exchange. */
  handlers(call: IncomingHandlers): IncomingHandlers;
}

/** Lets a call with a key in, or says why not. */
export function enterKeyed<M extends ServedMethod>(
  requests: KeyedRequests,
  method: M,
  caller: string,
  key: string,
  exchange: ServerExchange,
  body: Uint8Array,
): KeyedCall<M> | Refusal {
  const subject = `${method.service.name}/${method.name}`;
  if (method.streams || method.uploads) {
    const message = `${subject} has items, whose answer is not kept; give it no idempotencyKey`;
    return { code: "invalid_argument", message, mayHaveRun: false };
  }
  const roomy = new RoomyExchange(exchange);
  const entrance: Entrance = requests.enter(caller, subject, key, body, roomy);
  if (entrance.kind === "refused") return entrance.refusal;
  if (entrance.kind === "first") return new FirstCall(method, entrance.recorder);
  return new RepeatedCall(method, subject, roomy, entrance.outcome);
}

/** Answers when there is room: what waits for it is what a peer that does not read costs. */
class RoomyExchange implements Answerable {
  readonly #exchange: ServerExchange;

  constructor(exchange: ServerExchange) {
    this.#exchange = exchange;
  }

  respond(body: Uint8Array, fields?: MessageFields): boolean {
    const { link } = this.#exchange;
    if (!link?.full) return this.#exchange.respond(body, fields);
    link.writable(undefined, body.length).then(
      () => this.#exchange.respond(body, fields),
      // The exchange of a link that is gone does nothing any more.
      () => this.#exchange.fail(encodeFailure(unread)),
    );
    return false;
  }

  fail(body: Uint8Array, fields?: MessageFields): void {
    this.#exchange.fail(body, fields);
  }
}

class FirstCall<M extends ServedMethod> implements KeyedCall<M>, ServerExchange {
  readonly method: M;
  readonly exchange = this;
  readonly #recorder: Recorder;

  constructor(method: M, recorder: Recorder) {
    this.method = method;
    this.#recorder = recorder;
  }

  respond(body: Uint8Array, fields?: MessageFields): boolean {
    return this.#recorder.respond(body, fields);
  }

  fail(body: Uint8Array, fields?: MessageFields): void {
    this.#recorder.fail(body, fields);
  }

  released(): void {
    this.#recorder.released();
  }

  handlers(call: IncomingHandlers): IncomingHandlers {
    return {
      item: () => {},
      end: () => {},
      writable: () => {},
      closed: (reason) => {
        if (reason.code === "link_lost") this.#recorder.detach();
        else call.closed(reason);
      },
    };
  }

  // It has no items.
  item(): boolean {
    return true;
  }
  grant(): void {}
}

class RepeatedCall<M extends ServedMethod> implements KeyedCall<M>, ServerExchange {
  readonly method: M;
  readonly exchange = this;
  readonly #subject: string;
  readonly #way: Answerable;
  #reached = false;
  #outcome: Outcome | undefined;

  constructor(
    method: M,
    subject: string,
    way: Answerable,
    outcome: Outcome | Promise<Outcome | undefined>,
  ) {
    this.#subject = subject;
    this.#way = way;
    this.method = {
      ...method,
      definition: { input: anything, output: anything },
      lasting: true,
      handler: async () => {
        this.#outcome = await outcome;
        this.#reached = true;
        return this.#outcome?.ok ? decodeBody(this.#outcome.body) : undefined;
      },
    };
  }

  respond(): boolean {
    this.#answer();
    return true;
  }

  fail(body: Uint8Array): void {
    if (this.#reached) this.#answer();
    else this.#way.fail(body); // Middleware refused it, or this node stops.
  }

  handlers(call: IncomingHandlers): IncomingHandlers {
    return call;
  }

  #answer(): void {
    const outcome = this.#outcome;
    if (outcome === undefined) this.#way.fail(encodeFailure(cameToNothing(this.#subject)));
    else if (outcome.ok) this.#way.respond(outcome.body);
    else this.#way.fail(outcome.body);
  }

  // It has no items.
  item(): boolean {
    return true;
  }
  grant(): void {}
}

/** The first call's values were parsed with the method's own schemas. */
const anything: Schema = {
  "~standard": { version: 1, vendor: "mycnet", validate: (value) => ({ value }) },
};
