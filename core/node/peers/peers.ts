/**
 * The peers of a node: what turns transports into a network.
 *
 * Its parts, each a file: the address book (where nodes may be), the dialler
 * (from an address to a link), the keeper (links to seeds, for ever), the
 * connections (links within bounds), the table (who is known, which link
 * stays), the pool (links to a peer beyond its first) and the demands. This one
 * holds them together and is the contract's face: who sends to a node gets the
 * usable link that its table has for the use (peer.ts); without one, a demand
 * dials the addresses of the book a bounded number of rounds, shared by all who
 * wait, unless the node dials in first. A sweep closes what idles.
 */
import type {
  LinkUse,
  MessageHandler,
  PeerHint,
  PeerInfo,
  PeerLink,
  Peers,
} from "../../contracts/peers.ts";
import type { Connection } from "../../contracts/transport.ts";
import type { HealthReport } from "../../contracts/health.ts";
import { MycnetError } from "../../kernel/errors.ts";
import type { LinkCloseReason } from "@mycnet/protocols/link";
import type { Link } from "../links/mod.ts";
import { isAddress, parseAddress } from "./address.ts";
import { Backoff } from "./backoff.ts";
import { AddressBook } from "./book.ts";
import { Demands } from "./demands.ts";
import { Connections } from "./connections.ts";
import { Dialler } from "./dialler.ts";
import { Keeper } from "./keeper.ts";
import { linkBounds } from "./limits.ts";
import { ErrorCounts } from "./error_counts.ts";
import type { NetworkMeasures } from "./families.ts";
import type { CommunicationMetrics } from "./metrics.ts";
import { unseenPeer } from "./peer.ts";
import { RefusalLog } from "./refusals.ts";
import { LinkPool } from "./pool.ts";
import type { NodePeersSetup } from "./setup.ts";
import { PeerTable } from "./table.ts";
import { Waiting } from "./waiting.ts";

/** The peers of one node. Dispose of it to say goodbye to all. */
export class NodePeers implements Peers, AsyncDisposable {
  readonly #setup: NodePeersSetup;
  readonly #handlers = new Map<number, MessageHandler>();
  readonly #stop = new AbortController();
  readonly #book: AddressBook;
  readonly #table: PeerTable;
  readonly #connections: Connections;
  readonly #dialler: Dialler;
  readonly #keeper: Keeper;
  readonly #pool: LinkPool;
  readonly #refusals: RefusalLog;
  readonly #waiting = new Waiting();
  readonly #demands: Demands;
  readonly #sweep: Disposable;
  #acks: ((link: PeerLink, payload: Uint8Array) => void) | undefined;
  /** Links that were lost or refused, by why. */
  readonly #errors = new ErrorCounts();

