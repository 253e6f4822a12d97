/**
 * The peers of a node: what turns transports into a network.
 *
 * Five parts, each a file: the address book (where nodes may be), the dialler
 * (from an address to a link), the keeper (links to seeds, for ever), the
 * connections (links within bounds) and the table (who is known, which link
 * stays). This one holds them together and is the contract's face: a message to
 * a node finds the healthiest usable link in the table; without one, the
 * addresses of the book are dialled a bounded number of rounds, shared by all
 * who wait, unless the node dials in first. A sweep closes what idles.
 */
import type {
  MessageHandler,
  NodeState,
  PeerHint,
  PeerInfo,
  PeerLink,
  Peers,
} from "../../contracts/peers.ts";
import type { Connection, Transport } from "../../contracts/transport.ts";
import type { HealthReport } from "../../contracts/health.ts";
import { codeOf, MycnetError } from "../../kernel/errors.ts";
import type { Host } from "../../kernel/host.ts";
import type { NodeDescription } from "@mycnet/protocols/identity";
import type { LinkCloseReason } from "@mycnet/protocols/link";
import type { LinkCapabilities, ProfileOverrides } from "@mycnet/protocols/negotiation";
import type { Link } from "../links/mod.ts";
import { isAddress, parseAddress } from "./address.ts";
import { Backoff } from "./backoff.ts";
import { AddressBook } from "./book.ts";
import type { PeersConfig } from "./config.ts";
import { Connections } from "./connections.ts";
import { Dialler } from "./dialler.ts";
import { Keeper } from "./keeper.ts";
import type { CommunicationMetrics } from "./metrics.ts";
import { unseenPeer } from "./peer.ts";
import { isPermanent, RefusalLog, refusalOf } from "./refusals.ts";
import { PeerTable } from "./table.ts";
import { Waiting } from "./waiting.ts";

