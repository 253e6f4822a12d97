import assert from "node:assert/strict";
import { z } from "zod";
import type { Host } from "../../kernel/host.ts";
import { capability, live } from "../../kernel/plugin.ts";
import { definePlugin, providePlugin } from "../../kernel/define_plugin.ts";
import { Kernel } from "../../kernel/kernel.ts";
import { identity } from "../../contracts/identity.ts";
import { healthSources } from "../../contracts/health.ts";
import { metricsSources } from "../../contracts/metrics.ts";
import { peers } from "../../contracts/peers.ts";
import { type Transport, transport } from "../../contracts/transport.ts";
import { FakeNetwork } from "./fakes_test.ts";
import { defineService, serviceLayer, servicesPlugin } from "./mod.ts";

const greeter = defineService("greeter", {
  version: 1,
  methods: { hello: { input: z.string(), output: z.string() } },
});

/** A kernel with the plugin over fake peers, and what it needs to be declared. */
function declared(host: Host) {
  const network = new FakeNetwork();
  const node = network.add("a");
  const { self } = node.peers;
  // The fake node's own layer goes, so that the plugin's takes its place.
  const free = node.layer[Symbol.asyncDispose]();
  network.nodes.delete("a");
  const id = {
    self,
    credentials: undefined,
    onCredentials: () => ({ [Symbol.dispose]: () => {} }),
    sign: () => ({ signature: new Uint8Array(0), chain: [] }),
    verify: () => ({ ok: true, principal: undefined }) as const,
  };
  const listening = definePlugin<Transport, { address: string }, Record<never, never>>({
    name: "fake_transport",
    summary: "Only says where it listens.",
    provides: transport,
    needs: {},
    config: z.strictObject({ address: z.string() }),
    setup: ({ config }) => ({
      id: "fake",
      scheme: "fake",
      addresses: [config.address],
      dial: () => Promise.reject(new Error("not here")),
      accept: () => ({ [Symbol.dispose]: () => {} }),
    }),
  });
  const peersEntry = { id: "peers", plugin: providePlugin("peers", peers, node.peers), config: {} };
  const identityEntry = {
    id: "identity",
    plugin: providePlugin("identity", identity, id),
    config: {},
  };
  const entries = (services: Record<string, unknown>, address?: string) => [
    peersEntry,
    identityEntry,
    { id: "services", plugin: servicesPlugin, config: services },
    ...(address === undefined ? [] : [{ id: "fake", plugin: listening, config: { address } }]),
  ];
  return { network, free, entries, kernel: new Kernel(host) };
}

Deno.test("the plugin provides the whole layer, and says where the node's transports listen", async () => {
  const { network, free, entries, kernel } = declared(new FakeNetwork().clock);
  await using _ = network;
  await free;
  await using running = kernel;
  await running.apply(entries({}, "fake://here:1"));
  const layer = running.get(serviceLayer);
  assert.deepEqual(layer.records()[0].addresses, ["fake://here:1"]);
  await running.apply(entries({}, "fake://there:2"));
  assert.equal(running.get(serviceLayer), layer);
  assert.deepEqual(layer.records()[0].addresses, ["fake://there:2"]);
  await running.apply(entries({}));
  assert.deepEqual(layer.records()[0].addresses, []);
});

Deno.test("limits of calls change while services are being served; the directory's restart the plugin", async () => {
  const { network, free, entries, kernel } = declared(new FakeNetwork().clock);
  await using _ = network;
  await free;
  await using running = kernel;
  await running.apply(entries({ maxConcurrentCalls: 1 }));
  const layer = running.get(serviceLayer);
  const gate = Promise.withResolvers<string>();
  layer.serve(greeter, { hello: () => gate.promise });
  const client = layer.client(greeter);
  const first = client.hello("1");
  const refused = await client.hello("2").catch((it) => it);
  assert.equal(refused.code, "overloaded");
  await running.apply(entries({ maxConcurrentCalls: 2 }));
  assert.equal(running.get(serviceLayer), layer);
  const second = client.hello("3");
  gate.resolve("done");
  assert.deepEqual(await Promise.all([first, second]), ["done", "done"]);
  await running.apply(entries({ maxConcurrentCalls: 2, recordTtl: "1m" }));
  assert.notEqual(running.get(serviceLayer), layer);
});

Deno.test("the plugin reports its health and its metrics", async () => {
  const { network, free, entries, kernel } = declared(new FakeNetwork().clock);
  await using _ = network;
  await free;
  await using running = kernel;
  const seen: Record<string, number> = {};
  const reader = definePlugin({
    name: "reader",
    summary: "Reads what others contribute.",
    provides: capability<() => readonly string[]>("reader"),
    needs: {
      health: live(healthSources),
      metrics: live(metricsSources),
    },
    config: z.strictObject({}),
    setup: ({ needs }) => () => {
      for (const { read } of needs.metrics) Object.assign(seen, read());
      return [...needs.health].map((it) => it().status);
    },
  });
  await running.apply([...entries({}), { id: "reader", plugin: reader, config: {} }]);
  const layer = running.get(serviceLayer);
  layer.serve(greeter, { hello: (it) => it });
  await layer.client(greeter).hello("x");
  assert.deepEqual(running.get(capability<() => readonly string[]>("reader"))(), ["healthy"]);
  assert.equal(seen.calls_made, 1);
  assert.equal(seen.calls_served, 1);
  assert.equal(seen.calls_retried, 0);
  assert.equal(seen.directory_records, 1);
});

Deno.test("a configuration that makes no sense is refused, naming the field", () => {
  const message = (config: unknown) => {
    const parsed = servicesPlugin.parse(config);
    return parsed.ok ? "" : parsed.issues.map((it) => `${it.path.join(".")} ${it.message}`).join();
  };
  assert.equal(message({}), "");
  assert.match(message({ maxConcurrentCalls: 0 }), /maxConcurrentCalls/);
  assert.match(message({ drainTimeout: "soon" }), /drainTimeout.*"5s"/);
  assert.match(message({ maxConcurentCalls: 5 }), /maxConcurentCalls/);
});
