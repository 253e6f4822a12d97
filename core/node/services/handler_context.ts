/** What a handler and middleware see of a served call, and nothing of the machinery. */
import type { Priority } from "@mycnet/protocols/frame";
import type { Principal } from "@mycnet/protocols/identity";
import type { CallContext } from "./context.ts";
import type { MiddlewareCall } from "./middleware.ts";
import type { ServedContext } from "./serving.ts";
import type { ParsedUpload } from "./upload.ts";

/** The part of a call that is its handler's to see. */
export function contextOf(call: ServedContext): CallContext {
  return call.method.uploads ? new UploadingContext(call) : new Context(call);
}

class Context implements CallContext {
  readonly #call: ServedContext;

  constructor(call: ServedContext) {
    this.#call = call;
  }

  get service(): string {
    return this.#call.method.service.name;
  }

  get method(): string {
    return this.#call.method.name;
  }

  get caller(): Principal {
    return this.#call.caller;
  }

  get signal(): AbortSignal {
    return this.#call.signal;
  }

  get metadata(): Readonly<Record<string, string>> {
    return this.#call.metadata;
  }

  get priority(): Priority {
    return this.#call.priority;
  }

  deadline(): number {
    return this.#call.deadline();
  }
}

class UploadingContext extends Context {
  readonly upload: ParsedUpload;

  constructor(call: ServedContext) {
    super(call);
    this.upload = call.upload;
  }
}

/** A served call as middleware sees it. */
export function middlewareCallOf(
  call: ServedContext,
  metadata: Record<string, string>,
  input: unknown,
): MiddlewareCall {
  const { method: { kind, name, service }, priority, caller } = call;
  return {
    side: "server",
    service: service.name,
    method: name,
    kind,
    priority,
    metadata,
    caller,
    input,
    // Made only when asked for: a signal costs a deadline of its own.
    get signal() {
      return call.signal;
    },
  };
}
