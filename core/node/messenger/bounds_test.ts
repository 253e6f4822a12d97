// The bounds of this room that no other test reaches on its way.
import assert from "node:assert/strict";
import { MycnetError } from "../../kernel/errors.ts";
import { bytes, Cluster, text } from "./fakes_test.ts";

Deno.test("more names than are remembered work all the same", async () => {
  await using cluster = new Cluster("a", "b");
  const names = Array.from({ length: 1100 }, (_, at) => `custom.name-${at}`);
  for (const name of names) cluster.of("b").handle(name, () => bytes(name));
  for (let round = 0; round < 2; round++) {
    const answers = await cluster.settled(
      Promise.all(names.map((it) => cluster.of("a").request("b", it, bytes("")))),
    );
    assert.deepEqual(answers.map(text), names);
  }
});

Deno.test("messages without an answer are bounded while they are handled: more are dropped and counted", async () => {
  await using cluster = new Cluster("a", "b");
  const gate = Promise.withResolvers<void>();
  let handled = 0;
  cluster.of("b").handle("custom.slow", () => {
    handled++;
    return gate.promise;
  });
  for (let sent = 0; sent < 10_020; sent++) {
    const options = { reliability: "best-effort" } as const;
    await cluster.settled(cluster.of("a").send("b", "custom.slow", bytes(""), options));
  }
  const dropped = () => cluster.of("b").metrics().messages_dropped;
  await cluster.host.until(() => handled + dropped() === 10_020);
  assert.equal(handled, 10_000);
  assert.equal(dropped(), 20);
  gate.resolve();
  await cluster.host.barrier();
  await cluster.settled(cluster.of("a").send("b", "custom.slow", bytes("")));
  await cluster.host.until(() => handled === 10_001);
});

Deno.test("what a handler fails with is passed on up to a thousand characters", async () => {
  await using cluster = new Cluster("a", "b");
  cluster.of("b").handle("custom.talk", () => {
    throw new MycnetError("not_found", "x".repeat(5000));
  });
  const error = await cluster.fails(cluster.of("a").request("b", "custom.talk", bytes("")));
  assert.equal(error.code, "not_found");
  assert.equal(error.message.match(/x{100,}/)?.[0].length, 1000);
});
