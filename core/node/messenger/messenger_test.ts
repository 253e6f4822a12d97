import assert from "node:assert/strict";
import type { MessageContext, Reply } from "../../contracts/messenger.ts";
import { codeOf, MycnetError } from "../../kernel/errors.ts";
import { bytes, Cluster, text } from "./fakes_test.ts";
import { NoQuorumError } from "./messenger.ts";

Deno.test("a request dials the node, runs the handler there and brings the answer back", async () => {
  await using cluster = new Cluster("a", "b");
  let seen: MessageContext | undefined;
  cluster.of("b").handle("custom.echo", (body, context) => {
    seen = context;
    return bytes(text(body).toUpperCase());
  });
  const answer = await cluster.settled(
    cluster.of("a").request("b", "custom.echo", bytes("hello"), { priority: "high" }),
  );
  assert.equal(text(answer), "HELLO");
  assert.equal(seen?.from.id, "a");
  assert.equal(seen?.name, "custom.echo");
  assert.equal(seen?.priority, "high");
  assert(seen?.timeLeftMs! > 4900 && seen?.timeLeftMs! <= 5000);
  assert.equal(seen?.signal.aborted, false);
});

Deno.test("requests set no host timer each and many are under way at once", async () => {
  await using cluster = new Cluster("a", "b");
  cluster.of("b").handle("custom.echo", async (body) => {
    await undefined;
    return body;
  });
  await cluster.settled(cluster.of("a").request("b", "custom.echo", bytes("warm up")));
  const before = cluster.host.timersSet;
  const answers = await cluster.settled(Promise.all(
    Array.from(
      { length: 1000 },
      (_, i) => cluster.of("a").request("b", "custom.echo", bytes(`${i}`)),
    ),
  ));
  assert.deepEqual(answers.map(text), Array.from({ length: 1000 }, (_, i) => `${i}`));
  // What is left is the wire's delays and the links' pings.
  assert(cluster.host.timersSet - before < 50, `${cluster.host.timersSet - before} timers`);
});

Deno.test("a message without an answer arrives, under a registered name too", async () => {
  await using cluster = new Cluster("a", "b");
  const got: string[] = [];
  cluster.of("b").handle("heartbeat", (body) => void got.push(text(body)));
  await cluster.settled(cluster.of("a").send("b", "HeartBeat", bytes("beat")));
  await cluster.host.until(() => got.length > 0);
  assert.deepEqual(got, ["beat"]);
});

Deno.test("what nobody handles fails as unhandled, and a bad name is refused before it is sent", async () => {
  await using cluster = new Cluster("a", "b");
  const a = cluster.of("a");
  const nobody = await cluster.fails(a.request("b", "custom.nobody", bytes("")));
  assert.equal(nobody.code, "unhandled");
  const other = cluster.of("b").handle("custom.other", () => bytes("x"));
  const named = await cluster.fails(a.request("b", "custom.nobody", bytes("")));
  assert.equal(named.code, "unhandled");
  assert.match(named.message, /custom\.nobody/);
  other[Symbol.dispose]();
  for (const name of ["nonsense", "custom.", "link.ping"]) {
    assert.equal((await cluster.fails(a.send("b", name, bytes("")))).code, "invalid_argument");
    assert.throws(() => a.handle(name, () => {}), (error) => codeOf(error) === "invalid_argument");
  }
});

Deno.test("one handler a name: a second is refused, and the name is free after dispose", async () => {
  await using cluster = new Cluster("a", "b");
  const b = cluster.of("b");
  const first = b.handle("Heartbeat", () => {});
  assert.throws(
    () => b.handle("heartbeat", () => {}),
    (error) => codeOf(error) === "duplicate_handler",
  );
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  b.handle("heartbeat", () => bytes("second"));
  const answer = await cluster.settled(cluster.of("a").request("b", "heartbeat", bytes("")));
  assert.equal(text(answer), "second");
});

