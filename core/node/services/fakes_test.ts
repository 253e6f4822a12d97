/** What the tests of this room share: nodes with the real service layer over fake peers. */
import type { Balancer } from "../../contracts/balancer.ts";
import type { Identity } from "../../contracts/identity.ts";
import type { Host, Topic } from "../../kernel/host.ts";
import type { LiveEntry, LiveList } from "../../kernel/plugin.ts";
import type { NodeDescription } from "@mycnet/protocols/identity";
import { FakeHost } from "../fakes_test.ts";
import type { Tracing } from "../tracing/mod.ts";
import { FakeLink, FakePeers } from "./fake_links_test.ts";
import { type LayerSettings, ServiceNode } from "./layer.ts";

export { FakeHost } from "../fakes_test.ts";

/** The settings of a test node. */
export const testSettings: LayerSettings = {
  maxConcurrentCalls: 1000,
  maxDepth: 8,
  drainTimeoutMs: 5000,
  directoryIntervalMs: 10_000,
  recordTtlMs: 600_000,
  maxRecords: 1000,
  maxDirectoryBytes: 1024 * 1024,
  results: { maxEntries: 1000, maxBytes: 1_000_000, maxAgeMs: 600_000 },
};

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
    options: {
      settings?: Partial<LayerSettings>;
      trust?: FakeTrust;
      addresses?: string[];
      tracing?: Tracing;
    } = {},
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
    const peers = new FakePeers(
      (from, to) => this.nodes.has(to) ? this.link(from, to) : undefined,
      host,
      self,
    );
    const balancers = new FakeList<Balancer>();
    const identity: Identity = {
      self,
      credentials: undefined,
      onCredentials: () => ({ [Symbol.dispose]: () => {} }),
      ...(options.trust ?? fiat)(self),
    };
    const settings = { ...testSettings, ...options.settings };
    const { tracing } = options;
    const parts = { host, peers, identity, balancers, settings: () => settings, tracing };
    const layer = new ServiceNode(parts);
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
