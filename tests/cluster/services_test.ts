import assert from "node:assert/strict";
import { z } from "zod";
import { defineService, type Node } from "../../mod.ts";
import { createTestCluster } from "../../testing.ts";

const work = defineService("work", {
  version: 1,
  methods: {
    where: { input: z.string(), output: z.string(), idempotent: true },
    items: { input: z.int(), stream: z.string() },
    join: { input: z.void(), upload: z.string(), output: z.string() },
    relay: { input: z.void(), output: z.string(), idempotent: true },
  },
});

/** Serves on a node, telling which node it was. */
function serve(node: Node): void {
  const client = node.client(work);
  node.serve(work, {
    where: (it) => `${it} at ${node.id}`,
    async *items(count) {
      for (let i = 0; i < count; i++) yield `${i} ${"x".repeat(1000)}`;
    },
    join: async (_, { upload }) => (await Array.fromAsync(upload)).join("+"),
    relay: (_, { metadata, caller }) =>
      metadata.hop === undefined
        ? client.relay(undefined, { metadata: { hop: "1" } })
        : Promise.resolve(`${metadata.tenant} from ${caller.id}`),
  });
}

Deno.test("real nodes serve each other: answers, streams larger than any window, uploads, nested calls", async () => {
  await using cluster = await createTestCluster(3);
  const [a, b, c] = cluster.nodes;
  serve(b);
  serve(c);
  const client = a.client(work);
  const answers = new Set<string>();
  // The news of one server may be here before the other's.
  for (let i = 0; i < 10_000 && answers.size < 2; i++) answers.add(await client.where("x"));
  assert.deepEqual([...answers].toSorted(), ["x at node-2", "x at node-3"]);
  let count = 0;
  for await (const item of client.items(2000)) assert.ok(item.startsWith(`${count++} `));
  assert.equal(count, 2000);
  for await (const item of client.items(1_000_000)) if (item.startsWith("10 ")) break;
  assert.equal(await client.join(undefined, ["a", "b", "c"]), "a+b+c");
  assert.match(
    await client.relay(undefined, { metadata: { tenant: "blue" } }),
    /^blue from node-[23]$/,
  );
  const error = await client.where(5 as never).catch((it) => it);
  assert.equal(error.code, "invalid_argument");
});

Deno.test("while servers come and go, every idempotent call is answered", async () => {
  await using cluster = await createTestCluster(5);
  const [a, b, c, d, late] = cluster.nodes;
  for (const node of [b, c, d]) serve(node);
  const client = a.client(work);
  let answered = 0;
  let stopping = false;
  const callers = Array.from({ length: 20 }, async () => {
    while (!stopping) {
      await client.where("x");
      answered++;
    }
  });
  const more = async (calls: number) => {
    const until = answered + calls;
    while (answered < until) await client.where("y");
  };
  await more(500);
  await b.stop();
  await more(500);
  await c.stop();
  await more(500);
  serve(late);
  await more(500);
  await d.stop();
  await more(500);
  assert.equal(await client.where("z"), `z at ${late.id}`);
  stopping = true;
  await Promise.all(callers);
  assert.ok(answered >= 2500);
});
