// The bounds of this room that no other test reaches on its way.
import assert from "node:assert/strict";
import { z } from "zod";
import { FakeNetwork } from "./fakes_test.ts";
import { type CallError, defineService } from "./mod.ts";
import { parseValue, problemsOf } from "./schemas.ts";
import { cluster, server } from "./work_fakes_test.ts";

Deno.test("of many problems of one input the first twenty are told", () => {
  const result = parseValue(z.array(z.string()), Array.from({ length: 50 }, (_, at) => at));
  assert.ok(!(result instanceof Promise) && result.issues !== undefined);
  assert.equal(result.issues.length, 50);
  const problems = problemsOf(result.issues);
  assert.equal(problems.length, 20);
  assert.equal(problems[19].path, "19");
});

Deno.test("more methods than are remembered can be called by name, all of them as often as one likes", async () => {
  await using network = new FakeNetwork();
  const node = network.add("a");
  const names = Array.from({ length: 700 }, (_, at) => `m${at}`);
  for (const service of ["one", "two"]) {
    const definition = defineService(service, {
      version: 1,
      methods: Object.fromEntries(names.map((it) => [it, { input: z.any(), output: z.string() }])),
    });
    node.layer.serve(
      definition,
      Object.fromEntries(names.map((it) => [it, () => `${service} ${it}`])),
    );
  }
  for (let round = 0; round < 2; round++) {
    for (const service of ["one", "two"]) {
      const answers = await Promise.all(names.map((it) => node.layer.call(service, it, 0)));
      assert.deepEqual(answers, names.map((it) => `${service} ${it}`));
    }
  }
});

Deno.test("ten thousand calls may wait for a server; one more fails at once", async () => {
  const { network, caller, nodes, client } = cluster(1);
  await using _network = network;
  const waiting = Array.from({ length: 10_000 }, (_, at) => client.safe(`${at}`));
  const beyond: CallError = await client.once("x").then(() => assert.fail("it waited"), (it) => it);
  assert.equal(beyond.code, "overloaded");
  assert.equal(beyond.mayHaveRun, false);
  const named = await caller.layer.call("work", "safe", "x").catch((it) => it);
  assert.equal((named as CallError).code, "overloaded");
  assert.equal(await caller.layer.appears("work", { timeoutMs: 100 }), false);
  server(nodes[0], () => "done");
  let over = false;
  const settled = Promise.allSettled(waiting).finally(() => over = true);
  await network.clock.until(() => over, 10_000);
  const answers = await settled;
  const codes = new Set(answers.map((it) => it.status === "fulfilled" ? it.value : it.reason.code));
  assert.deepEqual([...codes], ["done"]);
});
