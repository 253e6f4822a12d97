/** What tests of delivery share: databases in memory, and nodes that only deliver. */
import assert from "node:assert/strict";
import type { DatabaseSync } from "node:sqlite";
import type { ArrivedMessage, Taken } from "../../contracts/delivery.ts";
import type { ErrorCode, MycnetError } from "../../kernel/errors.ts";
import { messageTypes } from "@mycnet/protocols/frame";
import { SimDatabases } from "../../simulation/databases.ts";
import { FakeNet, FakeNode, type FakeNodeOptions } from "../fake_net_test.ts";
import { type DeliveryConfig, deliveryConfig } from "./config.ts";
import { NodeDelivery } from "./delivery.ts";

/** A configuration with its defaults filled in. */
export function deliveryConfigOf(partial: Record<string, unknown> = {}): DeliveryConfig {
  const result = deliveryConfig["~standard"].validate(partial);
  if (result instanceof Promise || result.issues !== undefined) throw new Error("bad config");
  return result.value;
}

/** Databases in memory that outlive whoever opened them, as files do, and can be looked into. */
export class MemoryDatabases extends SimDatabases {
  override unavailable: string | undefined = undefined;

  /** Those of a node that keeps nothing on disk. */
  static none(): MemoryDatabases {
    const databases = new MemoryDatabases();
    databases.unavailable = "this node keeps nothing on disk";
    return databases;
  }

  /** The file itself. */
  file(name = "delivery.db"): DatabaseSync {
    return this.files.get(name)!;
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

/** Stops nodes in good order and checks that nothing is left behind. Databases are closed. */
export async function end(net: FakeNet, ...nodes: DeliveryNode[]): Promise<void> {
  for (const node of nodes) await node.stop();
  net.checkNothingLeft();
  for (const { databases } of nodes) databases[Symbol.dispose]();
}

/** Checks the code of an error. */
export function hasCode(error: unknown, code: ErrorCode): void {
  assert.equal((error as MycnetError | undefined)?.code, code, String(error));
}

/** The numbers from one to another, as texts. */
export function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, at) => `${from + at}`);
}

/** How much a node's outbox holds. */
export function outbox(node: DeliveryNode): unknown {
  return node.databases.file().prepare("SELECT count(*) AS n FROM outbox").get()!.n;
}

/** What a receiver wrote into its table `book`, in order. */
export function book(databases: MemoryDatabases): unknown[] {
  const rows = databases.file().prepare("SELECT what FROM book ORDER BY rowid").all();
  return rows.map(({ what }) => what);
}
