/**
 * What a client under load sees when its servers fail: three servers and a
 * client, each a process of its own, over mutual TLS.
 *
 * The client's log tells ten times a second what came of its calls (load.ts).
 * A link is checked every 100 ms while it carries traffic; a check fails after
 * 500 ms of silence, and the third in a row ends the link: what is asserted here
 * of times leaves room for a busy machine.
 */
import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { clusterTest } from "../harness/leaks.ts";
import { logged, logLines, pluginPath, type RunningProcess, TestCluster } from "./cluster.ts";
import type { Tally } from "./load.ts";
import { Reports } from "./reports.ts";

const servers = ["a", "b", "c"];

/** What load.ts writes. */
const tallies = new Reports<Tally>("tally");

/** The nodes that answered, as `id@generation`, of ids in `ids`. */
const answered = ({ answers }: Tally, id: string) =>
  Object.keys(answers).find((it) => it.startsWith(`${id}@`));

/** Waits until every server answers, and gives what each calls itself. */
function allAnswer(client: RunningProcess, since: number): Promise<Record<string, string>> {
  return tallies.next(client, "answers of all servers", since, (tally) => {
    const found = servers.map((id) => [id, answered(tally, id)] as const);
    return found.every(([, it]) => it !== undefined)
      ? Object.fromEntries(found) as Record<string, string>
      : undefined;
  });
}

/** Every failure of a call since a time. */
function failures(client: RunningProcess, since: number): string[] {
  return tallies.all(client, since).flatMap((it) => it.failures);
}

/** Milliseconds since `since` at which a log line was written. */
const after = (since: number, line: Readonly<Record<string, unknown>>) =>
  Date.parse(line["@timestamp"] as string) - since;

/** Log lines of a message since a time. */
const since = (node: RunningProcess, time: number, message: string) =>
  logLines(node).filter((it) => it.message === message && after(time, it) >= 0);

const lost = "A node is linked no more.";

