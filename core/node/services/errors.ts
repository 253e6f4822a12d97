/**
 * How calls fail: one class with a stable code, and a service's own errors
 * with data that the service's schema types.
 *
 * Two questions decide what a caller may do next, and every failure answers
 * both: what went wrong (`code`), and whether the handler may have run all the
 * same (`mayHaveRun`). False is a promise: no handler saw the call, so making
 * it again is safe whatever it does. True means only that nobody can tell.
 * Failures are told apart by their fields and never by `instanceof`.
 */
import { codeOf, type ErrorCode, MycnetError } from "../../kernel/errors.ts";
import type { SchemaInput, SchemaOutput } from "../../kernel/schema.ts";
import type { ErrorSchemas, Methods, ServiceDefinition } from "./define.ts";

/** What is known of a failed call besides its code and message. All optional; see {@linkcode CallError}. */
export interface CallFailure extends ErrorOptions {
  /** See {@linkcode CallError.mayHaveRun}. Default false. */
  readonly mayHaveRun?: boolean;
  /** See {@linkcode CallError.attempts}. Default 0. */
  readonly attempts?: number;
  /** See {@linkcode CallError.service}. */
  readonly service?: string;
  /** See {@linkcode CallError.method}. */
  readonly method?: string;
  /** See {@linkcode CallError.node}. */
  readonly node?: string;
  /** See {@linkcode CallError.details}. */
  readonly details?: unknown;
  /** See {@linkcode CallError.errorName}. */
  readonly errorName?: string;
  /** See {@linkcode CallError.data}. */
  readonly data?: unknown;
}

/**
 * A failed call. Handlers and middleware throw one to fail with a code of their
 * choice: `throw new CallError("not_found", "no such account")`. Whatever else
 * they throw reaches the caller as `internal`, its text kept from the caller
 * and written to the server's log.
 */
export class CallError extends MycnetError {
  /** False: certainly no handler ran. True: one may have. */
  readonly mayHaveRun: boolean;
  /** How many nodes were tried, dials that failed included. */
  readonly attempts: number;
  /** The service that was called. */
  readonly service: string | undefined;
  /** The method that was called. */
  readonly method: string | undefined;
  /** The node that was tried last. */
  readonly node: string | undefined;
  /** More, where there is more: for `invalid_argument` a list of `{path, message}`. */
  readonly details: unknown;
  /** With code `application`: which of the service's declared errors. */
  readonly errorName: string | undefined;
  /** With code `application`: what the error carries. */
  readonly data: unknown;

  /** Makes one. */
  constructor(code: ErrorCode, message: string, failure: CallFailure = {}) {
    super(code, message, "cause" in failure ? { cause: failure.cause } : undefined);
    this.name = "CallError";
    this.mayHaveRun = failure.mayHaveRun ?? false;
    this.attempts = failure.attempts ?? 0;
    this.service = failure.service;
    this.method = failure.method;
    this.node = failure.node;
    this.details = failure.details;
    this.errorName = failure.errorName;
    this.data = failure.data;
  }
}

/** The declared errors of a service, told apart by `errorName`. */
export type ServiceError<D> = D extends ServiceDefinition<infer _M, infer E> ? {
    [K in keyof E & string]: CallError & {
      readonly code: "application";
      readonly errorName: K;
      readonly data: SchemaOutput<E[K]>;
    };
  }[keyof E & string]
  : never;

/**
 * Makes a declared error, for a handler to throw. The server parses `data`
 * with the declared schema before it is sent.
 * @param message what a person reads; default: the error's name.
 */
export function serviceError<M extends Methods, E extends ErrorSchemas, K extends keyof E & string>(
  definition: ServiceDefinition<M, E>,
  name: K,
  data: SchemaInput<E[K]>,
  message: string = name,
): CallError {
  return new CallError("application", message, {
    service: definition.name,
    errorName: name,
    data,
    mayHaveRun: true,
  });
}

/**
 * True when `error` is one of the errors that the service declares; its
 * `errorName` and `data` are then typed. Works across copies of the runtime.
 */
export function isServiceError<M extends Methods, E extends ErrorSchemas>(
  definition: ServiceDefinition<M, E>,
  error: unknown,
): error is ServiceError<ServiceDefinition<M, E>> {
  const name = ownErrorName(definition.name, error);
  return name !== undefined && Object.hasOwn(definition.errors, name);
}

/** The name of a declared error of that service, whoever made the object. */
export function ownErrorName(service: string, error: unknown): string | undefined {
  if (codeOf(error) !== "application") return undefined;
  const { service: of, errorName } = error as CallError;
  return of === service && typeof errorName === "string" ? errorName : undefined;
}
