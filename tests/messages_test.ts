/** Typed messages between whole nodes, and what becomes of those that are not what they say. */
import assert from "node:assert/strict";
import { z } from "zod";
import { defineMessage, messages } from "../mod.ts";
import { createTestCluster } from "../testing.ts";
import { clusterTest } from "./harness/leaks.ts";

const id = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";

clusterTest(
  "typed messages are sent, asked, broadcast and handled by their definitions",
  async () => {
    await using cluster = await createTestCluster(2);
    const [server, node] = cluster.nodes;

    const beat = Promise.withResolvers<unknown>();
    await using _beats = server.handle(messages.heartbeat, (value, { from }) => {
      beat.resolve([value, from.id]);
    });
    await node.send("node-1", messages.heartbeat, { node: "node-2", timestamp: 5 });
    assert.deepEqual(await beat.promise, [{ node: "node-2", timestamp: 5 }, "node-2"]);

    await using _queries = server.handle(messages.query, ({ id, sql, priority }) => ({
      id,
      result: new TextEncoder().encode(`${sql} ${priority}`),
    }));
    const { result } = await node.request("node-1", messages.query, { id, sql: "select 1" });
    assert.equal(new TextDecoder().decode(result), "select 1 normal");

    const note = defineMessage("custom.note", z.object({ text: z.string() }));
    const noted = Promise.withResolvers<string>();
    await using _notes = server.handle(note, ({ text }) => noted.resolve(text));
    assert.deepEqual(await node.broadcast(note, { text: "hello" }), { sent: 1, failed: [] });
    assert.equal(await noted.promise, "hello");
  },
);

clusterTest(
  "a message that is not what its definition says is refused on both sides, and counted",
  async () => {
    await using cluster = await createTestCluster(2);
    const [server, node] = cluster.nodes;
    let handled = 0;
    await using _queries = server.handle(messages.query, ({ id }) => {
      handled++;
      return { id, result: new Uint8Array(0) };
    });
    await assert.rejects(
      node.request("node-1", messages.query, { id: "no", sql: "" }),
      { code: "invalid_argument", message: /"query" is not sent: id: / },
    );
    // Somebody who speaks bytes gets past the first check, and not past the second.
    await assert.rejects(
      node.request("node-1", "Query", new Uint8Array([0xc1])),
      { code: "invalid_argument", message: /"query" is refused: / },
    );
    await node.send("node-1", "query", new Uint8Array([1, 2, 3]));
    await node.request("node-1", messages.query, { id, sql: "" });
    assert.equal(handled, 1);
    assert.equal(server.metrics().communication.messages_invalid, 2);
    await assert.rejects(
      node.request("node-1", messages.heartbeat as never, { node: "n", timestamp: 1 } as never),
      { code: "invalid_argument", message: /nothing answers "heartbeat"/ },
    );
  },
);
