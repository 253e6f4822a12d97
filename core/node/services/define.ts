/**
 * Service definitions: the contract between those who serve and those who call.
 *
 * A definition is data: a name, a version, and per method the schemas of what
 * goes in and what comes out. Both sides import the same definition; everything
 * else (the client's functions, the handlers' parameters, the JSON Schemas in
 * the directory, the route on the wire) follows from it. A schema has two
 * types: what one writes to satisfy it, and what one reads once it has parsed.
 * A caller writes the input's first and reads the output's second; a handler
 * reads the input's second and writes the output's first.
 */
import { MycnetError } from "../../kernel/errors.ts";
import type { Schema, SchemaInput, SchemaOutput } from "../../kernel/schema.ts";
import { parseDuration } from "../../kernel/duration.ts";
import type { MethodDescription } from "../../contracts/services.ts";
import type { CallOptions } from "../../contracts/services.ts";
import type { CallContext, UploadContext } from "./context.ts";

/** A schema of any types. */
// deno-lint-ignore no-explicit-any -- a bound for inference: the types come from the schema itself.
export type AnySchema = Schema<any, any>;

/** What every kind of method may say. */
export interface MethodBase {
  /** Of the one value that opens a call. */
  readonly input: AnySchema;
  /** Of each item that the caller sends after the input. Absent: there are none. */
  readonly upload?: AnySchema;
  /** True: running it twice does no harm, so a call that failed may be made again elsewhere. Default false. */
  readonly idempotent?: boolean;
  /** For all attempts together, `"2s"` or milliseconds; a caller may override it. Default 5 s. */
  readonly timeout?: number | string;
}

/** A method with one answer. */
export interface UnaryMethod extends MethodBase {
  /** Of the answer. */
  readonly output: AnySchema;
  /** See {@linkcode StreamMethod}. */
  readonly stream?: undefined;
}

/** A method that answers with items, for as long as it likes. */
export interface StreamMethod extends MethodBase {
  /** Of each item. */
  readonly stream: AnySchema;
  /** See {@linkcode UnaryMethod}. */
  readonly output?: undefined;
}

/** A method. */
export type MethodDefinition = UnaryMethod | StreamMethod;

/** The methods of a service by name. */
export type Methods = Readonly<Record<string, MethodDefinition>>;

/** The schemas of a service's own errors by name. */
export type ErrorSchemas = Readonly<Record<string, AnySchema>>;

/** What both sides of a service agree on. Made by {@linkcode defineService}. */
export interface ServiceDefinition<
  M extends Methods = Methods,
  E extends ErrorSchemas = ErrorSchemas,
> {
  /** Unique within the cluster: a letter, then letters, digits, `.`, `_` or `-`, at most 63 in all. */
  readonly name: string;
  /**
   * Grows by one when something is added that callers may rely on. A server
   * takes calls of clients of its own version and of lower ones; what breaks
   * old callers is a new service, with a new name.
   */
  readonly version: number;
  /** By name. */
  readonly methods: M;
  /** Errors that the service declares, by name. */
  readonly errors: E;
}

/** A function with one input, which may be left out where the schema takes undefined. */
export type InputFunction<In, Result> = undefined extends In
  ? (input?: In, options?: CallOptions) => Result
  : (input: In, options?: CallOptions) => Result;

/** What a caller hands over as items to be sent. */
export type UploadItems<T> = AsyncIterable<T> | Iterable<T>;

/** What a method answers with, at the caller. */
export type MethodResult<M extends MethodDefinition> = M extends
  { stream: infer S extends AnySchema } ? AsyncIterableIterator<SchemaOutput<S>>
  : M extends { output: infer O extends AnySchema } ? Promise<SchemaOutput<O>>
  : never;

/** A method as a function at the caller. */
export type ClientMethod<M extends MethodDefinition> = M extends
  { upload: infer U extends AnySchema } ? (
    input: SchemaInput<M["input"]>,
    items: UploadItems<SchemaInput<U>>,
    options?: CallOptions,
  ) => MethodResult<M>
  : InputFunction<SchemaInput<M["input"]>, MethodResult<M>>;

/** A service as its callers see it: a plain object with one function a method. */
export type Client<D> = D extends ServiceDefinition<infer M, infer _E>
  ? { readonly [K in keyof M]: ClientMethod<M[K]> }
  : never;

/** What a handler may return for a method. */
export type HandlerResult<M extends MethodDefinition> = M extends
  { stream: infer S extends AnySchema } ? AsyncIterable<SchemaInput<S>> | Iterable<SchemaInput<S>>
  : M extends { output: infer O extends AnySchema } ? SchemaInput<O> | Promise<SchemaInput<O>>
  : never;

/** The context that a method's handler gets. */
export type HandlerContext<M extends MethodDefinition> = M extends
  { upload: infer U extends AnySchema } ? UploadContext<SchemaOutput<U>> : CallContext;

