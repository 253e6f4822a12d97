/**
 * The messages of a node as the program that embeds it sends and handles them.
 *
 * Each verb takes either a name and bytes, which pass through unseen, or a
 * definition and a value (define.ts, registry.ts), which is checked and encoded
 * on the way. Either way it is the same message on the wire.
 */
import type {
  Messenger,
  NamedHandler,
  Reply,
  RequestOptions,
  SendOptions,
} from "../../contracts/messenger.ts";
import type { ReaderOptions } from "../bounded_queue.ts";
import type { Program } from "../program.ts";
import type {
  MessageDefinition,
  MessageHandlerOf,
  MessageValue,
  ReceivedReply,
  RequestDefinition,
} from "./define.ts";
import { MessageStreams, type ReceivedMessage } from "./streams.ts";
import { bytesHandler, checkAskable, replyOf, toBytes } from "./typed.ts";

/** To how many a broadcast went, and who failed. */
export type BroadcastResult = Awaited<ReturnType<Messenger["broadcast"]>>;

/** See the head of this file. */
export abstract class NodeMessages {
  readonly #program: Program;
  readonly #streams = new MessageStreams();

  /** Made by createNode. */
  constructor(program: Program) {
    this.#program = program;
  }

  /** Handles messages of a name (one of the registry, or `custom.<anything>`) until disposed. */
  handle(name: string, handler: NamedHandler): AsyncDisposable;
  /**
   * Handles messages of a kind until disposed. What its schema refuses does not reach the handler:
   * it is counted, and answered with `invalid_argument` if it is a request.
   *
   * @example
   * ```ts
   * import { createNode, messages } from "@mycnet/runtime";
   *
   * await using node = await createNode({
   *   config: false,
   *   node: { id: "solo" },
   *   plugins: { identity: { insecure: true }, tls: false, admin: false, "http-gateway": false },
   * });
   * node.handle(messages.query, ({ id, sql, priority }, context) => {
   *   console.log(`${context.from.id} asks ${sql} (${priority})`);
   *   return { id, result: new Uint8Array(0) };
   * });
   * ```
   */
  handle<D extends MessageDefinition>(message: D, handler: MessageHandlerOf<D>): AsyncDisposable;
  handle(
    message: string | MessageDefinition,
    handler: NamedHandler | MessageHandlerOf<MessageDefinition>,
  ): AsyncDisposable {
    if (typeof message === "string") {
      return this.#program.add(({ messenger }) => messenger.handle(message, handler));
    }
    const refused = () => void this.#program.invalidMessages++;
    const typed = bytesHandler(message, handler as MessageHandlerOf<MessageDefinition>, refused);
    return this.#program.add(({ messenger }) => messenger.handle(message.name, typed));
  }

  /**
   * The messages of a name as a stream, from now on: their handler until the stream ends. Drops the
   * oldest when not read, and says so with a `lagged` value.
   * @throws `duplicate_handler` if the name has a handler already.
   */
  messages(name: string, options?: ReaderOptions): AsyncIterableIterator<ReceivedMessage> {
    return this.#streams.receive((handler) => this.handle(name, handler), options);
  }

  /** See {@linkcode Messenger.send}. */
  send(node: string, name: string, bytes: Uint8Array, options?: SendOptions): Promise<void>;
  /** The same for a message of a kind. @throws `invalid_argument`, naming the field that is wrong. */
  send<D extends MessageDefinition>(
    node: string,
    message: D,
    value: MessageValue<D>,
    options?: SendOptions,
  ): Promise<void>;
  send(
    node: string,
    message: string | MessageDefinition,
    value: unknown,
    options?: SendOptions,
  ): Promise<void> {
    if (typeof message !== "string") return this.#sendTyped(node, message, value, options);
    // Not async: for the most frequent message, a promise around a promise can be felt.
    try {
      return this.#program.layers.messenger.send(node, message, value as Uint8Array, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** See {@linkcode Messenger.request}. */
  request(
    node: string,
    name: string,
    bytes: Uint8Array,
    options?: RequestOptions,
  ): Promise<Uint8Array<ArrayBuffer>>;
  /** The same for a message of a kind that has a reply. @throws `invalid_argument`, naming the field that is wrong. */
  request<D extends RequestDefinition>(
    node: string,
    message: D,
    value: MessageValue<D>,
    options?: RequestOptions,
  ): Promise<ReceivedReply<D>>;
  request(
    node: string,
    message: string | RequestDefinition,
    value: unknown,
    options?: RequestOptions,
  ): Promise<unknown> {
    if (typeof message !== "string") return this.#ask(node, message, value, options);
    // Not async: for the most frequent call, a promise around a promise can be felt.
    try {
      return this.#program.layers.messenger.request(node, message, value as Uint8Array, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** See {@linkcode Messenger.broadcast}. */
  broadcast(name: string, bytes: Uint8Array, options?: SendOptions): Promise<BroadcastResult>;
  /** The same for a message of a kind. @throws `invalid_argument`, naming the field that is wrong. */
  broadcast<D extends MessageDefinition>(
    message: D,
    value: MessageValue<D>,
    options?: SendOptions,
  ): Promise<BroadcastResult>;
  async broadcast(
    message: string | MessageDefinition,
    value: unknown,
    options?: SendOptions,
  ): Promise<BroadcastResult> {
    const named = typeof message === "string";
    const bytes = named ? value as Uint8Array : await toBytes(message, value);
    const { messenger } = this.#program.layers;
    return await messenger.broadcast(named ? message : message.name, bytes, options);
  }

  /** See {@linkcode Messenger.scatter}. */
  scatter(...args: Parameters<Messenger["scatter"]>): ReturnType<Messenger["scatter"]> {
    return this.#program.layers.messenger.scatter(...args);
  }

  /** See {@linkcode Messenger.quorum}. */
  async quorum(...args: Parameters<Messenger["quorum"]>): Promise<readonly Reply[]> {
    return await this.#program.layers.messenger.quorum(...args);
  }

  /** Ends the streams of messages; what has come is still read. */
  protected endMessages(): void {
    this.#streams[Symbol.dispose]();
  }

  async #sendTyped(
    node: string,
    message: MessageDefinition,
    value: unknown,
    options?: SendOptions,
  ): Promise<void> {
    const bytes = await toBytes(message, value);
    await this.#program.layers.messenger.send(node, message.name, bytes, options);
  }

  async #ask(
    node: string,
    message: RequestDefinition,
    value: unknown,
    options: RequestOptions | undefined,
  ): Promise<unknown> {
    checkAskable(message);
    const bytes = await toBytes(message, value);
    const { messenger } = this.#program.layers;
    return await replyOf(message, await messenger.request(node, message.name, bytes, options));
  }
}
