/**
 * The handler of a message's request that has an idempotency key: in place of
 * the name's own, it runs that one, or answers what it answered before.
 */
import { decode, encode } from "@mycnet/protocols/codec";
import type { NamedHandler } from "../../contracts/messenger.ts";
import type { IncomingHandlers } from "../../contracts/peers.ts";
import { codeOf, type ErrorCode, errorCodes, MycnetError } from "../../kernel/errors.ts";
import type { Host } from "../../kernel/host.ts";
import {
  type Answerable,
  cameToNothing,
  defaultResultLimits,
  KeyedRequests,
  type Recorder,
  type Refusal,
} from "./requests.ts";
import type { Outcome, ResultLimits } from "./results.ts";

/** The messenger answers by itself; this only remembers. */
const nobody: Answerable = { respond: () => true, fail: () => {} };
const nothing = new Uint8Array(0);
type Bytes = Uint8Array<ArrayBuffer>;

/** How a request with a key is handled. */
export interface KeyedHandling {
  readonly handler: NamedHandler;
  /** What the link is to tell: a lost link does not end what has begun. */
  handlers(serving: IncomingHandlers): IncomingHandlers;
}

/** The keys of the requests that a node's messenger answers. */
export function messageKeys(
  host: Pick<Host, "now">,
  limits: () => ResultLimits = () => defaultResultLimits,
): KeyedRequests {
  return new KeyedRequests({
    now: () => host.now(),
    limits,
    // It is a handler's own: it ran.
    headOf: (failure) => ({ code: failureOf(failure).code, mayHaveRun: true }),
  });
}

/** Finds out what is to be done with a request. `body` is valid during the call only. */
export function handleKeyed(
  requests: KeyedRequests,
  caller: string,
  name: string,
  key: string,
  body: Uint8Array,
  handler: NamedHandler,
): KeyedHandling {
  const entrance = requests.enter(caller, name, key, body, nobody);
  switch (entrance.kind) {
    case "refused":
      return once(() => refuse(entrance.refusal));
    case "repeat": {
      const { outcome } = entrance;
      return once(() =>
        outcome instanceof Promise
          ? outcome.then((it) => answerOf(name, it))
          : answerOf(name, outcome)
      );
    }
    case "first":
      return new FirstRequest(entrance.recorder, handler);
  }
}

class FirstRequest implements KeyedHandling {
  readonly #recorder: Recorder;
  #settled = false;
  #lost: (() => void) | undefined;
  readonly handler: NamedHandler;

  constructor(recorder: Recorder, handler: NamedHandler) {
    this.#recorder = recorder;
    this.handler = (bytes, context) => {
      let result: ReturnType<NamedHandler>;
      try {
        result = handler(bytes, context);
      } catch (error) {
        this.#failed(error);
        throw error;
      }
      if (result instanceof Promise) {
        result.then((it) => this.#answered(it), (error) => this.#failed(error));
      } else this.#answered(result);
      return result;
    };
  }

  handlers(serving: IncomingHandlers): IncomingHandlers {
    return {
      item: (body) => serving.item(body),
      end: () => serving.end(),
      writable: () => serving.writable(),
      closed: (reason) => {
        if (reason.code !== "link_lost" || this.#settled) serving.closed(reason);
        else this.#lost = () => serving.closed(reason);
      },
    };
  }

  #answered(answer: Uint8Array | void): void {
    this.#recorder.respond(answer ?? nothing);
    this.#over();
  }

  #failed(error: unknown): void {
    const known = codeOf(error);
    const code: ErrorCode = known !== undefined && Object.hasOwn(errorCodes, known)
      ? known as ErrorCode
      : "internal";
    // What an unforeseen error says may be nobody else's business.
    const message = known === code && error instanceof Error ? error.message : "its handler failed";
    this.#recorder.fail(encode({ code, message: message.slice(0, 1000) }));
    this.#over();
  }

  #over(): void {
    this.#settled = true;
    this.#lost?.();
  }
}

function once(answer: () => Bytes | Promise<Bytes>): KeyedHandling {
  return { handler: answer, handlers: (serving) => serving };
}

function answerOf(name: string, outcome: Outcome | undefined): Bytes {
  if (outcome === undefined) return refuse(cameToNothing(name));
  if (outcome.ok) return outcome.body as Bytes;
  const { code, message } = failureOf(outcome.body);
  throw new MycnetError(code, message);
}

function refuse({ code, message }: Refusal): never {
  throw new MycnetError(code, message);
}

/** What this node itself has encoded. */
function failureOf(failure: Uint8Array): { readonly code: ErrorCode; readonly message: string } {
  return decode(failure) as { code: ErrorCode; message: string };
}
