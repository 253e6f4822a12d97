/** What tests of delivery share: databases in memory, and nodes that only deliver. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { Databases } from "../../contracts/databases.ts";
import type { ArrivedMessage, Taken } from "../../contracts/delivery.ts";
import { messageTypes } from "@mycnet/protocols/frame";
import { FakeNet, FakeNode, type FakeNodeOptions } from "../fake_net_test.ts";
import { type DeliveryConfig, deliveryConfig } from "./config.ts";
import { NodeDelivery } from "./delivery.ts";

/** A configuration with its defaults filled in. */
export function deliveryConfigOf(partial: Record<string, unknown> = {}): DeliveryConfig {
  const result = deliveryConfig["~standard"].validate(partial);
  if (result instanceof Promise || result.issues !== undefined) throw new Error("bad config");
  return result.value;
}

/** Databases in memory that outlive whoever opened them, as files do. */
export class MemoryDatabases implements Databases, Disposable {
  unavailable: string | undefined;
  readonly #files = new Map<string, DatabaseSync>();

  /** Those of a node that keeps nothing on disk. */
  static none(): MemoryDatabases {
    const databases = new MemoryDatabases();
    databases.unavailable = "this node keeps nothing on disk";
    return databases;
  }

  open(name: string) {
    let database = this.#files.get(name);
    if (database === undefined) this.#files.set(name, database = new DatabaseSync(":memory:"));
    if (database.isTransaction) database.exec("ROLLBACK");
    return { database, path: `:memory:/${name}`, [Symbol.dispose]: () => {} };
  }

  exists(name: string): boolean {
    return this.#files.has(name);
  }

  /** The file itself. */
  file(name = "delivery.db"): DatabaseSync {
    return this.#files.get(name)!;
  }

  [Symbol.dispose](): void {
    for (const database of this.#files.values()) database.close();
    this.#files.clear();
  }
}

/** A text as it is sent. */
export const bytes = (text: string) => new TextEncoder().encode(text);
/** And read. */
export const text = (body: Uint8Array) => new TextDecoder().decode(body);

/** How a node is made. */
export interface DeliveryNodeOptions extends FakeNodeOptions {
  readonly databases?: MemoryDatabases;
  readonly delivery?: Record<string, unknown>;
}

/** A node that delivers, and writes down what arrives. */
export class DeliveryNode {
  readonly node: FakeNode;
  readonly delivery: NodeDelivery;
  readonly databases: MemoryDatabases;
  /** What arrived, as text; `again:` before what was redelivered. */
  readonly arrived: string[] = [];
  /** What becomes of what arrives. */
  answer: (message: ArrivedMessage) => Taken = () => "taken";

  constructor(net: FakeNet, id: string, options: DeliveryNodeOptions = {}) {
    this.node = new FakeNode(net, id, options);
    this.databases = options.databases ?? new MemoryDatabases();
    this.delivery = new NodeDelivery({
      host: this.node.host,
      self: id,
      peers: this.node.peers,
      databases: this.databases,
      config: deliveryConfigOf(options.delivery),
    });
    this.delivery.receive((message) => {
      const taken = this.answer(message);
      if (taken === "taken" || taken instanceof Promise) {
        this.arrived.push((message.redelivered ? "again:" : "") + text(message.body));
      }
      return taken;
    });
  }

  /** Sends a text. */
  send(
    to: string,
    what: string,
    level: "high" | "guaranteed" = "high",
    options: Parameters<NodeDelivery["send"]>[5] = {},
  ): Promise<void> {
    const body = bytes(what);
    return this.delivery.send(to, level, messageTypes.custom, { route: "test" }, body, options);
  }

  /** What arrived, without its marks. */
  get texts(): string[] {
    return this.arrived.map((it) => it.replace("again:", ""));
  }

  /** Stops in good order. */
  async stop(): Promise<void> {
    this.delivery[Symbol.dispose]();
    await this.node.stop();
  }

  /** Dies: nothing is said any more. */
  async crash(): Promise<void> {
    const crashed = this.node.crash();
    this.delivery[Symbol.dispose]();
    await crashed;
  }
}

/** Waits for a promise in virtual time; gives what it failed with, or undefined. */
export async function outcome(net: FakeNet, promise: Promise<unknown>): Promise<unknown> {
  let result: { error: unknown } | undefined;
  promise.then(() => result = { error: undefined }, (error) => result = { error });
  await net.host.until(() => result !== undefined);
  return result!.error;
}

/** Checks that nothing is left behind. */
export function nothingLeft(net: FakeNet): void {
  assert.equal(net.host.pendingTimers, 0, "a timer was left behind");
  assert.equal(net.open.length, 0, "a connection was left open");
}
