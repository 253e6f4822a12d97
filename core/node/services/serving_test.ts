import assert from "node:assert/strict";
import { messageTypes } from "@mycnet/protocols/frame";
import { z } from "zod";
import { FakeNetwork, type FakeNode } from "./fakes_test.ts";
import { type CallContext, CallError, defineService, type Middleware } from "./mod.ts";

const box = defineService("box", {
  version: 1,
  methods: {
    get: { input: z.string(), output: z.string(), idempotent: true },
    put: { input: z.string(), output: z.string() },
    list: { input: z.void(), stream: z.string() },
  },
});

const never = new Promise<never>(() => {});

interface Behaviour {
  get?: (input: string, context: CallContext) => string | Promise<string>;
  put?: (input: string, context: CallContext) => string | Promise<string>;
  list?: (input: void, context: CallContext) => AsyncIterable<string> | Iterable<string>;
}

function serve(node: FakeNode, behaviour: Behaviour = {}): AsyncDisposable {
  return node.layer.serve(box, { get: (it) => it, put: (it) => it, list: () => [], ...behaviour });
}

function pair(settings: Parameters<FakeNetwork["add"]>[1] = {}) {
  const network = new FakeNetwork();
  const a = network.add("a");
  const b = network.add("b", settings);
  network.link("a", "b");
  return { network, a, b, client: a.layer.client(box) };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(() => assert.fail("it succeeded"), (it) => it);
  assert.ok(error instanceof CallError, String(error));
  return error.code;
}

Deno.test("the same service cannot be served twice, and its name is free again once it left", async () => {
  const { network, b } = pair();
  await using _ = network;
  const serving = serve(b);
  assert.throws(() => serve(b), { code: "duplicate_handler" });
  await serving[Symbol.asyncDispose]();
  await serve(b)[Symbol.asyncDispose]();
});

Deno.test("a method without a handler is refused by name", async () => {
  const { network, b } = pair();
  await using _ = network;
  const partial = { get: (it: string) => it, list: () => [] } as never;
  assert.throws(() => b.layer.serve(box, partial), /handlers\.put of box is undefined/);
  serve(b);
});

Deno.test("handlers may be methods of an object that has a state", async () => {
  const { network, b, client } = pair();
  await using _ = network;
  class Counter {
    #count = 0;
    get(prefix: string): string {
      return `${prefix}${++this.#count}`;
    }
    put(it: string): string {
      return it;
    }
    list(): string[] {
      return ["x"];
    }
  }
  b.layer.serve(box, new Counter());
  assert.equal(await client.get("n"), "n1");
  assert.equal(await client.get("n"), "n2");
});

Deno.test("the context says who calls, with what, how urgently and until when", async () => {
  const { network, b, a } = pair();
  await using _ = network;
  let seen: unknown;
  serve(b, {
    get: (_, context) => {
      const { service, method, metadata, priority } = context;
      seen = {
        service,
        method,
        caller: context.caller.id,
        metadata,
        priority,
        left: context.deadline(),
      };
      return "";
    },
  });
  const client = a.layer.client(box, { metadata: { tenant: "blue", trace: "1" }, timeout: "3s" });
  await client.get("", { metadata: { trace: "2" }, priority: "high" });
  assert.deepEqual(seen, {
    service: "box",
    method: "get",
    caller: "a",
    metadata: { tenant: "blue", trace: "2" },
    priority: "high",
    left: 3000,
  });
});

Deno.test("more calls than the node may serve are refused as overloaded, and no handler ran", async () => {
  const { network, a, b } = pair({ settings: { maxConcurrentCalls: 3 } });
  await using _ = network;
  let running = 0;
  serve(b, { put: () => (running++, never), get: () => (running++, never) });
  await network.settle();
  const client = a.layer.client(box, { attempts: 1, timeout: "1s" });
  const calls = Array.from({ length: 5 }, () => client.put("x").catch((it) => it));
  await network.settle();
  assert.equal(running, 3);
  assert.deepEqual(b.layer.health().status, "degraded");
  await network.clock.advance(1100);
  const errors: CallError[] = await Promise.all(calls);
  const refused = errors.filter((it) => it.code === "overloaded");
  assert.equal(refused.length, 2);
  assert.ok(refused.every((it) => !it.mayHaveRun));
  assert.equal(b.layer.metrics("communication").calls_refused, 2);
});

