/**
 * Churn: two nodes in this process that do all that nodes do to each other, and
 * lose their link again and again.
 *
 * The leaf reaches the hub through a relay. A round has requests, typed calls, a
 * stream of items, messages and a stream of bytes; every eighth has a message that
 * is kept on disk as well, and serves a service and withdraws it; every so often the relay cuts the link while
 * calls are under way, which must each be answered or fail with a code that says
 * so, and the leaf must find its way back. Between rounds nothing is under way:
 * what the process still holds is what it keeps.
 */
import { join } from "node:path";
import { z } from "zod";
import { freePort } from "../../tests/harness/ports.ts";
import { codeOf, defineService, type Node } from "../../mod.ts";
import { delay } from "./delay.ts";
import { type BenchNode, echoMessage, orders, serveEchoes, startNode } from "./nodes.ts";
import { Relay } from "./relay.ts";
import { oneWayBytes, sampleBytes, sampleOrder } from "./sample.ts";

const hubId = "hub";
const sink = "custom.sink";
const atOnce = 8;
const bulkBytes = 256 * 1024;
const rareEvery = 8;
/** How long the way back, or word of a service, may take. */
const patienceMs = 30_000;
/** What a call under way may end with when its link is cut. */
const lost = new Set([
  "unavailable",
  "unreachable",
  "link_lost",
  "deadline_exceeded",
  "undelivered",
]);

const items = defineService("items", {
  version: 1,
  methods: { count: { input: z.int(), stream: z.int() } },
});
const passing = defineService("passing", {
  version: 1,
  methods: { here: { input: z.void(), output: z.boolean(), idempotent: true } },
});

/** What has been done so far. */
export interface Done {
  rounds: number;
  calls: number;
  messages: number;
  streams: number;
  services: number;
  cuts: number;
}

/** The two nodes. Use with `await using`. */
export class Churn implements AsyncDisposable {
  readonly done: Done = { rounds: 0, calls: 0, messages: 0, streams: 0, services: 0, cuts: 0 };
  readonly #stack: AsyncDisposableStack;
  readonly #relay: Relay;
  readonly #hub: Node;
  readonly #leaf: Node;

  private constructor(stack: AsyncDisposableStack, relay: Relay, hub: Node, leaf: Node) {
    this.#stack = stack;
    this.#relay = relay;
    this.#hub = hub;
    this.#leaf = leaf;
  }

  /** Starts both and waits until they are linked. */
  static async start(): Promise<Churn> {
    await using stack = new AsyncDisposableStack();
    const relay = stack.use(await Relay.listen());
    const stateDir = await Deno.makeTempDir({ prefix: "mycnet-soak-" });
    stack.defer(() => Deno.remove(stateDir, { recursive: true }));
    const start = async (it: Pick<BenchNode, "id" | "type" | "bind" | "advertise">) => {
      await Deno.mkdir(join(stateDir, "nodes", it.id), { recursive: true });
      return stack.use(await startNode({ ...it, transport: "tcp", stateDir }));
    };
    relay.target = `127.0.0.1:${freePort()}`;
    const hub = await start({
      id: hubId,
      type: "sclerotia",
      bind: relay.target,
      advertise: relay.address,
    });
    serveEchoes(hub);
    hub.handle(sink, () => {});
    hub.serve(items, {
      async *count(to) {
        for (let i = 0; i < to; i++) yield i;
      },
    });
    hub.bulk.handle("sink", async (transfer) => {
      for await (const _ of transfer.accept());
    });
    const leaf = await start({ id: "leaf", type: "hyphae" });
    await leaf.cluster.join([relay.address]);
    const churn = new Churn(stack.move(), relay, hub, leaf);
    await churn.#until(() => churn.#typed());
    return churn;
  }

  /** One round; nothing is under way when it resolves. @throws what failed without being cut off. */
  async round(): Promise<void> {
    const each = (work: () => Promise<unknown>) => Array.from({ length: atOnce }, work);
    await Promise.all([
      ...each(() => this.#request()),
      ...each(() => this.#typed()),
      ...each(() => this.#message("best-effort")),
      ...each(() => this.#message("high")),
      this.#items(),
      this.#bytes(),
    ]);
    if (++this.done.rounds % rareEvery !== 0) return;
    await this.#message("guaranteed"); // Waits for the disk.
    await this.#serve();
  }

  /** Cuts the link under calls, and waits until the leaf is back. */
  async cut(): Promise<void> {
    const calls = [this.#request(), this.#typed(), this.#message("high"), this.#bytes()];
    const outcomes = Promise.allSettled(calls);
    this.done.cuts += this.#relay.cut();
    for (const outcome of await outcomes) {
      if (outcome.status === "rejected" && !lost.has(codeOf(outcome.reason) ?? "")) {
        throw outcome.reason;
      }
    }
    await this.#until(() => this.#typed());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #request(): Promise<void> {
    await this.#leaf.request(hubId, echoMessage, sampleBytes);
    this.done.calls++;
  }

  async #typed(): Promise<void> {
    await this.#leaf.client(orders).echo(sampleOrder);
    this.done.calls++;
  }

  async #message(reliability: "best-effort" | "high" | "guaranteed"): Promise<void> {
    await this.#leaf.send(hubId, sink, oneWayBytes, { reliability });
    this.done.messages++;
  }

  async #items(): Promise<void> {
    let next = 0;
    for await (const item of this.#leaf.client(items).count(20)) {
      if (item !== next++) throw new Error(`item ${item} in place of ${next - 1}`);
    }
    this.done.streams++;
  }

  async #bytes(): Promise<void> {
    const body = new Uint8Array(bulkBytes);
    await this.#leaf.bulk.send(
      hubId,
      "sink",
      (offset) => ReadableStream.from([body.subarray(offset)]),
    );
    this.done.streams++;
  }

  async #serve(): Promise<void> {
    const client = this.#leaf.client(passing);
    {
      await using _serving = this.#hub.serve(passing, { here: () => true });
      await this.#until(() => client.here());
    }
    this.done.services++;
  }

  /** Tries until it works. @throws what it last failed with when patience ends. */
  async #until(work: () => Promise<unknown>): Promise<void> {
    const endsAt = performance.now() + patienceMs;
    while (true) {
      try {
        return void await work();
      } catch (error) {
        if (performance.now() > endsAt) throw error;
        await delay(5);
      }
    }
  }
}
