/**
 * Two nodes, any interleaving of dials, losses, blackholes and restarts: once
 * the world is quiet, there is at most one link between them, and both mean the
 * same one.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { FakeNet, FakeNode } from "../fake_net_test.ts";

type Step =
  | { readonly kind: "dial"; readonly from: "a" | "b" }
  | { readonly kind: "cut" | "blackhole"; readonly which: number }
  | { readonly kind: "lose"; readonly at: "a" | "b" }
  | { readonly kind: "restart"; readonly node: "a" | "b"; readonly gracefully: boolean }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "delay"; readonly ms: number };

const node = fc.constantFrom("a" as const, "b" as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("dial" as const), from: node }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom("cut" as const, "blackhole" as const),
      which: fc.nat(5),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("lose" as const), at: node }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("restart" as const),
      node,
      gracefully: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("wait" as const),
      ms: fc.constantFrom(0, 1, 3, 10, 50, 400, 2000, 7000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("delay" as const), ms: fc.constantFrom(0, 1, 7, 40) }),
  },
);

/** The wire under a node's one link to the other, as a number; undefined without a link. */
function wireOf(net: FakeNet, of: FakeNode, other: string): number | undefined {
  const links = of.peers.get(other)?.links ?? [];
  assert(links.length <= 1, `${of.self.id} has ${links.length} links`);
  const connection = of.peers.link(other)?.connection;
  const index = net.wires.findIndex(({ dialer, acceptor }) =>
    dialer === connection || acceptor === connection
  );
  return index === -1 ? undefined : index;
}

async function play(seed: number, steps: readonly Step[], keep: readonly ("a" | "b")[]) {
  const net = new FakeNet(seed);
  let generation = 1;
  const make = (id: "a" | "b") => {
    const made = new FakeNode(net, id, { generation: generation++ });
    const other = id === "a" ? "b" : "a";
    if (keep.includes(id)) made.keep(other);
    else made.hint(other, other);
    return made;
  };
  const nodes = { a: make("a"), b: make("b") };
  for (const step of steps) {
    switch (step.kind) {
      case "dial":
        nodes[step.from].peers.connect(step.from === "a" ? "b" : "a").catch(() => {});
        break;
      case "cut":
        net.open[step.which]?.dialer.cut();
        break;
      case "blackhole":
        net.open[step.which]?.dialer.blackhole();
        break;
      case "lose":
        nodes[step.at].peers.link(step.at === "a" ? "b" : "a")?.destroy("lost");
        break;
      case "restart": {
        const old = nodes[step.node];
        await (step.gracefully ? old.stop() : old.crash());
        nodes[step.node] = make(step.node);
        break;
      }
      case "wait":
        await net.host.advance(step.ms);
        break;
      case "delay":
        net.delayMs = step.ms;
    }
  }
  // Long enough for probes, pings, drains and every backoff.
  await net.host.advance(30_000);
  const { a, b } = nodes;
  const [atA, atB] = [wireOf(net, a, "b"), wireOf(net, b, "a")];
  assert.equal(atA, atB, "they mean different links");
  const peaceful = steps.every(({ kind }) => ["dial", "wait", "delay"].includes(kind));
  const dialled = steps.some(({ kind }) => kind === "dial");
  if (keep.length > 0) assert.notEqual(atA, undefined, "a kept link is missing");
  if (peaceful && dialled) assert.notEqual(atA, undefined, "both links were dropped");
  assert.equal(net.open.filter(({ dialer }) => dialer.reading).length, atA === undefined ? 0 : 1);
  await Promise.all([a.stop(), b.stop()]);
  for (const { dialer, acceptor } of net.wires) {
    dialer.resume();
    acceptor.resume();
  }
  await net.host.advance(100);
  assert.equal(net.host.pendingTimers, 0, "a timer was left behind");
}

Deno.test("dials alone, however they cross, end with one link: both sides never drop both", async () => {
  const peaceful = step.filter(({ kind }) => ["dial", "wait", "delay"].includes(kind));
  await fc.assert(
    fc.asyncProperty(
      fc.integer(),
      fc.array(peaceful, { minLength: 1, maxLength: 8 }),
      (seed, it) => play(seed, it, []),
    ),
    { numRuns: 60 },
  );
});

/** One side dials anew within the millisecond in which the other still believes in the old link. */
const lostUnnoticed: [number, Step[], ("a" | "b")[]] = [-1113252386, [
  { kind: "dial", from: "a" },
  { kind: "wait", ms: 20 },
  { kind: "lose", at: "b" },
  { kind: "delay", ms: 0 },
  { kind: "dial", from: "b" },
  { kind: "wait", ms: 3 },
], []];

/** A restart replaces the peer while the decider still waits for one of its links to prove itself. */
const restartedWhileDialling: [number, Step[], ("a" | "b")[]] = [0, [
  { kind: "wait", ms: 10 },
  { kind: "restart", node: "b", gracefully: false },
  { kind: "dial", from: "a" },
], ["a", "b"]];

Deno.test("any interleaving of dials, losses and restarts ends with one link on which both agree", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer(),
      fc.array(step, { maxLength: 14 }),
      fc.constantFrom<readonly ("a" | "b")[]>([], ["a"], ["b"], ["a", "b"]),
      play,
    ),
    { numRuns: 60, examples: [lostUnnoticed, restartedWhileDialling] },
  );
});
