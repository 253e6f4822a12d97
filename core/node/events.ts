/**
 * What happens to a node, as one stream for whoever embeds it.
 *
 * Each subscriber has a bounded queue of its own; one that falls behind loses
 * the oldest events and is told so by a `lagged` event.
 */
import { linkDown, linkRefused, linkUp, peerDown, peerUp } from "../contracts/peers.ts";
import { callRetried } from "../contracts/services.ts";
import type { Host } from "../kernel/host.ts";
import type { NodeDescription } from "@mycnet/protocols/identity";
import { BoundedQueue, type ReaderOptions } from "./bounded_queue.ts";

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

type Emit = (event: NodeEvent) => void;

/** Nodes that are remembered as failed; the one that failed longest ago is forgotten first. */
const maxFailed = 10_000;

/** Turns topics into events. The ids that were lost are remembered, so that a return reads as a recovery. */
function translate(host: Host, emit: Emit): Disposable {
  const failed = new Set<string>();
  const undo = new DisposableStack();
  const at = () => host.wallTime();
  undo.use(host.on(peerUp, (node) => {
    emit({ at: at(), type: failed.delete(node.id) ? "node_recovered" : "node_joined", node });
  }));
  undo.use(host.on(peerDown, ({ peer: node, reason, left }) => {
    if (!left) {
      failed.delete(node.id);
      failed.add(node.id);
      if (failed.size > maxFailed) failed.delete(failed.values().next().value!);
    }
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
  readonly #subscribers = new Set<BoundedQueue<NodeEvent>>();
  readonly #topics: Disposable;
  #ended = false;

  /** Listens from now on. */
  constructor(host: Host) {
    this.#host = host;
    this.#topics = translate(host, (event) => {
      for (const subscriber of this.#subscribers) subscriber.push(event);
    });
  }

  /**
   * Yields what happens from the moment of this call (not of the first `next`).
   * @throws `invalid_argument` for a capacity that is none.
   */
  subscribe(options: ReaderOptions = {}): AsyncIterableIterator<NodeEvent> {
    const queue = new BoundedQueue<NodeEvent>(
      options,
      (dropped) => ({ at: this.#host.wallTime(), type: "lagged", dropped }),
      () => this.#subscribers.delete(queue),
    );
    if (this.#ended) queue.end();
    else if (!queue.ended) this.#subscribers.add(queue);
    return queue.read();
  }

  /** Ends every subscription. */
  [Symbol.dispose](): void {
    this.#ended = true;
    this.#topics[Symbol.dispose]();
    for (const subscriber of [...this.#subscribers]) subscriber.end();
  }
}