Deno.test("a handler's error travels with its code; an unforeseen one tells nothing and is logged", async () => {
  await using cluster = new Cluster("a", "b");
  cluster.of("b").handle("custom.known", () => {
    throw new MycnetError("permission_denied", "not yours");
  });
  cluster.of("b").handle("custom.unknown", () => Promise.reject(new Error("secret table name")));
  const known = await cluster.fails(cluster.of("a").request("b", "custom.known", bytes("")));
  assert.equal(known.code, "permission_denied");
  assert.match(known.message, /not yours/);
  const unknown = await cluster.fails(cluster.of("a").request("b", "custom.unknown", bytes("")));
  assert.equal(unknown.code, "internal");
  assert.doesNotMatch(unknown.message, /secret/);
  const lines = cluster.nodes.get("b")!.host.lines.filter(({ level }) => level === "error");
  assert.equal(lines.length, 1);
  assert.match(String(lines[0].fields.error), /secret table name/);
});

Deno.test("a request that takes too long fails in time, and its handler's signal aborts", async () => {
  await using cluster = new Cluster("a", "b");
  let signal: AbortSignal | undefined;
  cluster.of("b").handle("custom.slow", (_body, context) => {
    signal = context.signal;
    return new Promise(() => {});
  });
  const startMs = cluster.host.now();
  const error = await cluster.fails(
    cluster.of("a").request("b", "custom.slow", bytes(""), { timeout: "200ms" }),
  );
  assert.equal(error.code, "deadline_exceeded");
  const tookMs = cluster.host.now() - startMs;
  assert(tookMs >= 200 && tookMs <= 230, `${tookMs} ms`);
  await cluster.host.until(() => signal!.aborted);
  assert.match(String(codeOf(signal!.reason)), /deadline_exceeded|cancelled/);
});

Deno.test("a caller that gives up resets the exchange and the handler's signal aborts", async () => {
  await using cluster = new Cluster("a", "b");
  let signal: AbortSignal | undefined;
  cluster.of("b").handle("custom.slow", (_body, context) => {
    signal = context.signal;
    return new Promise(() => {});
  });
  const abort = new AbortController();
  const request = cluster.of("a").request("b", "custom.slow", bytes(""), { signal: abort.signal });
  const failing = cluster.fails(request);
  await cluster.host.until(() => signal !== undefined);
  abort.abort(new Error("enough"));
  const error = await failing;
  assert.equal(error.code, "aborted");
  assert.equal((error.cause as Error).message, "enough");
  await cluster.host.until(() => signal!.aborted);
  assert.equal(codeOf(signal!.reason), "cancelled");
  const again = await cluster.fails(
    cluster.of("a").request("b", "custom.slow", bytes(""), { signal: abort.signal }),
  );
  assert.equal(again.code, "aborted");
});

Deno.test("a lost link fails what is under way, and the next request dials anew", async () => {
  await using cluster = new Cluster("a", "b");
  let hang = true;
  let running = false;
  cluster.of("b").handle("custom.echo", (body) => {
    running = true;
    return hang ? new Promise(() => {}) : body;
  });
  const failing = cluster.fails(cluster.of("a").request("b", "custom.echo", bytes("x")));
  await cluster.host.until(() => running);
  cluster.net.open[0].dialer.cut();
  assert.equal((await failing).code, "link_lost");
  hang = false;
  const answer = await cluster.settled(cluster.of("a").request("b", "custom.echo", bytes("y")));
  assert.equal(text(answer), "y");
});

Deno.test("requests to nodes that are unknown or cannot be reached say so", async () => {
  await using cluster = new Cluster("a", "b");
  const a = cluster.of("a");
  assert.equal((await cluster.fails(a.request("z", "custom.x", bytes("")))).code, "unknown_peer");
  assert.equal((await cluster.fails(a.send("a", "custom.x", bytes("")))).code, "unknown_peer");
  await cluster.nodes.get("b")!.stop();
  const gone = await cluster.fails(a.request("b", "custom.x", bytes("")));
  assert.equal(gone.code, "unreachable");
  assert.match(gone.message, /nobody listens at b/);
  assert.equal(a.metrics().failed_sends, 3);
});

