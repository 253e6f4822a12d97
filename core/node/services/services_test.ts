import assert from "node:assert/strict";
import { z } from "zod";
import { FakeNetwork, type FakeNode } from "./fakes_test.ts";
import { CallError, defineService, isServiceError, serviceError } from "./mod.ts";

const greeter = defineService("greeter", {
  version: 1,
  methods: {
    hello: { input: z.object({ name: z.string() }), output: z.string(), idempotent: true },
    count: {
      input: z.object({ to: z.number(), from: z.number().default(1) }),
      stream: z.number(),
    },
    sum: { input: z.undefined(), upload: z.number(), output: z.number() },
    double: { input: z.void(), upload: z.number(), stream: z.number() },
    withdraw: { input: z.number(), output: z.object({ left: z.number() }) },
  },
  errors: { NotEnough: z.object({ missing: z.number() }) },
});

async function* numbers(...all: number[]): AsyncIterableIterator<number> {
  for (const it of all) yield it;
}

function twoNodes(): { network: FakeNetwork; a: FakeNode; b: FakeNode } {
  const network = new FakeNetwork();
  const a = network.add("a");
  const b = network.add("b");
  network.link("a", "b");
  return { network, a, b };
}

const handlers = {
  hello: ({ name }: { name: string }) => `Hello, ${name}`,
  async *count({ from, to }: { from: number; to: number }) {
    for (let i = from; i <= to; i++) yield i;
  },
  async sum(_: undefined, { upload }: { upload: AsyncIterable<number> }) {
    let sum = 0;
    for await (const item of upload) sum += item;
    return sum;
  },
  async *double(_: void, { upload }: { upload: AsyncIterable<number> }) {
    for await (const item of upload) yield item * 2;
  },
  withdraw: (amount: number) => {
    if (amount > 10) throw serviceError(greeter, "NotEnough", { missing: amount - 10 });
    return { left: 10 - amount };
  },
};

Deno.test("a call reaches the node that serves it and brings back the answer", async () => {
  const { network, a, b } = twoNodes();
  await using _ = network;
  b.layer.serve(greeter, handlers);
  const client = a.layer.client(greeter);
  assert.equal(await client.hello({ name: "Ada" }), "Hello, Ada");
});

Deno.test("items stream back in order, with the schema's defaults filled in", async () => {
  const { network, a, b } = twoNodes();
  await using _ = network;
  b.layer.serve(greeter, handlers);
  const client = a.layer.client(greeter);
  const got: number[] = [];
  for await (const item of client.count({ to: 5000 })) got.push(item);
  assert.deepEqual(got, Array.from({ length: 5000 }, (_, i) => i + 1));
});

Deno.test("items go out to a method with upload, from any iterable", async () => {
  const { network, a, b } = twoNodes();
  await using _ = network;
  b.layer.serve(greeter, handlers);
  const client = a.layer.client(greeter);
  assert.equal(await client.sum(undefined, numbers(1, 2, 3)), 6);
  assert.equal(await client.sum(undefined, Array.from({ length: 10_000 }, () => 1)), 10_000);
});

Deno.test("items go both ways at once", async () => {
  const { network, a, b } = twoNodes();
  await using _ = network;
  b.layer.serve(greeter, handlers);
  const got: number[] = [];
  for await (const item of a.layer.client(greeter).double(undefined, numbers(1, 2, 3))) {
    got.push(item);
  }
  assert.deepEqual(got, [2, 4, 6]);
});

Deno.test("a declared error arrives with its name and its typed data", async () => {
  const { network, a, b } = twoNodes();
  await using _ = network;
  b.layer.serve(greeter, handlers);
  const client = a.layer.client(greeter);
  assert.deepEqual(await client.withdraw(3), { left: 7 });
  const error = await client.withdraw(12).catch((it) => it);
  assert.ok(isServiceError(greeter, error));
  assert.equal(error.errorName, "NotEnough");
  assert.equal(error.data.missing satisfies number, 2);
  assert.equal(error.mayHaveRun, true);
  assert.equal(error.attempts, 1);
});

Deno.test("a call to oneself needs no link and passes the same checks", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const a = network.add("a");
  a.layer.serve(greeter, handlers);
  const client = a.layer.client(greeter);
  assert.equal(await client.hello({ name: "me" }), "Hello, me");
  assert.equal(await client.sum(undefined, [1, 2]), 3);
  const got: number[] = [];
  for await (const item of client.count({ from: 1, to: 3 })) got.push(item);
  assert.deepEqual(got, [1, 2, 3]);
  const error = await client.hello({ name: 5 } as never).catch((it) => it);
  assert.equal(error.code, "invalid_argument");
  assert.equal(error.details[0].path, "name");
  assert.ok(error instanceof CallError);
  assert.equal(error.mayHaveRun, false);
});
