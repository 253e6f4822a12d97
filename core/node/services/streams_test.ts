import assert from "node:assert/strict";
import { z } from "zod";
import { windowBytes } from "./fake_links_test.ts";
import { FakeNetwork, type FakeNode } from "./fakes_test.ts";
import { type CallContext, CallError, defineService, type UploadContext } from "./mod.ts";

const feed = defineService("feed", {
  version: 1,
  methods: {
    items: { input: z.number(), stream: z.string(), idempotent: true },
    load: { input: z.void(), upload: z.string(), output: z.number(), idempotent: true },
    echo: { input: z.void(), upload: z.string(), stream: z.string() },
  },
});

interface Behaviour {
  items?: (input: number, context: CallContext) => AsyncIterable<string> | Iterable<string>;
  load?: (input: void, context: UploadContext<string>) => number | Promise<number>;
  echo?: (input: void, context: UploadContext<string>) => AsyncIterable<string>;
}

function serve(node: FakeNode, behaviour: Behaviour = {}): AsyncDisposable {
  return node.layer.serve(feed, {
    items: () => [],
    load: () => 0,
    echo: (_, { upload }) => upload,
    ...behaviour,
  });
}

function pair() {
  const network = new FakeNetwork();
  const a = network.add("a");
  const b = network.add("b");
  network.link("a", "b");
  return { network, a, b, client: a.layer.client(feed) };
}

const never = new Promise<never>(() => {});
const kilobyte = "x".repeat(1000);

Deno.test("a server makes no more items than the window holds until the reader takes some", async () => {
  const { network, b, client } = pair();
  await using _ = network;
  let made = 0;
  serve(b, {
    async *items() {
      while (made < 1000) {
        made++;
        yield kilobyte;
      }
    },
  });
  await network.settle();
  const items = client.items(0);
  assert.equal((await items.next()).value, kilobyte);
  await network.settle();
  const window = Math.ceil(windowBytes / 1000);
  assert.ok(made <= window + 2, `${made} made`);
  let read = 1;
  for await (const _item of items) read++;
  assert.equal(read, 1000);
  assert.equal(made, 1000);
});

Deno.test("a caller sends no more items than the window holds until the handler takes some", async () => {
  const { network, b, client } = pair();
  await using _ = network;
  const gate = Promise.withResolvers<void>();
  serve(b, {
    load: async (_input, { upload }) => {
      await gate.promise;
      let count = 0;
      for await (const _item of upload) count++;
      return count;
    },
  });
  await network.settle();
  let made = 0;
  const call = client.load(
    undefined,
    (function* () {
      while (made < 1000) {
        made++;
        yield kilobyte;
      }
    })(),
  );
  await network.settle();
  assert.ok(made <= Math.ceil(windowBytes / 1000) + 2, `${made} made`);
  gate.resolve();
  assert.equal(await call, 1000);
});

Deno.test("a reader that breaks off cancels the call, and the generator is closed", async () => {
  const { network, b, client } = pair();
  await using _ = network;
  let closed = false;
  let signal: AbortSignal | undefined;
  serve(b, {
    async *items(_input, context) {
      signal = context.signal;
      try {
        for (let i = 0;; i++) yield `${i} ${kilobyte}`;
      } finally {
        closed = true;
      }
    },
  });
  await network.settle();
  for await (const item of client.items(0)) if (item.startsWith("5 ")) break;
  await network.settle();
  assert.equal(closed, true);
  assert.equal(signal!.aborted, true);
});

Deno.test("nothing is sent before the first item is asked for", async () => {
  const { network, a, b, client } = pair();
  await using _ = network;
  serve(b, { items: () => ["x"] });
  await network.settle();
  const items = client.items(0);
  await network.settle();
  assert.equal(a.peers.link("b")!.opened, 0);
  await items.return!();
  assert.equal((await items.next()).done, true);
  assert.equal(a.peers.link("b")!.opened, 0);
});

Deno.test("an error in the middle comes after the items before it", async () => {
  const { network, b, client } = pair();
  await using _ = network;
  serve(b, {
    async *items() {
      yield "1";
      yield "2";
      throw new CallError("not_found", "no more");
    },
  });
  await network.settle();
  const got: string[] = [];
  const error = await (async () => {
    for await (const item of client.items(0)) got.push(item);
  })().catch((it) => it);
  assert.deepEqual(got, ["1", "2"]);
  assert.equal(error.code, "not_found");
  assert.equal(error.mayHaveRun, true);
});

Deno.test("a lost link ends a stream with an error once it flows, and is made good before", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const [a, b, c] = ["a", "b", "c"].map((id) => network.add(id));
  network.link("a", "b");
  network.link("a", "c");
  serve(b, {
    async *items(input) {
      if (input === 1) await never;
      yield "b1";
      await never;
    },
  });
  serve(c, { items: () => ["c1", "c2"] });
  await network.settle();
  const client = a.layer.client(feed);
  const early = Array.fromAsync(client.items(1, { node: undefined }));
  await network.settle();
  a.peers.link("b")!.cut();
  assert.deepEqual(await early, ["c1", "c2"]);

  network.link("a", "b");
  a.peers.link("c")!.cut();
  a.peers.unreachable.add("c");
  const late = client.items(2);
  assert.equal((await late.next()).value, "b1");
  const next = late.next();
  network.link("a", "c");
  a.peers.link("b")!.cut();
  const error = await next.then(() => assert.fail("it went on"), (it) => it);
  assert.equal(error.code, "link_lost");
  assert.equal(error.mayHaveRun, true);
});