clusterTest("a client's calls survive servers that are killed, paused and restarted", async (t) => {
  await using cluster = await TestCluster.create([
    ...servers.map((id) => ({ id, type: "sclerotia" as const })),
    { id: "client", type: "hyphae" },
  ]);
  for (const id of servers) await cluster.declare(id, servers);
  // It is told of one server; of the others it hears from that one.
  await cluster.declare("client", ["a"], {
    node: { bindAddress: false },
    plugins: { greeter: false, load: { use: pluginPath("load") } },
  });
  await using stack = new AsyncDisposableStack();
  const running = new Map<string, RunningProcess>();
  const start = async (id: string) => {
    const node = stack.use(await cluster.start(id));
    running.set(id, node);
    return node;
  };
  await Promise.all(servers.map(start));
  const client = await start("client");
  let names = await allAnswer(client, 0);
  // A step builds on the one before it.
  const step = async (name: string, run: () => Promise<void>) => {
    if (!await t.step(name, run)) throw new Error("the rest makes no sense without this step");
  };

  await step("kill -9 is noticed by the closed socket, and no call is lost", async () => {
    const b = running.get("b")!;
    const at = Date.now();
    await b.child.kill();
    const noticed = await logged(client, lost, { node: "b" });
    assert.match(String(noticed.reason), /closed the connection|broke/, "silence takes longer");
    await tallies.next(
      client,
      "answers of the two that are left",
      at,
      (tally) => answered(tally, "a") && answered(tally, "c") && !answered(tally, "b") || undefined,
    );
    const restarted = Date.now();
    await start("b");
    const now = await allAnswer(client, restarted);
    assert.notEqual(now.b, names.b, "a start has a generation of its own");
    assert.deepEqual([now.a, now.c], [names.a, names.c]);
    names = now;
    assert.deepEqual(failures(client, at), []);
  });

  await step("a short pause costs nothing: the link stays, every call is answered", async () => {
    const b = running.get("b")!;
    const before = await tallies.next(
      client,
      "a link to b",
      Date.now(),
      ({ links }) => links.b?.id,
    );
    const at = Date.now();
    await b.child.freeze();
    await tallies.next(
      client,
      "a degraded link to b",
      at,
      ({ links }) => links.b?.health === "degraded" || undefined,
    );
    b.child.thaw();
    const thawed = Date.now();
    await tallies.next(
      client,
      "the link to b healthy again and used",
      thawed,
      (tally) =>
        tally.links.b?.health === "healthy" && tally.links.b.id === before &&
          answered(tally, "b") === names.b || undefined,
    );
    assert.deepEqual(since(client, at, lost), []);
    assert.deepEqual(failures(client, at), []);
  });

  await step(
    "a long pause ends the link after three silent checks; then the node is used again",
    async () => {
      const b = running.get("b")!;
      const at = Date.now();
      await b.child.freeze();
      const avoided = await tallies.next(
        client,
        "calls that avoid b",
        at,
        (tally) => tally.links.b?.health === "degraded" ? tally.at - at : undefined,
      );
      assert.ok(avoided < 2000, `a silent node was still asked after ${avoided} ms`);
      const down = await client.child.log(
        "the end of the link to b",
        (line) =>
          line.message === lost && line.node === "b" && after(at, line) >= 0 ? line : undefined,
      );
      assert.match(String(down.reason), /is unhealthy/);
      assert.ok(after(at, down) < 4000, `it took ${after(at, down)} ms`);
      // What was asked of b before anybody knew is asked of others now.
      await tallies.next(
        client,
        "calls that do not wait for b",
        at + after(at, down),
        (tally) =>
          tally.pending < 20 && answered(tally, "a") !== undefined && !answered(tally, "b") ||
          undefined,
      );
      for (const id of ["a", "c"]) {
        await logged(running.get(id)!, lost, { node: "b" });
      }
      b.child.thaw();
      const thawed = Date.now();
      const now = await allAnswer(client, thawed);
      assert.deepEqual(now, names, "a pause is no restart");
      assert.deepEqual(failures(client, at), []);
      // b slept through everything: it has no reason to think that others were silent.
      for (const line of since(b, at, lost)) {
        assert.doesNotMatch(
          String(line.reason),
          /nothing heard from the peer/,
          JSON.stringify(line),
        );
      }
    },
  );

  await step("a client that was paused blames nobody, and goes on", async () => {
    const at = Date.now();
    await client.child.freeze();
    for (const id of servers) {
      const server = running.get(id)!;
      await server.child.log(
        "the end of the client's link",
        (line) =>
          line.message === lost && line.node === "client" && after(at, line) >= 0 || undefined,
      );
    }
    client.child.thaw();
    await allAnswer(client, Date.now());
    for (const line of since(client, at, lost)) {
      assert.doesNotMatch(String(line.reason), /nothing heard from the peer/, JSON.stringify(line));
    }
    for (const id of servers) {
      assert.deepEqual(
        since(running.get(id)!, at, lost).filter((it) => it.node !== "client"),
        [],
        `${id} kept its links to the others`,
      );
    }
    // A call whose time ran out while its caller was paused fails honestly; nothing else may.
    for (const failure of failures(client, at)) assert.match(failure, /^deadline_exceeded/);
  });

  await step(
    "a second process with a node's id is refused, and the first is undisturbed",
    async () => {
      const at = Date.now();
      // On another machine, that is with a state folder of its own, as a copied image has it.
      await cp(cluster.stateDir, `${cluster.folder}/copy`, { recursive: true });
      await cluster.declare("twin", ["a", "c"], { node: { id: "b", stateDir: "copy" } });
      const twin = stack.use(await cluster.start("twin"));
      const refusal = await logged(twin, "A link was refused.", { by: "peer", code: "duplicate" });
      assert.match(String(refusal.remedy), /Two processes use one node id/);
      const told = await Promise.any(
        ["a", "c"].map((id) =>
          logged(running.get(id)!, "A link was refused.", { by: "us", code: "duplicate" })
        ),
      );
      assert.equal(told.direction, "accepted");
      await twin.child.stop();
      assert.deepEqual(await allAnswer(client, Date.now()), names);
      for (const id of servers) {
        assert.deepEqual(since(running.get(id)!, at, lost), []);
      }
      assert.deepEqual(failures(client, at), []);
    },
  );
});