Deno.test("a caller that gives up frees no place before its handler has finished", async () => {
  const { network, a, b } = pair({ settings: { maxConcurrentCalls: 1 } });
  await using _ = network;
  const gate = Promise.withResolvers<string>();
  serve(b, { put: () => gate.promise });
  await network.settle();
  const client = a.layer.client(box, { attempts: 1 });
  const abort = new AbortController();
  const first = codeOf(client.put("x", { signal: abort.signal }));
  await network.settle();
  abort.abort();
  assert.equal(await first, "aborted");
  assert.equal(await codeOf(client.put("x")), "overloaded");
  gate.resolve("done");
  await network.settle();
  assert.equal(await client.get("free"), "free");
});

Deno.test("a service that leaves finishes what is under way and on its way, and others take the rest", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const [a, b, c] = ["a", "b", "c"].map((id) => network.add(id));
  network.link("a", "b");
  network.link("a", "c");
  const gate = Promise.withResolvers<string>();
  const leaving = serve(b, { put: () => gate.promise, get: () => "b" });
  await network.settle();
  const client = a.layer.client(box);
  const slow = client.put("x");
  await network.settle();
  serve(c, { get: () => "c" });
  await network.settle();
  let left = false;
  const gone = Promise.resolve(leaving[Symbol.asyncDispose]()).then(() => left = true);
  // Before the news has arrived, calls still go to b, and are answered there.
  const early = await Promise.all([client.get("1"), client.get("2")]);
  assert.deepEqual(early.sort(), ["b", "c"]);
  await network.settle();
  const late = await Promise.all([client.get("4"), client.get("5"), client.get("6")]);
  assert.deepEqual(late, ["c", "c", "c"]);
  assert.deepEqual(a.layer.list().map((it) => it.nodes), [["c"]]);
  assert.equal(left, false);
  gate.resolve("finished");
  assert.equal(await slow, "finished");
  await gone;
});

Deno.test("a service leaves in a second though somebody never says that he has heard", async () => {
  const { network, a, b } = pair();
  await using _ = network;
  const serving = serve(b);
  await network.settle();
  a.peers.handlers.delete(messageTypes["service.directory"]);
  let left = false;
  const leave = async () => {
    await serving[Symbol.asyncDispose]();
    left = true;
  };
  const gone = leave();
  await network.clock.advance(990);
  assert.equal(left, false);
  await network.clock.advance(20);
  assert.equal(left, true);
  await gone;
});

Deno.test("whoever is lost is not waited for", async () => {
  const { network, a, b } = pair();
  await using _ = network;
  const serving = serve(b);
  await network.settle();
  a.peers.handlers.delete(messageTypes["service.directory"]);
  const gone = serving[Symbol.asyncDispose]();
  await network.settle();
  b.peers.link("a")!.cut();
  await gone;
  assert.equal(b.host.now(), a.host.now());
});

Deno.test("what does not finish in time is ended: its signal aborts and its caller gets an answer", async () => {
  const { network, b, client } = pair();
  await using _ = network;
  let signal: AbortSignal | undefined;
  const serving = serve(b, { put: (_, context) => (signal = context.signal, never) });
  await network.settle();
  const call = client.put("x", { timeout: "60s" }).catch((it) => it);
  await network.settle();
  const gone = serving[Symbol.asyncDispose]();
  await network.clock.advance(5010);
  const error = await call;
  assert.equal(error.code, "unavailable");
  assert.equal(error.mayHaveRun, true);
  assert.equal(signal!.aborted, true);
  await gone;
});

Deno.test("calls that wait end when the node stops, and new ones are refused", async () => {
  const network = new FakeNetwork();
  const a = network.add("a");
  const client = a.layer.client(box);
  const waiting = codeOf(client.get("x"));
  await network.settle();
  await network[Symbol.asyncDispose]();
  assert.equal(await waiting, "closed");
  assert.equal(await codeOf(client.get("x")), "closed");
  assert.equal(network.clock.pendingTimers, 0);
});

