/**
 * The service layer of a node: server, caller, directory and their links put together.
 *
 * It owns what must be stopped in an order. First the services leave the
 * directory, so that nobody chooses them any more; then all who are linked say
 * that they have heard, behind which no call of theirs can come; then what is
 * under way drains. So a service that leaves costs nobody a call, not even one
 * that may not be repeated. Last the directory goes quiet, and the deadlines.
 */
import type { Balancer } from "../../contracts/balancer.ts";
import type { HealthReport } from "../../contracts/health.ts";
import type { Identity } from "../../contracts/identity.ts";
import { type GossipTag, type Member, memberEvent } from "../../contracts/membership.ts";
import { linkDown, linkUp, type NodeState, type Peers } from "../../contracts/peers.ts";
import type { ServiceDescription, ServiceRecord, Services } from "../../contracts/services.ts";
import { MycnetError } from "../../kernel/errors.ts";
import type { Host } from "../../kernel/host.ts";
import { type Capability, capability, type LiveList } from "../../kernel/plugin.ts";
import { messageTypes } from "@mycnet/protocols/frame";
import { Deadlines } from "../deadlines.ts";
import type { ResultLimits } from "../keyed/mod.ts";
import { TurnClock } from "../turn_clock.ts";
import { Tracing } from "../tracing/mod.ts";
import { type AppearanceOptions, appears } from "./appearance.ts";
import { type CallCounts, Parking } from "./attempts.ts";
import { CallsByName, type NamedOptions } from "./by_name.ts";
import { Caller, type ClientOptions, type RouteOptions } from "./caller.ts";
import { makeClient } from "./client.ts";
import type { Client, ErrorSchemas, Handlers, Methods, ServiceDefinition } from "./define.ts";
import { Directory } from "./directory.ts";
import { DirectoryGossip } from "./directory_gossip.ts";
import { DirectorySync } from "./directory_sync.ts";
import { Loopback } from "./loopback.ts";
import { type Middleware, MiddlewareChain } from "./middleware.ts";
import { Routing } from "./routing.ts";
import { describeService } from "./schemas.ts";
import { ServiceServer } from "./server.ts";

/** Options of {@linkcode ServiceLayer.serve}. */
export interface ServeOptions {
  /** How long disposing waits for calls under way, in milliseconds. Default: the plugin's `drainTimeout`. */
  readonly drainTimeoutMs?: number;
}

/** The service layer as the node and its users have it: {@linkcode Services} and what takes definitions. */
export interface ServiceLayer extends Services {
  /**
   * Serves until disposed; then the service leaves the directory, and what is on
   * its way and under way gets its time to finish.
   * @throws {MycnetError} `duplicate_handler` when this node serves that name already,
   * `invalid_argument` when a method has no handler, `too_large` when the
   * directory cannot hold that many services of one node.
   */
  serve<M extends Methods, E extends ErrorSchemas>(
    definition: ServiceDefinition<M, E>,
    handlers: Handlers<ServiceDefinition<M, E>>,
    options?: ServeOptions,
  ): AsyncDisposable;
  /** A client: a plain object with a function for each method. */
  client<M extends Methods, E extends ErrorSchemas>(
    definition: ServiceDefinition<M, E>,
    options?: ClientOptions,
  ): Client<ServiceDefinition<M, E>>;
  /** Puts middleware around every call, made or served here, until disposed. The first is the outermost. */
  use(middleware: Middleware): Disposable;
  /**
   * The node to which a call of a service would go now; undefined while none serves it. To the
   * balancer it counts as one that was chosen.
   */
  route(service: string, options?: RouteOptions): string | undefined;
}

/** The same capability as `services` of core/contracts, with the whole of what core provides under it. */
export const serviceLayer: Capability<ServiceLayer> = capability("services");

/** Settings of the layer; times in milliseconds. See plugin.ts for what they mean. */
export interface LayerSettings {
  readonly maxConcurrentCalls: number;
  readonly maxDepth: number;
  readonly drainTimeoutMs: number;
  readonly directoryIntervalMs: number;
  readonly recordTtlMs: number;
  readonly maxRecords: number;
  readonly maxDirectoryBytes: number;
  readonly results: ResultLimits;
}

/** How long those who are linked may take to hear that services leave, in ms: they are a round trip away, or not well. */
const longestHearingMs = 1000;

/** What the layer needs. */
export interface LayerParts {
  readonly host: Host;
  readonly peers: Peers;
  readonly identity: Identity;
  readonly balancers: LiveList<Balancer>;
  /** Read when needed; the directory's are read once. */
  readonly settings: () => LayerSettings;
  /** What membership says of a node. Absent: nothing. */
  readonly stateOf?: (id: string) => NodeState | undefined;
  /** Default: no tracer. */
  readonly tracing?: Tracing;
}

