/**
 * A running node as the program that embeds it sees it: one object over what
 * its plugins provide. It holds no state of its own besides what the program
 * registered, so after a reload it speaks to the new plugins by itself.
 */
import { admin } from "../contracts/admin.ts";
import type { Bulk } from "../contracts/bulk.ts";
import { identity } from "../contracts/identity.ts";
import type { NodeHealth } from "../contracts/health.ts";
import { nodeControl } from "../contracts/node.ts";
import { type Membership, membership } from "../contracts/membership.ts";
import { memberStates, type PeerInfo, peers } from "../contracts/peers.ts";
import { transport } from "../contracts/transport.ts";
import type { ServiceRecord } from "../contracts/services.ts";
import type { BootReport, Capability, Host, Kernel, RunningPlugin } from "../kernel/mod.ts";
import { MycnetError } from "../kernel/errors.ts";
import type { NodeDescription } from "@mycnet/protocols/identity";
import type { ReaderOptions } from "./bounded_queue.ts";
import { type NodeEvent, NodeEvents } from "./events.ts";
import { Joiner, type KnownNode } from "./join.ts";
import { NodeMessages } from "./messages/node_messages.ts";
import { memberState } from "./member_state.ts";
import { notRunning, type Program } from "./program.ts";
import type {
  Client,
  ClientOptions,
  ErrorSchemas,
  Handlers,
  Methods,
  Middleware,
  ServiceDefinition,
  ServiceLayer,
} from "./services/mod.ts";
import type { MycnetConfig } from "./config/declaration.ts";

/** Changes of the cluster that a node can ask for. */
export interface ClusterControl {
  /**
   * Links to nodes, and keeps a link to those that were reached, as to a seed of the
   * configuration.
   * @param seeds `host:port` or `scheme://host:port`; 1 to 64.
   * @returns the nodes that were reached.
   * @throws `unreachable` when none was, naming each seed and why; `address_invalid` or
   * `invalid_argument`, naming the seed.
   */
  join(seeds: readonly string[]): Promise<readonly NodeDescription[]>;
  /**
   * Makes a node known until disposed. It is linked when needed, e.g. by a send.
   * @throws `address_invalid`, `invalid_argument`, `overloaded` beyond `peers.maxHints`.
   */
  add(node: KnownNode): AsyncDisposable;
  /**
   * Parts with a node: forgets what `join` and `add` said of it, and says goodbye on every link
   * to it. No ban: it may come back by itself, and a seed of the configuration is dialled again.
   * @throws `unknown_peer`.
   */
  remove(id: string, reason?: string): Promise<void>;
  /** Says goodbye as a leaving node, drains, and stops. */
  leave(reason?: string): Promise<void>;
}

/** Byte streams to and from other nodes; see {@linkcode Bulk}. */
export interface BulkControl {
  /** See {@linkcode Bulk.send}. */
  send(...args: Parameters<Bulk["send"]>): ReturnType<Bulk["send"]>;
  /** See {@linkcode Bulk.handle}; it stays over reloads, until disposed. */
  handle(...args: Parameters<Bulk["handle"]>): AsyncDisposable;
}

/** What createNode knows and {@linkcode Node} needs. */
export interface NodeParts {
  readonly kernel: Kernel;
  readonly host: Host;
  readonly program: Program;
  readonly joiner: Joiner;
  readonly reconfigure: (config: MycnetConfig) => Promise<BootReport>;
  /** Undone when the node stops, before its plugins are. */
  readonly owned: AsyncDisposable;
}

/** A running node. Stop it with `await using`, or {@linkcode Node.stop}. */
export class Node extends NodeMessages implements AsyncDisposable {
  readonly #kernel: Kernel;
  readonly #host: Host;
  readonly #program: Program;
  readonly #events: NodeEvents;
  readonly #reconfigure: NodeParts["reconfigure"];
  readonly #owned: AsyncDisposable;
  readonly #closed = Promise.withResolvers<void>();
  readonly #joiner: Joiner;
  #self: NodeDescription | undefined;
  #stopping: Promise<void> | undefined;
  #ready = false;
  #leaving = false;

