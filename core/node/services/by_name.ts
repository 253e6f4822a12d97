/**
 * Calls by name: for those who have no definition, such as the command line and
 * the HTTP gateway. The directory says which kind a method is and whether it
 * may be repeated; the serving node checks the input as it does everybody's.
 */
import type { CallOptions, MethodDescription } from "../../contracts/services.ts";
import { parseDuration } from "../../kernel/duration.ts";
import type { Deadlines } from "../deadlines.ts";
import type { MethodTarget } from "./attempts.ts";
import type { CallArguments, Caller, ClientDefaults } from "./caller.ts";
import type { Directory } from "./directory.ts";
import { makingCalls } from "./context.ts";
import { CallError } from "./errors.ts";
import { type Routing, routingTarget } from "./routing.ts";

/** Options of a call by name. */
export type NamedOptions = CallOptions & { readonly upload?: AsyncIterable<unknown> };

/** What {@linkcode CallsByName} needs. */
export interface ByNameParts {
  readonly caller: Caller;
  readonly directory: Directory;
  readonly routing: Routing;
  readonly deadlines: Deadlines;
}

/** Targets that are remembered with their routes. */
const maxTargets = 1024;
const defaultTimeoutMs = 5000;

/** See the head of this file. */
export class CallsByName {
  readonly #parts: ByNameParts;
  readonly #defaults: ClientDefaults;
  readonly #targets = new Map<string, MethodTarget>();

  constructor(parts: ByNameParts) {
    this.#parts = parts;
    this.#defaults = parts.caller.defaults();
  }

  /** See {@linkcode Services.call}. */
  async call(
    service: string,
    method: string,
    input: unknown,
    options: NamedOptions = {},
  ): Promise<unknown> {
    const { target, args } = await this.#prepare(service, method, input, options, false);
    return await this.#parts.caller.unary(target, this.#defaults, args);
  }

  /** See {@linkcode Services.stream}. */
  async *stream(
    service: string,
    method: string,
    input: unknown,
    options: NamedOptions = {},
  ): AsyncIterableIterator<unknown> {
    const { target, args } = await this.#prepare(service, method, input, options, true);
    yield* this.#parts.caller.stream(target, this.#defaults, args);
  }

  async #prepare(
    service: string,
    method: string,
    input: unknown,
    { upload, ...options }: NamedOptions,
    streams: boolean,
  ): Promise<{ target: MethodTarget; args: CallArguments }> {
    makingCalls();
    const target = this.#find(service, method, options.node) ??
      await this.#awaitService(service, method, options);
    const { route, kind, uploads } = target;
    if (target.streams !== streams) {
      const hint = streams ? "one answer; use call" : "a stream; use stream";
      throw failure("invalid_argument", `${route} answers with ${hint}`, service, method);
    }
    if (uploads !== (upload !== undefined)) {
      const hint = uploads ? "expects items: give them as upload" : "takes no uploaded items";
      throw failure("invalid_argument", `${route} is of kind ${kind} and ${hint}`, service, method);
    }
    return { target, args: { input, items: upload, options } };
  }

  /** The method, or undefined while nobody serves the service. Throws `not_found` when those who do have no such method. */
  #find(service: string, method: string, node: string | undefined): MethodTarget | undefined {
    const offers = this.#parts.directory.records()
      .filter((record) => node === undefined || record.node === node)
      .flatMap((record) => record.services.filter((it) => it.name === service));
    if (offers.length === 0) return undefined;
    const able = offers.flatMap((offer) => {
      const description = offer.methods.find((it) => it.name === method);
      return description === undefined ? [] : [{ version: offer.version, description }];
    });
    if (able.length === 0) {
      const names = new Set(offers.flatMap((it) => it.methods.map(({ name }) => name)));
      const message = `${service} has no method ${method}; it has ${[...names].join(", ")}`;
      throw failure("not_found", message, service, method);
    }
    const version = Math.min(...able.map((it) => it.version));
    // Somebody's older version may not be: only what holds everywhere holds.
    const idempotent = able.every((it) => it.description.idempotent);
    return this.#target(service, method, version, able[0].description.kind, idempotent);
  }

  #target(
    service: string,
    method: string,
    version: number,
    kind: MethodDescription["kind"],
    idempotent: boolean,
  ): MethodTarget {
    const route = `${service}/${method}`;
    const known = this.#targets.get(route);
    if (
      known?.routing.version === version && known.kind === kind && known.idempotent === idempotent
    ) return known;
    if (this.#targets.size >= maxTargets) this.#targets.clear();
    const target: MethodTarget = {
      routing: routingTarget(service, version),
      service,
      method,
      route,
      kind,
      idempotent,
      streams: kind === "stream" || kind === "duplex",
      uploads: kind === "upload" || kind === "duplex",
      timeoutMs: undefined,
    };
    this.#targets.set(route, target);
    return target;
  }

  #awaitService(
    service: string,
    method: string,
    { timeout = defaultTimeoutMs, signal, node }: CallOptions,
  ): Promise<MethodTarget> {
    const { routing, deadlines } = this.#parts;
    return new Promise((resolve, reject) => {
      const fail = (code: "unavailable" | "aborted" | "overloaded", message: string) => {
        finish();
        reject(failure(code, `${service}/${method}: ${message}`, service, method));
      };
      const look = () => {
        try {
          const target = this.#find(service, method, node);
          if (target === undefined) return;
          finish();
          resolve(target);
        } catch (error) {
          finish();
          reject(error);
        }
      };
      const aborted = () => fail("aborted", "the caller's signal aborted");
      const deadline = deadlines.add(parseDuration(timeout, "timeout"), () => {
        const known = this.#parts.directory.services().map((it) => it.service.name);
        const where = node === undefined ? "" : ` on ${node}`;
        const names = known.slice(0, 20).join(", ") || "none";
        fail("unavailable", `nobody serves ${service}${where}; known services: ${names}`);
      });
      const finish = () => {
        deadline.cancel();
        routing.stopWaiting(look);
        signal?.removeEventListener("abort", aborted);
      };
      if (signal?.aborted) return aborted();
      signal?.addEventListener("abort", aborted, { once: true });
      if (!routing.wait(look)) fail("overloaded", "too many calls wait for a server already");
    });
  }
}

function failure(
  code: "invalid_argument" | "not_found" | "unavailable" | "aborted" | "overloaded",
  message: string,
  service: string,
  method: string,
): CallError {
  return new CallError(code, message, { service, method });
}