Deno.test("senders of best effort wait while a peer does not read, and fail at once if they would rather not", async () => {
  await using cluster = new Cluster("a", "b");
  const [a, b] = [cluster.of("a"), cluster.of("b")];
  let received = 0;
  b.handle("custom.bulk", () => void received++);
  await cluster.settled(a.send("b", "custom.bulk", bytes("open")));
  const wire = cluster.net.open[0];
  wire.acceptor.pause();
  const chunk = new Uint8Array(256 * 1024);
  let sent = 0;
  const sends = Promise.all(Array.from({ length: 64 }, async () => {
    await a.send("b", "custom.bulk", chunk, { reliability: "best-effort" });
    sent++;
  }));
  sends.catch(() => {});
  await cluster.host.barrier();
  // One write of up to the high-water mark is on its way, as much again is queued, the rest waits.
  assert(sent >= 4 && sent <= 12, `${sent} were taken`);
  const refused = await cluster.fails(a.send("b", "custom.bulk", chunk, { wait: false }));
  assert.equal(refused.code, "overloaded");
  const impatient = await cluster.fails(
    a.request("b", "custom.bulk", chunk, { timeout: 50 }),
  );
  assert.equal(impatient.code, "deadline_exceeded");
  wire.acceptor.resume();
  await cluster.settled(sends);
  await cluster.host.until(() => received === 65);
});

Deno.test("a peer that never reads costs a bounded queue and then its link", async () => {
  await using cluster = new Cluster("a", "b");
  const a = cluster.of("a");
  cluster.of("b").handle("custom.bulk", () => {});
  await cluster.settled(a.send("b", "custom.bulk", bytes("open")));
  cluster.net.open[0].dialer.blackhole();
  cluster.net.listeners.delete("b");
  const failures = Promise.allSettled(
    Array.from(
      { length: 40 },
      () => a.send("b", "custom.bulk", new Uint8Array(1024 * 1024), { reliability: "best-effort" }),
    ),
  );
  const link = cluster.nodes.get("a")!.peers.link("b")!;
  await cluster.host.until(() => !link.usable, 10_000);
  const results = await cluster.settled(failures);
  const taken = results.filter(({ status }) => status === "fulfilled").length;
  assert(taken <= 4, `${taken} MiB were taken`);
});

Deno.test("a broadcast reaches every linked peer and tells who failed", async () => {
  await using cluster = new Cluster("a", "b", "c", "d");
  const a = cluster.of("a");
  const got: string[] = [];
  for (const id of ["b", "c", "d"]) {
    cluster.of(id).handle("custom.news", (body) => void got.push(`${id} ${text(body)}`));
  }
  const connecting = ["b", "c"].map((id) => cluster.nodes.get("a")!.peers.connect(id));
  await cluster.settled(Promise.all(connecting));
  const all = await cluster.settled(a.broadcast("custom.news", bytes("1")));
  assert.deepEqual(all, { sent: 2, failed: [] });
  await cluster.host.until(() => got.length === 2);
  assert.deepEqual(got.sort(), ["b 1", "c 1"]);
  const aborted = new AbortController();
  aborted.abort();
  const none = await cluster.settled(
    a.broadcast("custom.news", bytes("2"), { signal: aborted.signal }),
  );
  assert.equal(none.sent, 0);
  assert.deepEqual(
    none.failed.map((reply) => [reply.node, reply.ok || reply.error.code]).sort(),
    [["b", "aborted"], ["c", "aborted"]],
  );
});