/** What the peers of a node are made with. */
export interface NodePeersSetup {
  readonly host: Host;
  readonly self: NodeDescription;
  readonly config: PeersConfig;
  readonly capabilities: LinkCapabilities;
  readonly profiles: ProfileOverrides;
  /** Links in all. */
  readonly maxConnections: number;
  /** For connecting, and again for the handshake, in ms. */
  readonly connectionTimeoutMs: number;
  /** The transports that run now. */
  transports(): Iterable<Transport>;
  /** What membership says of a node. Absent: links alone tell. */
  stateOf?(id: string): NodeState | undefined;
}

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
  readonly #refusals: RefusalLog;
  readonly #waiting = new Waiting();
  readonly #demands = new Map<string, Promise<void>>();
  readonly #sweep: Disposable;
  #acks: ((link: PeerLink, payload: Uint8Array) => void) | undefined;
  #lost = 0;
  #refused = 0;

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
      limits: {
        handshakeTimeoutMs: setup.connectionTimeoutMs,
        drainTimeoutMs: config.drainTimeout,
        pingIntervalMs: config.healthCheck.interval,
        activePingIntervalMs: config.healthCheck.activeInterval,
        pingTimeoutMs: config.healthCheck.timeout,
        failureThreshold: config.healthCheck.failureThreshold,
      },
      maxConnections: setup.maxConnections,
      maxHandshakes: config.maxHandshakes,
      handlers: this.#handlers,
      addresses: () => [...setup.transports()].flatMap(({ addresses }) => addresses),
      admit: (hello) => this.#table.admit(hello),
      events: {
        up: (link, hello) => {
          this.#table.up(link, hello);
          this.#dialler.up(link);
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
      start: (connect, expected) => this.#connections.dial(connect, expected),
    });
    this.#keeper = new Keeper({
      host,
      self: self.id,
      book: this.#book,
      dialler: this.#dialler,
      backoff: config.backoff,
      maxKept: config.maxKept,
      signal,
      link: (id) => this.#table.get(id)?.best(),
      unlinked: (id, signal) =>
        this.#table.get(id)?.best() === undefined
          ? Promise.resolve()
          : this.#waiting.forUnlinked(id, signal),
    });
    this.#sweep = host.every(Math.max(10, config.idleTimeout / 4), () => this.#closeIdle());
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

  link(id: string): Link | undefined {
    return this.#table.get(id)?.best();
  }

  links(): readonly PeerLink[] {
    const links: PeerLink[] = [];
    for (const peer of this.#table.peers) {
      const link = peer.best();
      if (link !== undefined) links.push(link);
    }
    return links;
  }

  async connect(
    target: string,
    options: { signal?: AbortSignal; timeoutMs?: number } = {},
  ): Promise<PeerLink> {
    const { host, config, connectionTimeoutMs } = this.#setup;
    const address = isAddress(target);
    if (address) parseAddress(target);
    const untilMs = host.now() + (options.timeoutMs ?? connectionTimeoutMs);
    const signals = [this.#stop.signal, options.signal].filter((it) => it !== undefined);
    const backoff = new Backoff(config.backoff, () => host.random());
    do {
      this.#stop.signal.throwIfAborted();
      const usable = this.#usable(target, address);
      if (usable !== undefined) return usable;
      await this.#within(this.#demand(target, address), target, untilMs, options.signal);
      const link = this.#usable(target, address);
      if (link !== undefined) return link;
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
      connection_errors: this.#dialler.failures + this.#lost + this.#refused +
        this.#connections.turnedAway,
      active_connections: active,
    };
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
  #usable(target: string, address: boolean): Link | undefined {
    const id = address ? this.#book.idAt(target) : target;
    if (id === this.#setup.self.id) {
      throw new MycnetError("unknown_peer", `"${target}" is this node itself`);
    }
    return id === undefined ? undefined : this.link(id);
  }

  /** Sees to a usable link to the target, shared by all who ask. */
  #demand(target: string, address: boolean): Promise<void> {
    let demand = this.#demands.get(target);
    if (demand === undefined) {
      const arrived = address ? undefined : new AbortController();
      demand = arrived === undefined ? this.#dial(target, true, this.#stop.signal) : Promise.race([
        this.#dial(target, false, AbortSignal.any([arrived.signal, this.#stop.signal])),
        this.#waiting.forLinked(target, AbortSignal.any([arrived.signal, this.#stop.signal])),
      ]).finally(() => arrived.abort());
      this.#demands.set(target, demand);
      const done = () => void this.#demands.delete(target);
      demand.then(done, done);
    }
    return demand;
  }

  /** Rounds over the addresses, with backoff in between. */
  async #dial(target: string, address: boolean, signal: AbortSignal): Promise<void> {
    const { host, config } = this.#setup;
    const backoff = new Backoff(config.backoff, () => host.random());
    for (let attempt = 1;; attempt++) {
      const id = address ? undefined : target;
      try {
        await this.#dialler.round(address ? [target] : this.#addresses(target), id);
        return;
      } catch (error) {
        const refusal = refusalOf(error);
        if (attempt >= config.dialAttempts || signal.aborted) throw error;
        if (refusal !== undefined && isPermanent(refusal)) throw error;
        if (["unknown_peer", "closed", "overloaded"].includes(codeOf(error) ?? "")) throw error;
      }
      await host.sleep(backoff.next(), signal);
    }
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

  /** Waits for a shared dial as long as this caller will. */
  #within(
    work: Promise<void>,
    target: string,
    untilMs: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const { host } = this.#setup;
    return new Promise((resolve, reject) => {
      const settle = () => {
        timer[Symbol.dispose]();
        signal?.removeEventListener("abort", abort);
      };
      const abort = () => (settle(), reject(signal!.reason));
      const timer = host.after(Math.max(0, untilMs - host.now()), () => {
        settle();
        reject(new MycnetError("timeout", `no link to ${target} in time`));
      });
      signal?.addEventListener("abort", abort, { once: true });
      work.then(() => (settle(), resolve()), (error) => (settle(), reject(error)));
    });
  }

  #down(link: Link, reason: LinkCloseReason): void {
    this.#dialler.down(link, reason);
    this.#table.down(link, reason);
    if (link.upAtMs !== undefined) {
      if (reason.kind !== "goodbye") this.#lost++;
      return;
    }
    if (link.direction !== "accepted") return;
    this.#refused++;
    // A connection that just ended, as a port scan's does, is no news; it is counted.
    if (reason.kind === "transport") return;
    const { code, message, by } = reason;
    const address = link.connection.remoteAddress;
    this.#refusals.tell({ address, direction: "accepted", code, message, by });
  }

  /** Closes links that carried nothing for long. The side that dialled does: it knows what for. */
  #closeIdle(): void {
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
