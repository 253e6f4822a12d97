/**
 * Middleware: what every call passes through, on both sides.
 *
 * On the client's side it wraps the whole call, all attempts together, and may
 * change the metadata before anything is sent. On the server's side it stands
 * before the input is parsed, so that a caller who may not call learns nothing
 * of the schema. The first registered is the outermost: it sees the call first
 * and the answer last. `next()` resolves with the answer (for methods with
 * items: with the iterable, which may be wrapped) and is called at most once.
 * What a middleware throws fails the call as if the handler had thrown it.
 */
import type { MethodDescription } from "../../contracts/services.ts";
import type { Principal } from "@mycnet/protocols/identity";
import type { Priority } from "@mycnet/protocols/frame";

/** A call on its way through. */
export interface MiddlewareCall {
  /** Which side this is. */
  readonly side: "client" | "server";
  /** The name of the service. */
  readonly service: string;
  /** The name of the method. */
  readonly method: string;
  /** Whether items go out, come back, or neither. */
  readonly kind: MethodDescription["kind"];
  /** How urgent the caller says it is. */
  readonly priority: Priority;
  /** The client's side: what will be sent, to be changed at will before `next`. The server's: what came. */
  readonly metadata: Record<string, string>;
  /** Who calls. On the client's side: this node. */
  readonly caller: Principal;
  /** Aborts when the call is given up. On the client's side: the caller's own signal, if it gave one. */
  readonly signal: AbortSignal | undefined;
  /** As the client gave it; nothing has checked it yet. */
  readonly input: unknown;
}

/** Stands around calls. */
export type Middleware = (
  call: MiddlewareCall,
  next: () => Promise<unknown>,
) => unknown;

/** The registered middleware, in order. */
export class MiddlewareChain {
  #all: readonly Middleware[] = [];

  /** True when there is none, and a call may go straight on. */
  get empty(): boolean {
    return this.#all.length === 0;
  }

  /** Adds one, innermost, until disposed. */
  use(middleware: Middleware): Disposable {
    const own: Middleware = (call, next) => middleware(call, next);
    this.#all = [...this.#all, own];
    return { [Symbol.dispose]: () => void (this.#all = this.#all.filter((it) => it !== own)) };
  }

  /** Sends a call through what is registered now, and into `last`. */
  async run(call: MiddlewareCall, last: () => unknown): Promise<unknown> {
    const all = this.#all;
    const step = async (index: number): Promise<unknown> => {
      if (index === all.length) return await last();
      let passed = false;
      return await all[index](call, () => {
        if (passed) {
          const { service, method } = call;
          return Promise.reject(
            new Error(`a middleware called next() twice for ${service}/${method}`),
          );
        }
        passed = true;
        return step(index + 1);
      });
    };
    return await step(0);
  }
}
