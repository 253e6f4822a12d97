/**
 * The serving side: which methods this node serves, and who may still enter.
 *
 * A call is refused at the door, before anything is decoded, when nobody serves
 * the method, or when the node serves as many calls as it may. Such refusals say
 * `mayHaveRun: false`, so that the caller can go elsewhere. A service leaves
 * once nobody chooses it any more (layer.ts sees to that): it goes on taking
 * calls, which were on their way, until none is under way, and then takes no
 * more. When its time is over before that, what is still running is told to
 * stop and its callers get an answer.
 */
import { Bag } from "../bag.ts";
import type { Deadlines } from "../deadlines.ts";
import { KeyedRequests, type ResultLimits } from "../keyed/mod.ts";
import type { IncomingHandlers } from "../../contracts/peers.ts";
import { type ErrorCode, MycnetError } from "../../kernel/errors.ts";
import type { Host } from "../../kernel/host.ts";
import type { MessageFields } from "@mycnet/protocols/frame";
import type { Principal } from "@mycnet/protocols/identity";
import type { Tracing } from "../tracing/mod.ts";
import type { TurnClock } from "../turn_clock.ts";
import { serveWithin } from "./context.ts";
import { kindOf, type ServiceDefinition } from "./define.ts";
import { enterKeyed } from "./keyed_calls.ts";
import type { MiddlewareChain } from "./middleware.ts";
import { ServedCall } from "./served_call.ts";
import type { ServedCallOwner, ServedMethod, ServerExchange } from "./serving.ts";
import { decodeFailure, decodeMetadata, encodeFailure, noMetadata } from "./wire.ts";

/** The bounds of a server. */
export interface ServerLimits {
  /** Handlers running at once. */
  readonly maxConcurrentCalls: number;
  /** How deep a call may be nested in others. */
  readonly maxDepth: number;
  /** Idempotency keys that are remembered with what came of them. */
  readonly results: ResultLimits;
}

/** What a server has done since it started. */
export interface ServerCounts {
  /** Calls whose handler finished without failing. */
  served: number;
  /** Calls that failed, or whose caller left. */
  failed: number;
  /** Calls that were not let in. */
  refused: number;
}

/** One service that is being served. */
class Service {
  readonly definition: ServiceDefinition;
  readonly calls = new Bag<ServedCall>();
  emptied: (() => void) | undefined;

  constructor(definition: ServiceDefinition) {
    this.definition = definition;
  }
}

interface Route extends ServedMethod {
  readonly owner: Service;
}

/** What {@linkcode ServiceServer} needs. */
export interface ServerParts {
  readonly host: Host;
  readonly clock: TurnClock;
  readonly deadlines: Deadlines;
  readonly chain: MiddlewareChain;
  /** Read at each call, so that it may be changed while the node runs. */
  readonly limits: () => ServerLimits;
  readonly tracing: Tracing;
}

/** See the head of this file. */
export class ServiceServer implements ServedCallOwner<ServedCall> {
  readonly host: Host;
  readonly clock: TurnClock;
  readonly deadlines: Deadlines;
  readonly chain: MiddlewareChain;
  readonly counts: ServerCounts = { served: 0, failed: 0, refused: 0 };
  readonly #limits: () => ServerLimits;
  readonly #keyed: KeyedRequests;
  readonly #tracing: Tracing;
  readonly #services = new Map<string, Service>();
  /** By `service/method`. */
  readonly #routes = new Map<string, Route>();
  #active = 0;