Deno.test("middleware stands around calls on both sides, the first registered outermost", async () => {
  const { network, a, b, client } = pair();
  await using _ = network;
  const steps: string[] = [];
  const noting = (name: string): Middleware => async (call, next) => {
    steps.push(`${name} ${call.side} ${call.service}/${call.method} ${call.caller.id}`);
    const answer = await next();
    steps.push(`${name} done`);
    return answer;
  };
  a.layer.use(noting("a1"));
  using _inner = a.layer.use(noting("a2"));
  b.layer.use(noting("b1"));
  serve(b, { get: (it) => (steps.push("handler"), it) });
  assert.equal(await client.get("x"), "x");
  assert.deepEqual(steps, [
    "a1 client box/get a",
    "a2 client box/get a",
    "b1 server box/get a",
    "handler",
    "b1 done",
    "a2 done",
    "a1 done",
  ]);
});

Deno.test("middleware adds metadata on the way out and reads it on the way in, before the input is looked at", async () => {
  const { network, a, b, client } = pair();
  await using _ = network;
  a.layer.use((call, next) => {
    call.metadata.token = "open";
    return next();
  });
  let seen: unknown;
  b.layer.use((call, next) => {
    if (call.metadata.token !== "open") throw new CallError("unauthenticated", "no token");
    call.metadata.tenant = "blue";
    return next();
  });
  serve(b, { get: (it, { metadata }) => (seen = metadata, it) });
  assert.equal(await client.get("x"), "x");
  assert.deepEqual(seen, { token: "open", tenant: "blue" });
  const local = b.layer.client(box);
  assert.equal(await codeOf(local.get(5 as never)), "unauthenticated");
});

Deno.test("what middleware throws fails the call; only a CallError tells its caller why", async () => {
  const { network, a, b, client } = pair();
  await using _ = network;
  let thrown: Error = new CallError("permission_denied", "not you");
  b.layer.use(() => {
    throw thrown;
  });
  serve(b);
  const denied = await client.get("x").catch((it) => it);
  assert.equal(denied.code, "permission_denied");
  assert.equal(denied.mayHaveRun, false);
  assert.match(denied.message, /not you/);
  thrown = new Error("swordfish");
  const failed = await client.get("x").catch((it) => it);
  assert.equal(failed.code, "internal");
  assert.doesNotMatch(failed.message, /swordfish/);
  a.layer.use(() => {
    throw new Error("mine");
  });
  const own = await client.get("x").catch((it) => it);
  assert.ok(own instanceof CallError);
  assert.equal(own.code, "internal");
  assert.match(own.message, /mine/);
  assert.equal(own.mayHaveRun, false);
});

Deno.test("middleware may change answers and streams, and what it makes of them is still checked", async () => {
  const { network, b, a, client } = pair();
  await using _ = network;
  const onServer = b.layer.use(async (call, next) => {
    const answer = await next();
    if (call.kind === "unary") return `${answer}!`;
    return (async function* () {
      for await (const it of answer as AsyncIterable<string>) yield it.toUpperCase();
    })();
  });
  using _client = a.layer.use(async (call, next) => {
    const answer = await next();
    if (call.kind === "unary") return answer;
    return (async function* () {
      yield "first";
      yield* answer as AsyncIterable<string>;
    })();
  });
  serve(b, { list: () => ["a", "b"] });
  assert.equal(await client.get("x"), "x!");
  assert.deepEqual(await Array.fromAsync(client.list()), ["first", "A", "B"]);
  onServer[Symbol.dispose]();
  assert.equal(await client.get("x"), "x");
  b.layer.use(async (_call, next) => (await next(), 5));
  assert.equal(await codeOf(client.get("x")), "internal");
});

Deno.test("calling next twice is refused", async () => {
  const { network, a, b, client } = pair();
  await using _ = network;
  let ran = 0;
  serve(b, { get: (it) => (ran++, it) });
  a.layer.use(async (_call, next) => {
    await next();
    return await next();
  });
  const error = await client.get("x").catch((it) => it);
  assert.match(error.message, /next\(\) twice/);
  assert.equal(ran, 1);
});