/** See the head of this file. */
export class ServiceNode implements ServiceLayer, AsyncDisposable {
  readonly #parts: LayerParts;
  readonly #deadlines: Deadlines;
  readonly #chain = new MiddlewareChain();
  readonly #server: ServiceServer;
  readonly #routing: Routing;
  readonly #directory: Directory;
  readonly #sync: DirectorySync;
  readonly #gossip: DirectoryGossip;
  readonly #caller: Caller;
  readonly #byName: CallsByName;
  readonly #calls: CallCounts = { made: 0, failed: 0, retried: 0 };
  readonly #parking = new Parking();
  readonly #descriptions = new Map<string, ServiceDescription>();
  readonly #hints = new Map<string, { readonly addresses: string; readonly hint: Disposable }>();
  readonly #stop = new DisposableStack();
  /** Services on their way out. */
  readonly #leaving = new Set<Promise<void>>();
  #stopping: Promise<void> | undefined;

  constructor(parts: LayerParts) {
    this.#parts = parts;
    const { host, peers, identity, balancers, settings, tracing = new Tracing() } = parts;
    const { self } = identity;
    const deadlines = this.#deadlines = new Deadlines(host);
    const chain = this.#chain;
    const clock = new TurnClock(host);
    this.#server = new ServiceServer({ host, clock, deadlines, chain, limits: settings, tracing });
    const { recordTtlMs, maxRecords, maxDirectoryBytes, directoryIntervalMs } = settings();
    const directory = this.#directory = new Directory({
      host,
      identity,
      limits: { recordTtlMs, maxRecords, maxBytes: maxDirectoryBytes },
      changed: (record, gone) => this.#recordChanged(record, gone),
    });
    const routing = this.#routing = new Routing({
      host,
      peers,
      view: directory,
      self: self.id,
      gone: (id) => this.#gone(id),
    });
    const loopback = new Loopback((exchange, fields, body, upload) =>
      this.#server.accept(self, exchange, fields, body, upload)
    );
    const counts = this.#calls;
    const caller = this.#caller = new Caller({
      host,
      clock,
      deadlines,
      routing,
      loopback,
      counts,
      parking: this.#parking,
      tracing,
      chain,
      self,
      balancers,
    });
    this.#byName = new CallsByName({ caller, directory, routing, deadlines });
    this.#stop.use(host.on(linkUp, () => routing.linksChanged()));
    this.#stop.use(host.on(linkDown, () => routing.linksChanged()));
    this.#stop.use(host.on(memberEvent, ({ type, member }) => {
      if (type === "reaped") this.#gossip.forget(member.id);
      else this.#gossip.heard(member);
      routing.linksChanged();
      routing.directoryChanged(); // Whoever waits for a server looks again.
    }));
    this.#stop.use(peers.handle(messageTypes["service.call"], {
      request: (exchange, fields, body, upload) =>
        this.#server.accept(exchange.link.peer, exchange, fields, body, upload),
    }));
    const sync = this.#sync = new DirectorySync({
      host,
      peers,
      directory,
      intervalMs: directoryIntervalMs,
    });
    const { cluster } = self;
    this.#gossip = new DirectoryGossip({ host, peers, directory, sync, cluster });
  }

  serve<M extends Methods, E extends ErrorSchemas>(
    definition: ServiceDefinition<M, E>,
    handlers: Handlers<ServiceDefinition<M, E>>,
    options: ServeOptions = {},
  ): AsyncDisposable {
    if (this.#stopping !== undefined) {
      throw new MycnetError("closed", "this node is stopping and serves nothing new");
    }
    const { name } = definition;
    this.#server.add(definition, handlers as Readonly<Record<string, unknown>>);
    this.#descriptions.set(name, describeService(definition));
    try {
      this.#publish();
    } catch (error) {
      this.#descriptions.delete(name);
      void this.#server.drain(name, 0);
      throw error;
    }
    let left: Promise<void> | undefined;
    return { [Symbol.asyncDispose]: () => left ??= this.#leave([name], options.drainTimeoutMs) };
  }

  client<M extends Methods, E extends ErrorSchemas>(
    definition: ServiceDefinition<M, E>,
    options?: ClientOptions,
  ): Client<ServiceDefinition<M, E>> {
    return makeClient(this.#caller, definition, options);
  }

  use(middleware: Middleware): Disposable {
    return this.#chain.use(middleware);
  }

  route(service: string, options?: RouteOptions): string | undefined {
    return this.#caller.route(service, options);
  }

  list(): ReturnType<Services["list"]> {
    return this.#directory.services((id) => this.#gone(id));
  }

  records(): readonly ServiceRecord[] {
    return this.#directory.records();
  }

  appears(service: string, options: AppearanceOptions): Promise<boolean> {
    const serves = () => this.list().some((it) => it.service.name === service);
    const parts = { routing: this.#routing, deadlines: this.#deadlines };
    return appears(serves, parts, options);
  }

  call(
    service: string,
    method: string,
    input: unknown,
    options?: NamedOptions,
  ): Promise<unknown> {
    return this.#byName.call(service, method, input, options);
  }

  stream(
    service: string,
    method: string,
    input: unknown,
    options?: NamedOptions,
  ): AsyncIterable<unknown> {
    return this.#byName.stream(service, method, input, options);
  }

  /** What gossip tells of this node's services. */
  get tag(): GossipTag {
    return this.#gossip;
  }

  /** Members that were there before this layer. */
  heardOf(members: readonly Member[]): void {
    for (const member of members) this.#gossip.heard(member);
  }

  /** Where this node can be reached, for its record. */
  setAddresses(addresses: readonly string[]): void {
    const own = this.#directory.own.addresses;
    if (addresses.join(" ") !== own.join(" ")) this.#directory.publish({ addresses });
  }

  /** Degraded while most of the places for calls are taken. */
  health(): HealthReport {
    const { maxConcurrentCalls } = this.#parts.settings();
    const { active } = this.#server;
    if (active < maxConcurrentCalls * 0.9) return { status: "healthy" };
    const reason = `${active} calls are being served, of at most ${maxConcurrentCalls}`;
    return { status: "degraded", reason };
  }

  /** Counters by category. */
  metrics(category: "communication" | "failover"): Readonly<Record<string, number>> {
    if (category === "failover") return { calls_retried: this.#calls.retried };
    const { served, failed, refused } = this.#server.counts;
    const { accepted, rejected, dropped } = this.#directory.counts;
    return {
      calls_made: this.#calls.made,
      calls_failed: this.#calls.failed,
      calls_served: served,
      calls_served_failed: failed,
      calls_refused: refused,
      calls_being_served: this.#server.active,
      idempotency_keys: this.#server.keys,
      directory_records: this.#directory.size,
      directory_records_accepted: accepted,
      directory_records_rejected: rejected,
      directory_records_dropped: dropped,
      directory_records_fetched: this.#gossip.fetches,
    };
  }

  /** Leaves with all services, then stops. Calls still being made fail with `closed`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#stopping ??= this.#dispose();
  }

  async #dispose(): Promise<void> {
    const names = [...this.#descriptions.keys()];
    if (names.length > 0) this.#leave(names);
    await Promise.all(this.#leaving);
    this.#parking.close();
    this.#gossip[Symbol.dispose]();
    this.#sync[Symbol.dispose]();
    this.#stop.dispose();
    for (const { hint } of this.#hints.values()) hint[Symbol.dispose]();
    this.#hints.clear();
    this.#deadlines[Symbol.dispose]();
  }

  /** Stops serving: see the head of this file. */
  #leave(
    names: readonly string[],
    drainMs = this.#parts.settings().drainTimeoutMs,
  ): Promise<void> {
    const left = this.#withdraw(names, drainMs).finally(() => this.#leaving.delete(left));
    this.#leaving.add(left);
    return left;
  }

  async #withdraw(names: readonly string[], drainMs: number): Promise<void> {
    const { host } = this.#parts;
    const untilMs = host.now() + drainMs;
    for (const name of names) this.#descriptions.delete(name);
    this.#publish();
    await this.#sync.heard(Math.min(drainMs, longestHearingMs));
    const leftMs = Math.max(0, untilMs - host.now());
    await Promise.all(names.map((name) => this.#server.drain(name, leftMs)));
  }

  /** True for a node that membership calls dead or left, and that no link contradicts. */
  #gone(id: string): boolean {
    const state = this.#parts.stateOf?.(id);
    return (state === "dead" || state === "left") &&
      this.#parts.peers.link(id)?.usable !== true;
  }

  #publish(): void {
    this.#directory.publish({ services: [...this.#descriptions.values()] });
  }

  #recordChanged(record: ServiceRecord, gone: boolean): void {
    if (record.node === this.#parts.identity.self.id) this.#sync.spread(record.node);
    else this.#hint(record, gone);
    this.#gossip.recordChanged(record.node);
    this.#routing.directoryChanged();
  }

  /** Tells the peers where a node says it can be reached; who answers there has to prove who it is. */
  #hint({ node, addresses }: ServiceRecord, gone: boolean): void {
    const known = this.#hints.get(node);
    const wanted = gone ? "" : addresses.join(" ");
    if ((known?.addresses ?? "") === wanted) return;
    known?.hint[Symbol.dispose]();
    this.#hints.delete(node);
    if (wanted === "") return;
    const hint = this.#parts.peers.learn({ id: node, addresses, source: "directory", keep: false });
    this.#hints.set(node, { addresses: wanted, hint });
  }
}
