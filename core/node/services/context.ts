/**
 * What a handler knows of the call it serves, and how that travels on.
 *
 * While a handler runs, its call is *ambient*: calls that it makes itself find
 * it and inherit metadata, priority, what is left of the deadline and of the
 * retry budget, and are cancelled with it. Once the handler has finished, its
 * call is ambient no more: work that it left behind in the background, or a
 * connection that it happened to open, does not go on carrying somebody's
 * metadata.
 *
 * AsyncLocalStorage finds a call behind every `await`, and costs a served call
 * 0.9 µs with the garbage it makes (Deno 2.9), a third of the whole. So it is
 * entered only where something may look for the call later: the handler is an
 * async function, or has once returned a promise, and for all handlers as soon
 * as this process makes calls at all. Otherwise a variable, set while the
 * handler is on the stack, does: a handler that has returned its answer is
 * over, and nothing that it left behind may find its call.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Principal } from "@mycnet/protocols/identity";
import type { Priority } from "@mycnet/protocols/frame";

/** What a handler learns besides its input. */
export interface CallContext {
  /** The name of the service. */
  readonly service: string;
  /** The name of the method. */
  readonly method: string;
  /** The node that calls, as its certificate proves; this node itself for local calls. */
  readonly caller: Principal;
  /** Aborts when the caller gives up or is lost, the deadline passes, or this node stops. */
  readonly signal: AbortSignal;
  /** What came with the call, or with the call that it was made for. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The caller's priority. */
  readonly priority: Priority;
  /** Milliseconds left to answer in; `Infinity` without a deadline, 0 when it has passed. */
  deadline(): number;
}

/** The context of a method with `upload`. */
export interface UploadContext<Item> extends CallContext {
  /** The caller's items, each parsed. To be iterated once; breaking out refuses the rest. */
  readonly upload: AsyncIterableIterator<Item>;
}

/** A nested call under way, to be cancelled with the call that made it. */
export interface Nested {
  /** Gives up, since nobody waits for the answer any more. */
  cancel(): void;
}

/** The served call that calls are being made for. */
export interface Ambient {
  /** True once the handler has finished; it then has no influence any more. */
  readonly finished: boolean;
  readonly metadata: Readonly<Record<string, string>>;
  readonly priority: Priority;
  /** How deep it is nested itself; 0 for a call that no handler made. */
  readonly depth: number;
  /** Retries that calls made for it may spend, all together. */
  retriesLeft: number;
  /** See {@linkcode CallContext.deadline}. */
  deadline(): number;
  /** Has `nested` cancelled with it, until {@linkcode Ambient.release}. */
  adopt(nested: Nested): void;
  /** The nested call is over. */
  release(nested: Nested): void;
}

const storage = new AsyncLocalStorage<Ambient | undefined>();
/** The call whose handler is on the stack, where no storage was entered for it. */
let onStack: Ambient | undefined;
let callsAreMade = false;

/** This process makes calls: from now on every handler may make nested ones. */
export function makingCalls(): void {
  callsAreMade = true;
}

/** The call that is being served here, if any. */
export function ambientCall(): Ambient | undefined {
  const ambient = onStack ?? storage.getStore();
  return ambient === undefined || ambient.finished ? undefined : ambient;
}

/**
 * Runs `serve(call)` with `call` ambient to everything it starts.
 * @param lasting false: it is over when it returns, as far as is known.
 */
export function serveWithin<T extends Ambient>(
  call: T,
  serve: (call: T) => void,
  lasting: boolean,
): void {
  if (lasting || callsAreMade) {
    storage.run(call, serve, call);
    return;
  }
  onStack = call;
  try {
    serve(call);
  } finally {
    onStack = undefined;
  }
}

/** Runs `work` with no call ambient: for what outlives the call that caused it, such as a new link. */
export function outsideCalls<T>(work: () => T): T {
  const outer = onStack;
  onStack = undefined;
  try {
    return storage.getStore() === undefined ? work() : storage.run(undefined, work);
  } finally {
    onStack = outer;
  }
}