Deno.test("a scatter yields each node's reply as it comes and cancels the rest when left", async () => {
  await using cluster = new Cluster("a", "b", "c", "d");
  const delays: Record<string, number> = { b: 300, c: 100, d: 200 };
  let cancelled = 0;
  for (const [id, delayMs] of Object.entries(delays)) {
    cluster.of(id).handle("custom.ask", async (_body, { signal }) => {
      signal.addEventListener("abort", () => cancelled++);
      await cluster.host.sleep(delayMs);
      if (id === "d") throw new MycnetError("overloaded", "busy");
      return bytes(id);
    });
  }
  const ask = async (stopAfter: number) => {
    const replies: Reply[] = [];
    const nodes = ["b", "c", "d", "c", "nobody"];
    for await (const reply of cluster.of("a").scatter("custom.ask", bytes("?"), { nodes })) {
      replies.push(reply);
      if (replies.length === stopAfter) break;
    }
    return replies.map((reply) => [reply.node, reply.ok ? text(reply.bytes) : reply.error.code]);
  };
  assert.deepEqual(await cluster.settled(ask(10)), [
    ["nobody", "unknown_peer"],
    ["c", "c"],
    ["d", "overloaded"],
    ["b", "b"],
  ]);
  assert.deepEqual(await cluster.settled(ask(2)), [["nobody", "unknown_peer"], ["c", "c"]]);
  await cluster.host.until(() => cancelled === 2);
  await cluster.host.advance(500);
});

Deno.test("a quorum resolves with the first good answers, or fails as soon as they are out of reach", async () => {
  await using cluster = new Cluster("a", "b", "c", "d");
  const a = cluster.of("a");
  cluster.of("b").handle("custom.vote", () => bytes("yes"));
  cluster.of("c").handle("custom.vote", () => new Promise(() => {}));
  cluster.of("d").handle("custom.vote", () => bytes("yes"));
  const nodes = ["b", "c", "d"];
  const votes = await cluster.settled(
    a.quorum("custom.vote", bytes(""), { nodes, need: 2, timeout: "30s" }),
  );
  assert.deepEqual(votes.map(({ node }) => node).sort(), ["b", "d"]);
  const startMs = cluster.host.now();
  const failed = await cluster.fails(
    a.quorum("custom.vote", bytes(""), { nodes: [...nodes, "x", "y"], need: 4, timeout: "30s" }),
  );
  assert.equal(failed.code, "no_quorum");
  assert((failed as NoQuorumError).replies.length >= 2);
  assert(cluster.host.now() - startMs < 1000, "it did not wait for the one that never answers");
  const never = await cluster.fails(a.quorum("custom.vote", bytes(""), { nodes, need: 4 }));
  assert.equal(never.code, "no_quorum");
  assert.deepEqual(await a.quorum("custom.vote", bytes(""), { nodes, need: 0 }), []);
});

Deno.test("a messenger that stops aborts its handlers, resets what it serves and takes nothing more", async () => {
  await using cluster = new Cluster("a", "b");
  let signal: AbortSignal | undefined;
  cluster.of("b").handle("custom.slow", (_body, context) => {
    signal = context.signal;
    return new Promise(() => {});
  });
  const failing = cluster.fails(cluster.of("a").request("b", "custom.slow", bytes("")));
  await cluster.host.until(() => signal !== undefined);
  cluster.of("b")[Symbol.dispose]();
  assert.equal(codeOf(signal!.reason), "closed");
  assert.equal((await failing).code, "unavailable");
  const closed = await cluster.fails(cluster.of("b").request("a", "custom.x", bytes("")));
  assert.equal(closed.code, "closed");
});

Deno.test("a handler that stops its own messenger and goes on is aborted like the others", async () => {
  await using cluster = new Cluster("a", "b");
  let signal: AbortSignal | undefined;
  cluster.of("b").handle("custom.last", (_, context) => {
    cluster.of("b")[Symbol.dispose]();
    signal = context.signal;
    return new Promise(() => {});
  });
  const error = await cluster.fails(cluster.of("a").request("b", "custom.last", bytes("")));
  assert.equal(error.code, "unavailable");
  assert.equal(codeOf(signal!.reason), "closed");
});
