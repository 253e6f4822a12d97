/**
 * What happens to a node, as one stream for whoever embeds it (FEATURES 10, 43).
 *
 * Each subscriber has a bounded queue of its own. When it falls behind, the
 * oldest events are dropped and it is told so by a `lagged` event, so that a
 * slow reader never holds memory or anybody else up.
 */
import { linkDown, linkRefused, linkUp, peerDown, peerUp } from "../contracts/peers.ts";
import { callRetried } from "../contracts/services.ts";
import type { Host } from "../kernel/host.ts";
import type { NodeDescription } from "@mycnet/protocols/identity";

/** One event. `at` is wall-clock time in milliseconds. */
export type NodeEvent =
  & { readonly at: number }
  & (
    | { readonly type: "node_joined" | "node_recovered"; readonly node: NodeDescription }
    | {
      readonly type: "node_left" | "node_failed";
      readonly node: NodeDescription;
      readonly reason: string;
    }
    | {
      readonly type: "link_up";
      readonly link: string;
      readonly node: string;
      readonly transport: string;
    }
    | {
      readonly type: "link_down";
      readonly link: string;
      readonly node: string;
      readonly reason: string;
    }
    | {
      readonly type: "link_refused";
      readonly address: string;
      readonly code: string;
      readonly message: string;
      readonly by: "us" | "peer";
    }
    | {
      readonly type: "call_retried";
      readonly service: string;
      readonly method: string;
      readonly node: string;
      readonly code: string;
    }
    | { readonly type: "lagged"; readonly dropped: number }
  );

/** Options of a subscription. */
export interface EventOptions {
  /** Ends the stream. */
  readonly signal?: AbortSignal;
  /** How many events may wait. Default 256. */
  readonly capacity?: number;
}

type Emit = (event: NodeEvent) => void;

/** Turns topics into events. The ids that were lost are remembered, so that a return reads as a recovery; at most 10,000. */
function translate(host: Host, emit: Emit): Disposable {
  const failed = new Set<string>();
  const undo = new DisposableStack();
  const at = () => host.wallTime();
  undo.use(host.on(peerUp, (node) => {
    emit({ at: at(), type: failed.delete(node.id) ? "node_recovered" : "node_joined", node });
  }));
  undo.use(host.on(peerDown, ({ peer: node, reason, left }) => {
    if (!left && failed.size < 10_000) failed.add(node.id);
    emit({ at: at(), type: left ? "node_left" : "node_failed", node, reason });
  }));
  undo.use(host.on(linkUp, (link) => {
    const { transport } = link.info;
    emit({ at: at(), type: "link_up", link: link.id, node: link.peer.id, transport });
  }));
  undo.use(host.on(linkDown, ({ link, reason }) => {
    emit({ at: at(), type: "link_down", link: link.id, node: link.peer.id, reason });
  }));
  undo.use(host.on(linkRefused, (refusal) => emit({ at: at(), type: "link_refused", ...refusal })));
  undo.use(host.on(callRetried, (retry) => emit({ at: at(), type: "call_retried", ...retry })));
  return undo;
}

/** The events of one node. */
export class NodeEvents implements Disposable {
  readonly #host: Host;
  readonly #subscribers = new Set<{ emit: Emit; end: () => void }>();
  readonly #topics: Disposable;
  #ended = false;

  /** Listens from now on. */
  constructor(host: Host) {
    this.#host = host;
    this.#topics = translate(host, (event) => {
      for (const { emit } of this.#subscribers) emit(event);
    });
  }

  /** Yields what happens from the moment of this call (not of the first `next`). */
  subscribe({ signal, capacity = 256 }: EventOptions = {}): AsyncIterableIterator<NodeEvent> {
    const queue: NodeEvent[] = [];
    let dropped = 0;
    let ended = this.#ended || signal?.aborted === true;
    let wake: (() => void) | undefined;
    const subscriber = {
      emit: (event: NodeEvent) => {
        if (queue.length >= Math.max(1, capacity)) {
          queue.shift();
          dropped++;
        }
        queue.push(event);
        wake?.();
      },
      end: () => {
        ended = true;
        this.#subscribers.delete(subscriber);
        signal?.removeEventListener("abort", subscriber.end);
        wake?.();
      },
    };
    if (!ended) this.#subscribers.add(subscriber);
    signal?.addEventListener("abort", subscriber.end, { once: true });

    const next = async (): Promise<IteratorResult<NodeEvent>> => {
      while (true) {
        if (dropped > 0) {
          const value: NodeEvent = { at: this.#host.wallTime(), type: "lagged", dropped };
          dropped = 0;
          return { done: false, value };
        }
        const value = queue.shift();
        if (value !== undefined) return { done: false, value };
        if (ended) return { done: true, value: undefined };
        await new Promise<void>((resolve) => wake = resolve);
        wake = undefined;
      }
    };
    return {
      next,
      return: () => {
        queue.length = 0;
        dropped = 0;
        subscriber.end();
        return Promise.resolve({ done: true, value: undefined });
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /** Ends every subscription. */
  [Symbol.dispose](): void {
    this.#ended = true;
    this.#topics[Symbol.dispose]();
    for (const { end } of [...this.#subscribers]) end();
  }
}
