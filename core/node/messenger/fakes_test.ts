/** Nodes with messengers, for the tests of this room. */
import type { MycnetError } from "../../kernel/errors.ts";
import { FakeNet, FakeNode } from "../fake_net_test.ts";
import { NodeDelivery } from "../delivery/delivery.ts";
import { deliveryConfigOf, MemoryDatabases } from "../delivery/fakes_test.ts";
import type { Tracing } from "../tracing/mod.ts";
import { NodeMessenger } from "./messenger.ts";

/** A text as it is sent. */
export const bytes = (text: string) => new TextEncoder().encode(text);
/** And read. */
export const text = (body: Uint8Array) => new TextDecoder().decode(body);

/** Nodes that all know each other's addresses, with their messengers. */
export class Cluster implements AsyncDisposable {
  readonly net = new FakeNet();
  readonly nodes = new Map<string, FakeNode>();
  readonly deliveries = new Map<string, NodeDelivery>();
  readonly messengers = new Map<string, NodeMessenger>();

  constructor(...ids: string[]) {
    this.addAll(ids, () => undefined);
  }

  /** Those of which `tracing` knows something trace with it. */
  static traced(ids: string[], tracing: (id: string) => Tracing | undefined): Cluster {
    const cluster = new Cluster();
    cluster.addAll(ids, tracing);
    return cluster;
  }

  private addAll(ids: string[], tracing: (id: string) => Tracing | undefined): void {
    for (const id of ids) {
      const node = new FakeNode(this.net, id);
      for (const other of ids) if (other !== id) node.hint(other, other);
      this.nodes.set(id, node);
      const delivery = new NodeDelivery({
        host: node.host,
        self: id,
        peers: node.peers,
        databases: MemoryDatabases.none(),
        config: deliveryConfigOf(),
      });
      this.deliveries.set(id, delivery);
      this.messengers.set(id, new NodeMessenger(node.host, node.peers, delivery, tracing(id)));
    }
  }

  get host() {
    return this.net.host;
  }

  of(id: string): NodeMessenger {
    return this.messengers.get(id)!;
  }

  /** See {@linkcode FakeNet.settled}. */
  settled<T>(promise: Promise<T>): Promise<T> {
    return this.net.settled(promise);
  }

  /** See {@linkcode FakeNet.fails}. */
  fails(promise: Promise<unknown>): Promise<MycnetError> {
    return this.net.fails(promise);
  }

  async [Symbol.asyncDispose]() {
    for (const messenger of this.messengers.values()) messenger[Symbol.dispose]();
    for (const delivery of this.deliveries.values()) delivery[Symbol.dispose]();
    for (const node of this.nodes.values()) await node.stop();
    this.net.checkNothingLeft();
  }
}
