/**
 * Membership among real processes that are killed, stopped, continued, told to go
 * and started anew.
 *
 * Suspicion lasts two seconds here and nobody shortens it: of four members, two are
 * left to confirm one, and three would be needed. Clocks that jump are in
 * gossip_clock_test.ts, and in the simulator (tests/simulation/membership_clocks_test.ts).
 */
import assert from "node:assert/strict";
import type { Member } from "../../core/contracts/membership.ts";
import { clusterTest } from "../harness/leaks.ts";
import { freePort } from "../harness/ports.ts";
import { ask, logged, logLines, type RunningProcess, TestCluster } from "./cluster.ts";
import { allSee, counted, failuresAt, gossipOf, membersOf, until } from "./gossip.ts";

const ids = ["a", "b", "c", "d"];

/** Four nodes whose processes come and go, under one key. */
class Four implements AsyncDisposable {
  readonly cluster: TestCluster;
  readonly nodes: Map<string, RunningProcess> = new Map();

  private constructor(cluster: TestCluster) {
    this.cluster = cluster;
  }

  static async form(): Promise<Four> {
    const cluster = await TestCluster.create(
      ids.map((id) => ({ id, type: "sclerotia" as const })),
    );
    const gossip = ids.map(() => `127.0.0.1:${freePort()}`);
    for (const [at, id] of ids.entries()) {
      await cluster.declare(id, [], {
        plugins: {
          swim: {
            bindAddress: gossip[at],
            probeInterval: "500ms",
            probeTimeout: "250ms",
            suspicionMin: "2s",
            smallSuspicionMax: "4s",
            pushPullInterval: "1s",
            reconnectInterval: "1s",
            join: gossip,
            tags: { seat: String(at) },
          },
        },
      });
    }
    const four = new Four(cluster);
    try {
      await Promise.all(ids.map((id) => four.start(id)));
      await allSee(four.all, ids, "alive");
      return four;
    } catch (error) {
      await four[Symbol.asyncDispose]();
      throw error;
    }
  }

  get all(): RunningProcess[] {
    return [...this.nodes.values()];
  }

  node(id: string): RunningProcess {
    return this.nodes.get(id)!;
  }

  except(...ids: readonly string[]): RunningProcess[] {
    return this.all.filter((it) => !ids.includes(it.id));
  }

  async start(id: string): Promise<RunningProcess> {
    const node = await this.cluster.start(id);
    this.nodes.set(id, node);
    return node;
  }

  async kill(id: string): Promise<void> {
    const node = this.node(id);
    this.nodes.delete(id);
    await node.child.kill();
    await node[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((it) => it[Symbol.asyncDispose]()));
    await this.cluster[Symbol.asyncDispose]();
  }
}

/** What a member says of itself, without what counts and changes. */
async function wordOf(at: RunningProcess, id: string): Promise<Partial<Member>> {
  const member: Partial<Member> = (await membersOf(at))[id]!;
  const { incarnation: _, since: _since, phi: _phi, distanceMs: _rtt, state: _state, ...word } =
    member;
  return word;
}

/** Waits until each of these nodes has heard this word of a member, or a later one. */
async function allSeeIncarnation(
  nodes: readonly RunningProcess[],
  id: string,
  least: number,
): Promise<void> {
  for (const node of nodes) {
    await until(
      `incarnation ${least} of ${id} at ${node.id}`,
      async () => (await membersOf(node))[id]!.incarnation >= least,
    );
  }
}

/** The generation under which a node knows another as a peer. */
async function generationAt(at: RunningProcess, id: string): Promise<number | undefined> {
  const { peers } = await (await ask(at, "/api/v1/network/peers")).json();
  return peers.find((it: { id: string }) => it.id === id)?.generation;
}

