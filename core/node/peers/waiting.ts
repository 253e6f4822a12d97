/** Who waits for a node to be linked, or to be linked no more. */

interface Waiter {
  resolve(): void;
  reject(reason: unknown): void;
}

/** Waiters by node id. */
export class Waiting {
  readonly #linked = new Map<string, Set<Waiter>>();
  readonly #unlinked = new Map<string, Set<Waiter>>();

  /** Resolves the next time that the node gets a usable link. Rejects with the signal's reason. */
  forLinked(id: string, signal: AbortSignal): Promise<void> {
    return wait(this.#linked, id, signal);
  }

  /** Resolves the next time that the node loses its last usable link. Rejects with the signal's reason. */
  forUnlinked(id: string, signal: AbortSignal): Promise<void> {
    return wait(this.#unlinked, id, signal);
  }

  /** The node has a usable link. */
  linked(id: string): void {
    release(this.#linked, id);
  }

  /** The node has none any longer. */
  unlinked(id: string): void {
    release(this.#unlinked, id);
  }

  /** Rejects everybody. */
  close(reason: unknown): void {
    for (const map of [this.#linked, this.#unlinked]) {
      for (const waiters of [...map.values()]) {
        for (const waiter of [...waiters]) waiter.reject(reason);
      }
    }
  }
}

function wait(map: Map<string, Set<Waiter>>, id: string, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const waiters = map.get(id) ?? new Set();
    map.set(id, waiters);
    const settle = () => {
      signal.removeEventListener("abort", abort);
      waiters.delete(waiter);
      if (waiters.size === 0 && map.get(id) === waiters) map.delete(id);
    };
    const waiter: Waiter = {
      resolve: () => (settle(), resolve()),
      reject: (reason) => (settle(), reject(reason)),
    };
    const abort = () => waiter.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    waiters.add(waiter);
  });
}

function release(map: Map<string, Set<Waiter>>, id: string): void {
  for (const waiter of [...map.get(id) ?? []]) waiter.resolve();
}
