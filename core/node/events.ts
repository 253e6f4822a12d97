/**
 * What happens to a node, as one stream for whoever embeds it.
 *
 * Each subscriber has a bounded queue of its own; one that falls behind loses
 * the oldest events and is told so by a `lagged` event.
 */
import { memberEvent } from "../contracts/membership.ts";
import {
  linkDown,
  linkRefused,
  linkUp,
  type NodeState,
  peerDown,
  peerUp,
} from "../contracts/peers.ts";
import { callRetried } from "../contracts/services.ts";
import type { Host } from "../kernel/host.ts";
import type { NodeDescription } from "@mycnet/protocols/identity";
import { BoundedQueue, type ReaderOptions } from "./bounded_queue.ts";

/**
 * One event. `at` is wall-clock time in milliseconds. Where membership runs, it
 * tells of nodes, and their generation (0 there) is known from links only; of nodes
 * that do not gossip, and without membership, links tell. Members that are no nodes
 * of this runtime are not told of here.
 */
export type NodeEvent =
  & { readonly at: number }
  & (
    | { readonly type: "node_joined" | "node_recovered"; readonly node: NodeDescription }
    | { readonly type: "node_suspected"; readonly node: NodeDescription }
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

/**
 * Who is there as far as was told, so that links and membership do not both tell
 * of one node, and a return after a failure reads as a recovery.
 */
class Presence {
  readonly #there = new Set<string>();
  readonly #failed = new Set<string>();
  readonly #emit: (event: TellOfNode) => void;

  constructor(emit: (event: TellOfNode) => void) {
    this.#emit = emit;
  }

  came(node: NodeDescription): void {
    if (this.#there.has(node.id)) return;
    this.#there.add(node.id);
    this.#emit({ type: this.#failed.delete(node.id) ? "node_recovered" : "node_joined", node });
  }

  /** From a failure, or from a suspicion. */
  recovered(node: NodeDescription): void {
    this.#there.add(node.id);
    this.#failed.delete(node.id);
    this.#emit({ type: "node_recovered", node });
  }

  went(node: NodeDescription, reason: string, left: boolean): void {
    this.#there.delete(node.id);
    this.#failed.delete(node.id);
    if (!left) {
      this.#failed.add(node.id);
      if (this.#failed.size > maxFailed) this.#failed.delete(this.#failed.values().next().value!);
    }
    this.#emit({ type: left ? "node_left" : "node_failed", node, reason });
  }
}

type TellOfNode = NodeEvent extends infer E
  ? E extends { node: NodeDescription } ? Omit<E, "at"> : never
  : never;

/** Turns topics into events. */
function translate(
  host: Host,
  stateOf: (id: string) => NodeState | undefined,
  emit: Emit,
): Disposable {
  const undo = new DisposableStack();
  const at = () => host.wallTime();
  const presence = new Presence((event) => emit({ at: at(), ...event }));
  undo.use(host.on(peerUp, (node) => {
    if (stateOf(node.id) === undefined) presence.came(node);
  }));
  undo.use(host.on(peerDown, ({ peer, reason, left }) => {
    if (stateOf(peer.id) === undefined) presence.went(peer, reason, left);
  }));
  undo.use(host.on(memberEvent, ({ type, member }) => {
    if (member.node === undefined) return;
    const node: NodeDescription = { ...member.node, id: member.id, generation: 0 };
    if (type === "joined") presence.came(node);
    else if (type === "left") presence.went(node, "it left", true);
    else if (type === "failed") presence.went(node, "gossip declared it dead", false);
    else if (type === "recovered") presence.recovered(node);
    else if (type === "suspected") emit({ at: at(), type: "node_suspected", node });
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

  /**
   * Listens from now on.
   * @param stateOf what membership says of a node. Default: there is no membership.
   */
  constructor(host: Host, stateOf: (id: string) => NodeState | undefined = () => undefined) {
    this.#host = host;
    this.#topics = translate(host, stateOf, (event) => {
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
