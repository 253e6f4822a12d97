import assert from "node:assert/strict";
import type { DiscoveredNode, Discovery } from "../../../core/contracts/discovery.ts";
import { FakeHost } from "../../../core/node/fakes_test.ts";
import { portBeside } from "./address.ts";
import { type Candidates, candidatesOf, followSource } from "./discovered.ts";

Deno.test("a node gossips where its source says, else beside where it takes links", () => {
  const told = { addresses: ["x:1"], metadata: { gossip: "y:2" } };
  assert.deepEqual(candidatesOf(told, portBeside), { told: ["y:2"], guessed: [] });
  const addresses = [
    "tls://10.0.0.1:7000",
    "quic://10.0.0.1:7001",
    "[fd00::1]:7000",
    "odd",
    ":7000",
    "far:65000",
  ];
  const beside = candidatesOf({ addresses }, portBeside);
  assert.deepEqual(beside.told, []);
  assert.deepEqual(beside.guessed, [
    "10.0.0.1:7946",
    "10.0.0.1:7947",
    "[fd00::1]:7946",
  ]);
  assert.deepEqual(candidatesOf({ addresses }, () => 7946).guessed, [
    "10.0.0.1:7946",
    "[fd00::1]:7946",
    "far:7946",
  ]);
});

Deno.test("a source is followed without this node itself, and again after its watch broke", async () => {
  const host = new FakeHost();
  const lists: DiscoveredNode[][] = [
    [{ id: "self", addresses: ["s:1"] }, { id: "b", addresses: ["b:1"] }, {
      addresses: ["b:2"],
      metadata: { gossip: "b:3" },
    }],
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
  const seen: Candidates[] = [];
  const found = (candidates: Candidates) => void seen.push(candidates);
  const following = followSource({ host, source, self: "self", gossipPort: () => 7946, found });
  await host.barrier();
  await host.advance(30_000);
  assert.deepEqual(seen, [
    { told: ["b:3"], guessed: ["b:7946"] },
    { told: [], guessed: ["c:7946"] },
  ]);
  await following[Symbol.asyncDispose]();
  await host.advance(60_000);
  assert.equal(watches, 2);
});
