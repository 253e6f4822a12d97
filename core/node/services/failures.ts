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

/** The failure that the caller is told; undefined when it is the server's own trouble. */
export function thrownFailure(error: unknown, started: boolean): WireFailure | undefined {
  const code = codeOf(error);
  if (code === undefined || code === "application" || !Object.hasOwn(errorCodes, code)) {
    return undefined;
  }
  const { name, message, method, details } = error as CallError;
  if (name !== "CallError") return undefined;
  if (method !== undefined && !trueOfOuterCall.has(code)) return undefined;
  return { code: code as ErrorCode, message: String(message), mayHaveRun: started, details };
}

/** What the caller learns when it is the server's own trouble. */
export function internalFailure(service: string, method: string, started: boolean): WireFailure {
  return {
    code: "internal",
    message: `${service}/${method} failed on the serving node; its log says why`,
    mayHaveRun: started,
  };
}

/** The caller's input, or one of its items, is not what the schema wants. */
export function inputError(issues: readonly SchemaIssue[], what = "the input"): CallError {
  const problems = problemsOf(issues);
  return new CallError("invalid_argument", `${what} is refused: ${sentenceOf(problems)}`, {
    details: problems,
  });
}
