// The promises as a program sees them, on whole nodes.
import assert from "node:assert/strict";
import { codeOf } from "../../mod.ts";
import { createTestCluster } from "../../testing.ts";
import { clusterTest } from "../harness/leaks.ts";
import { tempFolder } from "../harness/processes.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (body: Uint8Array) => new TextDecoder().decode(body);
const codeOfFailure = (promise: Promise<unknown>) =>
  promise.then(() => undefined, (error) => codeOf(error));

clusterTest(
  "between full nodes a message is acknowledged unless it is asked otherwise",
  async () => {
    await using cluster = await createTestCluster(2);
    const [a, b] = cluster.nodes;
    const seen: unknown[] = [];
    b.handle(
      "custom.x",
      (body, { reliability, redelivered, priority, transaction: _, ...rest }) => {
        seen.push([text(body), reliability, redelivered, priority, rest.from.id]);
      },
    );
    await a.send(b.id, "custom.x", bytes("1"));
    assert.deepEqual(
      seen,
      [["1", "high", false, "normal", a.id]],
      "it resolves when it was handled",
    );
    await a.send(b.id, "custom.x", bytes("2"), { priority: "critical", reliability: "high" });
    await a.send(b.id, "custom.x", bytes("3"), { reliability: "best-effort" });
    await a.request(b.id, "custom.x", bytes("4"));
    assert.deepEqual(seen.slice(1), [
      ["2", "high", false, "critical", a.id],
      ["3", "best-effort", false, "normal", a.id],
      ["4", "best-effort", false, "normal", a.id],
    ]);
    assert.equal(await codeOfFailure(a.send(b.id, "custom.nobody", bytes("x"))), "unhandled");
    await a.send(b.id, "custom.nobody", bytes("x"), { reliability: "best-effort" });
    assert.equal(a.metrics().communication.messages_acknowledged, 3);
  },
);

clusterTest(
  "a broadcast is acknowledged by each, and names those who did not handle it",
  async () => {
    await using cluster = await createTestCluster(3);
    const [a, b, c] = cluster.nodes;
    let heard = 0;
    b.handle("custom.news", () => void heard++);
    const { sent, failed } = await a.broadcast("custom.news", bytes(""));
    assert.deepEqual([sent, heard], [1, 1]);
    assert.deepEqual(failed.map((it) => [it.node, !it.ok && it.error.code]), [[c.id, "unhandled"]]);
  },
);

clusterTest(
  "a handler learns whether it has a transaction, and a node without a folder promises nothing",
  async () => {
    await using folder = await tempFolder();
    await using cluster = await createTestCluster(2, {
      node: () => ({ node: { stateDir: `${folder.path}/nowhere` } }),
    });
    const [a, b] = cluster.nodes;
    const codes: unknown[] = [];
    b.handle("custom.x", (_, context) => {
      try {
        context.transaction(() => {});
      } catch (error) {
        codes.push(codeOf(error));
      }
    });
    await a.send(b.id, "custom.x", bytes(""));
    assert.deepEqual(codes, ["invalid_argument"]);
    const promise = a.send(b.id, "custom.x", bytes(""), { reliability: "guaranteed" });
    await assert.rejects(promise, (error: Error & { code: string; remedy: string }) => {
      assert.equal(error.code, "unavailable");
      assert.match(error.message, /keeps nothing on disk/);
      assert.match(error.remedy, /plugins\.databases\.folder/);
      return true;
    });
  },
);

clusterTest(
  "guaranteed messages reach their handler with a transaction, and outlive their sender",
  async () => {
    await using folder = await tempFolder();
    const options = (name: string) => ({
      node: { id: name },
      plugins: { databases: { folder: `${folder.path}/${name}` } },
    });
    await using cluster = await createTestCluster(1, { node: () => options("keeper") });
    const [keeper] = cluster.nodes;
    const sender = await cluster.add(options("sender"));
    assert.equal(
      keeper.members()[0].links[0].profile.inForce.reliability,
      "high",
      "both could promise more, and nobody wished it",
    );
    // Nobody handles it yet: it waits at the receiver, and the sender may go.
    await sender.send(keeper.id, "custom.x", bytes("kept"), { reliability: "guaranteed" });
    await cluster.remove(sender);
    const handled = Promise.withResolvers<unknown[]>();
    keeper.handle("custom.x", (body, context) => {
      const count = context.transaction((database) => {
        database.exec("CREATE TABLE IF NOT EXISTS t (a TEXT)");
        database.prepare("INSERT INTO t VALUES (?)").run(text(body));
        return database.prepare("SELECT count(*) AS n FROM t").get()!.n;
      });
      handled.resolve([text(body), context.reliability, count]);
    });
    const again = await cluster.add(options("sender"));
    assert.deepEqual(await handled.promise, ["kept", "guaranteed", 1]);
    assert.equal(again.id, "sender");
  },
);

clusterTest("a database that is damaged costs the promises and not the node", async () => {
  await using folder = await tempFolder();
  await Deno.writeTextFile(`${folder.path}/delivery.db`, "no database at all ".repeat(500));
  const lines: unknown[] = [];
  await using cluster = await createTestCluster(2, {
    node: (index) => ({
      plugins: { databases: { folder: index === 0 ? folder.path : `${folder.path}/other` } },
      log: (level, message, fields) => void lines.push([level, message, fields]),
    }),
  });
  const [a, b] = cluster.nodes;
  b.handle("custom.x", () => {});
  await a.send(b.id, "custom.x", bytes(""));
  const code = await codeOfFailure(
    a.send(b.id, "custom.x", bytes(""), { reliability: "guaranteed" }),
  );
  assert.equal(code, "unavailable");
  const health = a.health();
  assert.equal(health.status, "degraded");
  assert(
    health.reasons.some((it) => it.includes(`${folder.path}/delivery.db`)),
    `${health.reasons}`,
  );
  assert(lines.some((it) => JSON.stringify(it).includes("No guaranteed messages")));
});
