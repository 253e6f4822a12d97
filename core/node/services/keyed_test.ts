import assert from "node:assert/strict";
import { z } from "zod";
import { FakeNetwork } from "./fakes_test.ts";
import { CallError, defineService, serviceError } from "./mod.ts";

const bank = defineService("bank", {
  version: 1,
  methods: {
    pay: { input: z.string(), output: z.string() },
    tail: { input: z.string(), stream: z.string() },
  },
  errors: { refused: z.object({ why: z.string() }) },
});

/** `b` serves `pay` by `pay`, counting; `a` calls. */
function pair(
  pay: (input: string, signal: AbortSignal) => string | Promise<string>,
  settings: Parameters<FakeNetwork["add"]>[1] = {},
) {
  const network = new FakeNetwork();
  const [a, b] = [network.add("a"), network.add("b", settings)];
  const link = network.link("a", "b");
  const ran: string[] = [];
  b.layer.serve(bank, {
    pay: (input, { signal }) => {
      ran.push(input);
      return pay(input, signal);
    },
    tail: () => [],
  });
  return { network, a, b, link, ran, client: a.layer.client(bank) };
}

const code = (expected: string, message = /./) => (error: unknown) => {
  assert.equal((error as CallError).code, expected);
  assert.match((error as CallError).message, message);
  return true;
};

Deno.test("a repeat gets the first answer and does not run; another key and another caller do", async () => {
  let n = 0;
  const { network, client, ran } = pair(() => `receipt ${++n}`);
  await using _ = network;
  const c = network.add("c");
  network.link("c", "b");
  await network.settle();
  const idempotencyKey = "order-1";
  assert.equal(await client.pay("10", { idempotencyKey }), "receipt 1");
  assert.equal(await client.pay("10", { idempotencyKey }), "receipt 1");
  assert.equal(await client.pay("10", { idempotencyKey: "order-2" }), "receipt 2");
  assert.equal(await c.layer.client(bank).pay("10", { idempotencyKey }), "receipt 3");
  assert.equal(await client.pay("10"), "receipt 4");
  assert.equal(ran.length, 4);
});

Deno.test("a repeat while the first is under way joins it", async () => {
  const answered = Promise.withResolvers<string>();
  const { network, client, ran } = pair(() => answered.promise);
  await using _ = network;
  await network.settle();
  const calls = [1, 2, 3].map(() => client.pay("10", { idempotencyKey: "k" }));
  await network.settle();
  answered.resolve("once");
  assert.deepEqual(await Promise.all(calls), ["once", "once", "once"]);
  assert.equal(ran.length, 1);
});

Deno.test("a link that is cut behind the request costs nothing: it runs once, and its caller is answered", async () => {
  const answered = Promise.withResolvers<string>();
  let aborted = false;
  const { network, client, link, ran } = pair((_, signal) => {
    signal.addEventListener("abort", () => aborted = true);
    return answered.promise;
  });
  await using _ = network;
  await network.settle();
  const call = client.pay("10", { idempotencyKey: "k" });
  await network.settle();
  link.cut();
  await network.settle();
  answered.resolve("once");
  assert.equal(await call, "once");
  assert.deepEqual([ran.length, aborted], [1, false]);

  // The same when the answer was on its way already.
  network.link("a", "b");
  const second = client.pay("20", { idempotencyKey: "k2" });
  await network.settle();
  assert.equal(await second, "once");
});

Deno.test("without a key a call that was lost is not made again, and says that it may have run", async () => {
  const { network, client, link, ran } = pair(() => new Promise(() => {}));
  await using _ = network;
  await network.settle();
  const call = client.pay("10");
  await network.settle();
  link.cut();
  await assert.rejects(call, (error: CallError) => {
    assert.deepEqual([error.code, error.mayHaveRun], ["link_lost", true]);
    return true;
  });
  assert.equal(ran.length, 1);
});

Deno.test("another node is not asked: it would not know the key", async () => {
  const { network, client, link, ran } = pair(() => new Promise(() => {}));
  await using _ = network;
  const other = network.add("c");
  let elsewhere = 0;
  await network.settle();
  const call = client.pay("10", { idempotencyKey: "k", timeout: "1s" });
  await network.settle();
  other.layer.serve(bank, { pay: () => `${++elsewhere}`, tail: () => [] });
  network.link("a", "c");
  await network.settle();
  const failed = assert.rejects(call, (error: CallError) => {
    assert.equal(error.mayHaveRun, true);
    return true;
  });
  link.cut();
  await network.crash("b");
  await network.clock.advance(1100);
  await failed;
  assert.deepEqual([ran.length, elsewhere], [1, 0]);
});

Deno.test("a node that has started anew is not asked again, since it knows no more", async () => {
  const { network, client, link, ran } = pair(() => new Promise(() => {}));
  await using _ = network;
  await network.settle();
  const call = client.pay("10", { idempotencyKey: "k" });
  await network.settle();
  const failed = assert.rejects(call, code("link_lost", /started anew/));
  link.cut();
  const crashed = network.crash("b");
  let again = 0;
  const anew = network.add("b");
  anew.layer.serve(bank, { pay: () => `${++again}`, tail: () => [] });
  network.link("a", "b");
  await network.settle();
  await failed;
  await crashed;
  assert.deepEqual([ran.length, again], [1, 0]);
});