/** What serves one method: a function, or for a stream an async generator. */
export type Handler<M extends MethodDefinition> = (
  input: SchemaOutput<M["input"]>,
  context: HandlerContext<M>,
) => HandlerResult<M>;

/** What serves a service: one handler a method. */
export type Handlers<D> = D extends ServiceDefinition<infer M, infer _E>
  ? { readonly [K in keyof M]: Handler<M[K]> }
  : never;

/** What {@linkcode defineService} is given besides the name. */
export interface ServiceParts<M extends Methods, E extends ErrorSchemas> {
  /** See {@linkcode ServiceDefinition.version}. */
  readonly version: number;
  /** See {@linkcode ServiceDefinition.methods}. */
  readonly methods: M;
  /** See {@linkcode ServiceDefinition.errors}. Default none. */
  readonly errors?: E;
}

/**
 * Defines a service.
 *
 * @example
 * ```ts
 * import { z } from "zod";
 * import { defineService } from "./define.ts";
 *
 * const greeter = defineService("greeter", {
 *   version: 1,
 *   methods: {
 *     hello: { input: z.object({ name: z.string() }), output: z.string(), idempotent: true },
 *     tail: { input: z.object({ file: z.string() }), stream: z.string() },
 *   },
 * });
 * ```
 * @throws {MycnetError} `invalid_argument`, naming the field and what it should be.
 */
export function defineService<
  M extends Methods,
  E extends ErrorSchemas = Readonly<Record<never, never>>,
>(name: string, parts: ServiceParts<M, E>): ServiceDefinition<M, E> {
  const { version, methods, errors = {} as E } = parts;
  if (typeof name !== "string" || !serviceName.test(name)) {
    throw invalid(
      `the service name ${JSON.stringify(name)} is not a letter followed by at most 62 letters, ` +
        `digits, ".", "_" or "-"`,
    );
  }
  if (!Number.isSafeInteger(version) || version < 1) {
    throw invalid(`${name}: version is ${version}; it must be a whole number from 1`);
  }
  const names = Object.keys(methods);
  if (names.length === 0) throw invalid(`${name}: methods is empty; a service has at least one`);
  for (const method of names) {
    checkName(`${name}: the method name`, method);
    checkMethod(`${name}/${method}`, methods[method]);
  }
  for (const error of Object.keys(errors)) {
    checkName(`${name}: the error name`, error);
    checkSchema(`${name}: errors.${error}`, errors[error]);
  }
  return Object.freeze({ name, version, methods, errors });
}

/** What a service is called, here and in the directory. */
export const serviceName = /^[A-Za-z][A-Za-z0-9._-]{0,62}$/;
const methodName = /^[A-Za-z][A-Za-z0-9_]{0,62}$/;

/**
 * Names that a plain object already has, or that the language calls by itself:
 * an object with `then` is taken for a promise by `await`.
 */
const reserved: ReadonlySet<string> = new Set([
  "then",
  "toJSON",
  ...Object.getOwnPropertyNames(Object.prototype),
]);

/** Which of the four kinds a method is. */
export function kindOf(method: MethodDefinition): MethodDescription["kind"] {
  if (method.stream === undefined) return method.upload === undefined ? "unary" : "upload";
  return method.upload === undefined ? "stream" : "duplex";
}

function checkName(what: string, name: string): void {
  if (reserved.has(name)) {
    throw invalid(`${what} ${JSON.stringify(name)} means something to JavaScript; choose another`);
  }
  if (!methodName.test(name)) {
    throw invalid(
      `${what} ${
        JSON.stringify(name)
      } is not a letter followed by at most 62 letters, digits or "_"`,
    );
  }
}

function checkMethod(where: string, method: MethodDefinition): void {
  if (typeof method !== "object" || method === null) {
    throw invalid(`${where} is not an object with input and output or stream`);
  }
  checkSchema(`${where}: input`, method.input);
  if ((method.output === undefined) === (method.stream === undefined)) {
    throw invalid(`${where} needs either output (one answer) or stream (items), and not both`);
  }
  if (method.output !== undefined) checkSchema(`${where}: output`, method.output);
  if (method.stream !== undefined) checkSchema(`${where}: stream`, method.stream);
  if (method.upload !== undefined) checkSchema(`${where}: upload`, method.upload);
  if (method.timeout !== undefined) parseDuration(method.timeout, `${where}: timeout`);
}

function checkSchema(where: string, schema: AnySchema | undefined): void {
  const standard = schema?.["~standard"];
  if (typeof standard?.validate !== "function") {
    throw invalid(`${where} is not a schema; give one of zod, valibot, arktype or the like`);
  }
}

function invalid(message: string): MycnetError {
  return new MycnetError("invalid_argument", message);
}
