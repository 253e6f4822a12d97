/**
 * The calling side: from a function's arguments to a call on its way.
 *
 * Options are looked for in this order: of the call, of the client, of the
 * method's definition. A call made while serving another one inherits that
 * one's metadata (its own keys win), priority, and at most what is left of its
 * deadline and its retry budget (context.ts).
 */
import type { Balancer } from "../../contracts/balancer.ts";
import type { CallOptions } from "../../contracts/services.ts";
import { parseDuration } from "../../kernel/duration.ts";
import { codeOf, type ErrorCode } from "../../kernel/errors.ts";
import type { LiveList } from "../../kernel/plugin.ts";
import type { Priority } from "@mycnet/protocols/frame";
import type { Principal } from "@mycnet/protocols/identity";
import type { CallParts, CallPlan, MethodTarget } from "./attempts.ts";
import { StreamCall, UnaryCall } from "./calls.ts";
import { type Ambient, ambientCall } from "./context.ts";
import { CallError } from "./errors.ts";
import { checkIdempotencyKey } from "../keyed/mod.ts";
import { Inbox } from "./inbox.ts";
import type { MiddlewareCall, MiddlewareChain } from "./middleware.ts";
import { routingTarget } from "./routing.ts";
import { encodeBody, encodeMetadata } from "./wire.ts";

/** Options of a client; those of a single call win over them. */
export interface ClientOptions {
  /**
   * Who chooses among the able nodes: the instance id of a balancer plugin, or
   * a balancer of one's own. Default `"round_robin"`.
   */
  readonly balance?: string | Balancer;
  /**
   * What happens when a node fails. `"immediate"`, the default and the only one
   * there is: the next node is tried at once, and there is a pause only when
   * every able node has been tried.
   */
  readonly failover?: "immediate";
  /** For all attempts of a call together. Default: the method's, else 5 s. */
  readonly timeout?: number | string;
  /** See {@linkcode CallOptions.attempts}. Default 3. */
  readonly attempts?: number;
  /** Default: that of the call being served, else `"normal"`. */
  readonly priority?: Priority;
  /** Goes with every call. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** What is wanted of a node. */
export interface RouteOptions {
  /** The lowest version of the service that will do. Default 1. */
  readonly version?: number;
  /** See {@linkcode ClientOptions.balance}. */
  readonly balance?: ClientOptions["balance"];
}

/** Client options, checked. */
export interface ClientDefaults {
  readonly balancer: () => Balancer;
  readonly timeoutMs: number | undefined;
  readonly attempts: number;
  readonly priority: Priority | undefined;
  readonly metadata: Readonly<Record<string, string>> | undefined;
}

/** The arguments of one call. */
export interface CallArguments {
  readonly input: unknown;
  readonly items?: AsyncIterable<unknown> | Iterable<unknown>;
  readonly options?: CallOptions;
}

/** What {@linkcode Caller} needs. */
export interface CallerParts extends CallParts {
  readonly chain: MiddlewareChain;
  readonly self: Principal;
  readonly balancers: LiveList<Balancer>;
}

const defaultTimeoutMs = 5000;
const defaultAttempts = 3;
const mostAttempts = 256;
const noOptions: CallOptions = Object.freeze({});

/** See the head of this file. */
export class Caller {
  readonly #parts: CallerParts;

  constructor(parts: CallerParts) {
    this.#parts = parts;
  }

  /** Checks client options. @throws {CallError} `invalid_argument` naming the option. */
  defaults(options: ClientOptions = {}): ClientDefaults {
    const { balance = "round_robin", failover, timeout, attempts, priority, metadata } = options;
    if (failover !== undefined && failover !== "immediate") {
      throw invalid(`failover is ${JSON.stringify(failover)}; it can only be "immediate"`);
    }
    encodeMetadata(metadata, 0);
    return {
      balancer: typeof balance === "string" ? this.#balancerNamed(balance) : () => balance,
      timeoutMs: timeout === undefined ? undefined : parseDuration(timeout, "timeout"),
      attempts: attemptsOf(attempts ?? defaultAttempts),
      priority,
      metadata,
    };
  }

  /** The node to which a call would go now. */
  route(service: string, { version = 1, balance }: RouteOptions = {}): string | undefined {
    const { routing, host } = this.#parts;
    const balancer = this.defaults({ balance }).balancer();
    return routing.choose(routingTarget(service, version), host.now(), { balancer })?.id;
  }