  /** Dials and accepts nothing by itself. */
  constructor(setup: NodePeersSetup) {
    this.#setup = setup;
    const { host, self, config } = setup;
    const { signal } = this.#stop;
    this.#refusals = new RefusalLog(host);
    this.#book = new AddressBook(config.maxHints);
    this.#table = new PeerTable({
      host,
      self,
      linksPerPeer: config.linksPerPeer,
      maxPeers: config.maxPeers,
      probeMs: config.healthCheck.interval + config.healthCheck.timeout,
      hinted: (id) => this.#book.hinted(id),
      usable: (id) => this.#waiting.linked(id),
      unusable: (id) => this.#waiting.unlinked(id),
    });
    this.#connections = new Connections({
      host,
      self,
      capabilities: setup.capabilities,
      profiles: setup.profiles,
      ...linkBounds(config, setup.connectionTimeoutMs),
      maxConnections: setup.maxConnections,
      maxHandshakes: config.maxHandshakes,
      handlers: this.#handlers,
      addresses: () => [...setup.transports()].flatMap(({ addresses }) => addresses),
      gossip: () => setup.gossip?.(),
      admit: (hello) => this.#table.admit(hello),
      events: {
        up: (link, hello) => {
          this.#table.up(link, hello);
          this.#dialler.up(link);
          const peer = this.#table.get(hello.node.id);
          if (peer !== undefined) this.#pool.up(peer, link);
        },
        draining: (link, code, message) => this.#table.draining(link, code, message),
        health: (link) => this.#table.health(link),
        ack: (link, payload) => this.#acks?.(link, payload),
        down: (link, reason) => this.#down(link, reason),
      },
    });
    this.#dialler = new Dialler({
      host,
      book: this.#book,
      refusals: this.#refusals,
      timeoutMs: setup.connectionTimeoutMs,
      signal,
      transports: setup.transports,
      start: (connect, expected, slot) => this.#connections.dial(connect, expected, slot),
    });
    this.#demands = new Demands({
      host,
      config,
      dialler: this.#dialler,
      waiting: this.#waiting,
      addresses: (id) => this.#addresses(id),
      signal,
    });
    this.#pool = new LinkPool({
      host,
      config: config.pool,
      linksPerPeer: config.linksPerPeer,
      // The last fifth is for nodes that have no link yet.
      room: () => this.#connections.links.size < setup.maxConnections * 0.8,
      dial: (id, slot) => this.#dialler.round(this.#addresses(id), id, slot),
    });
    this.#keeper = new Keeper({
      host,
      self: self.id,
      book: this.#book,
      dialler: this.#dialler,
      backoff: config.backoff,
      maxKept: config.maxKept,
      signal,
      link: (id) => this.#table.get(id)?.pick(),
      unlinked: (id, signal) =>
        this.#table.get(id)?.pick() === undefined
          ? Promise.resolve()
          : this.#waiting.forUnlinked(id, signal),
    });
    const { pool } = config;
    const quickest = Math.min(config.idleTimeout, pool.idleTimeout, pool.maxAge || Infinity);
    this.#sweep = host.every(Math.max(10, quickest / 4), () => this.#closeIdle());
  }

  list(): readonly PeerInfo[] {
    const infos = [...this.#table.peers].map((peer) => this.#info(peer.id)!);
    const seen = new Set(infos.map(({ id }) => id));
    for (const { id } of this.#book.hints) {
      if (id === undefined || seen.has(id) || id === this.#setup.self.id) continue;
      seen.add(id);
      infos.push(this.#unseen(id));
    }
    return infos;
  }

  get(id: string): PeerInfo | undefined {
    return this.#info(id) ??
      (this.#book.hinted(id) && id !== this.#setup.self.id ? this.#unseen(id) : undefined);
  }

  link(id: string, use: LinkUse = "ordered"): Link | undefined {
    const peer = this.#table.get(id);
    const link = peer?.pick(use);
    if (link === undefined || use === "ordered") return link;
    // What was picked is second best: another link would serve this use.
    if (use === "bulk" ? link === peer!.ordered : link.full) void this.#pool.grow(peer!);
    return link;
  }

  links(): readonly PeerLink[] {
    const links: PeerLink[] = [];
    for (const peer of this.#table.peers) {
      const link = peer.pick();
      if (link !== undefined) links.push(link);
    }
    return links;
  }

  async connect(
    target: string,
    options: { signal?: AbortSignal; timeoutMs?: number; use?: LinkUse } = {},
  ): Promise<PeerLink> {
    const { host, config, connectionTimeoutMs } = this.#setup;
    const address = isAddress(target);
    if (address) parseAddress(target);
    const untilMs = host.now() + (options.timeoutMs ?? connectionTimeoutMs);
    const signals = [this.#stop.signal, options.signal].filter((it) => it !== undefined);
    const backoff = new Backoff(config.backoff, () => host.random());
    do {
      this.#stop.signal.throwIfAborted();
      const usable = this.#usable(target, address, options.use);
      if (usable !== undefined) return await this.#apart(usable, options.use);
      await this.#demands.link(target, address, untilMs, options.signal);
      const link = this.#usable(target, address, options.use);
      if (link !== undefined) return await this.#apart(link, options.use);
      // It broke as soon as it was up. Again, but not at once, and within the same time.
      await host.sleep(backoff.next(), AbortSignal.any(signals));
    } while (host.now() < untilMs);
    throw new MycnetError("timeout", `no link to ${target} in time`);
  }

  learn(hint: PeerHint): Disposable {
    const learned = this.#book.learn(hint);
    const kept = hint.keep && hint.id !== this.#setup.self.id && !this.#stop.signal.aborted
      ? this.#keeper.keep(learned.hint)
      : undefined;
    return {
      [Symbol.dispose]: () => {
        kept?.[Symbol.dispose]();
        learned[Symbol.dispose]();
      },
    };
  }

  handle(type: number, handler: MessageHandler): Disposable {
    if (this.#handlers.has(type)) {
      throw new MycnetError("duplicate_handler", `message type ${type} has a handler already`);
    }
    this.#handlers.set(type, handler);
    return {
      [Symbol.dispose]: () => {
        if (this.#handlers.get(type) === handler) this.#handlers.delete(type);
      },
    };
  }

  acks(handler: (link: PeerLink, payload: Uint8Array) => void): Disposable {
    if (this.#acks !== undefined) {
      throw new MycnetError("duplicate_handler", "acknowledgements have a handler already");
    }
    this.#acks = handler;
    return { [Symbol.dispose]: () => void (this.#acks = undefined) };
  }

  async disconnect(id: string, reason: string): Promise<void> {
    const peer = this.#table.get(id);
    if (peer === undefined) throw new MycnetError("unknown_peer", `no node "${id}" is known`);
    await Promise.all([...peer.links].map((link) => link.drain(reason)));
  }

  /** Takes in an inbound connection of a transport. */
  accept(connection: Connection): void {
    this.#connections.accept(connection);
  }

  /** Degraded while a seed cannot be reached, naming it. */
  health(): HealthReport {
    const troubles = this.#keeper.troubles();
    if (troubles.length === 0) return { status: "healthy" };
    const more = troubles.length > 3 ? `, and ${troubles.length - 3} more` : "";
    return { status: "degraded", reason: troubles.slice(0, 3).join("; ") + more };
  }

  /** What compression has come to, on all links. */
  get compression(): Readonly<Record<string, number>> {
    const counters = this.#connections.compression;
    return {
      compression_bytes_before: counters.bytesBefore,
      compression_bytes_after: counters.bytesAfter,
      compression_bytes_received: counters.bytesReceived,
      compression_bytes_expanded: counters.bytesExpanded,
      compression_bodies_left_alone: counters.leftAlone,
    };
  }

  /** What links have carried. */
  metrics(): CommunicationMetrics {
    const traffic = this.#connections.traffic();
    let active = 0;
    for (const { links } of this.#table.peers) active += links.length;
    return {
      messages_sent: traffic.messagesSent,
      messages_received: traffic.messagesReceived,
      bytes_sent: traffic.bytesSent,
      bytes_received: traffic.bytesReceived,
      connection_errors: this.#dialler.failures + this.#errors.total +
        this.#connections.turnedAway,
      active_connections: active,
    };
  }

  /** What metrics with labels are read from. */
  get measures(): NetworkMeasures {
    return this.#connections.measures([this.#dialler.errors, this.#errors], () => this.metrics());
  }

  /** Dials no more, says goodbye on every link, lets exchanges finish (bounded), closes. Peers miss whoever is `restarting`. */
  async close(code: "leaving" | "shutting_down" | "restarting", message: string): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const closed = new MycnetError("closed", message);
    this.#stop.abort(closed);
    this.#sweep[Symbol.dispose]();
    this.#waiting.close(closed);
    // Draining is the links' to bound; two seconds more are for closing the sockets.
    const limitMs = this.#setup.config.drainTimeout + 2000;
    await Promise.all([
      this.#connections.close(code, message, limitMs),
      this.#dialler.settled(),
    ]);
    this.#table[Symbol.dispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close("shutting_down", "the node is stopping");
  }

  /** The usable link to a target now. */
  #usable(target: string, address: boolean, use: LinkUse | undefined): Link | undefined {
    const id = address ? this.#book.idAt(target) : target;
    if (id === this.#setup.self.id) {
      throw new MycnetError("unknown_peer", `"${target}" is this node itself`);
    }
    return id === undefined ? undefined : this.link(id, use);
  }

  /** For bulk: a link apart from the one in order, if there can be one. */
  async #apart(link: Link, use: LinkUse | undefined): Promise<Link> {
    const peer = this.#table.get(link.peer.id);
    if (use !== "bulk" || peer === undefined || peer.ordered !== link) return link;
    return await this.#pool.grow(peer) ?? link;
  }

  #addresses(id: string): string[] {
    const peer = this.#table.get(id);
    const addresses = this.#book.addressesOf(id, peer?.announced ?? [])
      .filter((address) => !this.#dialler.isSelf(address));
    if (addresses.length > 0) return addresses;
    if (peer === undefined && !this.#book.hinted(id)) {
      throw new MycnetError("unknown_peer", `no node "${id}" is known here`);
    }
    throw new MycnetError(
      "unreachable",
      `node "${id}" listens nowhere that is known here; it has to dial in`,
    );
  }

  #down(link: Link, reason: LinkCloseReason): void {
    this.#dialler.down(link, reason);
    this.#table.down(link, reason);
    if (link.upAtMs !== undefined) {
      if (reason.kind !== "goodbye") this.#errors.count(reason.kind);
      return;
    }
    if (link.direction !== "accepted") return;
    this.#errors.count("refused");
    // A connection that just ended, as a port scan's does, is no news; it is counted.
    if (reason.kind === "transport") return;
    const { code, message, by } = reason;
    const address = link.connection.remoteAddress;
    this.#refusals.tell({ address, direction: "accepted", code, message, by });
  }

  /** Closes links that carried nothing for long. The side that dialled does: it knows what for. */
  #closeIdle(): void {
    for (const peer of this.#table.peers) if (peer.links.length > 0) this.#pool.sweep(peer);
    const { idleTimeout } = this.#setup.config;
    for (const link of this.#connections.links) {
      if (link.direction !== "dialled" || link.state !== "up") continue;
      if (link.idleMs() < idleTimeout || this.#keeper.keeps(link.peer.id)) continue;
      link.goodbye("idle", "the link carried nothing for a while; it is dialled again on demand");
    }
  }

  #info(id: string): PeerInfo | undefined {
    const peer = this.#table.get(id);
    if (peer === undefined) return undefined;
    const { host } = this.#setup;
    const addresses = this.#book.addressesOf(id, peer.announced);
    return peer.info(addresses, host.wallTime() - host.now(), this.#setup.stateOf?.(id));
  }

  #unseen(id: string): PeerInfo {
    const { self: { cluster }, stateOf } = this.#setup;
    const addresses = this.#book.addressesOf(id, []);
    return unseenPeer(id, cluster, addresses, this.#book.aboutOf(id), stateOf?.(id));
  }
}
