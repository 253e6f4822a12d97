/**
 * What the user hangs on events and queries. Handlers run outside the machine's
 * call, so that they may call it, and what they throw is logged.
 */
import { type GossipMessage, userEvent } from "../../../core/contracts/membership.ts";
import { MycnetError } from "../../../core/kernel/errors.ts";
import type { Host } from "../../../core/kernel/host.ts";
import { errorFields } from "../../../core/kernel/logger.ts";
import type { LayerQuery } from "./layer.ts";

/** Answers a query, or not. */
export type QueryHandler = (
  message: GossipMessage,
) => Uint8Array | undefined | Promise<Uint8Array | undefined>;

/** The handlers of one node. */
export class UserHandlers {
  readonly #host: Host;
  readonly #enter: (run: (nowMs: number) => void) => void;
  readonly #events = new Map<string, Set<(message: GossipMessage) => void>>();
  readonly #queries = new Map<string, QueryHandler>();

  /** @param enter runs something that calls the machines. */
  constructor(host: Host, enter: (run: (nowMs: number) => void) => void) {
    this.#host = host;
    this.#enter = enter;
  }

  /** See `Membership.onEvent`. */
  onEvent(name: string, handler: (message: GossipMessage) => void): Disposable {
    let handlers = this.#events.get(name);
    if (handlers === undefined) this.#events.set(name, handlers = new Set());
    const own = (message: GossipMessage) => handler(message); // The same one may be added twice.
    handlers.add(own);
    return {
      [Symbol.dispose]: () => {
        handlers.delete(own);
        if (handlers.size === 0 && this.#events.get(name) === handlers) {
          this.#events.delete(name);
        }
      },
    };
  }

  /** See `Membership.onQuery`. */
  onQuery(name: string, handler: QueryHandler): Disposable {
    if (this.#queries.has(name)) {
      throw new MycnetError("duplicate_handler", `queries of "${name}" are answered already`);
    }
    this.#queries.set(name, handler);
    return {
      [Symbol.dispose]: () => {
        if (this.#queries.get(name) === handler) this.#queries.delete(name);
      },
    };
  }

  /** A user event arrived. */
  event(message: GossipMessage): void {
    const host = this.#host;
    host.emit(userEvent, message);
    for (const handler of [...this.#events.get(message.name) ?? []]) {
      queueMicrotask(() => {
        try {
          handler(message);
        } catch (error) {
          host.log.error("A handler of user events threw.", {
            event: message.name,
            ...errorFields(error),
          });
        }
      });
    }
  }

  /** A query arrived. */
  async query(query: LayerQuery): Promise<void> {
    const host = this.#host;
    const { name, payload, time } = query;
    const handler = this.#queries.get(name);
    if (handler === undefined) return;
    await Promise.resolve(); // Outside the machine's call.
    try {
      const answer = await handler({ name, payload, time });
      if (answer === undefined) return;
      let result = "";
      this.#enter((nowMs) => void (result = query.respond(answer, nowMs)));
      if (result !== "sent") {
        host.log.warn("An answer to a query was not sent.", { query: name, result });
      }
    } catch (error) {
      host.log.error("A handler of queries threw.", { query: name, ...errorFields(error) });
    }
  }
}