Deno.test("errors that the request earned repeat; those of the moment do not", async () => {
  let moment: CallError | undefined;
  const { network, client, ran } = pair(() => {
    if (moment !== undefined) throw moment;
    throw serviceError(bank, "refused", { why: "no funds" });
  });
  await using _ = network;
  await network.settle();
  const refused = (error: CallError) => {
    assert.deepEqual([error.code, error.data], ["application", { why: "no funds" }]);
    return true;
  };
  const idempotencyKey = "k";
  await assert.rejects(client.pay("10", { idempotencyKey }), refused);
  await assert.rejects(client.pay("10", { idempotencyKey }), refused);
  assert.equal(ran.length, 1);
  moment = new CallError("overloaded", "not now");
  await assert.rejects(client.pay("10", { idempotencyKey: "m" }), code("overloaded"));
  moment = undefined;
  await assert.rejects(client.pay("10", { idempotencyKey: "m" }), refused);
  assert.equal(ran.length, 3);
});

Deno.test("a call that its caller gave up is forgotten, and those who joined it are told", async () => {
  const { network, client, ran } = pair((_, signal) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)))
  );
  await using _ = network;
  await network.settle();
  const stop = new AbortController();
  const idempotencyKey = "k";
  const first = client.pay("10", { idempotencyKey, signal: stop.signal });
  await network.settle();
  const joined = client.pay("10", { idempotencyKey });
  await network.settle();
  const told = assert.rejects(joined, code("unavailable", /was given up; ask again/));
  stop.abort();
  await assert.rejects(first, code("aborted"));
  await told;
  client.pay("10", { idempotencyKey }).catch(() => {});
  await network.settle();
  assert.equal(ran.length, 2);
});

Deno.test("another input, items, and keys that are none are refused by name", async () => {
  const { network, client, ran } = pair(() => "");
  await using _ = network;
  await network.settle();
  await client.pay("10", { idempotencyKey: "k" });
  await assert.rejects(
    client.pay("11", { idempotencyKey: "k" }),
    code("invalid_argument", /idempotencyKey "k" was used for bank\/pay with another input/),
  );
  await assert.rejects(
    client.tail("x", { idempotencyKey: "k" }).next(),
    code("invalid_argument", /idempotencyKey is for methods without items/),
  );
  for (const idempotencyKey of ["", "ü".repeat(33)]) {
    await assert.rejects(
      client.pay("10", { idempotencyKey }),
      code("invalid_argument", /1 to 64 bytes/),
    );
  }
  assert.equal(ran.length, 1);
});

Deno.test("an answer that is too large to keep is not made up for by running again", async () => {
  const settings = { settings: { results: { maxEntries: 2, maxBytes: 100, maxAgeMs: 1000 } } };
  const { network, client, ran } = pair((it) => it.repeat(200), settings);
  await using _ = network;
  await network.settle();
  assert.equal((await client.pay("x", { idempotencyKey: "k" })).length, 200);
  await assert.rejects(client.pay("x", { idempotencyKey: "k" }), (error: CallError) => {
    assert.deepEqual([error.code, error.mayHaveRun], ["answer_gone", true]);
    return true;
  });
  assert.equal(ran.length, 1);
  await network.clock.advance(1001);
  await client.pay("x", { idempotencyKey: "k" });
  assert.equal(ran.length, 2);
});

Deno.test("when every key that is remembered is under way, one more is refused as overloaded", async () => {
  const settings = { settings: { results: { maxEntries: 2, maxBytes: 100, maxAgeMs: 1000 } } };
  const { network, client, ran } = pair(() => new Promise(() => {}), settings);
  await using _ = network;
  await network.settle();
  for (const idempotencyKey of ["1", "2"]) client.pay("", { idempotencyKey }).catch(() => {});
  await network.settle();
  await assert.rejects(
    client.pay("", { idempotencyKey: "3", attempts: 1 }),
    code("overloaded", /2 idempotency keys under way/),
  );
  assert.equal(ran.length, 2);
});

Deno.test("a repeat passes through the middleware, which may refuse it", async () => {
  const { network, client, b, ran } = pair(() => "secret");
  await using _ = network;
  await network.settle();
  const seen: unknown[] = [];
  b.layer.use(async (call, next) => {
    if (call.metadata.token !== "good") throw new CallError("permission_denied", "no");
    const answer = await next();
    seen.push(answer);
    return answer;
  });
  const idempotencyKey = "k";
  const good = { idempotencyKey, metadata: { token: "good" } };
  await assert.rejects(client.pay("10", { idempotencyKey }), code("permission_denied"));
  assert.equal(await client.pay("10", good), "secret");
  assert.equal(await client.pay("10", good), "secret");
  await assert.rejects(client.pay("10", { idempotencyKey }), code("permission_denied"));
  assert.deepEqual(seen, ["secret", "secret"]);
  assert.equal(ran.length, 1);
});

Deno.test("a call to oneself is remembered as well", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const a = network.add("a");
  let ran = 0;
  a.layer.serve(bank, { pay: () => `${++ran}`, tail: () => [] });
  const client = a.layer.client(bank);
  assert.equal(await client.pay("", { idempotencyKey: "k" }), "1");
  assert.equal(await client.pay("", { idempotencyKey: "k" }), "1");
});
