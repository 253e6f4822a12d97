/**
 * Finding a link to send on.
 *
 * What a healthy cluster always finds is a usable link with room, at once. Otherwise
 * one is dialled, and the sender waits while it is full. Thousands may wait at once, so
 * none of them listens to a signal that they share: a listener costs a look at all that
 * are there already. Those without a signal of their own share a dial, and whoever was
 * let go looks whether the messenger still runs.
 */
import type { SendOptions } from "../../contracts/messenger.ts";
import type { LinkUse, PeerLink, Peers } from "../../contracts/peers.ts";
import { codeOf, MycnetError } from "../../kernel/errors.ts";
import type { Deadlines } from "../deadlines.ts";

/** Links that are tried when each breaks before anything was queued on it. */
const linkAttempts = 3;

/** Finds links for one messenger. */
export class LinkFinder {
  readonly #peers: Peers;
  readonly #deadlines: Deadlines;
  readonly #stop: AbortSignal;
  readonly #dials = new Map<string, Promise<PeerLink>>();

  /** @param stop aborts, with an error, when the messenger stops. */
  constructor(peers: Peers, deadlines: Deadlines, stop: AbortSignal) {
    this.#peers = peers;
    this.#deadlines = deadlines;
    this.#stop = stop;
  }

  /** @throws what stopped the messenger, or `aborted`. */
  check(signal: AbortSignal | undefined): void {
    if (this.#stop.aborted) throw this.#stop.reason;
    if (signal?.aborted) throw abortedError(signal);
  }

  /** The usable link for a request that has room now, if there is one. @throws as {@linkcode LinkFinder.check}. */
  roomy(node: string, signal: AbortSignal | undefined): PeerLink | undefined {
    this.check(signal);
    const link = this.#peers.link(node, "spread");
    return link === undefined || link.full ? undefined : link;
  }

  /** As {@linkcode LinkFinder.find}; rejects with `deadline_exceeded` after `timeoutMs`. */
  async findWithin(node: string, timeoutMs: number, options: SendOptions): Promise<PeerLink> {
    const late = new AbortController();
    const deadline = this.#deadlines.add(timeoutMs, () => {
      const message = `node "${node}" had no link with room in time`;
      late.abort(new MycnetError("deadline_exceeded", message));
    });
    try {
      return await this.find(node, options, "spread", late.signal);
    } finally {
      deadline.cancel();
    }
  }

  /** A usable link with room: dials if there is none, waits while it is full. */
  async find(
    node: string,
    options: SendOptions,
    use: LinkUse = "ordered",
    late?: AbortSignal,
  ): Promise<PeerLink> {
    const own = [options.signal, late].filter((it) => it !== undefined);
    const signal = own.length > 1 ? AbortSignal.any(own) : own[0];
    for (let attempt = 1;; attempt++) {
      try {
        const link = this.#peers.link(node, use) ?? await this.#dial(node, signal);
        this.check(undefined);
        if (!link.full) return link;
        if (options.wait === false) {
          throw new MycnetError("overloaded", `the link to node "${node}" is full`);
        }
        await link.writable(signal);
        this.check(undefined);
        if (link.usable && !link.full) return link;
      } catch (error) {
        if (options.signal?.aborted) throw abortedError(options.signal);
        signal?.throwIfAborted();
        this.check(undefined);
        // Nothing was sent yet, so another link is as good.
        if (codeOf(error) !== "unavailable" || attempt >= linkAttempts) throw error;
      }
    }
  }

  #dial(node: string, signal: AbortSignal | undefined): Promise<PeerLink> {
    if (signal !== undefined) {
      return this.#peers.connect(node, { signal: AbortSignal.any([this.#stop, signal]) });
    }
    let dial = this.#dials.get(node);
    if (dial === undefined) {
      dial = this.#peers.connect(node, { signal: this.#stop });
      this.#dials.set(node, dial);
      const done = () => void this.#dials.delete(node);
      dial.then(done, done);
    }
    return dial;
  }
}

/** What a sender's own signal fails it with. */
export function abortedError(signal: AbortSignal): MycnetError {
  return new MycnetError("aborted", "the caller's signal aborted", { cause: signal.reason });
}
