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
 * On the way in (incoming.ts, serving.ts) a handler runs once a message. What it
 * throws becomes a failure: with its code if it has one of the table, else as
 * `internal`, the details staying in this node's log.
 */
import type {
  Messenger,
  NamedHandler,
  Reply,
  RequestOptions,
  SendOptions,
} from "../../contracts/messenger.ts";
import type { PeerLink, Peers } from "../../contracts/peers.ts";
import { parseDuration } from "../../kernel/duration.ts";
import { codeOf, type ErrorCode, errorCodes, MycnetError } from "../../kernel/errors.ts";
import type { Host } from "../../kernel/host.ts";
import { type ResolvedType, resolveMessageType } from "@mycnet/protocols/frame";
import { Deadlines } from "../deadlines.ts";
import { completions } from "./completions.ts";
import { Incoming } from "./incoming.ts";
import { PendingRequest } from "./request.ts";

/** How long a request may take when nobody says, in ms. */
const defaultTimeoutMs = 5000;
/** The longest time left that a frame can carry, in ms. */
const maxDeadlineMs = 2 ** 32 - 1;
/** Types below are the link's own. */
const firstMessageType = 0x0100;
/** Names whose meaning is remembered. */
const maxNames = 1000;
const noOptions: RequestOptions = Object.freeze({});
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
  readonly #incoming: Incoming;
  readonly #names = new Map<string, ResolvedType>();
  readonly #stop = new AbortController();
  #stopped = false;
  #failed = 0;
  readonly #countFailure = () => void this.#failed++;

  /** Handles nothing at first. */
  constructor(host: Host, peers: Peers) {
    this.#host = host;
    this.#peers = peers;
    this.#deadlines = new Deadlines(host);
    this.#incoming = new Incoming(peers, host.log, this.#deadlines);
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

  // Not async: what a healthy cluster does needs no promise but the answer's.
  request(
    node: string,
    name: string,
    bytes: Uint8Array,
    options: RequestOptions = noOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    try {
      const resolved = this.#resolve(name);
      const timeoutMs = options.timeout === undefined
        ? defaultTimeoutMs
        : parseDuration(options.timeout, "timeout");
      const link = this.#roomyLink(node, options.signal);
      return link === undefined
        ? this.#askLater(node, resolved, name, bytes, timeoutMs, options)
        : this.#ask(link, resolved, name, bytes, timeoutMs, options);
    } catch (error) {
      this.#failed++;
      return Promise.reject(error);
    }
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
    return this.#incoming.handle(this.#resolve(name), handler);
  }

  /** Requests that were made and failed, and messages that could not be sent or handled. */
  metrics(): Readonly<Record<string, number>> {
    return { failed_sends: this.#failed, messages_dropped: this.#incoming.dropped };
  }

  /** Fails what waits, aborts what is being handled, handles no more. */
  [Symbol.dispose](): void {
    this.#stopped = true;
    this.#stop.abort(new MycnetError("closed", "this node is stopping or reloading"));
    this.#incoming[Symbol.dispose]();
    this.#deadlines[Symbol.dispose]();
  }

  async #askLater(
    node: string,
    resolved: ResolvedType,
    name: string,
    bytes: Uint8Array,
    timeoutMs: number,
    options: RequestOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const startMs = this.#host.now();
    let link: PeerLink;
    try {
      link = await this.#findLinkWithin(node, timeoutMs, options);
    } catch (error) {
      this.#failed++;
      throw error;
    }
    const leftMs = timeoutMs - (this.#host.now() - startMs);
    return await this.#ask(link, resolved, name, bytes, leftMs, options);
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
    if (this.#stopped) throw this.#stop.signal.reason;
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
