import assert from "node:assert/strict";
import fc from "fast-check";
import { callRetried } from "../../contracts/services.ts";
import { messageTypes } from "@mycnet/protocols/frame";
import { CallError, defineService } from "./mod.ts";
import { cluster, failureOf, never, server, work } from "./work_fakes_test.ts";

Deno.test("an idempotent call moves to another server when its link breaks", async () => {
  const { network, caller, nodes, client } = cluster(2);
  await using _ = network;
  const retried: unknown[] = [];
  caller.host.on(callRetried, (it) => retried.push(it));
  const first = server(nodes[0], () => never);
  const second = server(nodes[1], () => "second");
  await network.settle();
  const call = client.safe("x");
  await network.settle();
  assert.deepEqual([first.ran.length, second.ran.length], [1, 0]);
  caller.peers.link("s1")!.cut();
  assert.equal(await call, "second");
  assert.deepEqual(retried, [{ service: "work", method: "safe", node: "s1", code: "link_lost" }]);
});

Deno.test("a call that is not idempotent is not made again once it was sent, and says that it may have run", async () => {
  const { network, caller, nodes, client } = cluster(2);
  await using _ = network;
  server(nodes[0], () => never);
  const second = server(nodes[1]);
  await network.settle();
  const call = failureOf(client.once("x"));
  await network.settle();
  caller.peers.link("s1")!.cut(true);
  const error = await call;
  assert.equal(error.code, "link_lost");
  assert.equal(error.mayHaveRun, true);
  assert.equal(error.attempts, 1);
  assert.equal(error.node, "s1");
  assert.equal(second.ran.length, 0);
});

Deno.test("a call of any kind is made again when nothing had been sent", async () => {
  const { network, caller, nodes, client } = cluster(2);
  await using _ = network;
  const first = server(nodes[0], () => never);
  server(nodes[1], () => "second");
  await network.settle();
  const call = client.once("x");
  caller.peers.link("s1")!.cut(false);
  assert.equal(await call, "second");
  assert.equal(first.ran.length, 0);
});

Deno.test("links that are lost at one moment cost one attempt, however many they are", async () => {
  const { network, caller, nodes, client } = cluster(5);
  await using _ = network;
  let behave = () => never;
  for (const node of nodes) server(node, () => behave());
  await network.settle();
  const links = nodes.map(({ id }) => caller.peers.link(id)!);
  let answer: unknown;
  client.safe("x", { attempts: 3 }).then((it) => answer = it, (it) => answer = it);
  await network.settle();
  for (const node of nodes) caller.peers.unreachable.add(node.id);
  // It arrives at each before that link is lost as well.
  for (const link of links) {
    link.cut();
    await network.settle();
  }
  caller.peers.unreachable.clear();
  behave = () => Promise.resolve("again") as never;
  await network.clock.until(() => answer !== undefined);
  assert.equal(answer, "again");
});

Deno.test("links that are lost one after the other cost an attempt each", async () => {
  const { network, caller, nodes, client } = cluster(4);
  await using _ = network;
  for (const node of nodes) server(node, () => never);
  await network.settle();
  const links = nodes.map(({ id }) => caller.peers.link(id)!);
  const call = failureOf(client.safe("x", { attempts: 3 }));
  await network.settle();
  for (let at = 0; at < 3; at++) {
    links.find(({ exchanges }) => exchanges.size > 0)!.cut();
    await network.clock.advance(50);
  }
  const error = await call;
  assert.equal(error.code, "link_lost");
  assert.equal(error.attempts, 3);
});

Deno.test("attempts that never left cost none, and of links lost at one moment not even the first", async () => {
  const { network, caller, nodes, client } = cluster(4);
  await using _ = network;
  const servers = nodes.map((node) => server(node, () => "done"));
  await network.settle();
  const call = client.once("x", { attempts: 1 });
  for (const { id } of nodes.slice(0, 3)) caller.peers.link(id)!.cut(false);
  assert.equal(await call, "done");
  assert.deepEqual(servers.map(({ ran }) => ran.length), [0, 0, 0, 1]);
});

Deno.test("a node whose services are stopping or starting is unavailable, and nothing ran there", async () => {
  const { network, nodes, client } = cluster(1);
  await using _ = network;
  server(nodes[0]);
  await network.settle();
  nodes[0].peers.handlers.delete(messageTypes["service.call"]);
  const error = await failureOf(client.once("x"));
  assert.equal(error.code, "unavailable");
  assert.equal(error.mayHaveRun, false);
});

Deno.test("a call that waited for room goes elsewhere if the node serves it no more by then", async () => {
  const { network, caller, nodes, client } = cluster(2);
  await using _ = network;
  const first = server(nodes[0]);
  await network.settle();
  const link = caller.peers.link("s1")!;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  link.noRoom = { promise, resolve, reject };
  const call = client.once("x", { attempts: 1 });
  await network.settle();
  await first.serving[Symbol.asyncDispose]();
  const second = server(nodes[1], () => "second");
  await network.settle();
  link.noRoom = undefined;
  resolve();
  assert.equal(await call, "second");
  assert.deepEqual([first.ran.length, second.ran.length, link.opened], [0, 1, 0]);
});

