/**
 * What the tests of this room share: nodes with the real service layer over
 * fake peers. A fake link carries exchanges as a real one does (order, credit,
 * bytes that are valid during the call only) and can be cut or made silent.
 */
import type { Identity } from "../../contracts/identity.ts";
import {
  type Exchange,
  type ExchangeHandlers,
  type IncomingExchange,
  type IncomingHandlers,
  linkDown,
  type LinkInfo,
  linkUp,
  type MessageHandler,
  peerDown,
  type PeerHint,
  type PeerInfo,
  type PeerLink,
  type Peers,
} from "../../contracts/peers.ts";
import { MycnetError } from "../../kernel/errors.ts";
import type { Host, Topic } from "../../kernel/host.ts";
import type { LiveEntry, LiveList } from "../../kernel/plugin.ts";
import type { Balancer } from "../../contracts/balancer.ts";
import { type MessageFields, noFields } from "@mycnet/protocols/frame";
import type { NodeDescription } from "@mycnet/protocols/identity";
import type { ResetCode } from "@mycnet/protocols/link";
import { FakeHost } from "../fakes_test.ts";
import { type LayerSettings, ServiceNode } from "./layer.ts";

export { FakeHost } from "../fakes_test.ts";

/** Credit of one direction of an exchange in bytes. */
export const windowBytes = 4096;

/** The settings of a test node. */
export const testSettings: LayerSettings = {
  maxConcurrentCalls: 1000,
  maxDepth: 8,
  drainTimeoutMs: 5000,
  directoryIntervalMs: 10_000,
  recordTtlMs: 600_000,
  maxRecords: 1000,
  maxDirectoryBytes: 1024 * 1024,
};

type Closed = Parameters<ExchangeHandlers["closed"]>[0];

/** One end of an exchange. */
class FakeExchange implements IncomingExchange {
  readonly link: FakeLink;
  other!: FakeExchange;
  handlers: ExchangeHandlers | IncomingHandlers | undefined;
  over = false;
  credit = windowBytes;
  /** True once the request has arrived. */
  arrived = false;
  blocked = false;

  constructor(link: FakeLink) {
    this.link = link;
  }

  item(body: Uint8Array): boolean {
    if (this.over) return false;
    this.credit -= body.length;
    this.#tell((it, bytes) => it.item(bytes), body);
    this.blocked = this.credit <= 0;
    return !this.blocked;
  }

  end(): void {
    this.#tell((it) => it.end());
  }

  grant(bytes: number): void {
    if (this.over) return;
    this.link.carry(() => {
      const { other } = this;
      other.credit += bytes;
      if (other.over || !other.blocked || other.credit <= 0) return;
      other.blocked = false;
      other.handlers?.writable();
    });
  }

  reset(code: ResetCode, message = ""): void {
    if (this.over) return;
    this.#tell((it) => it.closed({ code, message, sent: true }), undefined, true);
  }

  respond(body: Uint8Array, fields: MessageFields = noFields): boolean {
    if (this.over) return true;
    this.#tell((it, bytes) => (it as ExchangeHandlers).response(fields, bytes), body, true);
    return true;
  }

  fail(body: Uint8Array, fields: MessageFields = noFields): void {
    if (this.over) return;
    this.#tell((it, bytes) => (it as ExchangeHandlers).failure(fields, bytes), body, true);
  }

  lose(reason: Closed): void {
    if (this.over) return;
    this.over = true;
    this.link.exchanges.delete(this);
    this.handlers?.closed(reason);
  }

  #tell(
    tell: (handlers: ExchangeHandlers | IncomingHandlers, bytes: Uint8Array) => void,
    body: Uint8Array = new Uint8Array(0),
    last = false,
  ): void {
    if (this.over) return;
    if (last) {
      this.over = true;
      this.link.exchanges.delete(this);
    }
    const bytes = body.slice();
    this.link.carry(() => {
      const { other } = this;
      if (other.over) return;
      if (last) {
        other.over = true;
        other.link.exchanges.delete(other);
      }
      if (other.handlers !== undefined) tell(other.handlers, bytes);
      bytes.fill(0xdd);
    });
  }
}

/** One end of a link between two fake nodes. */
export class FakeLink implements PeerLink {
  readonly id: string;
  readonly peer: NodeDescription;
  readonly owner: FakePeers;
  other!: FakeLink;
  usable = true;
  readonly full = false;
  health: LinkInfo["health"] = "healthy";
  roundTripMs: number | undefined = 1;
  readonly exchanges = new Set<FakeExchange>();
  /** True: what is sent from this end never arrives. */
  silent = false;
  /** Exchanges opened from this end. */
  opened = 0;
  /** Messages sent from this end. */
  sent = 0;

