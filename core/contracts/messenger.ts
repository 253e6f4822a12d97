/**
 * Messages by name between nodes: the layer under services for whoever wants
 * bytes. A name is one of the registry (protocols/frame) or `custom.<anything>`.
 */
import { type Capability, capability } from "../kernel/plugin.ts";
import type { Principal } from "@mycnet/protocols/identity";
import type { Priority } from "@mycnet/protocols/frame";
import type { ReliabilityLevel } from "@mycnet/protocols/negotiation";
import type { SqlDatabase } from "./databases.ts";

/** What a message handler learns besides the bytes. */
export interface MessageContext {
  /** The node that sent it, from the handshake. */
  readonly from: Principal;
  /** The name it was sent under. */
  readonly name: string;
  /** In whose place of the queue it stood when sent. */
  readonly priority: Priority;
  /** Aborts when the sender gives up, the deadline passes or this node stops. */
  readonly signal: AbortSignal;
  /** Milliseconds left when it arrived; undefined without a deadline. */
  readonly timeLeftMs: number | undefined;
  /** What the message was promised; `best-effort` for a request, whose answer is its acknowledgement. */
  readonly reliability: ReliabilityLevel;
  /** True if the sender sent it before: this node may have handled it already. Never true for `best-effort`. */
  readonly redelivered: boolean;
  /**
   * For a `guaranteed` message: runs `work` in a transaction of this node's delivery database, in
   * which the message is also noted as handled. So what `work` writes there happens exactly once,
   * however often the message arrives and whoever is killed when. Synchronous, since the
   * transaction holds the database; at most once for each message.
   * @throws with code `invalid_argument` for a message that is not `guaranteed`; what `work` throws
   * rolls back, and the message is handled again later.
   */
  transaction<T>(work: (database: SqlDatabase) => T): T;
}

/** Handles a message. What it returns answers a request; a message without an answer ignores it. The bytes are the handler's to keep; small ones share a buffer that cannot be transferred, so transfer a copy. */
export type NamedHandler = (
  bytes: Uint8Array<ArrayBuffer>,
  context: MessageContext,
) => Uint8Array | void | Promise<Uint8Array | void>;

/** Options of a send. */
export interface SendOptions {
  /**
   * What the message is promised. Default: what is in force on the link.
   *
   * `best-effort`: at most once; resolves when the link has taken it.
   * `high`: acknowledged, sent again up to 3 times, handled once by one start of the receiver;
   * resolves when the receiver's handler was called; rejects with `unhandled` if it has none for the
   * name, with `undelivered` if it did not acknowledge, in which case it may have been handled.
   * The bytes must not be changed until the promise settles.
   * `guaranteed`: resolves when it is on disk here (`plugins.delivery`, node.stateDir), and is sent
   * from then on until the receiver has handled it, over restarts of both. At most 1 MiB.
   *
   * Messages of one priority and one of the last two levels to one node are handed to their
   * handlers in the order in which they were sent. Guaranteed ones are handled one after the other:
   * one whose handler fails, or has not been registered yet, is tried again, ever more seldom, and
   * those behind it wait. What may be handled out of turn goes under another priority.
   */
  readonly reliability?: ReliabilityLevel;
  /** Default `"normal"`. */
  readonly priority?: Priority;
  /** Aborting it gives the work up. */
  readonly signal?: AbortSignal;
  /** False: fail with `overloaded` instead of waiting for room. Default true. */
  readonly wait?: boolean;
}

/** Options of a request. */
export interface RequestOptions extends SendOptions {
  /** `"5s"`, `"100ms"` or milliseconds. Default 5 s. */
  readonly timeout?: number | string;
  /**
   * Names this request: 1 to 64 bytes of UTF-8, of one's own choosing. While the node that is
   * asked runs, and within its bounds (`plugins.messenger`), the same request (caller, name, key
   * and bytes) does not reach its handler again but gets the first one's answer. So one that
   * failed as `link_lost` may be asked again without running twice. Other bytes under the same key
   * are an `invalid_argument`; an answer that is not kept any more is `answer_gone`.
   */
  readonly idempotencyKey?: string;
}

/** One node's part in a scatter. */
export type Reply =
  | { readonly node: string; readonly ok: true; readonly bytes: Uint8Array<ArrayBuffer> }
  | {
    readonly node: string;
    readonly ok: false;
    readonly error: Error & { readonly code: string };
  };

/** Sends messages and requests. Errors carry `code` as services' do (see errors.ts in core/kernel). */
export interface Messenger {
  /** Sends with the promise that `options.reliability` names. */
  send(node: string, name: string, bytes: Uint8Array, options?: SendOptions): Promise<void>;
  /** Sends and awaits the one answer. Never retried by itself; see `idempotencyKey`. */
  request(
    node: string,
    name: string,
    bytes: Uint8Array,
    options?: RequestOptions,
  ): Promise<Uint8Array<ArrayBuffer>>;
  /** Sends to every linked peer; tells to how many, and who failed. */
  broadcast(
    name: string,
    bytes: Uint8Array,
    options?: SendOptions,
  ): Promise<{ readonly sent: number; readonly failed: readonly Reply[] }>;
  /** Asks each of `nodes` (default: every linked peer) and yields replies as they come; each node replies once. */
  scatter(
    name: string,
    bytes: Uint8Array,
    options?: RequestOptions & { readonly nodes?: readonly string[] },
  ): AsyncIterable<Reply>;
  /** Asks all of `nodes` and resolves with the first `need` good answers; rejects with code `no_quorum` as soon as that is out of reach. */
  quorum(
    name: string,
    bytes: Uint8Array,
    options: RequestOptions & { readonly nodes: readonly string[]; readonly need: number },
  ): Promise<readonly Reply[]>;
  /** Registers the handler of a name; one a name. */
  handle(name: string, handler: NamedHandler): Disposable;
}

/** The capability token of {@linkcode Messenger}. */
export const messenger: Capability<Messenger> = capability("messenger");
