/**
 * Membership over networks that lose packets, deliver them one way only, and fall
 * apart: each node a process in a network namespace of its own.
 *
 * What is promised at 30% loss (each packet, either way, UDP and TCP): under `lan`,
 * five members declare nobody dead. Of 1,000 simulated clusters of five that lost as
 * much and had no stream to fall back on, none declared a death in 20 seconds; the
 * project's quicker default did in a quarter of them, because three seconds of
 * suspicion are not always enough for a refutation to get through.
 */
import assert from "node:assert/strict";
import { lossMissing, Namespaces } from "../harness/namespaces.ts";
import { pluginPath, type RunningProcess, TestCluster } from "./cluster.ts";
import { failuresAt } from "./gossip.ts";
import { startInside } from "./namespaced.ts";
import { Reports } from "./reports.ts";
import type { View } from "./watch.ts";

const missing = lossMissing();
if (missing !== undefined) {
  console.error(`The tests of gossip over bad networks cannot run here: ${missing}`);
}
const ignore = missing !== undefined && Deno.env.get("MYCNET_REQUIRE_SERVERS") !== "1";

/** What watch.ts writes. */
const views = new Reports<View>("view");

/** Nodes in namespaces of their own. */
class Spread implements AsyncDisposable {
  readonly network: Namespaces;
  readonly nodes: readonly RunningProcess[];
  readonly #undo: AsyncDisposableStack;

  private constructor(
    network: Namespaces,
    nodes: readonly RunningProcess[],
    undo: AsyncDisposableStack,
  ) {
    this.network = network;
    this.nodes = nodes;
    this.#undo = undo;
  }

  /** Starts them, and resolves once all see all. */
  static async form(
    ids: readonly string[],
    swim: Readonly<Record<string, unknown>>,
  ): Promise<Spread> {
    await using undo = new AsyncDisposableStack();
    const network = undo.use(await Namespaces.create(ids));
    const cluster = undo.use(
      await TestCluster.create(ids.map((id) => ({ id, type: "sclerotia" as const }))),
    );
    const nodes = await Promise.all(ids.map(async (id) =>
      undo.use(
        await startInside(network, cluster, id, {
          plugins: {
            greeter: false,
            watch: { use: pluginPath("watch") },
            swim: { join: ids.map((it) => `${network.address(it)}:7946`), ...swim },
          },
        }),
      )
    ));
    const spread = new Spread(network, nodes, undo.move());
    try {
      await spread.allAlive(0);
      return spread;
    } catch (error) {
      await spread[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Waits for a view of a node that it had later than `since` (wall-clock ms). */
  async view(
    id: string,
    what: string,
    since: number,
    wanted: (view: View) => boolean,
  ): Promise<View> {
    const match = (view: View) => wanted(view) ? view : undefined;
    return await views.next(this.node(id), what, since, match);
  }

  /** Waits until everybody sees everybody alive, later than `since`. */
  async allAlive(since: number): Promise<void> {
    await Promise.all(
      this.nodes.map(({ id }) =>
        this.view(id, "everybody alive", since, ({ states }) => {
          const seen = Object.values(states);
          return seen.length === this.nodes.length && seen.every((state) => state === "alive");
        })
      ),
    );
  }

  /** Waits until each node has probed so often since a time, and gives all views of that time. */
  async probes(count: number, since: number): Promise<View[]> {
    await Promise.all(this.nodes.map(async ({ id }) => {
      const first = await this.view(id, "a view", since, () => true);
      const goal = first.counters.ping_count! + count;
      await this.view(id, `${count} probes`, since, (it) => it.counters.ping_count! >= goal);
    }));
    return this.nodes.flatMap((node) => views.all(node, since));
  }

  /**
   * Waits until, from some time on, nobody passes anything on. A word that two are dead,
   * still on its way when a cut heals, is believed by those two of each other until
   * they refute it; that is memberlist's protocol.
   */
  async quiet(since: number): Promise<void> {
    await Promise.all(this.nodes.map(async ({ id }) => {
      let [sent, same] = [-1, 0];
      await this.view(id, "quiet", since, ({ counters }) => {
        same = counters.gossip_messages_sent === sent ? same + 1 : 0;
        sent = counters.gossip_messages_sent!;
        return same >= 10;
      });
    }));
  }

  /** How much more a counter is in a node's latest view than in its first since a time. */
  rise(id: string, counter: string, since: number): number {
    const seen = views.all(this.node(id), since);
    return seen.at(-1)!.counters[counter]! - seen[0]!.counters[counter]!;
  }

  node(id: string): RunningProcess {
    return this.nodes.find((it) => it.id === id)!;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#undo.disposeAsync();
  }
}

/** Nobody was seen dead in any of these views. */
function assertNobodyDied(views: readonly View[]): void {
  for (const { states } of views) {
    assert.ok(!Object.values(states).includes("dead"), JSON.stringify(states));
  }
}

Deno.test({
  name: "30% of all packets lost, or all in one direction, kill nobody",
  ignore,
  async fn(t) {
    const ids = ["a", "b", "c", "d", "e"];
    await using spread = await Spread.form(ids, { preset: "lan" });
    const { network } = spread;
    await t.step("30% loss", async () => {
      const since = Date.now();
      await network.lose(30);
      assertNobodyDied(await spread.probes(7, since));
      const lost = await network.keepAll();
      assert.ok(lost > 20, `${lost} packets were lost`);
      for (const node of spread.nodes) assert.deepEqual(failuresAt(node, since), [], node.id);
      await spread.allAlive(Date.now());
    });
    await t.step("nothing from a arrives at b", async () => {
      const since = Date.now();
      const probed = spread.rise("c", "ack_count", 0);
      await network.mute("a", "b");
      // Others ask for a what it cannot hear itself.
      assertNobodyDied(await spread.probes(7, since));
      await network.unmute("a", "b");
      assert.ok(spread.rise("c", "ack_count", 0) > probed);
      for (const node of spread.nodes) assert.deepEqual(failuresAt(node, since), [], node.id);
      await spread.allAlive(Date.now());
    });
  },
});

Deno.test({
  name: "a cut shows as failed on both sides, and when it heals everybody is back without help",
  ignore,
  async fn() {
    const ids = ["a", "b", "c"];
    await using spread = await Spread.form(ids, { reconnectInterval: "2s" });
    const { network } = spread;
    const since = Date.now();
    for (const id of ["a", "b"]) await network.cut(id, "c");
    await spread.view(
      "c",
      "the others dead",
      since,
      ({ states }) => states.a === "dead" && states.b === "dead" && states.c === "alive",
    );
    for (const id of ["a", "b"]) {
      await spread.view(
        id,
        "c dead",
        since,
        ({ states }) => states.a === "alive" && states.b === "alive" && states.c === "dead",
      );
    }
    // A suspicion lasts two seconds here, at most five; the probe before it a few more.
    const noticedMs = Date.now() - since;
    assert.ok(noticedMs < 20_000, `noticed after ${noticedMs} ms`);
    await spread.quiet(Date.now());
    const healed = Date.now();
    for (const id of ["a", "b"]) await network.heal(id, "c");
    await spread.allAlive(healed);
    for (const node of spread.nodes) {
      const failed = new Set(failuresAt(node, since));
      assert.deepEqual(failed, new Set(node.id === "c" ? ["a", "b"] : ["c"]), node.id);
      assert.deepEqual(failuresAt(node, healed), [], "nobody dies of healing");
    }
  },
});