clusterTest(
  "members that are killed, stopped, told to go and started anew are seen as such",
  async (t) => {
    await using four = await Four.form();
    const a = four.node("a");
    const incarnation = async (at: RunningProcess, id: string) =>
      (await membersOf(at))[id]!.incarnation;
    // A step builds on the one before it.
    const step = async (name: string, run: () => Promise<void>) => {
      if (!await t.step(name, run)) throw new Error("the rest makes no sense without this step");
    };

    await step("a pause shorter than the suspicion kills nobody", async () => {
      const b = four.node("b");
      const since = Date.now();
      const before = await incarnation(a, "b");
      await b.child.freeze();
      await until("suspicion of b", async () => (await membersOf(a)).b!.state === "suspect");
      b.child.thaw();
      await allSee(four.all, ids, "alive");
      // Long enough for any suspicion that was left over.
      await counted(four.all, "ping_count", 6);
      for (const node of four.all) assert.deepEqual(failuresAt(node, since), [], node.id);
      assert.ok(await incarnation(a, "b") > before, "it refuted the suspicion itself");
    });

    await step(
      "a pause longer than the suspicion is a death; then it comes back as what it was, and blames nobody",
      async () => {
        const b = four.node("b");
        const others = four.except("b");
        const since = Date.now();
        const [before, word] = [await incarnation(a, "b"), await wordOf(a, "b")];
        await b.child.freeze();
        await Promise.all(
          others.map((node) =>
            until(
              `failure of b at ${node.id}`,
              () => Promise.resolve(failuresAt(node, since).includes("b")),
            )
          ),
        );
        await allSee(others, ["b"], "dead");
        b.child.thaw();
        await allSee(four.all, ids, "alive");
        await counted(four.all, "ping_count", 6);
        assert.deepEqual(failuresAt(b, since), [], "it slept, and nobody died");
        for (const node of others) {
          assert.deepEqual(new Set(failuresAt(node, since)), new Set(["b"]), node.id);
          assert.ok(await incarnation(node, "b") > before);
          assert.deepEqual(await wordOf(node, "b"), word);
        }
        const stood = await b.child.log(
          "that it stood still",
          (line) =>
            /^This process stood still/.test(String(line.message)) &&
              Date.parse(String(line["@timestamp"])) >= since
              ? line
              : undefined,
        );
        assert.ok(stood.ms as number > 1000, `${stood.ms} ms`);
      },
    );

    await step("kill -9 is a failure everywhere, and a restart a higher incarnation", async () => {
      const since = Date.now();
      const before = await incarnation(a, "c");
      await four.kill("c");
      await allSee(four.all, ["c"], "dead");
      for (const node of four.all) {
        await until(
          `its word on c at ${node.id}`,
          () => Promise.resolve(failuresAt(node, since).length > 0),
        );
        assert.deepEqual(failuresAt(node, since), ["c"], node.id);
      }
      const c = await four.start("c");
      await allSee(four.all, ids, "alive");
      const after = (await gossipOf(c)).incarnation;
      assert.ok(after > before, `${after} after ${before}`);
      await allSeeIncarnation(four.all, "c", after);
    });

    await step(
      "a member that slept through a restart does not bring the old generation back",
      async () => {
        const d = four.node("d");
        const before = await incarnation(a, "c");
        await d.child.freeze();
        await four.kill("c");
        const c = await four.start("c");
        const started = (await gossipOf(c)).incarnation;
        assert.ok(started > before);
        await allSeeIncarnation(four.except("d"), "c", started);
        d.child.thaw();
        await allSeeIncarnation(four.all, "c", started);
        await allSee(four.all, ids, "alive");
        let lowest = Infinity;
        const watched = counted(four.all, "state_syncs", 4);
        let over = false;
        watched.finally(() => over = true).catch(() => {});
        const latest = new Map<string, number>();
        while (!over) {
          for (const node of four.all) lowest = Math.min(lowest, await incarnation(node, "c"));
          for (const node of four.except("c")) {
            const generation = await generationAt(node, "c") ?? 0;
            assert.ok(generation >= (latest.get(node.id) ?? 0), `${node.id} went back`);
            latest.set(node.id, generation);
          }
        }
        await watched;
        assert.ok(
          lowest >= started,
          `incarnation ${lowest} was seen, and it started at ${started}`,
        );
      },
    );

    await step("SIGTERM is a departure, not a failure", async () => {
      const since = Date.now();
      const d = four.node("d");
      const before = await incarnation(a, "d");
      d.child.signal("SIGTERM");
      assert.equal((await d.child.ended()).code, 0);
      await d[Symbol.asyncDispose]();
      four.nodes.delete("d");
      await allSee(four.all, ["d"], "left");
      await Promise.all(four.all.map((node) => logged(node, "A member left.", { node: "d" })));
      // Those who left are not looked for, and nobody has second thoughts.
      await counted(four.all, "ping_count", 6);
      await allSee(four.all, ["d"], "left");
      for (const node of four.all) assert.deepEqual(failuresAt(node, since), [], node.id);
      await four.start("d");
      await allSee(four.all, ids, "alive");
      assert.ok(await incarnation(a, "d") > before);
    });

    for (const node of four.all) {
      const errors = logLines(node).filter(({ level }) => level === "error" || level === "ERROR");
      assert.deepEqual(errors, [], node.id);
    }
  },
);
