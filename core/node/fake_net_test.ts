/**
 * A network of nodes for tests: NodePeers over the real link machine and
 * connections in memory, on one virtual clock.
 */
import assert from "node:assert/strict";
import type { Connection, PeerAuthentication, Transport } from "../contracts/transport.ts";
import { linkDown, linkRefused, linkUp, peerDown, peerUp } from "../contracts/peers.ts";
import { MycnetError } from "../kernel/errors.ts";
import type { NodeDescription } from "@mycnet/protocols/identity";
import { defaultCapabilities } from "@mycnet/protocols/negotiation";
import { connectionPair, type FakeConnection, FakeHost } from "./fakes_test.ts";
import { type PeersConfig, peersConfig } from "./peers/config.ts";
import { NodePeers } from "./peers/peers.ts";

/** A configuration with its defaults filled in. */
export function configOf(partial: Record<string, unknown> = {}): PeersConfig {
  const result = peersConfig["~standard"].validate(partial);
  if (result instanceof Promise || result.issues !== undefined) throw new Error("bad config");
  return result.value;
}

/** One wire of the network. */
export interface Wire {
  readonly from: string;
  readonly to: string;
  readonly dialer: FakeConnection;
  readonly acceptor: FakeConnection;
}

/** The wires and who listens. */
export class FakeNet {
  readonly host: FakeHost;
  readonly listeners = new Map<string, (connection: Connection) => void>();
  readonly wires: Wire[] = [];
  /** Every dial, also those that failed: address and virtual time. */
  readonly dials: { readonly address: string; readonly atMs: number }[] = [];
  /** One-way delay of new wires, in ms. */
  delayMs = 1;
  /** Addresses whose dials hang until their timeout. */
  readonly silent = new Set<string>();
  /** What transports know of who dials (as the acceptor sees it) and of who is dialled. Default: nothing. */
  authenticate: (node: string) => PeerAuthentication = () => ({ kind: "fiat" });
  #ports = 40_000;

  constructor(seed = 1) {
    this.host = new FakeHost(seed);
  }

  /** Wires that are open at both ends. */
  get open(): Wire[] {
    return this.wires.filter(({ dialer, acceptor }) => !dialer.ended && !acceptor.ended);
  }

  /** Waits for a promise, in virtual time. */
  async settled<T>(promise: Promise<T>): Promise<T> {
    let done = false;
    const finished = () => void (done = true);
    promise.then(finished, finished);
    await this.host.until(() => done);
    return await promise;
  }

  /** What a promise that must fail fails with, in virtual time. */
  async fails(promise: Promise<unknown>): Promise<MycnetError> {
    try {
      await this.settled(promise);
    } catch (error) {
      return error as MycnetError;
    }
    throw new assert.AssertionError({ message: "it did not fail" });
  }

  /** Checks that nothing is left behind. */
  checkNothingLeft(): void {
    assert.equal(this.host.pendingTimers, 0, "a timer was left behind");
    assert.equal(this.open.length, 0, "a connection was left open");
  }

  /** A transport of one node, listening at `address`, or nowhere. */
  transport(node: string, address: string | undefined): Transport {
    const { host } = this;
    return {
      id: "memory",
      scheme: "memory",
      addresses: address === undefined ? [] : [`memory://${address}`],
      dial: async (target, { signal, timeoutMs }) => {
        this.dials.push({ address: target, atMs: host.now() });
        await host.sleep(this.silent.has(target) ? timeoutMs : this.delayMs, signal);
        if (this.silent.has(target)) throw new MycnetError("timeout", `${target} is silent`);
        const listener = this.listeners.get(target);
        if (listener === undefined) {
          throw new MycnetError("unreachable", `nobody listens at ${target}`);
        }
        const { dialer, acceptor } = connectionPair(host, {
          dialer: `${node}:${++this.#ports}`,
          acceptor: target,
          delayMs: this.delayMs,
          dialerSees: this.authenticate(target),
          acceptorSees: this.authenticate(node),
        });
        this.wires.push({ from: node, to: target, dialer, acceptor });
        listener(acceptor);
        return dialer;
      },
      accept: (handler) => {
        if (address !== undefined) this.listeners.set(address, handler);
        return {
          [Symbol.dispose]: () => {
            if (address !== undefined) this.listeners.delete(address);
          },
        };
      },
    };
  }
}

/** Options of a node. */
export interface FakeNodeOptions {
  readonly generation?: number;
  readonly cluster?: string;
  readonly config?: Record<string, unknown>;
  readonly maxConnections?: number;
  /** Where it listens. Default: its id. Null: nowhere. */
  readonly address?: string | null;
  /** Where it gossips now. */
  readonly gossip?: () => string | undefined;
}

/** One node of the network. */
export class FakeNode {
  readonly net: FakeNet;
  readonly host: FakeHost;
  readonly self: NodeDescription;
  readonly peers: NodePeers;
  /** What was emitted, as text. */
  readonly events: string[] = [];
  readonly #accepting: Disposable;

  constructor(net: FakeNet, id: string, options: FakeNodeOptions = {}) {
    this.net = net;
    // A view of the shared clock with topics and lines of its own.
    this.host = net.host.view();
    this.self = {
      cluster: options.cluster ?? "test",
      type: "sclerotia",
      id,
      generation: options.generation ?? 1,
      version: "0.1.0",
    };
    const address = options.address === undefined ? id : options.address ?? undefined;
    const transport = net.transport(id, address);
    const { host, events } = this;
    host.on(linkUp, (link) => void events.push(`link up ${link.peer.id}`));
    host.on(linkDown, ({ link }) => void events.push(`link down ${link.peer.id}`));
    host.on(peerUp, (peer) => void events.push(`peer up ${peer.id}`));
    host.on(
      peerDown,
      ({ peer, left }) => void events.push(`peer down ${peer.id}${left ? " left" : ""}`),
    );
    host.on(linkRefused, ({ code, by }) => void events.push(`refused ${code} by ${by}`));
    this.peers = new NodePeers({
      host,
      self: this.self,
      config: configOf(options.config),
      capabilities: defaultCapabilities,
      profiles: {},
      maxConnections: options.maxConnections ?? 1000,
      connectionTimeoutMs: 5000,
      transports: () => [transport],
      gossip: options.gossip ?? (() => undefined),
    });
    this.#accepting = transport.accept((connection) => this.peers.accept(connection));
  }

  /** Learns a seed to keep. */
  keep(address: string, id?: string): Disposable {
    return this.peers.learn({ addresses: [`memory://${address}`], id, source: "test", keep: true });
  }

  /** Learns where a node is. */
  hint(address: string, id?: string): Disposable {
    return this.peers.learn({
      addresses: [`memory://${address}`],
      id,
      source: "test",
      keep: false,
    });
  }

  /** True while there is a usable link. */
  linked(id: string): boolean {
    return this.peers.link(id) !== undefined;
  }

  /** Says goodbye and stops. */
  async stop(code: "leaving" | "shutting_down" | "restarting" = "shutting_down"): Promise<void> {
    this.#accepting[Symbol.dispose]();
    await this.net.settled(this.peers.close(code, "the test is over"));
  }

  /** Dies without a word; the other ends notice at once. */
  async crash(): Promise<void> {
    this.#accepting[Symbol.dispose]();
    for (const wire of this.net.open) {
      if (wire.from === this.self.id || wire.to === this.self.id) wire.dialer.cut();
    }
    await this.stop();
  }
}
