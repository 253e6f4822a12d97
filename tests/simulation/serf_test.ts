/** Clusters of Serf machines on SWIM machines in virtual time: what no machine can show alone. */
import assert from "node:assert/strict";
import type { SerfEvent, SerfQuerySummary } from "@mycnet/protocols/serf";
import { SerfCluster } from "./serf_cluster.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (payload: Uint8Array) => new TextDecoder().decode(payload);

/** All that are up have the same view; gives it. */
function agreed(cluster: SerfCluster): Record<string, string> {
  const [first, ...others] = cluster.views();
  for (const view of others) assert.deepEqual(view, first);
  return first!;
}

function events(told: readonly SerfEvent[], name: string): string[] {
  return told.flatMap((event) =>
    event.type === "user_event" && event.name === name ? [text(event.payload)] : []
  );
}

Deno.test("all who join through one hear of each other, with their tags", () => {
  const cluster = new SerfCluster({ members: 12, seed: "form" });
  cluster.form();
  const view = agreed(cluster);
  assert.equal(Object.keys(view).length, 12);
  assert.ok(Object.values(view).every((status) => status === "alive"));
  for (const node of cluster.nodes) {
    for (const { name, tags } of node.serf.members()) assert.equal(`n${tags.index}`, name);
    assert.equal(node.serf.counters.malformed, 0);
  }
});

Deno.test("who leaves has left and who crashes has failed, in every view", () => {
  const cluster = new SerfCluster({ members: 8, seed: "leave" });
  cluster.form();
  const [, leaver, victim] = cluster.nodes;
  cluster.act(leaver!, (serf, nowMs) => serf.leave(nowMs));
  cluster.run(4000);
  assert.equal(leaver!.serf.status, "left");
  cluster.crash(leaver!);
  cluster.crash(victim!);
  cluster.run(20_000);
  const view = agreed(cluster);
  assert.equal(view.n1, "left");
  assert.equal(view.n2, "failed");
  for (const node of cluster.nodes.slice(3)) {
    assert.ok(node.story().includes("n1 left"));
    assert.ok(!node.story().includes("n1 failed"));
    assert.ok(node.story().includes("n2 failed"));
  }
});

Deno.test("a forced leave of the failed is left everywhere, one of the living is refuted", () => {
  const cluster = new SerfCluster({ members: 6, seed: "force" });
  cluster.form();
  cluster.crash(cluster.nodes[5]!);
  cluster.run(15_000);
  assert.equal(agreed(cluster).n5, "failed");
  cluster.act(cluster.nodes[0]!, (serf, nowMs) => {
    serf.forceLeave("n5", nowMs);
    serf.forceLeave("n4", nowMs);
  });
  cluster.run(5000);
  const view = agreed(cluster);
  assert.equal(view.n5, "left");
  assert.equal(view.n4, "alive");
  assert.ok(cluster.nodes[4]!.serf.counters.refutations > 0);
  cluster.act(cluster.nodes[1]!, (serf, nowMs) => serf.forceLeave("n5", nowMs, true));
  cluster.run(5000);
  assert.equal(agreed(cluster).n5, undefined);
});

Deno.test("a member that left or failed comes back with a new life and no clocks", () => {
  const cluster = new SerfCluster({ members: 6, seed: "return" });
  cluster.form();
  const [first, leaver, victim] = cluster.nodes;
  cluster.act(first!, (serf, nowMs) => serf.event("before", bytes("x"), nowMs));
  cluster.act(leaver!, (serf, nowMs) => serf.leave(nowMs));
  cluster.run(4000);
  cluster.crash(leaver!);
  cluster.crash(victim!);
  cluster.run(20_000);
  for (const node of [leaver!, victim!]) {
    cluster.restart(node);
    cluster.join(node, first!);
  }
  cluster.run(40_000);
  const view = agreed(cluster);
  assert.deepEqual([view.n1, view.n2], ["alive", "alive"]);
  assert.deepEqual(events(leaver!.told, "before"), []); // A join wants no past.
  cluster.act(leaver!, (serf, nowMs) => serf.event("after", bytes("y"), nowMs));
  cluster.run(3000);
  for (const node of cluster.nodes) assert.deepEqual(events(node.told, "after"), ["y"], node.name);
});

Deno.test("events reach everybody once, though a fifth of all packets is lost", () => {
  const cluster = new SerfCluster({ members: 16, seed: "events", loss: 0.2 });
  cluster.form(20_000);
  const sent: string[] = [];
  for (let i = 0; i < 20; i++) {
    const sender = cluster.nodes[(7 * i) % 16]!;
    sent.push(`${i}`);
    cluster.act(sender, (serf, nowMs) => serf.event("e", bytes(`${i}`), nowMs));
    cluster.run(300);
  }
  cluster.run(90_000); // What gossip lost, push/pulls bring.
  for (const node of cluster.nodes) {
    assert.deepEqual(events(node.told, "e").sort(), sent.toSorted(), node.name);
  }
});

