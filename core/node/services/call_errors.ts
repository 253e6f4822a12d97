/** What the caller of a call that has failed is told: what happened, where, and whether it may have run. */
import type { ErrorCode } from "../../kernel/errors.ts";
import type { AttemptFailure, MethodTarget } from "./attempts.ts";
import { CallError } from "./errors.ts";
import type { ServingNode } from "./routing.ts";
import { callErrorOf } from "./wire.ts";

/** How far a call has come. */
export interface CallProgress {
  readonly target: MethodTarget;
  /** Where it was tried last. */
  readonly node: ServingNode | undefined;
  readonly attempts: number;
  readonly mayHaveRun: boolean;
}

/** A failure that arose on this side. */
export function callFailed(
  progress: CallProgress,
  code: ErrorCode,
  message: string,
  cause?: unknown,
): CallError {
  return new CallError(code, `${whereOf(progress)}: ${message}`, placeOf(progress, cause));
}

/** The failure of the last attempt, as that of the whole call. */
export function callFailedLike(progress: CallProgress, failure: AttemptFailure): CallError {
  const message = `${whereOf(progress)}: ${failure.message}`;
  const { mayHaveRun } = progress;
  return callErrorOf({ ...failure, message, mayHaveRun }, placeOf(progress, failure.cause));
}

function whereOf({ target, node }: CallProgress): string {
  return node === undefined ? target.route : `${target.route} on ${node.id}`;
}

function placeOf({ target, node, attempts, mayHaveRun }: CallProgress, cause: unknown) {
  const { service, method } = target;
  return {
    service,
    method,
    node: node?.id,
    attempts,
    mayHaveRun,
    ...(cause !== undefined && { cause }),
  };
}
