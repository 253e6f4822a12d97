/**
 * Inbound connections on their way from a transport to its one subscriber.
 *
 * A transport listens from its set-up on, and whoever accepts comes later: until
 * then connections are held, up to a bound, and closed beyond it. When the
 * subscriber leaves, holding begins again; when the transport stops, what is
 * held is destroyed.
 */
import type { Connection } from "../../contracts/transport.ts";
import { MycnetError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/host.ts";

/** How many inbound connections are held while nobody accepts. */
export const maxHeldConnections = 128;

/** Hands inbound connections over, or holds them. */
export class AcceptQueue implements Disposable {
  readonly #log: Logger;
  readonly #held = new Set<Connection>();
  #handler: ((connection: Connection) => void) | undefined;
  #disposed = false;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** How many are held now. */
  get held(): number {
    return this.#held.size;
  }

  /** True if one more would be closed. */
  get full(): boolean {
    return this.#disposed ||
      (this.#handler === undefined && this.#held.size >= maxHeldConnections);
  }

  /** Hands a connection over, holds it, or destroys it if there is no room. */
  push(connection: Connection): void {
    if (this.full) return connection.destroy();
    if (this.#handler === undefined) this.#held.add(connection);
    else this.#hand(connection, this.#handler);
  }

  /** Drops a held connection that is gone. */
  forget(connection: Connection): void {
    this.#held.delete(connection);
  }

  /** Subscribes; what is held comes first. @throws {MycnetError} `duplicate_handler` if there is a subscriber. */
  accept(handler: (connection: Connection) => void): Disposable {
    if (this.#handler !== undefined) {
      throw new MycnetError(
        "duplicate_handler",
        "This transport's connections are accepted already",
      );
    }
    this.#handler = handler;
    for (const connection of [...this.#held]) {
      this.#held.delete(connection);
      this.#hand(connection, handler);
    }
    return {
      [Symbol.dispose]: () => {
        if (this.#handler === handler) this.#handler = undefined;
      },
    };
  }

  /** Destroys what is held, and from now on everything that is pushed. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    for (const connection of this.#held) connection.destroy();
    this.#held.clear();
    this.#handler = undefined;
  }

  #hand(connection: Connection, handler: (connection: Connection) => void): void {
    try {
      handler(connection);
    } catch (error) {
      this.#log.error("Accepting a connection failed", {
        remoteAddress: connection.remoteAddress,
        error: (error as Error).message,
      });
      connection.destroy();
    }
  }
}
