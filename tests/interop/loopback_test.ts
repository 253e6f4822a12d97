/** Nodes that gossip over real sockets on loopback, encrypted, their memory on disk. */
import assert from "node:assert/strict";
import { codeOf, type NodeEvent } from "../../mod.ts";
import { tempFolder } from "../harness/processes.ts";
import { byState, gossipAddress, startGossiping, stateAt, until } from "./gossip.ts";

const key = new Uint8Array(16).fill(3).toBase64();

Deno.test("three nodes on loopback find each other, talk, leave, and come back with a higher incarnation", async () => {
  await using folder = await tempFolder();
  const stateDir = folder.path;
  await using a = await startGossiping({ id: "a", stateDir, key });
  const join = [gossipAddress(a)];
  await using b = await startGossiping({ id: "b", stateDir, key, join });
  const c = await startGossiping({ id: "c", stateDir, key, join });
  const events: NodeEvent["type"][] = [];
  const over = new AbortController();
  const listening = (async () => {
    for await (const event of a.events({ signal: over.signal })) {
      if ("node" in event && typeof event.node === "object" && event.node.id === "c") {
        events.push(event.type);
      }
    }
  })();
  for (const node of [a, b, c]) {
    await until(node, "three members", (all) => all.length === 3);
    assert.deepEqual(byState(node), { alive: ["a", "b", "c"] });
  }
  b.handle("custom.note", () => {});
  await c.send("b", "custom.note", new Uint8Array([1])); // Known by gossip alone.
  const before = a.membership!.member("c")!.incarnation;
  await c.stop();
  await until(a, "c has left", () => stateAt(a, "c") === "left");
  await using again = await startGossiping({ id: "c", stateDir, key });
  // It was told of nobody: it remembers.
  await until(again, "the others", (all) => all.filter((it) => it.state === "alive").length === 3);
  await until(a, "c is back", () => stateAt(a, "c") === "alive");
  assert.ok(a.membership!.member("c")!.incarnation > before);
  over.abort();
  await listening;
  assert.deepEqual(events.slice(-2), ["node_left", "node_joined"]);
});

Deno.test("without a key gossip refuses to start and says what helps, and a second node at one port too", async () => {
  await using folder = await tempFolder();
  const options = { id: "a", stateDir: folder.path };
  await assert.rejects(
    startGossiping({ ...options, swim: { insecure: false } }),
    (error) => {
      const { remedy } = error as { remedy: string };
      return codeOf((error as Error).cause ?? error) === "gossip_key_missing" ||
        codeOf(error) === "gossip_key_missing" && /mycnet init/.test(remedy);
    },
  );
  await using first = await startGossiping(options);
  const bindAddress = gossipAddress(first);
  await assert.rejects(
    startGossiping({ ...options, id: "b", swim: { bindAddress } }),
    (error) => /in use/.test(String((error as Error).cause ?? error)),
  );
});