Deno.test("a stream's timeout is for its first item; after that it may take its time", async () => {
  const { network, b, client } = pair();
  await using _ = network;
  serve(b, {
    async *items(waitMs) {
      await b.host.sleep(waitMs);
      yield "first";
      await b.host.sleep(10_000);
      yield "second";
    },
  });
  await network.settle();
  const slow = Array.fromAsync(client.items(2000, { timeout: "1s" })).catch((it) => it);
  const good = Array.fromAsync(client.items(500, { timeout: "1s" }));
  await network.clock.advance(13_000);
  assert.equal((await slow).code, "deadline_exceeded");
  assert.deepEqual(await good, ["first", "second"]);
});

Deno.test("an item that its schema refuses ends the stream; an uploaded one is the caller's fault", async () => {
  const { network, b, client } = pair();
  await using _ = network;
  serve(b, {
    items: () => ["fine", 5 as never, "never"],
    load: async (_input, { upload }) => {
      let count = 0;
      for await (const _item of upload) count++;
      return count;
    },
  });
  await network.settle();
  const got: string[] = [];
  const error = await (async () => {
    for await (const item of client.items(0)) got.push(item);
  })().catch((it) => it);
  assert.deepEqual(got, ["fine"]);
  assert.equal(error.code, "internal");
  const refused = await client.load(undefined, ["a", 5 as never]).catch((it) => it);
  assert.equal(refused.code, "invalid_argument");
  assert.match(refused.message, /uploaded item/);
});

Deno.test("an upload whose source fails cancels the call and tells the handler", async () => {
  const { network, b, client } = pair();
  await using _ = network;
  let seen: unknown;
  serve(b, {
    load: async (_input, { upload }) => {
      try {
        for await (const _item of upload);
      } catch (error) {
        seen = (error as CallError).code;
      }
      return 0;
    },
  });
  await network.settle();
  const error = await client.load(
    undefined,
    (async function* () {
      yield "a";
      await Promise.resolve();
      throw new Error("the disk is full");
    })(),
  ).catch((it) => it);
  assert.equal(error.code, "cancelled");
  assert.equal(error.cause.message, "the disk is full");
  await network.settle();
  assert.equal(seen, "cancelled");
});

Deno.test("an upload is not sent twice, though the method is idempotent", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const [a, b, c] = ["a", "b", "c"].map((id) => network.add(id));
  network.link("a", "b");
  network.link("a", "c");
  let ran = 0;
  for (const node of [b, c]) serve(node, { load: () => (ran++, never) });
  await network.settle();
  const call = a.layer.client(feed).load(undefined, ["x"]).catch((it) => it);
  await network.settle();
  a.peers.link("b")!.cut();
  a.peers.link("c")!.cut();
  assert.equal((await call).code, "link_lost");
  assert.equal(ran, 1);
});

Deno.test("a handler that answers before it has read everything ends the upload", async () => {
  const { network, b, client } = pair();
  await using _ = network;
  let closed = false;
  serve(b, {
    load: async (_input, { upload }) => {
      for await (const item of upload) if (item === "stop") break;
      return 7;
    },
  });
  await network.settle();
  const answer = await client.load(
    undefined,
    (async function* () {
      try {
        yield "go";
        yield "stop";
        for (;;) {
          await Promise.resolve();
          yield kilobyte;
        }
      } finally {
        closed = true;
      }
    })(),
  );
  assert.equal(answer, 7);
  await network.settle();
  assert.equal(closed, true);
});

Deno.test("items may go both ways at the same time without end on either side", async () => {
  const { network, b, client } = pair();
  await using _ = network;
  serve(b);
  await network.settle();
  let sent = 0;
  const endless = (async function* () {
    for (;;) {
      await Promise.resolve();
      yield `${sent++} ${kilobyte}`;
    }
  })();
  let read = 0;
  for await (const item of client.echo(undefined, endless)) {
    assert.equal(item, `${read} ${kilobyte}`);
    if (++read === 200) break;
  }
  assert.ok(sent < 200 + 20, `${sent} sent`);
});

Deno.test("calls with and without items are told apart at the door", async () => {
  const { network, b, client, a } = pair();
  await using _ = network;
  serve(b);
  await network.settle();
  const missing = await client.load(undefined, undefined as never).catch((it) => it);
  assert.equal(missing.code, "invalid_argument");
  const other = defineService("feed", {
    version: 1,
    methods: { load: { input: z.void(), output: z.number() } },
  });
  const refused = await a.layer.client(other).load().catch((it) => it);
  assert.equal(refused.code, "invalid_argument");
  assert.match(refused.message, /expects uploaded items/);
});
