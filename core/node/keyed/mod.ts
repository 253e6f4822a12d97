/** Idempotency keys: a repeated request gets the first one's result. */
export type { Outcome, ResultLimits } from "./results.ts";
export {
  type Answerable,
  cameToNothing,
  checkIdempotencyKey,
  defaultResultLimits,
  type Entrance,
  KeyedRequests,
  type Recorder,
  type Refusal,
} from "./requests.ts";
export { handleKeyed, messageKeys } from "./handler.ts";
