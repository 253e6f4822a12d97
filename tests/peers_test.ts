/** The peers and messenger plugins, run by the kernel over the memory transport. */
import assert from "node:assert/strict";
import { identity } from "../core/contracts/identity.ts";
import { healthSources } from "../core/contracts/health.ts";
import { messenger } from "../core/contracts/messenger.ts";
import { metricsSources } from "../core/contracts/metrics.ts";
import { peers, peerUp } from "../core/contracts/peers.ts";
import { settings } from "../core/contracts/settings.ts";
import { createHost, type Entry, type Host, Kernel, providePlugin } from "../core/kernel/mod.ts";
import databasesPlugin from "../core/node/databases/plugin.ts";
import deliveryPlugin from "../core/node/delivery/plugin.ts";
import messengerPlugin from "../core/node/messenger/plugin.ts";
import peersPlugin from "../core/node/peers/plugin.ts";
import memoryPlugin, { MemoryNetwork } from "../plugins/transports/memory.ts";
import staticPlugin from "../plugins/discovery/static.ts";
import { testSettings } from "./harness/settings.ts";

/** A node of plugins: what peers needs, and nothing else. */
class Node implements AsyncDisposable {
  readonly host: Host = createHost({ log: () => {} });
  readonly kernel: Kernel = new Kernel(this.host);
  readonly #network: MemoryNetwork;
  readonly #given: readonly Entry[];
  readonly id: string;

  constructor(network: MemoryNetwork, id: string) {
    this.#network = network;
    this.id = id;
    const nodeSettings = testSettings({ id });
    const { cluster, type } = nodeSettings;
    this.#given = [
      { id: "settings", plugin: providePlugin("settings", settings, nodeSettings) },
      {
        id: "identity",
        plugin: providePlugin("identity", identity, {
          self: { cluster, type, id, generation: 1, version: "0.1.0" },
          credentials: undefined,
          onCredentials: () => ({ [Symbol.dispose]: () => {} }),
          sign: () => ({ signature: new Uint8Array(), chain: [] }),
          verify: () => ({ ok: true, principal: undefined }),
        }),
      },
    ];
  }

  /** Applies a declaration: seeds, and on how many transports to listen. */
  async apply(seeds: readonly string[], transports = ["memory"]): Promise<void> {
    await this.kernel.apply([
      ...this.#given,
      ...transports.map((id): Entry => ({
        id,
        plugin: memoryPlugin,
        config: {
          network: this.#network,
          address: id === "memory" ? this.id : `${this.id}-${id}`,
        },
      })),
      { id: "static", plugin: staticPlugin, config: { seeds } },
      { id: "peers", plugin: peersPlugin, config: {} },
      { id: "databases", plugin: databasesPlugin, config: {} },
      { id: "delivery", plugin: deliveryPlugin, config: {} },
      { id: "messenger", plugin: messengerPlugin, config: {} },
    ]);
  }

  /** Resolves when a node is linked. */
  async linked(id: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    using _ = this.host.on(peerUp, (peer) => peer.id === id && resolve());
    if (this.kernel.get(peers).link(id) === undefined) await promise;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kernel.stop();
  }
}

Deno.test("two nodes that list each other as seeds link up once, and talk", async () => {
  const network = new MemoryNetwork();
  await using one = new Node(network, "one");
  await using two = new Node(network, "two");
  const seeds = ["memory://one", "memory://two"];
  await Promise.all([one.apply(seeds), two.apply(seeds)]);
  await Promise.all([one.linked("two"), two.linked("one")]);
  using _ = two.kernel.get(messenger).handle("custom.echo", (bytes) => bytes);
  const answer = await one.kernel.get(messenger).request(
    "two",
    "custom.echo",
    new Uint8Array([1, 2, 3]),
  );
  assert.deepEqual([...answer], [1, 2, 3]);
  const [health] = [...one.kernel.live(healthSources)];
  assert.deepEqual(health(), { status: "healthy" });
  const metrics = [...one.kernel.live(metricsSources)]
    .filter(({ category }) => category === "communication")
    .map((source) => source.read());
  assert(metrics.length >= 3, "those of the links, the delivery and the messenger");
  assert(metrics.some(({ messages_sent }) => messages_sent >= 1));
  assert(metrics.every(({ failed_sends = 0 }) => failed_sends === 0));
});

Deno.test("a transport that is added while the node runs is used, and links survive the change", async () => {
  const network = new MemoryNetwork();
  await using one = new Node(network, "one");
  await using two = new Node(network, "two");
  await one.apply([]);
  await two.apply(["memory://one"]);
  await two.linked("one");
  const before = two.kernel.get(peers).link("one");
  await one.apply([], ["memory", "more"]);
  assert.equal(two.kernel.get(peers).link("one"), before);
  await using three = new Node(network, "three");
  await three.apply(["memory://one-more"]);
  await three.linked("one");
  assert.deepEqual(
    [...three.kernel.get(peers).get("one")!.addresses].sort(),
    ["memory://one", "memory://one-more"],
  );
});

Deno.test("a seed that is taken off the list while the node runs is no trouble any longer", async () => {
  const network = new MemoryNetwork();
  await using one = new Node(network, "one");
  const { promise: failed, resolve } = Promise.withResolvers<void>();
  await one.apply(["memory://nobody"]);
  const health = () => [...one.kernel.live(healthSources)][0]();
  const watch = one.host.every(5, () => health().status === "degraded" && resolve());
  await failed;
  watch[Symbol.dispose]();
  assert.match(health().reason!, /memory:\/\/nobody/);
  await one.apply([]);
  const { promise: recovered, resolve: recover } = Promise.withResolvers<void>();
  const again = one.host.every(5, () => health().status === "healthy" && recover());
  await recovered;
  again[Symbol.dispose]();
});