  /** Calls a method with one answer. */
  unary(target: MethodTarget, defaults: ClientDefaults, args: CallArguments): Promise<unknown> {
    try {
      if (!this.#parts.chain.empty) return this.#unaryThroughMiddleware(target, defaults, args);
      return new UnaryCall(this.#parts, this.#plan(target, defaults, args)).result;
    } catch (error) {
      return Promise.reject(asCallError(error, target));
    }
  }

  /** Calls a method that answers with items. Nothing is sent before the first is asked for. */
  stream(
    target: MethodTarget,
    defaults: ClientDefaults,
    args: CallArguments,
  ): AsyncIterableIterator<unknown> {
    try {
      if (!this.#parts.chain.empty) return this.#streamThroughMiddleware(target, defaults, args);
      return new StreamCall(this.#parts, this.#plan(target, defaults, args)).items;
    } catch (error) {
      const failed = new Inbox<unknown>({ consumed: () => {}, abandoned: () => {} });
      failed.fail(asCallError(error, target));
      return failed;
    }
  }

  async #unaryThroughMiddleware(
    target: MethodTarget,
    defaults: ClientDefaults,
    args: CallArguments,
  ): Promise<unknown> {
    const ambient = ambientCall();
    const call = this.#middlewareCall(target, defaults, args, ambient);
    try {
      return await this.#parts.chain.run(call, () => {
        const plan = this.#plan(target, defaults, args, ambient, call.metadata);
        return new UnaryCall(this.#parts, plan).result;
      });
    } catch (error) {
      throw asCallError(error, target);
    }
  }

  #streamThroughMiddleware(
    target: MethodTarget,
    defaults: ClientDefaults,
    args: CallArguments,
  ): AsyncIterableIterator<unknown> {
    const ambient = ambientCall();
    const call = this.#middlewareCall(target, defaults, args, ambient);
    const last = () => {
      const plan = this.#plan(target, defaults, args, ambient, call.metadata);
      return new StreamCall(this.#parts, plan).items;
    };
    const { chain } = this.#parts;
    return (async function* () {
      try {
        yield* await chain.run(call, last) as AsyncIterable<unknown>;
      } catch (error) {
        throw asCallError(error, target);
      }
    })();
  }

  #middlewareCall(
    target: MethodTarget,
    defaults: ClientDefaults,
    { input, options = noOptions }: CallArguments,
    ambient: Ambient | undefined,
  ): MiddlewareCall {
    const { service, method, kind } = target;
    return {
      side: "client",
      service,
      method,
      kind,
      priority: options.priority ?? defaults.priority ?? ambient?.priority ?? "normal",
      metadata: { ...ambient?.metadata, ...defaults.metadata, ...options.metadata },
      caller: this.#parts.self,
      signal: options.signal,
      input,
    };
  }

  #plan(
    target: MethodTarget,
    defaults: ClientDefaults,
    { input, items, options = noOptions }: CallArguments,
    ambient: Ambient | undefined = ambientCall(),
    metadata?: Readonly<Record<string, string>>,
  ): CallPlan {
    const { timeout, attempts, node, idempotencyKey } = options;
    const ownMs = timeout !== undefined
      ? parseDuration(timeout, "timeout")
      : defaults.timeoutMs ?? target.timeoutMs ?? defaultTimeoutMs;
    if (target.uploads && typeof items !== "object") {
      throw invalid("give the items to upload as an iterable or an async iterable");
    }
    return {
      target,
      body: encodeInput(input),
      timeoutMs: ambient === undefined ? ownMs : Math.min(ownMs, ambient.deadline()),
      signal: options.signal,
      priority: options.priority ?? defaults.priority ?? ambient?.priority,
      metadata: encodeMetadata(
        metadata ?? merged(ambient?.metadata, defaults.metadata, options.metadata),
        ambient === undefined ? 0 : ambient.depth + 1,
      ),
      node,
      attempts: attempts === undefined ? defaults.attempts : attemptsOf(attempts),
      idempotencyKey: idempotencyKey === undefined ? undefined : keyOf(idempotencyKey, target),
      balancer: defaults.balancer(),
      ambient,
      items,
    };
  }

  /** Finds a balancer at each call, since plugins come and go; while nothing changes, that is one comparison. */
  #balancerNamed(name: string): () => Balancer {
    const { balancers } = this.#parts;
    const ownTurns = name === "round_robin" ? turns() : undefined;
    let known: unknown;
    let found: Balancer | undefined;
    return () => {
      const entries = balancers.entries();
      if (entries !== known) {
        known = entries;
        found = entries.find((it) => it.plugin === name)?.value ?? ownTurns;
      }
      if (found !== undefined) return found;
      const names = entries.map((it) => it.plugin).join(", ") || "none";
      throw new CallError(
        "not_found",
        `balance is ${JSON.stringify(name)}, and no such balancer runs; there are: ${names}`,
      );
    };
  }
}

/** What there is without any balancer plugin. */
function turns(): Balancer {
  let turn = 0;
  return { id: "round_robin", select: (candidates) => turn++ % candidates.length };
}

type Metadata = Readonly<Record<string, string>> | undefined;

function merged(ambient: Metadata, client: Metadata, call: Metadata): Metadata {
  if (client === undefined && ambient === undefined) return call;
  if (call === undefined && client === undefined) return ambient;
  return { ...ambient, ...client, ...call };
}

function attemptsOf(attempts: number): number {
  if (Number.isInteger(attempts) && attempts >= 1 && attempts <= mostAttempts) return attempts;
  throw invalid(`attempts is ${attempts}; it must be a whole number from 1 to ${mostAttempts}`);
}

function keyOf(key: string, { route, kind }: MethodTarget): string {
  if (kind !== "unary") {
    throw invalid(`${route} is of kind ${kind}; an idempotencyKey is for methods without items`);
  }
  checkIdempotencyKey(key);
  return key;
}

function encodeInput(input: unknown): Uint8Array {
  try {
    return encodeBody(input, "input");
  } catch (error) {
    if (codeOf(error) === "too_large") throw error;
    const message = `the input cannot be sent: ${(error as Error).message}`;
    throw new CallError("invalid_argument", message, { cause: error });
  }
}

function invalid(message: string): CallError {
  return new CallError("invalid_argument", message);
}

/** What a caller sees of an error that arose on its own side. */
function asCallError(error: unknown, target: MethodTarget): CallError {
  const { name, message } = error as Error;
  if (name === "CallError" && (error as CallError).method !== undefined) return error as CallError;
  const { service, method, route } = target;
  const own = codeOf(error);
  const known = name === "CallError" || name === "MycnetError";
  return new CallError(known ? own as ErrorCode : "internal", `${route}: ${message ?? error}`, {
    service,
    method,
    cause: error,
    details: (error as CallError | undefined)?.details,
  });
}
