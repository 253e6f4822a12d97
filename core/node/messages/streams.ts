/**
 * Messages as a stream, for a program that would rather pull than be called.
 *
 * The stream is the handler of its name until it ends, and holds a bounded
 * number of messages; one that falls behind loses the oldest and is told so.
 * It cannot answer: a request of its name is answered with nothing.
 */
import type { NamedHandler } from "../../contracts/messenger.ts";
import type { Principal } from "@mycnet/protocols/identity";
import type { Priority } from "@mycnet/protocols/frame";
import { BoundedQueue, type ReaderOptions } from "../bounded_queue.ts";

/** A message, or how many were lost because they were not read in time. */
export type ReceivedMessage =
  | {
    readonly type: "message";
    /** The name it was sent under. */
    readonly name: string;
    readonly bytes: Uint8Array<ArrayBuffer>;
    /** The node that sent it, from the handshake. */
    readonly from: Principal;
    readonly priority: Priority;
  }
  | { readonly type: "lagged"; readonly dropped: number };

/** The streams of one node. */
export class MessageStreams implements Disposable {
  readonly #open = new Set<BoundedQueue<ReceivedMessage>>();

  /**
   * Receives from now on.
   * @param handle registers the handler that it is given.
   */
  receive(
    handle: (handler: NamedHandler) => AsyncDisposable,
    options: ReaderOptions = {},
  ): AsyncIterableIterator<ReceivedMessage> {
    const undo = new AsyncDisposableStack();
    const queue = new BoundedQueue<ReceivedMessage>(
      options,
      (dropped) => ({ type: "lagged", dropped }),
      () => {
        this.#open.delete(queue);
        void undo.disposeAsync(); // Giving a name back neither waits nor fails.
      },
    );
    if (queue.ended) return queue.read();
    undo.use(
      handle((bytes, { name, from, priority }) =>
        queue.push({ type: "message", name, bytes, from, priority })
      ),
    );
    this.#open.add(queue);
    return queue.read();
  }

  /** Ends every stream; what has come is still read. */
  [Symbol.dispose](): void {
    for (const queue of [...this.#open]) queue.end();
  }
}