  /** Changes of the cluster. */
  readonly cluster: ClusterControl = {
    join: (seeds) => this.#join(seeds),
    add: (node) => this.#joiner.add(node),
    remove: (id, reason = "removed") => this.#remove(id, reason),
    leave: (reason = "leaving") => {
      this.#leaving = true;
      return this.stop(reason);
    },
  };

  /** Byte streams: files, snapshots, what is too large for a message. */
  readonly bulk: BulkControl = {
    send: async (...args) => await this.#program.layers.bulk.send(...args),
    handle: (...args) => this.#program.add(({ bulk }) => bulk.handle(...args)),
  };

  /** Made by createNode. */
  constructor(parts: NodeParts) {
    super(parts.program);
    this.#kernel = parts.kernel;
    this.#host = parts.host;
    this.#program = parts.program;
    this.#reconfigure = parts.reconfigure;
    this.#owned = parts.owned;
    const states = () => parts.kernel.live(memberStates);
    this.#events = new NodeEvents(parts.host, (id) => memberState(states(), id));
    this.#joiner = parts.joiner;
  }

  /** What this node says of itself; after it has stopped, what it said last. */
  get self(): NodeDescription {
    try {
      this.#self = this.#get(identity).self;
    } catch (error) {
      if (this.#self === undefined) throw error;
    }
    return this.#self;
  }

  /** Its id. */
  get id(): string {
    return this.self.id;
  }

  /** Where it listens: `scheme://host:port`. */
  get addresses(): readonly string[] {
    return [...this.#kernel.live(transport)].flatMap((it) => it.addresses);
  }

  /** `http://127.0.0.1:port`, or undefined without an admin endpoint. */
  get adminAddress(): string | undefined {
    const [endpoint] = this.#kernel.live(admin);
    return endpoint?.address;
  }

  /** Where it gossips, `host:port`, as others reach it; undefined where it does not. */
  get gossipAddress(): string | undefined {
    return this.membership?.member(this.id)?.address;
  }

  /** Gossip: its members, user events, queries and keys; undefined without a membership plugin. */
  get membership(): Membership | undefined {
    const [gossip] = this.#kernel.live(membership);
    return gossip;
  }

  /** True from the end of boot until it begins to stop. */
  get ready(): boolean {
    return this.#ready;
  }

  /** True once it was told to leave the cluster, not only to stop. */
  get leaving(): boolean {
    return this.#leaving;
  }

  /** Resolves when the node has stopped, whoever stopped it. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Offers a service until disposed. @throws `duplicate_handler` if this node serves one of that name already. */
  serve<M extends Methods, E extends ErrorSchemas>(
    definition: ServiceDefinition<M, E>,
    handlers: Handlers<ServiceDefinition<M, E>>,
  ): AsyncDisposable {
    return this.#program.add(({ services }) => services.serve(definition, handlers));
  }

  /** A client of a service: a plain object with one function a method. */
  client<M extends Methods, E extends ErrorSchemas>(
    definition: ServiceDefinition<M, E>,
    options?: ClientOptions,
  ): Client<ServiceDefinition<M, E>> {
    type Functions = Record<string, (...args: unknown[]) => unknown>;
    let made: { layer: unknown; client: Functions } | undefined;
    const current = (): Functions => {
      const layer = this.#program.layers.services;
      if (made?.layer !== layer) {
        made = { layer, client: layer.client(definition, options) as unknown as Functions };
      }
      return made.client;
    };
    const forward = (name: string, args: unknown[]): unknown => {
      let client: Functions;
      try {
        client = current();
      } catch (error) {
        // Whoever calls awaits or iterates, and looks for failures there.
        const failure = Promise.reject(error);
        return definition.methods[name].stream === undefined ? failure : failedItems(failure);
      }
      return client[name](...args);
    };
    const forwarding = Object.keys(definition.methods).map((name) =>
      [name, (...args: unknown[]) => forward(name, args)] as const
    );
    return Object.fromEntries(forwarding) as unknown as Client<ServiceDefinition<M, E>>;
  }

  /** Puts middleware around every call, made or served here, until disposed. */
  use(middleware: Middleware): AsyncDisposable {
    return this.#program.add(({ services }) => services.use(middleware));
  }

  /** See {@linkcode ServiceLayer.route}. */
  route(...args: Parameters<ServiceLayer["route"]>): string | undefined {
    return this.#program.layers.services.route(...args);
  }

  /** The other nodes that are known, with their links. */
  members(): readonly PeerInfo[] {
    return this.#get(peers).list();
  }

  /** What the directory holds: one record a node, this one's included. */
  services(): readonly ServiceRecord[] {
    return this.#program.layers.services.records();
  }

  /** The worst of what its plugins report, with reasons. */
  health(): NodeHealth {
    return this.#get(nodeControl).health();
  }

  /** Counters and gauges: category to name to value. */
  metrics(): Readonly<Record<string, Readonly<Record<string, number>>>> {
    return this.#get(nodeControl).metrics();
  }

  /** What happens, from now on; drops the oldest when not read, and says so with a `lagged` event. */
  events(options?: ReaderOptions): AsyncIterableIterator<NodeEvent> {
    return this.#events.subscribe(options);
  }

  /** The plugins that run, providers before consumers. */
  plugins(): readonly RunningPlugin[] {
    return this.#kernel.running();
  }

  /** Makes another declaration the running one; on an error the present one runs on. */
  reconfigure(config: MycnetConfig): Promise<BootReport> {
    return this.#reconfigure(config);
  }

  /** Answers an admin request without a socket. @throws `plugin_missing` without an admin plugin. */
  async fetchAdmin(request: Request): Promise<Response> {
    return await this.#kernel.get(admin).fetch(request);
  }

  /** Boot is over; createNode calls it. */
  start(): void {
    this.#self = this.#get(identity).self;
    this.#ready = true;
  }

  /** Drains and stops everything. Calling it again gives the same promise. */
  stop(reason = "stopping"): Promise<void> {
    return this.#stopping ??= this.#stop(reason);
  }

  /** {@linkcode Node.stop}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(reason: string): Promise<void> {
    if (this.#ready) this.#host.log.info("The node is stopping", { reason });
    this.#ready = false;
    try {
      await this.#owned[Symbol.asyncDispose]();
      await this.#kernel.stop();
    } finally {
      this.endMessages();
      this.#events[Symbol.dispose]();
      this.#closed.resolve();
    }
  }

  /** What is always there while the node runs. @throws `closed` while it does not. */
  #get<T>(capability: Capability<T>): T {
    try {
      return this.#kernel.get(capability);
    } catch (cause) {
      throw new MycnetError("closed", notRunning, { cause });
    }
  }

  async #remove(id: string, reason: string): Promise<void> {
    await this.#joiner.forget(id);
    await this.#get(peers).disconnect(id, reason);
  }

  async #join(seeds: readonly string[]): Promise<readonly NodeDescription[]> {
    const outcomes = await this.#joiner.join(seeds);
    const reached = outcomes.flatMap((it) => it.ok ? [it.node] : []);
    if (reached.length > 0) return reached;
    const reasons = outcomes.flatMap((it) => it.ok ? [] : `${it.address}: ${it.message}`);
    throw new MycnetError("unreachable", `No seed could be reached: ${reasons.join("; ")}`);
  }
}

/** Items of which the first is this failure. */
function failedItems(failure: Promise<never>): AsyncIterableIterator<never> {
  failure.catch(() => {}); // Nobody has to iterate.
  return {
    next: () => failure,
    return: () => Promise.resolve({ done: true, value: undefined }),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
