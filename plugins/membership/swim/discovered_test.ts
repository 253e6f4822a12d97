import assert from "node:assert/strict";
import type { DiscoveredNode, Discovery } from "../../../core/contracts/discovery.ts";
import { FakeHost } from "../../../core/node/fakes_test.ts";
import { portBeside } from "./address.ts";
import { followSource, gossipAddresses } from "./discovered.ts";

Deno.test("a node gossips where its source says, else beside where it takes links", () => {
  const told = { addresses: ["x:1"], metadata: { gossip: "y:2" } };
  assert.deepEqual(gossipAddresses(told, portBeside), ["y:2"]);
  const addresses = [
    "tls://10.0.0.1:7000",
    "quic://10.0.0.1:7001",
    "[fd00::1]:7000",
    "odd",
    ":7000",
    "far:65000",
  ];
  assert.deepEqual(gossipAddresses({ addresses }, portBeside), [
    "10.0.0.1:7946",
    "10.0.0.1:7947",
    "[fd00::1]:7946",
  ]);
  assert.deepEqual(gossipAddresses({ addresses }, () => 7946), [
    "10.0.0.1:7946",
    "[fd00::1]:7946",
    "far:7946",
  ]);
});

Deno.test("a source is followed without this node itself, and again after its watch broke", async () => {
  const host = new FakeHost();
  const lists: DiscoveredNode[][] = [
    [{ id: "self", addresses: ["s:1"] }, { id: "b", addresses: ["b:1"] }, { addresses: ["b:2"] }],
    [{ addresses: ["c:1"] }],
  ];
  let watches = 0;
  const source: Discovery = {
    id: "fake",
    discover: () => Promise.resolve([]),
    async *watch() {
      yield lists[watches++]!;
      throw new Error("the watch broke");
    },
    register: () => Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() }),
  };
  const seen: (readonly string[])[] = [];
  const found = (addresses: readonly string[]) => void seen.push(addresses);
  const following = followSource({ host, source, self: "self", gossipPort: () => 7946, found });
  await host.barrier();
  await host.advance(30_000);
  assert.deepEqual(seen, [["b:7946"], ["c:7946"]]);
  await following[Symbol.asyncDispose]();
  await host.advance(60_000);
  assert.equal(watches, 2);
});