Deno.test("attempts are bounded, with pauses once every server has been tried", async () => {
  const { network, caller, nodes, client } = cluster(1);
  await using _ = network;
  const { ran } = server(nodes[0], () => {
    throw new CallError("unavailable", "try elsewhere");
  });
  await network.settle();
  const before = caller.host.now();
  const call = failureOf(client.safe("x", { attempts: 4 }));
  let done = false;
  call.then(() => done = true);
  await network.clock.until(() => done);
  const error = await call;
  assert.equal(error.code, "unavailable");
  assert.match(error.message, /try elsewhere/);
  assert.equal(error.attempts, 4);
  assert.equal(ran.length, 4);
  // Pauses of 25 to 50, 50 to 100 and 100 to 200 ms.
  const took = caller.host.now() - before;
  assert.ok(took >= 175 && took <= 420, `it took ${took} ms`);
});

Deno.test("what the call itself did wrong is not tried elsewhere", async () => {
  const { network, nodes, client } = cluster(2);
  await using _ = network;
  const both = nodes.map((node) =>
    server(node, () => {
      throw new CallError("permission_denied", "not you");
    })
  );
  await network.settle();
  const error = await failureOf(client.safe("x"));
  assert.equal(error.code, "permission_denied");
  assert.equal(error.attempts, 1);
  assert.equal(both[0].ran.length + both[1].ran.length, 1);
});

Deno.test("a handler that throws is internal to its caller, and its text stays in the server's log", async () => {
  const { network, nodes, client } = cluster(1);
  await using _ = network;
  server(nodes[0], () => {
    throw new Error("the password is swordfish");
  });
  await network.settle();
  const error = await failureOf(client.safe("x"));
  assert.equal(error.code, "internal");
  assert.equal(error.mayHaveRun, true);
  assert.doesNotMatch(JSON.stringify(error) + error.message, /swordfish/);
  assert.ok(network.clock.lines.some((it) => JSON.stringify(it.fields).includes("swordfish")));
});

Deno.test("an answer that its schema refuses is internal, and the log names the field", async () => {
  const { network, nodes, client } = cluster(1);
  await using _ = network;
  server(nodes[0], () => 5);
  await network.settle();
  const error = await failureOf(client.safe("x"));
  assert.equal(error.code, "internal");
  assert.equal(error.mayHaveRun, true);
  const line = network.clock.lines.find((it) => it.message.includes("schema refuses"));
  assert.equal(line?.fields.part, "output");
  assert.match(String(line?.fields.problems), /string/);
});

Deno.test("the deadline covers everything, and the server is told", async () => {
  const { network, nodes, client } = cluster(1);
  await using _ = network;
  let signal: AbortSignal | undefined;
  let left = 0;
  nodes[0].layer.serve(work, {
    safe: (_, context) => {
      signal = context.signal;
      left = context.deadline();
      return never;
    },
    once: () => "",
    items: () => [],
    load: () => 0,
  });
  await network.settle();
  const call = failureOf(client.safe("x", { timeout: "2s" }));
  await network.clock.advance(1990);
  assert.equal(left, 2000);
  assert.equal(signal!.aborted, false);
  await network.clock.advance(30);
  const error = await call;
  assert.equal(error.code, "deadline_exceeded");
  assert.equal(error.mayHaveRun, true);
  assert.equal(signal!.aborted, true);
  assert.equal(signal!.reason.code, "deadline_exceeded");
});

Deno.test("the server enforces the deadline on its own when it hears nothing", async () => {
  const { network, nodes, client, caller } = cluster(1);
  await using _ = network;
  let signal: AbortSignal | undefined;
  nodes[0].layer.serve(work, {
    safe: (_, context) => {
      signal = context.signal;
      return never;
    },
    once: () => "",
    items: () => [],
    load: () => 0,
  });
  await network.settle();
  const call = failureOf(client.safe("x", { timeout: 500 }));
  await network.settle();
  caller.peers.link("s1")!.silent = true;
  await network.clock.advance(520);
  assert.equal((await call).code, "deadline_exceeded");
  assert.equal(signal!.reason.code, "deadline_exceeded");
});