Deno.test("a query is answered by those it is for, and ends when they have", () => {
  const cluster = new SerfCluster({ members: 10, seed: "query" });
  cluster.form();
  const answers: string[] = [];
  const acks: string[] = [];
  const summaries: SerfQuerySummary[] = [];
  const startMs = cluster.now;
  cluster.act(cluster.nodes[3]!, (serf, nowMs) =>
    serf.query(
      { name: "who", payload: bytes("?"), tags: { index: "^[2468]$" }, ack: true, relayFactor: 2 },
      {
        ack: (from) => acks.push(from),
        response: (from, payload) => answers.push(`${from}=${text(payload)}`),
        done: (summary) => summaries.push(summary),
      },
      nowMs,
    ));
  for (let step = 0; step < 40 && summaries.length === 0; step++) {
    cluster.run(50);
    for (const node of cluster.nodes) {
      for (const event of node.told.splice(0)) {
        if (event.type !== "query") continue;
        cluster.act(node, (_, nowMs) => event.query.respond(bytes(`i am ${node.name}`), nowMs));
      }
    }
  }
  assert.deepEqual(summaries, [{ expected: 4, acks: 4, responses: 4 }]);
  assert.deepEqual(acks.sort(), ["n2", "n4", "n6", "n8"]);
  assert.deepEqual(answers.sort(), [2, 4, 6, 8].map((i) => `n${i}=i am n${i}`));
  assert.ok(cluster.now - startMs < 2000, `${cluster.now - startMs} ms`);
});

Deno.test("a split cluster heals by itself, and its clocks, tags and events come together", () => {
  const cluster = new SerfCluster({ members: 8, seed: "split" });
  cluster.form();
  cluster.cut = (from, to) => (from < 4) !== (to < 4);
  cluster.run(60_000);
  const [left, right] = [cluster.nodes[0]!, cluster.nodes[7]!];
  assert.deepEqual(Object.values(left.view()).filter((it) => it === "failed").length, 4);
  assert.deepEqual(Object.values(right.view()).filter((it) => it === "failed").length, 4);
  cluster.act(left, (serf, nowMs) => serf.event("side", bytes("left"), nowMs));
  cluster.act(right, (serf, nowMs) => serf.event("side", bytes("right"), nowMs));
  cluster.act(right, (serf, nowMs) => serf.setTags({ index: "7", moved: "yes" }, nowMs));
  cluster.run(300_000);
  cluster.cut = () => false;
  cluster.run(180_000);
  const view = agreed(cluster);
  assert.ok(Object.values(view).every((status) => status === "alive"), JSON.stringify(view));
  for (const node of cluster.nodes) {
    assert.equal(node.serf.member("n7")!.tags.moved, "yes");
    assert.deepEqual(events(node.told, "side").sort(), ["left", "right"], node.name);
  }
  const clocks = cluster.nodes.map(({ serf }) => serf.clocks.event);
  assert.equal(new Set(clocks).size, 1);
});

Deno.test("a partition heals even after all of the other side has been forgotten", () => {
  const cluster = new SerfCluster({
    members: 4,
    seed: "forgotten",
    config: { reconnectTimeoutMs: 60_000 },
  });
  cluster.form();
  cluster.cut = (from, to) => (from < 2) !== (to < 2);
  cluster.run(150_000);
  for (const view of cluster.views()) assert.equal(Object.keys(view).length, 2);
  cluster.cut = () => false;
  cluster.run(180_000);
  assert.equal(Object.keys(agreed(cluster)).length, 4);
});

Deno.test("answered probes make distances that tell near from far", () => {
  const cluster = new SerfCluster({ members: 6, seed: "rtt" });
  cluster.form(120_000);
  const { serf } = cluster.nodes[0]!;
  const distance = serf.distanceMs("n0", "n1")!;
  // Both ways take 0.2 ms and on average 0.3 more.
  assert.ok(distance > 0.5 && distance < 2, String(distance));
  assert.ok(serf.distanceMs("n1", "n2")! < 3);
});

Deno.test("the same seed gives the same story", () => {
  const stories = [1, 2].map(() => {
    const cluster = new SerfCluster({ members: 8, seed: "again", loss: 0.1 });
    cluster.form();
    cluster.crash(cluster.nodes[2]!);
    cluster.run(30_000);
    return JSON.stringify(cluster.nodes.map((node) => [node.story(), node.serf.counters]));
  });
  assert.equal(stories[0], stories[1]);
});
