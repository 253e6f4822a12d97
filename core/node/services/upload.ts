/** A caller's items as the handler reads them: each parsed when it is asked for. */
import type { SchemaResult } from "../../kernel/schema.ts";
import type { AnySchema } from "./define.ts";
import { inputError } from "./failures.ts";
import type { Inbox } from "./inbox.ts";
import { parseValue } from "./schemas.ts";

type Result = IteratorResult<unknown, undefined>;

/** Ends at the caller's end; throws what a bad item or a lost caller is. */
export class ParsedUpload implements AsyncIterableIterator<unknown> {
  readonly #inbox: Inbox<unknown>;
  readonly #schema: AnySchema;

  constructor(inbox: Inbox<unknown>, schema: AnySchema) {
    this.#inbox = inbox;
    this.#schema = schema;
  }

  next(): Promise<Result> {
    return this.#inbox.next().then((result): Result | Promise<Result> => {
      if (result.done) return result;
      const parsed = parseValue(this.#schema, result.value);
      return parsed instanceof Promise ? parsed.then(itemOf) : itemOf(parsed);
    });
  }

  return(): Promise<Result> {
    return this.#inbox.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

function itemOf(parsed: SchemaResult<unknown>): Result {
  if (parsed.issues !== undefined) throw inputError(parsed.issues, "an uploaded item");
  return { value: parsed.value, done: false };
}
