/**
 * Where memory transports of one process find each other: names to listeners.
 *
 * Nodes that were given no network of their own share one per process. It hangs
 * on globalThis under a registered symbol because it must be the same for every
 * copy of the runtime in the process (a user's plugin may load a second one),
 * which module state would not be. Tests that want a world of their own make a
 * network and pass it in the configuration, by value.
 */
import { MycnetError } from "../../../core/kernel/errors.ts";
import type { MemoryEnd } from "./connection.ts";

/** Makes the far end of a connection to the end that dialled, or refuses by returning false. */
export type MemoryListener = (dialler: MemoryEnd) => boolean;

/** A namespace of memory addresses. */
export class MemoryNetwork {
  readonly #listeners = new Map<string, MemoryListener>();
  #dialled = 0;

  /** Listens under a name. @throws {MycnetError} `address_in_use`. */
  listen(name: string, listener: MemoryListener): Disposable {
    if (this.#listeners.has(name)) {
      throw new MycnetError(
        "address_in_use",
        `memory://${name} is in use: another node of this process listens there. ` +
          `Give each node an id or an address of its own`,
      );
    }
    this.#listeners.set(name, listener);
    return {
      [Symbol.dispose]: () => {
        if (this.#listeners.get(name) === listener) this.#listeners.delete(name);
      },
    };
  }

  /** Who listens under a name. */
  find(name: string): MemoryListener | undefined {
    return this.#listeners.get(name);
  }

  /** A number for the dialling end's address, as a port is elsewhere. */
  nextNumber(): number {
    return ++this.#dialled;
  }
}

const shared = Symbol.for("mycnet.memory.network");

/** The network of this process. */
export function sharedNetwork(): MemoryNetwork {
  const holder = globalThis as { [shared]?: MemoryNetwork };
  return holder[shared] ??= new MemoryNetwork();
}
