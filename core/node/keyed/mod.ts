/** Idempotency keys: a repeated request gets the first one's result. */
export { type KeyedEntry, type Outcome, type ResultLimits, Results } from "./results.ts";
export {
  type Answerable,
  cameToNothing,
  checkIdempotencyKey,
  defaultResultLimits,
  type Entrance,
  type FailureHead,
  KeyedRequests,
  Recorder,
  type Refusal,
} from "./requests.ts";
export { handleKeyed, type KeyedHandling, messageKeys } from "./handler.ts";