Deno.test("the caller's signal ends the call on both sides", async () => {
  const { network, nodes, client } = cluster(1);
  await using _ = network;
  let signal: AbortSignal | undefined;
  nodes[0].layer.serve(work, {
    safe: (_, context) => {
      signal = context.signal;
      return never;
    },
    once: () => "",
    items: () => [],
    load: () => 0,
  });
  await network.settle();
  const abort = new AbortController();
  const call = failureOf(client.safe("x", { signal: abort.signal }));
  await network.settle();
  abort.abort(new Error("changed my mind"));
  const error = await call;
  assert.equal(error.code, "aborted");
  assert.equal((error.cause as Error).message, "changed my mind");
  await network.settle();
  assert.equal(signal!.aborted, true);
  const late = await failureOf(client.safe("x", { signal: abort.signal }));
  assert.equal(late.code, "aborted");
  assert.equal(late.mayHaveRun, false);
  assert.equal(late.attempts, 0);
});

Deno.test("a call waits for a server to appear", async () => {
  const { network, nodes, client } = cluster(1);
  await using _ = network;
  const call = client.safe("early");
  await network.clock.advance(1000);
  server(nodes[0]);
  assert.equal(await call, "early");
});

Deno.test("a call that waited in vain is unavailable and says what is known", async () => {
  const { network, client, nodes } = cluster(1);
  await using _ = network;
  const call = failureOf(client.safe("x", { timeout: "1s" }));
  await network.clock.advance(1020);
  const error = await call;
  assert.equal(error.code, "unavailable");
  assert.equal(error.mayHaveRun, false);
  assert.equal(error.attempts, 0);
  assert.match(error.message, /no node is known to serve it/);
  server(nodes[0]);
  await network.settle();
  const later = defineService("work", { ...work, version: 2 });
  const newer = failureOf(network.nodes.get("c")!.layer.client(later).safe("x", { timeout: "1s" }));
  await network.clock.advance(1020);
  assert.match((await newer).message, /version 2 or higher.*s1 \(version 1\)/);
});

Deno.test("bad options are refused, naming them", async () => {
  const { network, caller, nodes, client } = cluster(1);
  await using _ = network;
  server(nodes[0]);
  await network.settle();
  const refused = async (call: Promise<unknown>, expected: RegExp) => {
    const error = await failureOf(call);
    assert.match(error.message, expected);
    assert.equal(error.mayHaveRun, false);
    assert.equal(error.service, "work");
  };
  await refused(client.safe("x", { timeout: "soon" }), /timeout/);
  await refused(client.safe("x", { attempts: 0 }), /attempts/);
  await refused(client.safe("x", { attempts: 257 }), /from 1 to 256/);
  await refused(client.safe("x", { metadata: { ":a": "b" } }), /":a" is reserved/);
  await refused(client.safe("x", { metadata: { big: "x".repeat(9000) } }), /8192/);
  const many = Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, ""]));
  await refused(client.safe("x", { metadata: many }), /at most 64/);
  await refused(client.safe((() => {}) as never), /input: a function has no encoding/);
  assert.throws(() => caller.layer.client(work, { attempts: -1 }), /attempts/);
  assert.throws(() => caller.layer.client(work, { failover: "never" as never }), /failover/);
});

Deno.test("whatever happens to links, an idempotent call is answered or fails after at least one attempt, and another runs at most once", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 1000 }),
      fc.array(
        fc.record({
          kind: fc.constantFrom("cut", "cut unsent", "link", "safe", "once", "wait"),
          server: fc.integer({ min: 1, max: 3 }),
        }),
        { maxLength: 25 },
      ),
      async (seed, steps) => {
        const { network, nodes, client } = cluster(3, seed);
        await using _ = network;
        const all = nodes.map((node) =>
          server(node, async (it) => {
            await node.host.sleep(20);
            return it;
          })
        );
        await network.settle();
        const outcomes: Promise<{ input: string; ok: boolean; error?: CallError }>[] = [];
        for (const [index, { kind, server: at }] of steps.entries()) {
          const link = network.nodes.get("c")!.peers.link(`s${at}`);
          if (kind === "cut") link?.cut(true);
          else if (kind === "cut unsent") link?.cut(false);
          else if (kind === "link") network.link("c", `s${at}`);
          else if (kind === "wait") await network.clock.advance(at * 7);
          else {
            const input = `${kind} ${index}`;
            outcomes.push(
              client[kind as "safe" | "once"](input).then(
                (answer) => ({ input, ok: answer === input }),
                (error) => ({ input, ok: false, error }),
              ),
            );
          }
        }
        let done = false;
        const all_ = Promise.all(outcomes);
        all_.then(() => done = true);
        await network.clock.until(() => done, 20_000, 50);
        for (const { input, ok, error } of await all_) {
          const runs = all.reduce(
            (sum, it) => sum + it.ran.filter((one) => one === input).length,
            0,
          );
          if (ok) assert.ok(runs >= 1);
          else assert.ok(error instanceof CallError && error.attempts >= 1, String(error));
          if (input.startsWith("once")) assert.ok(runs <= 1, `${input} ran ${runs} times`);
          if (error?.mayHaveRun === false) assert.equal(runs, 0, `${input}: ${error.message}`);
        }
      },
    ),
    { numRuns: 60 },
  );
});
