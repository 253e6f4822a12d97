/**
 * Errors as RFC 9457 problem documents.
 *
 * One table maps the runtime's stable error codes to HTTP statuses, so that
 * admin, the gateway and every plugin's routes answer alike. Whatever has no
 * code of ours is an internal error: its text stays in the log, since it may
 * say more of this machine than a client should read.
 */
import { codeOf, type ErrorCode, errorCodes } from "../kernel/errors.ts";

/** One wrong field of an input. */
export interface FieldIssue {
  /** The field, dotted from the outside in; empty for the whole. */
  readonly field: string;
  /** What is wrong with it. */
  readonly message: string;
}

/** An RFC 9457 problem document with our extension members. */
export interface Problem {
  /** `urn:mycnet:error:<code>`. */
  readonly type: string;
  /** The kind of problem in words; the same for every occurrence. */
  readonly title: string;
  /** The HTTP status. */
  readonly status: number;
  /** What happened here. */
  readonly detail: string;
  /** The stable code; compare this. */
  readonly code: ErrorCode;
  /** What helps. */
  readonly remedy: string;
  /** The wrong fields, where the input was at fault. */
  readonly errors?: readonly FieldIssue[];
  /** Of a failed call: whether the method may have run; repeat only what is idempotent. */
  readonly mayHaveRun?: boolean;
  /** Of a failed call: how many nodes were tried. */
  readonly attempts?: number;
  /** Of an error that the service declared: its name. */
  readonly error?: string;
  /** Of an error that the service declared: its data. */
  readonly data?: unknown;
}

const statuses: Readonly<Partial<Record<ErrorCode, number>>> = {
  config_invalid: 400,
  invalid_argument: 400,
  address_invalid: 400,
  unauthenticated: 401,
  permission_denied: 403,
  not_found: 404,
  unknown_peer: 404,
  method_not_allowed: 405,
  not_acceptable: 406,
  too_large: 413,
  unsupported_media_type: 415,
  host_refused: 421,
  application: 422,
  corrupted: 422,
  overloaded: 429,
  aborted: 499, // The client went away: nobody reads this, but logs and proxies count it.
  cancelled: 499,
  unhandled: 501,
  refused: 502,
  unreachable: 503,
  link_lost: 503,
  unavailable: 503,
  no_quorum: 503,
  closed: 503,
  timeout: 504,
  deadline_exceeded: 504,
};

/** The HTTP status of a code; 500 for what only we can be at fault for. */
export function statusOf(code: ErrorCode): number {
  return statuses[code] ?? 500;
}

/** `not_found` as `Not found`. */
function titleOf(code: ErrorCode): string {
  return code[0].toUpperCase() + code.slice(1).replaceAll("_", " ");
}

/** A problem document of a code and a message. */
export function problem(code: ErrorCode, detail: string): Problem {
  return {
    type: `urn:mycnet:error:${code}`,
    title: titleOf(code),
    status: statusOf(code),
    detail,
    code,
    remedy: errorCodes[code],
  };
}

/** The members that an error may carry beside its code; read by shape, since classes may be loaded twice. */
interface ErrorExtras {
  readonly message?: unknown;
  readonly issues?: unknown;
  readonly mayHaveRun?: unknown;
  readonly attempts?: unknown;
  readonly errorName?: unknown;
  readonly data?: unknown;
  readonly details?: unknown;
}

/** Wrong fields in either of the shapes that our errors carry them; undefined if it is neither. */
function issuesOf(value: unknown): readonly FieldIssue[] | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const issues = value.map((it) => {
    const field = Array.isArray(it?.path) ? it.path.join(".") : it?.path ?? it?.field;
    return { field, message: it?.message };
  });
  const sound = issues.every((it) =>
    typeof it.field === "string" && typeof it.message === "string"
  );
  return sound ? issues : undefined;
}

/** Renders any thrown value. */
export function problemOf(error: unknown): Problem {
  const code = codeOf(error);
  if (code === undefined || !Object.hasOwn(errorCodes, code)) {
    return problem("internal", "the node failed to answer; its log has the details");
  }
  const { message, issues, details, mayHaveRun, attempts, errorName, data } = error as ErrorExtras;
  const errors = issuesOf(issues ?? details);
  return {
    ...problem(code as ErrorCode, typeof message === "string" ? message : code),
    ...(errors === undefined ? {} : { errors }),
    ...(typeof mayHaveRun === "boolean" ? { mayHaveRun } : {}),
    ...(typeof attempts === "number" ? { attempts } : {}),
    ...(typeof errorName === "string" ? { error: errorName } : {}),
    ...(data === undefined ? {} : { data }),
  };
}

/** True for an error that is none of the client's and none of the network's doing, and belongs in the log. */
export function isInternal(error: unknown): boolean {
  return problemOf(error).status === 500;
}

/** JSON, never cached and never sniffed. */
export function json(value: unknown, status = 200, headers?: HeadersInit): Response {
  const all = new Headers(headers);
  if (!all.has("content-type")) all.set("content-type", "application/json");
  all.set("cache-control", "no-store");
  all.set("x-content-type-options", "nosniff");
  // An error's data may hold what JSON has no form for; an answer must come all the same.
  const text = JSON.stringify(value, (_, it) => typeof it === "bigint" ? `${it}` : it);
  return new Response(`${text}\n`, { status, headers: all });
}

/** A problem document as a response. */
export function problemResponse(value: Problem, headers?: HeadersInit): Response {
  const all = new Headers(headers);
  all.set("content-type", "application/problem+json");
  if (value.status === 429 || value.status === 503) all.set("retry-after", "1");
  return json(value, value.status, all);
}
