/**
 * Messages by name between nodes.
 *
 * A name resolves to a frame type and, for `custom.` names, a route. Sending
 * finds the best link to the node, or has one dialled; when the link is full the
 * sender waits for room (or fails with `overloaded`), so that backpressure
 * reaches whoever causes it. A request is an exchange of the link with a
 * deadline of its own; answer, failure, reset, lost link, deadline and the
 * caller's signal each end it, the first one wins; a request is never sent twice.
 *
 * A message without an answer is handed to the link, or, where it is to be acknowledged
 * (so asked, or in force on the link), to the delivery, which sees it through.
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
import type { AcknowledgedLevel, Delivery } from "../../contracts/delivery.ts";
import type { PeerLink, Peers } from "../../contracts/peers.ts";
import { parseDuration } from "../../kernel/duration.ts";
import { codeOf, type ErrorCode, errorCodes, MycnetError } from "../../kernel/errors.ts";
import type { Host } from "../../kernel/host.ts";
import { type ResolvedType, resolveMessageType } from "@mycnet/protocols/frame";
import type { ReliabilityLevel } from "@mycnet/protocols/negotiation";
import { Deadlines } from "../deadlines.ts";
import { checkIdempotencyKey, type KeyedRequests, messageKeys } from "../keyed/mod.ts";
import { Tracing } from "../tracing/mod.ts";
import { completions } from "./completions.ts";
import { LinkFinder } from "./finder.ts";
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
/** What a message that was handed over at once resolves with. */
const sent = Promise.resolve();

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
  readonly #delivery: Delivery;
  readonly #tracing: Tracing;
  /** What is in force on links. */
  readonly #levels = new WeakMap<PeerLink, ReliabilityLevel>();
  readonly #deadlines: Deadlines;
  readonly #finder: LinkFinder;
  readonly #incoming: Incoming;
  readonly #names = new Map<string, ResolvedType>();
  readonly #stop = new AbortController();
  #failed = 0;
  readonly #countFailure = () => void this.#failed++;

  /** Handles nothing at first. */
  constructor(
    host: Host,
    peers: Peers,
    delivery: Delivery,
    tracing: Tracing = new Tracing(),
    keyed: KeyedRequests = messageKeys(host),
  ) {
    this.#host = host;
    this.#peers = peers;
    this.#delivery = delivery;
    this.#tracing = tracing;
    this.#deadlines = new Deadlines(host);
    this.#finder = new LinkFinder(peers, this.#deadlines, this.#stop.signal);
    this.#incoming = new Incoming(peers, delivery, host.log, this.#deadlines, tracing, keyed);
  }

  send(
    node: string,
    name: string,
    bytes: Uint8Array,
    options: SendOptions = noOptions,
  ): Promise<void> {
    try {
      const resolved = this.#resolve(name);
      checkBytes(bytes);
      this.#finder.check(options.signal);
      const link = this.#peers.link(node);
      const level = options.reliability ?? (link === undefined ? undefined : this.#levelOf(link));
      if (level === undefined || level === "best-effort" && (link === undefined || link.full)) {
        return this.#sendLater(node, resolved, bytes, options);
      }
      if (level !== "best-effort") return this.#deliver(node, level, resolved, bytes, options);
      this.#post(link!, resolved, bytes, options);
      return sent;
    } catch (error) {
      this.#failed++;
      return Promise.reject(error);
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
      checkBytes(bytes);
      const timeoutMs = options.timeout === undefined
        ? defaultTimeoutMs
        : parseDuration(options.timeout, "timeout");
      if (options.idempotencyKey !== undefined) checkIdempotencyKey(options.idempotencyKey);
      const link = this.#finder.roomy(node, options.signal);
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
    this.#stop.abort(new MycnetError("closed", "this node is stopping or reloading"));
    this.#incoming[Symbol.dispose]();
    this.#deadlines[Symbol.dispose]();
  }

  /** Sends once there is a link, and room where the message is not acknowledged. */
  async #sendLater(
    node: string,
    resolved: ResolvedType,
    bytes: Uint8Array,
    options: SendOptions,
  ): Promise<void> {
    let link: PeerLink;
    try {
      link = await this.#finder.find(node, options);
      const level = options.reliability ?? this.#levelOf(link);
      if (level === "best-effort") return this.#post(link, resolved, bytes, options);
    } catch (error) {
      this.#failed++;
      throw error;
    }
    const level = this.#levelOf(link) as AcknowledgedLevel;
    return await this.#deliver(node, level, resolved, bytes, options);
  }

  /** Hands a message to the link: all that best effort means. */
  #post(
    link: PeerLink,
    { type, route }: ResolvedType,
    bytes: Uint8Array,
    { priority }: SendOptions,
  ): void {
    link.send(type, { route, priority, trace: this.#tracing.outgoing() }, bytes);
  }

  #deliver(
    node: string,
    level: AcknowledgedLevel,
    { type, route }: ResolvedType,
    bytes: Uint8Array,
    options: SendOptions,
  ): Promise<void> {
    const fields = { route, trace: this.#tracing.outgoing() };
    return this.#delivery.send(node, level, type, fields, bytes, options);
  }

  #levelOf(link: PeerLink): ReliabilityLevel {
    let level = this.#levels.get(link);
    if (level === undefined) {
      level = link.info.profile.inForce.reliability;
      this.#levels.set(link, level);
    }
    return level;
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
      link = await this.#finder.findWithin(node, timeoutMs, options);
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
    { priority, signal, idempotencyKey }: RequestOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const peer = link.peer.id;
    const tracing = this.#tracing;
    const span = tracing.active
      ? tracing.begin({ kind: "client", service: "messenger", method: name, peer })
      : undefined;
    const trace = tracing.outgoing(span);
    return new Promise((resolve, reject) => {
      const pending = new PendingRequest(name, peer, resolve, reject, this.#countFailure, span);
      const deadlineMs = Math.min(maxDeadlineMs, Math.max(1, Math.ceil(leftMs)));
      try {
        const exchange = link.open(
          type,
          { route, priority, deadlineMs, trace, idempotencyKey },
          bytes,
          false,
          pending,
        );
        pending.opened(exchange, this.#deadlines.add(leftMs, () => pending.expire()), signal);
      } catch (error) {
        this.#failed++;
        span?.end(withCode(error));
        reject(error);
      }
    });
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

/** Any error as one that has a code. */
function withCode(error: unknown): Error & { readonly code: ErrorCode } {
  const code = codeOf(error);
  if (error instanceof Error && code !== undefined && Object.hasOwn(errorCodes, code)) {
    return error as Error & { readonly code: ErrorCode };
  }
  return new MycnetError("internal", String(error), { cause: error });
}

function checkBytes(bytes: Uint8Array): void {
  if (bytes instanceof Uint8Array) return;
  throw new MycnetError("invalid_argument", `bytes: a Uint8Array is expected, not ${typeof bytes}`);
}
