/** Nodes with transfers over memory and virtual time, for the tests of this room. */
import assert from "node:assert/strict";
import type { MycnetError } from "../../kernel/errors.ts";
import { FakeNet, FakeNode } from "../fake_net_test.ts";
import { type BulkConfig, NodeBulk } from "./bulk.ts";

/** Bytes that show where they belong. */
export function pattern(length: number, from = 0): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => ((from + i) * 31 + ((from + i) >> 8)) & 0xff);
}

/** A source of the pattern, in chunks; notes how much was pulled, and whether it was let go. */
export class Source {
  pulled = 0;
  offset: number | undefined;
  cancelled: unknown;
  readonly total: number;
  readonly #chunk: number;

  constructor(total: number, chunk = 10_000) {
    this.total = total;
    this.#chunk = chunk;
  }

  readonly from = (offset: number): ReadableStream<Uint8Array> => {
    this.offset = offset;
    let at = offset;
    return new ReadableStream({
      pull: (controller) => {
        if (at >= this.total) return controller.close();
        const bytes = pattern(Math.min(this.#chunk, this.total - at), at);
        at += bytes.length;
        this.pulled += bytes.length;
        controller.enqueue(bytes);
      },
      cancel: (reason) => void (this.cancelled = reason),
    }, { highWaterMark: 0 });
  };
}

/** Everything that a stream gives. */
export async function readAll(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  const whole = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/** Nodes that know each other's addresses, and their transfers. */
export class Cluster implements AsyncDisposable {
  readonly net = new FakeNet();
  readonly nodes = new Map<string, FakeNode>();
  readonly bulks = new Map<string, NodeBulk>();

  constructor(config: Partial<BulkConfig> = {}, ids = ["a", "b"]) {
    for (const id of ids) {
      const node = new FakeNode(this.net, id);
      for (const other of ids) if (other !== id) node.hint(other, other);
      this.nodes.set(id, node);
      const all = { idleTimeout: 30_000, maxTransfers: 64, ...config };
      this.bulks.set(id, new NodeBulk(node.host, node.peers, () => all));
    }
  }

  get host() {
    return this.net.host;
  }

  of(id: string): NodeBulk {
    return this.bulks.get(id)!;
  }

  /** See {@linkcode FakeNet.settled}. */
  settled<T>(promise: Promise<T>): Promise<T> {
    return this.net.settled(promise);
  }

  /** See {@linkcode FakeNet.fails}. */
  fails(promise: Promise<unknown>): Promise<MycnetError> {
    return this.net.fails(promise);
  }

  /** What both ends count as under way. */
  get active(): number {
    return [...this.bulks.values()].reduce((sum, bulk) => sum + bulk.metrics().bulk_active, 0);
  }

  async [Symbol.asyncDispose]() {
    for (const bulk of this.bulks.values()) bulk[Symbol.dispose]();
    for (const node of this.nodes.values()) await node.stop();
    await this.host.advance(10); // What both ends said last is still on the wire.
    assert.equal(this.active, 0, "a transfer was left behind");
    this.net.checkNothingLeft();
  }
}
