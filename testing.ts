/**
 * Real nodes inside your own `deno test`: no sockets, no keys, no processes.
 *
 * @example Your service on three nodes.
 * ```ts
 * import { createTestCluster } from "@mycnet/runtime/testing";
 * import { defineService } from "@mycnet/runtime";
 * import { z } from "zod";
 *
 * const clock = defineService("clock", {
 *   version: 1,
 *   methods: { zone: { input: z.object({}), output: z.string(), idempotent: true } },
 * });
 *
 * await using cluster = await createTestCluster(3);
 * await using serving = cluster.nodes[0].serve(clock, { zone: () => "UTC" });
 * console.log(await cluster.nodes[2].client(clock).zone({}));
 * ```
 *
 * For time, loss and partitions under your control use the simulator
 * (`@mycnet/runtime/simulation`).
 * @module
 */
import { createNodeWith, type NodeOptions } from "./core/node/create_node.ts";
import type { Node } from "./core/node/node.ts";
import { MycnetError } from "./core/kernel/errors.ts";
import { createHost } from "./core/kernel/real_host.ts";
import { builtIns } from "./plugins/mod.ts";
import { MemoryNetwork } from "./plugins/transports/memory.ts";

/** What may be laid over a node's configuration. */
export type TestNodeOptions = Pick<NodeOptions, "node" | "plugins" | "profiles" | "log">;

/** How a test cluster is made. */
export interface TestClusterOptions {
  /** What is laid over each node's configuration; `index` counts from 0. */
  readonly node?: (index: number) => TestNodeOptions;
  /** How long nodes may take to link, in milliseconds. Default 10,000. */
  readonly linkTimeoutMs?: number;
}

/** Real nodes over the memory transport, each linked to each. */
export interface TestCluster extends AsyncDisposable {
  /** The nodes that run, in the order of their start. */
  readonly nodes: readonly Node[];
  /** Starts one more, linked to all that listen. Resolves when it is. @throws as {@linkcode linked}. */
  add(options?: TestNodeOptions): Promise<Node>;
  /** Stops one as a leaving node would. @throws `not_found` for a node that is not, or no longer, of this cluster. */
  remove(node: Node): Promise<void>;
  /** Resolves when every two nodes that can be linked are. @throws `timeout`, saying who is not linked to whom, and why. */
  linked(): Promise<void>;
}

/**
 * Starts `size` nodes named `node-1`, `node-2` ... of type sclerotia and
 * resolves when every two of them are linked. Dispose of it to stop them all.
 * @throws `invalid_argument` unless `size` is a whole number from 1 to 100,
 * `timeout` if they do not link, and as `createNode` for wrong options. Nothing
 * is left running then.
 */
export async function createTestCluster(
  size: number,
  options: TestClusterOptions = {},
): Promise<TestCluster> {
  if (!Number.isInteger(size) || size < 1 || size > 100) {
    throw new MycnetError("invalid_argument", `size: ${size} is not a whole number from 1 to 100`);
  }
  const cluster = new MemoryCluster(options.linkTimeoutMs ?? 10_000);
  try {
    for (let index = 0; index < size; index++) await cluster.start(options.node?.(index) ?? {});
    await cluster.linked();
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
  return cluster;
}

class MemoryCluster implements TestCluster {
  readonly nodes: Node[] = [];
  readonly #network = new MemoryNetwork();
  readonly #linkTimeoutMs: number;
  #started = 0;
  /** The start before the next one: a node's seeds are those who run when it starts. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(linkTimeoutMs: number) {
    this.#linkTimeoutMs = linkTimeoutMs;
  }

  start(options: TestNodeOptions): Promise<Node> {
    const started = this.#turn.then(() => this.#start(options));
    this.#turn = started.catch(() => {});
    return started;
  }

  async #start(options: TestNodeOptions): Promise<Node> {
    const seeds = this.nodes.flatMap((it) => it.addresses);
    const node = await createNodeWith(builtIns, {
      ...options,
      config: false,
      node: {
        id: `node-${++this.#started}`,
        cluster: "test",
        type: "sclerotia",
        stateDir: "unused-by-tests",
        ...options.node,
      },
      plugins: {
        "identity": { insecure: true },
        "memory": { network: this.#network },
        "static": { seeds },
        "tls": false,
        "admin": false,
        "http-gateway": false,
        ...options.plugins,
      },
    });
    this.nodes.push(node);
    return node;
  }

  async add(options: TestNodeOptions = {}): Promise<Node> {
    const node = await this.start(options);
    await this.linked();
    return node;
  }

  async remove(node: Node): Promise<void> {
    const index = this.nodes.indexOf(node);
    if (index < 0) throw new MycnetError("not_found", "That node is not of this cluster");
    this.nodes.splice(index, 1);
    await node.cluster.leave();
  }

  async linked(): Promise<void> {
    const late = new AbortController();
    using _timer = createHost().after(this.#linkTimeoutMs, () => late.abort());
    await Promise.all(this.nodes.map((node) => this.#linkedToAll(node, late.signal)));
  }

  /** Hears of every link before it looks, so that none is missed in between. */
  async #linkedToAll(node: Node, late: AbortSignal): Promise<void> {
    const events = node.events({ capacity: 1, signal: late });
    try {
      while (true) {
        const missing = this.#unlinked(node);
        if (missing.length === 0) return;
        if (!(await events.next()).done) continue;
        if (!late.aborted) {
          throw new MycnetError("closed", `${node.id} stopped before it was linked`);
        }
        const why = node.health().reasons.map((it) => `; ${it}`).join("");
        throw new MycnetError("timeout", `${node.id} is not linked to ${missing.join(", ")}${why}`);
      }
    } finally {
      await events.return?.();
    }
  }

  /** Whom a node is not linked to but could be: at least one of the two listens. */
  #unlinked(node: Node): string[] {
    if (!this.nodes.includes(node)) return [];
    const linked = new Set(
      node.members().filter(({ links }) => links.some(({ state }) => state === "up"))
        .map(({ id }) => id),
    );
    const could = (other: Node) =>
      other !== node && (other.addresses.length > 0 || node.addresses.length > 0);
    return this.nodes.filter(could).map(({ id }) => id).filter((id) => !linked.has(id));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const nodes = this.nodes.splice(0);
    const results = await Promise.allSettled(nodes.map((it) => it.stop()));
    const errors = results.flatMap((it) => it.status === "rejected" ? [it.reason] : []);
    if (errors.length > 0) {
      throw new AggregateError(errors, "Nodes of the test cluster failed to stop");
    }
  }
}
