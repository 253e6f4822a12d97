/**
 * Byte streams between nodes: the transfers of one node, both ways.
 *
 * Each transfer is one exchange of the frame type `bulk.data` (wire.ts) on a link that is apart
 * from the others where the peer has several. outgoing.ts and incoming.ts are its two ends. This
 * one finds the link, knows who handles which name, keeps transfers within their bound, and at
 * intervals asks each whether it moved: a transfer that stands still for the idle timeout because
 * of the other side is given up, since it holds a window of memory.
 */
import type {
  Bulk,
  BulkHandler,
  BulkOptions,
  BulkResult,
  BulkSource,
} from "../../contracts/bulk.ts";
import type { IncomingExchange, IncomingHandlers, PeerLink, Peers } from "../../contracts/peers.ts";
import { MycnetError } from "../../kernel/errors.ts";
import type { Host, Timer } from "../../kernel/host.ts";
import { type MessageFields, messageTypes } from "@mycnet/protocols/frame";
import { IncomingTransfer } from "./incoming.ts";
import { OutgoingTransfer } from "./outgoing.ts";
import { decodeHead, encodeFailure, encodeHead, maxNameBytes } from "./wire.ts";

/** Bounds of a node's transfers. */
export interface BulkConfig {
  /** A transfer that did not move for so long is given up, in ms (and up to a quarter longer). Default 30 s. */
  readonly idleTimeout: number;
  /** Transfers under way, each way; more are refused as overloaded. Default 64. */
  readonly maxTransfers: number;
}

const type = messageTypes["bulk.data"];
/** How many looks an idle timeout has. */
const ticks = 4;
const utf8 = new TextEncoder();

/** The transfers of one node. */
export class NodeBulk implements Bulk, Disposable {
  readonly #host: Host;
  readonly #peers: Peers;
  readonly #config: () => BulkConfig;
  readonly #handlers = new Map<string, BulkHandler>();
  readonly #outgoing = new Set<OutgoingTransfer>();
  readonly #incoming = new Set<IncomingTransfer>();
  readonly #stop = new AbortController();
  readonly #registration: Disposable;
  /** Sends that have no link yet: they count as transfers. */
  #linking = 0;
  #ticker: Timer | undefined;
  #sentBytes = 0;
  #receivedBytes = 0;
  #completed = 0;
  #failed = 0;

