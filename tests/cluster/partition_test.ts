/**
 * A network that falls apart between two nodes and heals again, with each node
 * in a network namespace of its own. Nobody's socket is closed: packets vanish.
 */
import assert from "node:assert/strict";
import { Namespaces, namespacesMissing } from "../harness/namespaces.ts";
import { logged, logLines, pluginPath, type RunningProcess, TestCluster } from "./cluster.ts";
import { startInside } from "./namespaced.ts";

const missing = namespacesMissing();
if (missing !== undefined) console.error(`The tests of partitions cannot run here: ${missing}`);

const ids = ["a", "b", "c"];

Deno.test({
  name: "a partition between two nodes is noticed, worked around and healed",
  ignore: missing !== undefined && Deno.env.get("MYCNET_REQUIRE_SERVERS") !== "1",
  async fn() {
    await using network = await Namespaces.create(ids);
    await using cluster = await TestCluster.create(
      ids.map((id) => ({ id, type: "sclerotia" as const })),
    );
    await using stack = new AsyncDisposableStack();
    const start = async (id: string): Promise<RunningProcess> => {
      return stack.use(
        await startInside(network, cluster, id, {
          plugins: {
            // Whoever is no seed is known by hearsay, and found again by nobody but its callers.
            static: { seeds: [`${network.address("c")}:7000`] },
            // a calls; b and c serve.
            ...(id === "a" ? { greeter: false, load: { use: pluginPath("load") } } : {}),
          },
        }),
      );
    };
    const [b, c, a] = [await start("b"), await start("c"), await start("a")];
    const answers = (what: string, sinceMs: number, match: (by: readonly string[]) => boolean) =>
      a.child.log(what, (line) => {
        if (line.message !== "tally" || (line.at as number) < sinceMs) return undefined;
        const by = Object.keys(line.answers as object).map((it) => it.split("@")[0]).sort();
        return match(by) ? by : undefined;
      });
    await answers("answers of both", 0, (by) => by.length === 2);

    const cutAt = Date.now();
    await network.cut("a", "b");
    const [lostByA, lostByB] = await Promise.all([
      logged(a, "A node is linked no more.", { node: "b" }),
      logged(b, "A node is linked no more.", { node: "a" }),
    ]);
    const noticedMs = Date.parse(String(lostByA["@timestamp"])) - cutAt;
    assert.ok(noticedMs < 4000, `noticed after ${noticedMs} ms`);
    assert.ok(lostByB);
    await answers("answers of c alone", Date.now(), (by) => by.join() === "c");
    for (const other of [a, b]) {
      const lost = logLines(other).filter((it) => it.message === "A node is linked no more.");
      assert.ok(lost.every((it) => it.node !== "c"), "links to the third node are untouched");
    }
    assert.ok(!logLines(c).some((it) => it.message === "A node is linked no more."));

    await network.heal("a", "b");
    await answers("answers of both again", Date.now(), (by) => by.length === 2);
    const failures = logLines(a).flatMap((it) => it.failures as string[] ?? []);
    assert.deepEqual(failures, [], "every call was answered");
  },
});
