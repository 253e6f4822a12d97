/**
 * Messages by name between nodes.
 *
 * A name resolves to a frame type and, for `custom.` names, a route. Sending
 * finds the best link to the node, or has one dialled; when the link is full the
 * sender waits for room (or fails with `overloaded`), so that backpressure
 * reaches whoever causes it. A request is an exchange of the link with a
 * deadline of its own; answer, failure, reset, lost link, deadline and the
 * caller's signal each end it, the first one wins. Nothing is ever sent twice.
 *
 * On the way in a handler runs once a message. What it throws becomes a failure:
 * with its code if it has one of the table, else as `internal`, the details
 * staying in this node's log. Requests are bounded by the link (exchanges);
 * messages without an answer by a count of those being handled.
 */
import type {
  Messenger,
  NamedHandler,
  Reply,
  RequestOptions,
  SendOptions,
} from "../../contracts/messenger.ts";
import type { MessageHandler, PeerLink, Peers } from "../../contracts/peers.ts";
import { parseDuration } from "../../kernel/duration.ts";
import { codeOf, type ErrorCode, errorCodes, MycnetError } from "../../kernel/errors.ts";
import type { Host } from "../../kernel/host.ts";
import { messageTypeName, type ResolvedType, resolveMessageType } from "@mycnet/protocols/frame";
import { Bag } from "../bag.ts";
import { Deadlines } from "../deadlines.ts";
import { copyOf } from "../slab.ts";
import { completions } from "./completions.ts";
import { PendingRequest } from "./request.ts";
import { Serving } from "./serving.ts";

/** How long a request may take when nobody says, in ms. */
const defaultTimeoutMs = 5000;
/** The longest time left that a frame can carry, in ms. */
const maxDeadlineMs = 2 ** 32 - 1;
/** Messages without an answer that may be in their handlers at once; more are dropped and counted. */
const maxHandled = 10_000;
/** Types below are the link's own. */
const firstMessageType = 0x0100;
/** Names whose meaning is remembered. */
const maxNames = 1000;
/** Links that are tried when each breaks before anything was queued on it. */
const linkAttempts = 3;

/** A quorum that was not reached, with what did arrive. */
export class NoQuorumError extends MycnetError {
  /** The replies until then, good and bad. */
  readonly replies: readonly Reply[];

  /** Makes one. */
  constructor(message: string, replies: readonly Reply[]) {
    super("no_quorum", message);
    this.replies = replies;
  }
}

/** The messenger of one node. */
export class NodeMessenger implements Messenger, Disposable {
  readonly #host: Host;
  readonly #peers: Peers;
  readonly #deadlines: Deadlines;
  readonly #handlers = new Map<string, NamedHandler>();
  readonly #types = new Map<number, { registration: Disposable; names: number }>();
  readonly #names = new Map<string, ResolvedType>();
  readonly #serving = new Bag<Serving>();
  readonly #done = (serving: Serving) => this.#serving.delete(serving);
  readonly #stop = new AbortController();
  #messagesHandled = 0;
  #dropped = 0;
  #failed = 0;
  readonly #countFailure = () => void this.#failed++;

  /** Handles nothing at first. */
  constructor(host: Host, peers: Peers) {
    this.#host = host;
    this.#peers = peers;
    this.#deadlines = new Deadlines(host);
  }

  async send(
    node: string,
    name: string,
    bytes: Uint8Array,
    options: SendOptions = {},
  ): Promise<void> {
    try {
      const { type, route } = this.#resolve(name);
      const link = this.#roomyLink(node, options.signal) ?? await this.#findLink(node, options);
      link.send(type, { route, priority: options.priority }, bytes);
    } catch (error) {
      this.#failed++;
      throw error;
    }
  }

  async request(
    node: string,
    name: string,
    bytes: Uint8Array,
    options: RequestOptions = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    let resolved: ResolvedType;
    let link: PeerLink;
    let leftMs: number;
    try {
      resolved = this.#resolve(name);
      leftMs = options.timeout === undefined
        ? defaultTimeoutMs
        : parseDuration(options.timeout, "timeout");
      const roomy = this.#roomyLink(node, options.signal);
      if (roomy === undefined) {
        const startMs = this.#host.now();
        link = await this.#findLinkWithin(node, leftMs, options);
        leftMs -= this.#host.now() - startMs;
      } else link = roomy;
    } catch (error) {
      this.#failed++;
      throw error;
    }
    return await this.#ask(link, resolved, name, bytes, leftMs, options);
  }

