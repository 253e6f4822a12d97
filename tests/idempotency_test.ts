/**
 * Idempotency keys between whole nodes, over a real socket that breaks at the
 * worst moment: behind the request, and before its answer.
 */
import assert from "node:assert/strict";
import { z } from "zod";
import { createNode, defineService, type Node } from "../mod.ts";
import { clusterTest } from "./harness/leaks.ts";

const bank = defineService("bank", {
  version: 1,
  methods: { pay: { input: z.string(), output: z.string() } },
});

/** Passes connections on to a port, until it is told to drop what comes back, or everything. */
class Relay implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #open = new Set<Deno.TcpConn>();
  readonly #done: Promise<void>;
  /** True: what the far end answers gets lost. */
  swallowing = false;
  /** Runs when an answer was lost. */
  swallowed: (() => void) | undefined;

  constructor(target: string) {
    this.#done = this.#serve(Number(target.split(":").at(-1)));
  }

  get address(): string {
    return `tcp://127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;
  }

  /** Breaks every connection; new ones are passed on again. */
  cut(): void {
    this.swallowing = false;
    for (const conn of this.#open) conn.close();
    this.#open.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.cut();
    await this.#done;
  }

  async #serve(port: number): Promise<void> {
    const pumps: Promise<void>[] = [];
    try {
      for await (const near of this.#listener) {
        const far = await Deno.connect({ hostname: "127.0.0.1", port });
        this.#open.add(near).add(far);
        pumps.push(this.#pump(near, far, false), this.#pump(far, near, true));
      }
    } catch {
      // Closed.
    }
    await Promise.all(pumps);
  }

  async #pump(from: Deno.TcpConn, to: Deno.TcpConn, back: boolean): Promise<void> {
    try {
      const buffer = new Uint8Array(16_384);
      for (let count = await from.read(buffer); count !== null; count = await from.read(buffer)) {
        if (back && this.swallowing) this.swallowed?.();
        else for (let at = 0; at < count;) at += await to.write(buffer.subarray(at, count));
      }
    } catch {
      // Cut.
    }
    for (const conn of [from, to]) {
      if (this.#open.delete(conn)) conn.close();
    }
  }
}

function start(id: string, listens: boolean): Promise<Node> {
  return createNode({
    config: false,
    node: {
      id,
      type: listens ? "sclerotia" : "hyphae",
      bindAddress: listens ? "127.0.0.1:0" : false,
    },
    plugins: {
      identity: { insecure: true },
      tls: false,
      tcp: { insecure: true },
      admin: false,
      "http-gateway": false,
      peers: { linksPerPeer: 1 },
    },
  });
}

async function pair() {
  const stack = new AsyncDisposableStack();
  const server = stack.use(await start("server", true));
  const relay = stack.use(new Relay(server.addresses[0]));
  const client = stack.use(await start("client", false));
  await client.cluster.join([relay.address]);
  return { stack, server, client, relay };
}

clusterTest(
  "a call whose link breaks while its handler runs: it runs once and is answered",
  async () => {
    const { stack, server, client, relay } = await pair();
    await using _ = stack;
    const running = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<string>();
    let ran = 0;
    await using _serving = server.serve(bank, {
      pay: (_, { signal }) => {
        ran++;
        running.resolve();
        signal.addEventListener("abort", () => answer.reject(signal.reason));
        return answer.promise;
      },
    });
    const call = client.client(bank).pay("10", { idempotencyKey: "order-1", timeout: "20s" });
    await running.promise;
    relay.cut();
    answer.resolve("receipt");
    assert.equal(await call, "receipt");
    assert.equal(ran, 1);
  },
);

clusterTest(
  "a call whose answer is lost with its link: it ran once, and its caller has the first result",
  async () => {
    const { stack, server, client, relay } = await pair();
    await using _ = stack;
    let ran = 0;
    await using _serving = server.serve(bank, { pay: () => `receipt ${++ran}` });
    const bankClient = client.client(bank);
    assert.equal(await bankClient.pay("1"), "receipt 1");
    const lost = Promise.withResolvers<void>();
    relay.swallowed = lost.resolve;
    relay.swallowing = true;
    const call = bankClient.pay("10", { idempotencyKey: "order-1", timeout: "20s" });
    await lost.promise;
    relay.cut();
    assert.equal(await call, "receipt 2");
    assert.equal(ran, 2);
  },
);

clusterTest(
  "a request by name that is asked again after its link broke is answered from the first",
  async () => {
    const { stack, server, client, relay } = await pair();
    await using _ = stack;
    const running = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<Uint8Array>();
    let ran = 0;
    await using _handler = server.handle("custom.pay", () => {
      ran++;
      running.resolve();
      return answer.promise;
    });
    const bytes = new TextEncoder().encode("10");
    const ask = () =>
      client.request("server", "custom.pay", bytes, { idempotencyKey: "order-1", timeout: "20s" });
    const lost = assert.rejects(ask(), { code: "link_lost" });
    await running.promise;
    relay.cut();
    await lost;
    const again = ask();
    answer.resolve(new TextEncoder().encode("receipt"));
    assert.deepEqual(await again, new TextEncoder().encode("receipt"));
    assert.deepEqual(await ask(), new TextEncoder().encode("receipt"));
    assert.equal(ran, 1);
    const other = client.request("server", "custom.pay", new Uint8Array(1), {
      idempotencyKey: "order-1",
    });
    await assert.rejects(other, { code: "invalid_argument" });
  },
);
