/**
 * Kept links: a loop per seed that never gives up.
 *
 * While the node that a hint means has a usable link, whoever dialled it, the
 * loop waits. Otherwise it dials all addresses of the hint, waits (exponential
 * backoff with full jitter, at the cap where a refusal will not change), and
 * dials again. The backoff begins anew only after a link has lived as long as
 * the cap, so that a seed which accepts and hangs up is not hammered.
 */
import { MycnetError } from "../../kernel/errors.ts";
import type { Host } from "../../kernel/host.ts";
import type { Link } from "../links/mod.ts";
import { Backoff } from "./backoff.ts";
import type { AddressBook, HeldHint } from "./book.ts";
import type { BackoffConfig } from "./config.ts";
import type { Dialler } from "./dialler.ts";
import { isPermanent, refusalOf } from "./refusals.ts";

/** What the keeper works with. */
export interface KeeperSetup {
  readonly host: Host;
  /** The id of this node: a hint of it is nothing to keep. */
  readonly self: string;
  readonly book: AddressBook;
  readonly dialler: Dialler;
  readonly backoff: BackoffConfig;
  /** Nodes kept at once. */
  readonly maxKept: number;
  /** Aborts when the node stops. */
  readonly signal: AbortSignal;
  /** The usable link to a node. */
  link(id: string): Link | undefined;
  /** Resolves when the node has no usable link; rejects when the signal aborts. */
  unlinked(id: string, signal: AbortSignal): Promise<void>;
}

interface Kept {
  readonly hint: HeldHint;
  readonly abort: AbortController;
  /** Why it cannot be reached; undefined while it can, or before the first try. */
  trouble: string | undefined;
}

/** Keeps links to seeds. */
export class Keeper {
  readonly #setup: KeeperSetup;
  readonly #kept = new Set<Kept>();
  #toldFull = false;

  /** Keeps nothing at first. */
  constructor(setup: KeeperSetup) {
    this.#setup = setup;
  }

  /** Keeps a link to the node that a hint means until the returned undo is disposed. */
  keep(hint: HeldHint): Disposable {
    const { maxKept, host, signal } = this.#setup;
    if (this.#kept.size >= maxKept) {
      if (!this.#toldFull) {
        host.log.warn("Too many seeds; those beyond are dialled on demand only.", {
          maxKept,
          source: hint.source,
        });
      }
      this.#toldFull = true;
      return { [Symbol.dispose]: () => {} };
    }
    const kept: Kept = { hint, abort: new AbortController(), trouble: undefined };
    this.#kept.add(kept);
    const stop = () => {
      this.#kept.delete(kept);
      signal.removeEventListener("abort", stop);
      kept.abort.abort(new MycnetError("closed", "the seed was withdrawn, or the node stops"));
    };
    signal.addEventListener("abort", stop, { once: true });
    this.#run(kept).catch((error) => {
      if (!kept.abort.signal.aborted) {
        host.log.error("Keeping a link to a seed failed.", { error: String(error) });
      }
    });
    return { [Symbol.dispose]: stop };
  }

  /** True for a node that a link is kept to. */
  keeps(id: string): boolean {
    for (const { hint } of this.#kept) if (this.#setup.book.idOf(hint) === id) return true;
    return false;
  }

  /** What is wrong with seeds, one sentence each. */
  troubles(): string[] {
    const troubles: string[] = [];
    for (const { trouble } of this.#kept) if (trouble !== undefined) troubles.push(trouble);
    return troubles;
  }

  async #run(kept: Kept): Promise<void> {
    const { host, self, book, backoff: config } = this.#setup;
    const { signal } = kept.abort;
    const backoff = new Backoff(config, () => host.random());
    while (!signal.aborted) {
      const id = book.idOf(kept.hint);
      // The list of seeds is often the same on every node, so it names this one, too.
      if (id === self) return;
      const linked = id !== undefined && this.#setup.link(id) !== undefined ||
        await this.#dial(kept, id, backoff);
      if (!linked) continue;
      const node = book.idOf(kept.hint);
      if (node === undefined) continue;
      this.#reached(kept);
      const sinceMs = host.now();
      await this.#setup.unlinked(node, signal);
      if (host.now() - sinceMs >= config.cap) backoff.reset();
      // Never at once: every node that had a link to it lost it at the same moment.
      await host.sleep(backoff.next(), signal);
    }
  }

  /** One round. False, after the wait that follows, if it failed. */
  async #dial(kept: Kept, id: string | undefined, backoff: Backoff): Promise<boolean> {
    const { host, dialler, backoff: config } = this.#setup;
    const { signal } = kept.abort;
    const addresses = kept.hint.addresses.filter((address) => !dialler.isSelf(address));
    if (addresses.length === 0) {
      // All of them are this node itself. Looks again when the dialler would dial again.
      kept.trouble = undefined;
      await host.sleep(60_000, signal);
      return false;
    }
    try {
      await dialler.round(addresses, kept.hint.id ?? undefined);
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      const refusal = refusalOf(error);
      if (refusal !== "self") this.#failed(kept, id, error);
      await host.sleep(
        refusal !== undefined && isPermanent(refusal) ? config.cap : backoff.next(),
        signal,
      );
      return false;
    }
  }

  #reached(kept: Kept): void {
    if (kept.trouble === undefined) return;
    kept.trouble = undefined;
    const { addresses, source } = kept.hint;
    this.#setup.host.log.info("A seed is reached again.", { addresses, source });
  }

  #failed(kept: Kept, id: string | undefined, error: unknown): void {
    const { addresses, source } = kept.hint;
    const known = kept.trouble !== undefined;
    const message = error instanceof Error ? error.message : String(error);
    const name = id === undefined ? addresses[0] : `"${id}" (${addresses[0]})`;
    kept.trouble = `seed ${name} is unreachable: ${message}`;
    // A refusal has a line of its own, with its remedy.
    if (known || refusalOf(error) !== undefined) return;
    this.#setup.host.log.warn("A seed cannot be reached; it is tried again for ever.", {
      addresses,
      source,
      reason: message,
    });
  }
}