  constructor(owner: FakePeers, peer: NodeDescription, id: string) {
    this.owner = owner;
    this.peer = peer;
    this.id = id;
  }

  get info(): LinkInfo {
    const { id, health, roundTripMs } = this;
    return { id, health, roundTripMs, state: this.usable ? "up" : "closed" } as LinkInfo;
  }

  send(type: number, fields: MessageFields, body: Uint8Array): boolean {
    if (!this.usable) throw new MycnetError("unavailable", "the link is closed");
    this.sent++;
    const bytes = body.slice();
    this.carry(() => {
      this.other.owner.handlers.get(type)?.message?.(this.other, fields, bytes);
      bytes.fill(0xdd);
    });
    return true;
  }

  open(
    type: number,
    fields: MessageFields,
    body: Uint8Array,
    upload: boolean,
    handlers: ExchangeHandlers,
  ): Exchange {
    if (!this.usable) throw new MycnetError("unavailable", "the link is closed");
    this.opened++;
    const near = new FakeExchange(this);
    const far = new FakeExchange(this.other);
    near.other = far;
    far.other = near;
    near.handlers = handlers;
    this.exchanges.add(near);
    const bytes = body.slice();
    this.carry(() => {
      if (near.over) return;
      near.arrived = true;
      this.other.exchanges.add(far);
      const handler = this.other.owner.handlers.get(type);
      if (handler?.request === undefined) far.reset("unhandled");
      else far.handlers = handler.request(far, fields, bytes, upload);
      bytes.fill(0xdd);
    });
    return near;
  }

  writable(): Promise<void> {
    return this.usable ? Promise.resolve() : Promise.reject(new MycnetError("unavailable", "gone"));
  }

  drain(): Promise<void> {
    this.cut();
    return Promise.resolve();
  }

  /** Delivers in order, in a later microtask, unless this end is silent by then. */
  carry(run: () => void): void {
    queueMicrotask(() => {
      if (!this.silent && this.usable) run();
    });
  }

  /** The link breaks at both ends at once. Without `sent`, exchanges that have not arrived are told that nothing was sent. */
  cut(sent = true, left = false): void {
    for (const end of [this, this.other]) {
      if (!end.usable) continue;
      end.usable = false;
      end.owner.lost(end, left && end.peer.id === this.owner.self.id);
      for (const exchange of [...end.exchanges]) {
        const message = "the link was lost";
        exchange.lose({ code: "link_lost", message, sent: sent || exchange.arrived });
      }
    }
  }
}

/** The peers of a fake node. */
export class FakePeers implements Peers {
  readonly self: NodeDescription;
  readonly handlers = new Map<number, MessageHandler>();
  readonly hints: PeerHint[] = [];
  readonly #network: FakeNetwork;
  readonly #host: Host;
  readonly #links = new Map<string, FakeLink>();
  /** Ids of nodes that answer no dial. */
  readonly unreachable = new Set<string>();
  /** Dials so far. */
  dials = 0;

  constructor(network: FakeNetwork, host: Host, self: NodeDescription) {
    this.#network = network;
    this.#host = host;
    this.self = self;
  }

  list(): readonly PeerInfo[] {
    return [];
  }

  get(_id: string): PeerInfo | undefined {
    return undefined;
  }

  link(id: string): FakeLink | undefined {
    return this.#links.get(id);
  }

  links(): readonly FakeLink[] {
    return [...this.#links.values()];
  }

  async connect(target: string): Promise<PeerLink> {
    this.dials++;
    await Promise.resolve();
    const known = this.#links.get(target);
    if (known !== undefined) return known;
    const node = this.#network.nodes.get(target);
    if (node === undefined || this.unreachable.has(target)) {
      throw new MycnetError("unreachable", `${target} does not answer`);
    }
    return this.#network.link(this.self.id, target);
  }

  learn(hint: PeerHint): Disposable {
    this.hints.push(hint);
    return { [Symbol.dispose]: () => void this.hints.splice(this.hints.indexOf(hint), 1) };
  }

  handle(type: number, handler: MessageHandler): Disposable {
    if (this.handlers.has(type)) throw new MycnetError("duplicate_handler", `type ${type}`);
    this.handlers.set(type, handler);
    return { [Symbol.dispose]: () => void this.handlers.delete(type) };
  }

  disconnect(id: string): Promise<void> {
    this.#links.get(id)?.cut();
    return Promise.resolve();
  }

  up(link: FakeLink): void {
    this.#links.set(link.peer.id, link);
    this.#host.emit(linkUp, link);
  }

  lost(link: FakeLink, left: boolean): void {
    this.#links.delete(link.peer.id);
    this.#host.emit(linkDown, { link, reason: "lost" });
    this.#host.emit(peerDown, { peer: link.peer, reason: "lost", left });
  }
}

/** A list that a test changes. */
export class FakeList<T> implements LiveList<T> {
  #entries: readonly LiveEntry<T>[] = [];