  constructor({ host, clock, deadlines, chain, limits, tracing }: ServerParts) {
    this.host = host;
    this.clock = clock;
    this.deadlines = deadlines;
    this.chain = chain;
    this.#limits = limits;
    this.#keyed = new KeyedRequests({
      now: () => clock.now(),
      limits: () => limits().results,
      headOf: decodeFailure,
    });
    this.#tracing = tracing;
  }

  /** Idempotency keys that are remembered. */
  get keys(): number {
    return this.#keyed.size;
  }

  /** Handlers running now. */
  get active(): number {
    return this.#active;
  }

  /** The services that take calls. */
  get definitions(): ServiceDefinition[] {
    return [...this.#services.values()].map((it) => it.definition);
  }

  /**
   * Starts to serve.
   * @throws {MycnetError} `duplicate_handler` when this node serves that name already,
   * `invalid_argument` naming the method that has no handler.
   */
  add(definition: ServiceDefinition, handlers: Readonly<Record<string, unknown>>): void {
    const { name } = definition;
    if (this.#services.has(name)) {
      throw new MycnetError("duplicate_handler", `this node serves ${name} already`);
    }
    const service = new Service(definition);
    const routes = Object.entries(definition.methods).map(([method, declared]): Route => {
      const handler = handlers[method];
      if (typeof handler !== "function") {
        throw new MycnetError(
          "invalid_argument",
          `handlers.${method} of ${name} is ${typeof handler}; give a function for every method`,
        );
      }
      return {
        owner: service,
        service: definition,
        name: method,
        definition: declared,
        streams: declared.stream !== undefined,
        uploads: declared.upload !== undefined,
        kind: kindOf(declared),
        lasting: declared.stream !== undefined || declared.upload !== undefined ||
          isAsyncFunction(handler),
        handler: handler.bind(handlers),
      };
    });
    this.#services.set(name, service);
    for (const route of routes) this.#routes.set(`${name}/${route.name}`, route);
  }

  /** Serves until no call is under way, at most `drainMs`, then ends what is; the name is free afterwards. */
  async drain(name: string, drainMs: number): Promise<void> {
    const service = this.#services.get(name);
    if (service === undefined) return;
    let late = drainMs <= 0;
    const deadline = this.deadlines.add(drainMs, () => {
      late = true;
      service.emptied?.();
    });
    // Another call may have come in between the end of the last and this turn.
    while (service.calls.size > 0 && !late) {
      await new Promise<void>((resolve) => service.emptied = resolve);
    }
    deadline.cancel();
    for (const call of service.calls) call.shutDown();
    this.#services.delete(name);
    for (const method of Object.keys(service.definition.methods)) {
      this.#routes.delete(`${name}/${method}`);
    }
  }

  /** A call arrives. The body is valid during the call only. Never throws. */
  accept(
    caller: Principal,
    exchange: ServerExchange,
    fields: MessageFields,
    body: Uint8Array,
    upload: boolean,
  ): IncomingHandlers | undefined {
    const route = this.#routes.get(fields.route ?? "");
    if (route === undefined) return this.#refuseUnknown(exchange, fields.route);
    const { owner } = route;
    const { maxConcurrentCalls, maxDepth } = this.#limits();
    if (this.#active >= maxConcurrentCalls) {
      const message = `this node serves ${this.#active} calls already, as many as it may`;
      return this.#refuse(exchange, "overloaded", message);
    }
    if (upload !== route.uploads) {
      const message = upload
        ? `${fields.route} takes no uploaded items`
        : `${fields.route} expects uploaded items`;
      return this.#refuse(exchange, "invalid_argument", message);
    }
    let metadata = noMetadata;
    let depth = 0;
    if (fields.metadata !== undefined) {
      const decoded = decodeMetadata(fields.metadata);
      if (decoded === undefined) {
        return this.#refuse(exchange, "invalid_argument", "the metadata is not a map of strings");
      }
      metadata = decoded.metadata;
      depth = decoded.depth;
      if (depth > maxDepth) {
        const message = `${fields.route} is nested ${depth} calls deep; at most ${maxDepth} may be`;
        return this.#refuse(exchange, "too_deep", message);
      }
    }
    const { idempotencyKey: key } = fields;
    const keyed = key === undefined
      ? undefined
      : enterKeyed(this.#keyed, route, caller.id, key, exchange, body);
    if (keyed !== undefined && "code" in keyed) {
      return this.#refuse(exchange, keyed.code, keyed.message, keyed.mayHaveRun);
    }
    const method = keyed?.method ?? route;
    const arrival = { caller, fields, metadata, depth };
    const call = new ServedCall(this, method, keyed?.exchange ?? exchange, arrival);
    this.#active++;
    owner.calls.add(call);
    const { trace } = fields;
    const tracing = this.#tracing;
    const lasting = method.lasting || !this.chain.empty;
    if (tracing.idle(trace)) serveWithin(call, (it) => it.run(body), lasting);
    else {
      const work = { service: route.service.name, method: route.name, peer: caller.id };
      call.span = tracing.begin({ kind: "server", ...work }, trace);
      tracing.within(call.span, trace, () => serveWithin(call, (it) => it.run(body), lasting));
    }
    if (call.over) return undefined;
    return keyed === undefined ? call : keyed.handlers(call);
  }

  released(call: ServedCall, failed: boolean): void {
    const { owner } = call.method as Route;
    this.#active--;
    if (failed) this.counts.failed++;
    else this.counts.served++;
    owner.calls.delete(call);
    if (owner.calls.size === 0) owner.emptied?.();
  }

  #refuseUnknown(exchange: ServerExchange, route: string | undefined): undefined {
    const [name, method] = (route ?? "").split("/");
    const service = this.#services.get(name);
    if (service === undefined) {
      return this.#refuse(exchange, "unavailable", `this node does not serve ${name}`);
    }
    const { version, methods } = service.definition;
    this.#refuse(
      exchange,
      "not_found",
      `${name} (version ${version}) has no method ${method}; it has ${
        Object.keys(methods).join(", ")
      }`,
    );
  }

  #refuse(
    exchange: ServerExchange,
    code: ErrorCode,
    message: string,
    mayHaveRun = false,
  ): undefined {
    this.counts.refused++;
    exchange.fail(encodeFailure({ code, message, mayHaveRun }));
  }
}

/** True for functions that are sure to go on after they have returned. */
function isAsyncFunction(handler: unknown): boolean {
  return Object.prototype.toString.call(handler) !== "[object Function]";
}
