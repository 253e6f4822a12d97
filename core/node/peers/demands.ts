/**
 * Links on demand: rounds over a target's addresses, a bounded number of them.
 *
 * All who want the same target at the same time share one demand, and each
 * waits for it as long as it will. A demand for a node ends as well when that
 * node dials in first.
 */
import { codeOf, MycnetError } from "../../kernel/errors.ts";
import type { Host } from "../../kernel/host.ts";
import { Backoff } from "./backoff.ts";
import type { PeersConfig } from "./config.ts";
import type { Dialler } from "./dialler.ts";
import { isPermanent, refusalOf } from "./refusals.ts";
import type { Waiting } from "./waiting.ts";

/** What demands work with. */
export interface DemandsSetup {
  readonly host: Host;
  readonly config: Pick<PeersConfig, "backoff" | "dialAttempts">;
  readonly dialler: Dialler;
  readonly waiting: Waiting;
  /** Where a node may be dialled. @throws `unknown_peer` or `unreachable` when nowhere. */
  addresses(id: string): string[];
  /** Aborts when the node stops. */
  readonly signal: AbortSignal;
}

/** Who wants a link to whom. */
export class Demands {
  readonly #setup: DemandsSetup;
  readonly #demands = new Map<string, Promise<void>>();

  /** Wants nothing at first. */
  constructor(setup: DemandsSetup) {
    this.#setup = setup;
  }

  /**
   * Resolves when a link to the target came up.
   * @param address true if the target is an address, false for a node id.
   * @param untilMs the host's time at which this caller stops waiting.
   */
  link(
    target: string,
    address: boolean,
    untilMs: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    return this.#within(this.#shared(target, address), target, untilMs, signal);
  }

  /** Sees to a usable link to the target, shared by all who ask. */
  #shared(target: string, address: boolean): Promise<void> {
    const { signal, waiting } = this.#setup;
    let demand = this.#demands.get(target);
    if (demand === undefined) {
      const arrived = address ? undefined : new AbortController();
      demand = arrived === undefined ? this.#dial(target, true, signal) : Promise.race([
        this.#dial(target, false, AbortSignal.any([arrived.signal, signal])),
        waiting.forLinked(target, AbortSignal.any([arrived.signal, signal])),
      ]).finally(() => arrived.abort());
      this.#demands.set(target, demand);
      const done = () => void this.#demands.delete(target);
      demand.then(done, done);
    }
    return demand;
  }

  /** Rounds over the addresses, with backoff in between. */
  async #dial(target: string, address: boolean, signal: AbortSignal): Promise<void> {
    const { host, config, dialler, addresses } = this.#setup;
    const backoff = new Backoff(config.backoff, () => host.random());
    for (let attempt = 1;; attempt++) {
      const id = address ? undefined : target;
      try {
        await dialler.round(address ? [target] : addresses(target), id);
        return;
      } catch (error) {
        const refusal = refusalOf(error);
        if (attempt >= config.dialAttempts || signal.aborted) throw error;
        if (refusal !== undefined && isPermanent(refusal)) throw error;
        if (["unknown_peer", "closed", "overloaded"].includes(codeOf(error) ?? "")) throw error;
      }
      await host.sleep(backoff.next(), signal);
    }
  }

  /** Waits for a shared dial as long as this caller will. */
  #within(
    work: Promise<void>,
    target: string,
    untilMs: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const { host } = this.#setup;
    return new Promise((resolve, reject) => {
      const settle = () => {
        timer[Symbol.dispose]();
        signal?.removeEventListener("abort", abort);
      };
      const abort = () => (settle(), reject(signal!.reason));
      const timer = host.after(Math.max(0, untilMs - host.now()), () => {
        settle();
        reject(new MycnetError("timeout", `no link to ${target} in time`));
      });
      signal?.addEventListener("abort", abort, { once: true });
      work.then(() => (settle(), resolve()), (error) => (settle(), reject(error)));
    });
  }
}