  get size(): number {
    return this.#entries.length;
  }

  entries(): readonly LiveEntry<T>[] {
    return this.#entries;
  }

  set(...entries: LiveEntry<T>[]): void {
    this.#entries = entries;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (const { value } of this.#entries) yield value;
  }

  each(): AsyncDisposable {
    throw new Error("not needed");
  }
}

/** A node of the fake network. */
export interface FakeNode {
  readonly id: string;
  readonly host: Host;
  readonly peers: FakePeers;
  readonly balancers: FakeList<Balancer>;
  readonly layer: ServiceNode;
}

/** Who may be believed is decided by `trust`; by default everybody, by fiat. */
export type FakeTrust = (self: NodeDescription) => Pick<Identity, "sign" | "verify">;

const fiat: FakeTrust = () => ({
  sign: () => ({ signature: new Uint8Array(0), chain: [] }),
  verify: () => ({ ok: true, principal: undefined }),
});

/** Nodes joined by fake links, under one virtual clock. */
export class FakeNetwork implements AsyncDisposable {
  readonly clock: FakeHost;
  readonly nodes = new Map<string, FakeNode>();
  #links = 0;
  #generation = 1000;

  constructor(seed = 1) {
    this.clock = new FakeHost(seed);
  }

  /** Adds a node, linked to nobody. */
  add(
    id: string,
    options: { settings?: Partial<LayerSettings>; trust?: FakeTrust; addresses?: string[] } = {},
  ): FakeNode {
    const host = hostOf(this.clock);
    const generation = this.#generation++;
    const self: NodeDescription = {
      cluster: "test",
      type: "sclerotia",
      id,
      generation,
      version: "0.0.0",
    };
    const peers = new FakePeers(this, host, self);
    const balancers = new FakeList<Balancer>();
    const identity: Identity = {
      self,
      credentials: undefined,
      onCredentials: () => ({ [Symbol.dispose]: () => {} }),
      ...(options.trust ?? fiat)(self),
    };
    const settings = { ...testSettings, ...options.settings };
    const layer = new ServiceNode({ host, peers, identity, balancers, settings: () => settings });
    layer.setAddresses(options.addresses ?? [`memory://${id}`]);
    const node = { id, host, peers, balancers, layer };
    this.nodes.set(id, node);
    return node;
  }

  /** Links two nodes, if they are not yet. */
  link(a: string, b: string): FakeLink {
    const near = this.#node(a);
    const far = this.#node(b);
    const known = near.peers.link(b);
    if (known !== undefined) return known;
    const id = `link-${this.#links++}`;
    const there = new FakeLink(near.peers, far.peers.self, `${id}-${a}`);
    const back = new FakeLink(far.peers, near.peers.self, `${id}-${b}`);
    there.other = back;
    back.other = there;
    near.peers.up(there);
    far.peers.up(back);
    return there;
  }

  /** Lets everything that is under way arrive. */
  settle(): Promise<void> {
    return this.clock.barrier();
  }

  /** The node is gone without a word. */
  async crash(id: string): Promise<void> {
    const node = this.#node(id);
    this.nodes.delete(id);
    for (const link of node.peers.links()) link.cut();
    await this.#stop(node);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.nodes.values()].map((node) => this.#stop(node)));
  }

  async #stop(node: FakeNode): Promise<void> {
    let stopped = false;
    const stopping = node.layer[Symbol.asyncDispose]().then(() => stopped = true);
    await this.clock.until(() => stopped, 60_000, 100);
    await stopping;
  }

  #node(id: string): FakeNode {
    const node = this.nodes.get(id);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }
}

/** A host on a shared clock, with events of its own. */
function hostOf(clock: FakeHost): Host {
  const handlers = new Map<string, Set<(payload: never) => void>>();
  return {
    now: () => clock.now(),
    wallTime: () => clock.wallTime(),
    random: () => clock.random(),
    randomBytes: (length) => clock.randomBytes(length),
    id: () => clock.id(),
    after: (ms, run) => clock.after(ms, run),
    every: (ms, run) => clock.every(ms, run),
    sleep: (ms, signal) => clock.sleep(ms, signal),
    barrier: () => clock.barrier(),
    log: clock.log,
    emit: <T>(topic: Topic<T>, payload: T) => {
      for (const handler of handlers.get(topic.id) ?? []) (handler as (it: T) => void)(payload);
    },
    on: <T>(topic: Topic<T>, handler: (payload: T) => void) => {
      const all = handlers.get(topic.id) ?? new Set();
      handlers.set(topic.id, all);
      all.add(handler as (payload: never) => void);
      return { [Symbol.dispose]: () => void all.delete(handler as (payload: never) => void) };
    },
  };
}
