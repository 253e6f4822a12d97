/**
 * Membership among real processes whose wall clocks jump, hours ahead and hours back.
 * Everything that membership times runs on monotonic time, so nobody may notice; and
 * who starts anew with its clock set back must still come back as the newer one.
 */
import assert from "node:assert/strict";
import { SteppedClock, steppedClockMissing } from "../harness/clock.ts";
import { freePort } from "../harness/ports.ts";
import { ask, pluginPath, type RunningProcess, TestCluster } from "./cluster.ts";
import { allSee, counted, failuresAt, gossipOf, membersOf, until } from "./gossip.ts";

const missing = steppedClockMissing();
if (missing !== undefined) {
  console.error(`The tests of clocks that jump cannot run here: ${missing}`);
}

const ids = ["a", "b", "c"];
const hourS = 3600;

Deno.test({
  name: "clocks that jump kill nobody, and a restart with a clock set back is still newer",
  ignore: missing !== undefined && Deno.env.get("MYCNET_REQUIRE_SERVERS") !== "1",
  async fn(t) {
    // Certificates that were valid days ago, for whoever believes that it is yesterday.
    await using cluster = await TestCluster.create(
      ids.map((id) => ({ id, type: "sclerotia" as const })),
      Date.now() - 48 * hourS * 1000,
    );
    const gossip = ids.map(() => `127.0.0.1:${freePort()}`);
    for (const [at, id] of ids.entries()) {
      await cluster.declare(id, ids.filter((it) => it !== id), {
        plugins: {
          watch: { use: pluginPath("watch") },
          swim: {
            bindAddress: gossip[at],
            preset: "local",
            pushPullInterval: "1s",
            reconnectInterval: "1s",
            join: gossip,
          },
        },
      });
    }
    const clock = new SteppedClock(`${cluster.folder}/clock`);
    await using stack = new AsyncDisposableStack();
    const start = async (id: string): Promise<RunningProcess> =>
      stack.use(await cluster.start(id, id === "b" ? { env: clock.env } : {}));
    const [a, c] = [await start("a"), await start("c")];
    let b = await start("b");
    await allSee([a, b, c], ids, "alive");
    /** Waits until a node has looked at its view so many hours ahead of our clock. */
    const looked = (node: RunningProcess, hours: number) =>
      node.child.log(`a view ${hours} hours ahead`, (line) => {
        const aheadMs = (line.at as number) - Date.now();
        return line.message === "view" && Math.round(aheadMs / (hourS * 1000)) === hours
          ? line
          : undefined;
      });
    const generation = async (at: RunningProcess): Promise<number> =>
      (await (await ask(at, "/api/v1/network/peers")).json()).peers
        .find(({ id }: { id: string }) => id === "b").generation;

    for (const hours of [6, -12, 24, 0]) {
      await t.step(`${hours} hours ahead`, async () => {
        clock.set(hours * hourS);
        await looked(b, hours);
        await counted([a, b, c], "ping_count", 4);
        await counted([a, b, c], "state_syncs", 1);
        await allSee([a, b, c], ids, "alive");
        for (const node of [a, b, c]) assert.deepEqual(failuresAt(node), [], node.id);
        const { healthScore } = await gossipOf(b);
        assert.equal(healthScore, 0, "it does not take itself for slow");
      });
    }

    await t.step("killed, and started with its clock 12 hours back", async () => {
      const before = (await membersOf(a)).b!.incarnation;
      const started = await generation(a);
      await b.child.kill();
      await b[Symbol.asyncDispose]();
      await allSee([a, c], ["b"], "dead");
      clock.set(-12 * hourS);
      b = await start("b");
      await allSee([a, b, c], ids, "alive");
      await looked(b, -12);
      for (const node of [a, b, c]) {
        await until(
          `a newer incarnation at ${node.id}`,
          async () => (await membersOf(node)).b!.incarnation > before,
        );
      }
      await until("a newer generation of b at a", async () => await generation(a) > started);
    });
  },
});