  /** Handles nothing at first. */
  constructor(host: Host, peers: Peers, config: () => BulkConfig) {
    this.#host = host;
    this.#peers = peers;
    this.#config = config;
    this.#registration = peers.handle(type, {
      request: (exchange, fields, body, upload) => this.#request(exchange, fields, body, upload),
    });
  }

  async send(
    node: string,
    name: string,
    source: BulkSource,
    options: BulkOptions = {},
  ): Promise<BulkResult> {
    checkName(name);
    const { total, metadata = {}, sha256 = false, priority = "low" } = options;
    const head = encodeHead({ total, metadata, sha256 });
    const { maxTransfers } = this.#config();
    if (this.#outgoing.size + this.#linking >= maxTransfers) {
      throw new MycnetError("overloaded", `${maxTransfers} transfers go out already`);
    }
    this.#linking++;
    let link: PeerLink;
    try {
      link = await this.#link(node, options.signal);
    } finally {
      this.#linking--;
    }
    const transfer = new OutgoingTransfer({
      host: this.#host,
      node: link.peer.id,
      name,
      source,
      options,
      sent: (bytes) => void (this.#sentBytes += bytes),
      done: (it) => void this.#outgoing.delete(it),
    });
    this.#outgoing.add(transfer);
    try {
      transfer.begin(link.open(type, { route: name, priority }, head, true, transfer));
    } catch (error) {
      this.#outgoing.delete(transfer);
      this.#failed++;
      throw error;
    }
    this.#watch();
    try {
      const result = await transfer.result;
      this.#completed++;
      return result;
    } catch (error) {
      this.#failed++;
      throw error;
    }
  }

  handle(name: string, handler: BulkHandler): Disposable {
    checkName(name);
    if (this.#handlers.has(name)) {
      throw new MycnetError("duplicate_handler", `transfers of "${name}" have a handler already`);
    }
    this.#handlers.set(name, handler);
    return {
      [Symbol.dispose]: () => {
        if (this.#handlers.get(name) === handler) this.#handlers.delete(name);
      },
    };
  }

  /** What transfers have come to; `bulk_active` alone rises and falls. */
  metrics(): Readonly<Record<string, number>> {
    return {
      bulk_bytes_sent: this.#sentBytes,
      bulk_bytes_received: this.#receivedBytes,
      bulk_completed: this.#completed,
      bulk_failed: this.#failed,
      bulk_active: this.#outgoing.size + this.#incoming.size,
    };
  }

  /** Gives up every transfer and takes no more. */
  [Symbol.dispose](): void {
    this.#stop.abort(new MycnetError("closed", "this node is stopping or reloading"));
    this.#registration[Symbol.dispose]();
    for (const transfer of [...this.#outgoing, ...this.#incoming]) transfer.stop();
    this.#ticker?.[Symbol.dispose]();
    this.#ticker = undefined;
  }

  /** A link for bytes, with room. */
  async #link(node: string, given: AbortSignal | undefined): Promise<PeerLink> {
    const stop = this.#stop.signal;
    const signal = given === undefined ? stop : AbortSignal.any([stop, given]);
    try {
      signal.throwIfAborted();
      const link = await this.#peers.connect(node, { use: "bulk", signal });
      if (link.full) await link.writable(signal);
      signal.throwIfAborted();
      return link;
    } catch (error) {
      this.#failed++;
      stop.throwIfAborted();
      if (!given?.aborted) throw error;
      throw new MycnetError("aborted", "the caller's signal aborted", { cause: given.reason });
    }
  }

  #request(
    exchange: IncomingExchange,
    { route = "" }: MessageFields,
    body: Uint8Array,
    upload: boolean,
  ): IncomingHandlers | undefined {
    const handler = this.#handlers.get(route);
    const { maxTransfers } = this.#config();
    const head = upload ? decodeHead(body) : undefined;
    const refusal = handler === undefined
      ? new MycnetError("unhandled", `nothing takes transfers of "${route}" here`)
      : this.#incoming.size >= maxTransfers
      ? new MycnetError("overloaded", `${maxTransfers} transfers come in already`)
      : head === undefined
      ? new MycnetError("invalid_argument", "the head of the transfer cannot be read")
      : undefined;
    if (handler === undefined || head === undefined || refusal !== undefined) {
      exchange.fail(encodeFailure(refusal, route));
      return undefined;
    }
    const transfer = new IncomingTransfer({
      log: this.#host.log,
      exchange,
      name: route,
      head,
      turn: () => this.#host.barrier(),
      received: (bytes) => void (this.#receivedBytes += bytes),
      done: (it, error) => {
        if (error === undefined) this.#completed++;
        else this.#failed++;
        this.#incoming.delete(it);
      },
    });
    this.#incoming.add(transfer);
    this.#watch();
    transfer.run(handler);
    return transfer.over ? undefined : transfer;
  }

  /** Looks after the transfers for as long as there are any. */
  #watch(): void {
    this.#ticker ??= this.#host.every(Math.max(1, this.#config().idleTimeout / ticks), () => {
      if (this.#outgoing.size + this.#incoming.size === 0) {
        this.#ticker?.[Symbol.dispose]();
        this.#ticker = undefined;
        return;
      }
      for (const transfer of [...this.#outgoing, ...this.#incoming]) transfer.idle(ticks);
    });
  }
}

function checkName(name: string): void {
  const { length } = utf8.encode(name);
  if (length >= 1 && length <= maxNameBytes) return;
  throw new MycnetError(
    "invalid_argument",
    `name: ${length} bytes; 1 to ${maxNameBytes} are expected`,
  );
}
