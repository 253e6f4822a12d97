/**
 * What a caller learns of something that was thrown on the server.
 *
 * A `CallError` that a handler or a middleware made says what it means to say.
 * One that came out of a nested call says something about *that* call: only
 * what is as true of this one (too late, too much, nobody there) passes on; an
 * `invalid_argument` from below is this server's own fault. Everything else is
 * `internal` and its text stays here, since it may name what callers should
 * not know.
 */
import { codeOf, type ErrorCode, errorCodes } from "../../kernel/errors.ts";
import type { LogFields, Logger } from "../../kernel/host.ts";
import type { SchemaIssue } from "../../kernel/schema.ts";
import { CallError } from "./errors.ts";
import { problemsOf, sentenceOf } from "./schemas.ts";
import type { WireFailure } from "./wire.ts";

const trueOfOuterCall: ReadonlySet<string> = new Set([
  "deadline_exceeded",
  "cancelled",
  "overloaded",
  "unavailable",
]);

/** A call whose handler has failed, as the log names it. */
export interface FailingCall {
  readonly log: Logger;
  readonly service: string;
  readonly method: string;
  /** The node that called. */
  readonly caller: string;
  /** True once the handler may have done something. */
  readonly started: boolean;
}

/** What the caller is told of something that was thrown. */
export function failureOf(call: FailingCall, error: unknown): WireFailure {
  const failure = meantForCaller(error, call.started);
  if (failure !== undefined) return failure;
  logFailure(call, "A handler failed.", { error: (error as Error)?.stack ?? String(error) });
  return internal(call);
}

/** What the caller is told of a result that the declared schema refuses; the log learns which field. */
export function badOutput(
  call: FailingCall,
  part: string,
  issues: readonly SchemaIssue[],
): WireFailure {
  const problems = sentenceOf(problemsOf(issues));
  logFailure(call, "A handler returned what its schema refuses.", { part, problems });
  return internal(call);
}

function meantForCaller(error: unknown, started: boolean): WireFailure | undefined {
  const code = codeOf(error);
  if (code === undefined || code === "application" || !Object.hasOwn(errorCodes, code)) {
    return undefined;
  }
  const { name, message, method, details } = error as CallError;
  if (name !== "CallError") return undefined;
  if (method !== undefined && !trueOfOuterCall.has(code)) return undefined;
  return { code: code as ErrorCode, message: String(message), mayHaveRun: started, details };
}

function internal({ service, method, started }: FailingCall): WireFailure {
  const message = `${service}/${method} failed on the serving node; its log says why`;
  return { code: "internal", message, mayHaveRun: started };
}

function logFailure({ log, service, method, caller }: FailingCall, line: string, more: LogFields) {
  log.error(line, { service, method, caller, ...more });
}

/** The caller's input, or one of its items, is not what the schema wants. */
export function inputError(issues: readonly SchemaIssue[], what = "the input"): CallError {
  const problems = problemsOf(issues);
  return new CallError("invalid_argument", `${what} is refused: ${sentenceOf(problems)}`, {
    details: problems,
  });
}