  async broadcast(
    name: string,
    bytes: Uint8Array,
    options: SendOptions = {},
  ): Promise<{ readonly sent: number; readonly failed: readonly Reply[] }> {
    this.#resolve(name);
    const failed: Reply[] = [];
    const sends = this.#peers.links().map(async ({ peer: { id } }) => {
      try {
        await this.send(id, name, bytes, options);
      } catch (error) {
        failed.push({ node: id, ok: false, error: withCode(error) });
      }
    });
    await Promise.all(sends);
    return { sent: sends.length - failed.length, failed };
  }

  async *scatter(
    name: string,
    bytes: Uint8Array,
    options: RequestOptions & { readonly nodes?: readonly string[] } = {},
  ): AsyncIterable<Reply> {
    this.#resolve(name);
    const nodes = new Set(options.nodes ?? this.#peers.links().map(({ peer }) => peer.id));
    const rest = new AbortController();
    const signal = options.signal === undefined
      ? rest.signal
      : AbortSignal.any([rest.signal, options.signal]);
    try {
      yield* completions(
        [...nodes].map((node) =>
          this.request(node, name, bytes, { ...options, signal }).then(
            (bytes): Reply => ({ node, ok: true, bytes }),
            (error): Reply => ({ node, ok: false, error: withCode(error) }),
          )
        ),
      );
    } finally {
      // Whoever breaks out of the loop wants none of the others.
      rest.abort();
    }
  }

  async quorum(
    name: string,
    bytes: Uint8Array,
    options: RequestOptions & { readonly nodes: readonly string[]; readonly need: number },
  ): Promise<readonly Reply[]> {
    const { need } = options;
    if (!Number.isInteger(need) || need < 0) {
      throw new MycnetError("invalid_argument", `need is ${need}; a number of nodes is expected`);
    }
    const all = new Set(options.nodes).size;
    const replies: Reply[] = [];
    const good: Reply[] = [];
    const outOfReach = () => all - replies.length + good.length < need;
    if (need === 0) return good;
    if (!outOfReach()) {
      for await (const reply of this.scatter(name, bytes, options)) {
        replies.push(reply);
        if (reply.ok) good.push(reply);
        if (good.length >= need) return good;
        if (outOfReach()) break;
      }
    }
    throw new NoQuorumError(
      `${need} good answers to "${name}" are out of reach: ${good.length} of ${all} nodes ` +
        `answered, ${replies.length - good.length} failed`,
      replies,
    );
  }

  handle(name: string, handler: NamedHandler): Disposable {
    const { type, route } = this.#resolve(name);
    const canonical = messageTypeName(type, route);
    if (this.#handlers.has(canonical)) {
      throw new MycnetError("duplicate_handler", `"${name}" has a handler already`);
    }
    this.#register(type);
    this.#handlers.set(canonical, handler);
    let registered = true;
    return {
      [Symbol.dispose]: () => {
        if (!registered) return;
        registered = false;
        this.#handlers.delete(canonical);
        this.#unregister(type);
      },
    };
  }

  /** Requests that were made and failed, and messages that could not be sent or handled. */
  metrics(): Readonly<Record<string, number>> {
    return { failed_sends: this.#failed, messages_dropped: this.#dropped };
  }

  /** Fails what waits, aborts what is being handled, handles no more. */
  [Symbol.dispose](): void {
    this.#stop.abort(new MycnetError("closed", "the node is stopping"));
    for (const serving of this.#serving) serving.stop();
    for (const { registration } of this.#types.values()) registration[Symbol.dispose]();
    this.#types.clear();
    this.#handlers.clear();
    this.#deadlines[Symbol.dispose]();
  }

  #ask(
    link: PeerLink,
    { type, route }: ResolvedType,
    name: string,
    bytes: Uint8Array,
    leftMs: number,
    { priority, signal }: RequestOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return new Promise((resolve, reject) => {
      const pending = new PendingRequest(name, link.peer.id, resolve, reject, this.#countFailure);
      const deadlineMs = Math.min(maxDeadlineMs, Math.max(1, Math.ceil(leftMs)));
      try {
        const exchange = link.open(type, { route, priority, deadlineMs }, bytes, false, pending);
        pending.opened(exchange, this.#deadlines.add(leftMs, () => pending.expire()), signal);
      } catch (error) {
        this.#failed++;
        reject(error);
      }
    });
  }

  /** The usable link that has room now, if there is one: what a healthy cluster always finds. */
  #roomyLink(node: string, signal: AbortSignal | undefined): PeerLink | undefined {
    if (this.#stop.signal.aborted) throw this.#stop.signal.reason;
    if (signal?.aborted) throw abortedError(signal);
    const link = this.#peers.link(node);
    return link === undefined || link.full ? undefined : link;
  }

  async #findLinkWithin(
    node: string,
    timeoutMs: number,
    options: SendOptions,
  ): Promise<PeerLink> {
    const late = new AbortController();
    const deadline = this.#deadlines.add(timeoutMs, () => {
      const message = `node "${node}" had no link with room in time`;
      late.abort(new MycnetError("deadline_exceeded", message));
    });
    try {
      return await this.#findLink(node, options, late.signal);
    } finally {
      deadline.cancel();
    }
  }

  /** A usable link with room: dials if there is none, waits while it is full. */
  async #findLink(node: string, options: SendOptions, late?: AbortSignal): Promise<PeerLink> {
    const signals = [this.#stop.signal, options.signal, late].filter((it) => it !== undefined);
    const signal = signals.length === 1 ? signals[0] : AbortSignal.any(signals);
    for (let attempt = 1;; attempt++) {
      try {
        const link = this.#peers.link(node) ?? await this.#peers.connect(node, { signal });
        if (!link.full) return link;
        if (options.wait === false) {
          throw new MycnetError("overloaded", `the link to node "${node}" is full`);
        }
        await link.writable(signal);
        if (link.usable && !link.full) return link;
      } catch (error) {
        if (options.signal?.aborted) throw abortedError(options.signal);
        signal.throwIfAborted();
        // Nothing was sent yet, so another link is as good.
        if (codeOf(error) !== "unavailable" || attempt >= linkAttempts) throw error;
      }
    }
  }

  /** What a name means on the wire; remembered, since the same few are used all the time. */
  #resolve(name: string): ResolvedType {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    const resolved = resolveMessageType(name);
    if (resolved === undefined || resolved.type < firstMessageType) {
      throw new MycnetError(
        "invalid_argument",
        `"${name}" is no message name; use "custom.${name}", or a name of the registry`,
      );
    }
    if (this.#names.size < maxNames) this.#names.set(name, resolved);
    return resolved;
  }

  #register(type: number): void {
    const known = this.#types.get(type);
    if (known !== undefined) {
      known.names++;
      return;
    }
    this.#types.set(type, {
      registration: this.#peers.handle(type, this.#incoming(type)),
      names: 1,
    });
  }

  #unregister(type: number): void {
    const known = this.#types.get(type);
    if (known === undefined || --known.names > 0) return;
    this.#types.delete(type);
    known.registration[Symbol.dispose]();
  }

  #incoming(type: number): MessageHandler {
    const setup = { log: this.#host.log, deadlines: this.#deadlines, done: this.#done };
    return {
      message: (link, fields, body) => {
        const name = messageTypeName(type, fields.route);
        const handler = this.#handlers.get(name);
        if (handler === undefined || this.#messagesHandled >= maxHandled) {
          this.#dropped++;
          return;
        }
        this.#messagesHandled++;
        const done = (serving: Serving) => {
          this.#messagesHandled--;
          this.#done(serving);
        };
        const serving = new Serving({ ...setup, done }, link, name, fields, undefined);
        this.#serving.add(serving);
        serving.run(handler, copyOf(body));
      },
      request: (exchange, fields, body, upload) => {
        const name = messageTypeName(type, fields.route);
        const handler = this.#handlers.get(name);
        if (handler === undefined || upload) {
          exchange.reset(
            "unhandled",
            upload ? `"${name}" takes no items` : `nothing handles "${name}" here`,
          );
          return undefined;
        }
        const serving = new Serving(setup, exchange.link, name, fields, exchange);
        this.#serving.add(serving);
        serving.run(handler, copyOf(body));
        return serving.over ? undefined : serving;
      },
    };
  }
}

function abortedError(signal: AbortSignal): MycnetError {
  return new MycnetError("aborted", "the caller's signal aborted", { cause: signal.reason });
}

/** Any error as one that has a code. */
function withCode(error: unknown): Error & { readonly code: ErrorCode } {
  const code = codeOf(error);
  if (error instanceof Error && code !== undefined && Object.hasOwn(errorCodes, code)) {
    return error as Error & { readonly code: ErrorCode };
  }
  return new MycnetError("internal", String(error), { cause: error });
}
