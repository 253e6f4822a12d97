import assert from "node:assert/strict";
import { codeOf } from "../../kernel/errors.ts";
import { linkUp } from "../../contracts/peers.ts";
import type { Link } from "../links/mod.ts";
import { configOf, FakeNet, FakeNode } from "../fake_net_test.ts";

const type = 0x03ff;
const empty = new Uint8Array(0);

/** Waits for a promise in virtual time. */
async function settled<T>(net: FakeNet, promise: Promise<T>): Promise<T> {
  let done = false;
  const finished = () => void (done = true);
  promise.then(finished, finished);
  await net.host.until(() => done);
  return await promise;
}

/** The error of a promise, in virtual time. */
async function failure(
  net: FakeNet,
  promise: Promise<unknown>,
): Promise<Error & { code: string; refusal?: string }> {
  try {
    await settled(net, promise);
  } catch (error) {
    return error as Error & { code: string };
  }
  throw new assert.AssertionError({ message: "it did not fail" });
}

/** Stops everything and checks that nothing is left. */
async function finish(net: FakeNet, ...nodes: FakeNode[]): Promise<void> {
  for (const node of nodes) await node.stop();
  await net.host.advance(50);
  assert.equal(net.open.length, 0, "a connection was left open");
  assert.equal(net.host.pendingTimers, 0, "a timer was left behind");
}

Deno.test("a node dials another on demand and both see one link", async () => {
  const net = new FakeNet();
  const [a, b] = [new FakeNode(net, "a"), new FakeNode(net, "b")];
  a.hint("b", "b");
  assert.equal(a.peers.get("b")?.state, "joining");
  assert.deepEqual(a.peers.list().map(({ id }) => id), ["b"]);
  const link = await settled(net, a.peers.connect("b"));
  await net.host.until(() => b.linked("a"));
  assert.equal(link.peer.id, "b");
  assert.equal(net.wires.length, 1);
  assert.deepEqual(a.events, ["link up b", "peer up b"]);
  assert.deepEqual(b.events, ["link up a", "peer up a"]);
  assert.equal(a.peers.get("b")?.state, "alive");
  assert.equal(a.peers.get("b")?.health, "healthy");
  assert.equal(a.peers.get("b")?.links[0].direction, "dialled");
  assert.equal(b.peers.get("a")?.links[0].direction, "accepted");
  assert.equal(a.peers.metrics().active_connections, 1);
  assert(a.peers.metrics().bytes_sent > 0);
  assert.equal(a.peers.links().length, 1);
  await finish(net, a, b);
});

Deno.test("many who want the same node at once share one dial", async () => {
  const net = new FakeNet();
  const [a, b] = [new FakeNode(net, "a"), new FakeNode(net, "b")];
  a.hint("b", "b");
  const links = await settled(
    net,
    Promise.all([
      ...Array.from({ length: 20 }, () => a.peers.connect("b")),
      ...Array.from({ length: 20 }, () => a.peers.connect("memory://b")),
    ]),
  );
  assert.equal(new Set(links).size, 1);
  assert.equal(net.dials.length, 1);
  assert.equal(await a.peers.connect("b"), links[0]);
  await finish(net, a, b);
});

Deno.test("an address is dialled without knowing who answers, and found again by id", async () => {
  const net = new FakeNet();
  const [a, b] = [new FakeNode(net, "a"), new FakeNode(net, "b")];
  const link = await settled(net, a.peers.connect("memory://b"));
  assert.equal(link.peer.id, "b");
  assert.equal(await a.peers.connect("memory://b"), link);
  assert.deepEqual(a.peers.get("b")?.addresses, ["memory://b"]);
  // The one that was dialled knows where the other listens from its hello.
  assert.deepEqual(b.peers.get("a")?.addresses, ["memory://a"]);
  await settled(net, a.peers.disconnect("b", "for the test"));
  await net.host.until(() => !b.linked("a"));
  assert.equal(b.peers.get("a")?.state, "alive");
  await settled(net, b.peers.connect("a"));
  await finish(net, a, b);
});

Deno.test("connecting fails by code: unknown, unreachable, itself, aborted, out of time, closed", async () => {
  const net = new FakeNet();
  const a = new FakeNode(net, "a");
  a.hint("nowhere", "b");
  a.hint("silent", "c");
  net.silent.add("silent");
  assert.equal((await failure(net, a.peers.connect("z"))).code, "unknown_peer");
  assert.equal((await failure(net, a.peers.connect("a"))).code, "unknown_peer");
  const unreachable = await failure(net, a.peers.connect("b"));
  assert.equal(unreachable.code, "unreachable");
  assert.match(unreachable.message, /nowhere/);
  assert.equal((await failure(net, a.peers.connect("not an address:x"))).code, "address_invalid");
  const tcp = await failure(net, a.peers.connect("tcp://127.0.0.1:1"));
  assert.match(tcp.message, /no "tcp" transport/);
  const late = await failure(net, a.peers.connect("c", { timeoutMs: 100 }));
  assert.equal(late.code, "timeout");
  const abort = new AbortController();
  const aborting = failure(net, a.peers.connect("c", { signal: abort.signal }));
  abort.abort(new Error("enough"));
  assert.equal((await aborting).message, "enough");
  await finish(net, a);
  assert.equal((await failure(net, a.peers.connect("b"))).code, "closed");
});

Deno.test("a dial on demand tries a bounded number of times, with growing waits", async () => {
  const net = new FakeNet();
  const a = new FakeNode(net, "a", { config: { dialAttempts: 5 } });
  a.hint("nowhere", "b");
  await failure(net, a.peers.connect("b"));
  assert.equal(net.dials.length, 5);
  await finish(net, a);
});

Deno.test("who waits for a dial is served when the node dials in first", async () => {
  const net = new FakeNet();
  const [a, b] = [new FakeNode(net, "a"), new FakeNode(net, "b")];
  a.hint("silent", "b");
  net.silent.add("silent");
  const connecting = a.peers.connect("b");
  await net.host.advance(50);
  await settled(net, b.peers.connect("memory://a"));
  const link = await settled(net, connecting);
  assert.equal(link.info.direction, "accepted");
  await finish(net, a, b);
});

Deno.test("a node that listens nowhere cannot be dialled, and the error says so", async () => {
  const net = new FakeNet();
  const a = new FakeNode(net, "a");
  const client = new FakeNode(net, "client", { address: null });
  await settled(net, client.peers.connect("memory://a"));
  await net.host.until(() => a.linked("client"));
  await settled(net, client.peers.disconnect("a", "for the test"));
  await net.host.until(() => !a.linked("client"));
  const error = await failure(net, a.peers.connect("client"));
  assert.equal(error.code, "unreachable");
  assert.match(error.message, /dial in/);
  await finish(net, a, client);
});

Deno.test("simultaneous dials end with one link, and no exchange on the loser is lost", async () => {
  const net = new FakeNet();
  net.delayMs = 20;
  const [a, b] = [new FakeNode(net, "a"), new FakeNode(net, "b")];
  const answered: string[] = [];
  for (const node of [a, b]) {
    node.peers.handle(type, {
      request: (exchange) => {
        net.host.after(300, () => void exchange.respond(empty));
        return { item() {}, end() {}, writable() {}, closed() {} };
      },
    });
  }
  const ask = async (node: FakeNode, address: string) => {
    const link = await node.peers.connect(address);
    link.open(type, {}, empty, false, {
      item() {},
      end() {},
      writable() {},
      response: () => void answered.push(`${node.self.id} answered`),
      failure: () => void answered.push("failure"),
      closed: ({ code }) => void answered.push(code),
    });
  };
  await settled(net, Promise.all([ask(a, "memory://b"), ask(b, "memory://a")]));
  assert.equal(net.wires.length, 2);
  await net.host.until(() => answered.length === 2);
  await net.host.until(() => net.open.length === 1);
  assert.deepEqual(answered.sort(), ["a answered", "b answered"]);
  // The lower id's dial stays.
  assert.equal(net.open[0].from, "a");
  assert.equal(a.peers.get("b")?.links.length, 1);
  assert.equal(b.peers.get("a")?.links.length, 1);
  // Nobody was told that the other went away.
  assert(!a.events.some((event) => event.startsWith("peer down")));
  assert(!b.events.some((event) => event.startsWith("peer down")));
  await finish(net, a, b);
});

Deno.test("a node that lost a link unnoticed by the other gets a new one that stays, at the first try", async () => {
  const net = new FakeNet();
  const [a, b] = [new FakeNode(net, "a"), new FakeNode(net, "b")];
  await settled(net, a.peers.connect("memory://b"));
  await net.host.until(() => b.linked("a"));
  // Only b learns that the connection is dead; a, which decides, still believes in it.
  const [wire] = net.open;
  wire.dialer.reading = false;
  b.peers.link("a")!.destroy("lost");
  const link = await settled(net, b.peers.connect("memory://a"));
  await net.host.until(() => a.peers.get("b")?.links.length === 2, 100);
  assert.equal(a.peers.link("b")?.direction, "accepted", "the one that was heard from last");
  await net.host.advance(10_000);
  assert(link.usable, "the decider waited for the old one to show life");
  assert.equal(a.peers.get("b")?.links.length, 1);
  assert.equal(net.dials.length, 2);
  wire.dialer.resume();
  await finish(net, a, b);
});

Deno.test("links that come up and break at once are not dialled in a tight loop", async () => {
  const net = new FakeNet();
  net.delayMs = 0;
  const [a, b] = [new FakeNode(net, "a"), new FakeNode(net, "b")];
  b.host.on(linkUp, (link) => (link as Link).destroy("for the test"));
  const failing = failure(net, a.peers.connect("memory://b"));
  await net.host.advance(5000);
  a.host.on(linkUp, (link) => (link as Link).destroy("for the test"));
  await failing;
  assert(net.dials.length < 60, `${net.dials.length} dials in five seconds`);
  await finish(net, a, b);
});

Deno.test("a kept seed is dialled for ever, within the bounds of the backoff", async () => {
  const net = new FakeNet();
  const a = new FakeNode(net, "a");
  a.keep("b");
  await net.host.advance(120_000);
  const times = net.dials.map(({ atMs }) => atMs);
  const gaps = times.slice(1).map((at, i) => at - times[i]);
  assert(times.length > 40, `${times.length} dials in two minutes`);
  assert(Math.max(...gaps) <= 5001, `a gap of ${Math.max(...gaps)} ms`);
  assert(gaps[0] <= 101);
  // Full jitter: neither regular nor always at the bound.
  const late = gaps.slice(-20);
  assert(new Set(late.map(Math.round)).size > 15);
  assert.equal(a.host.lines.filter(({ level }) => level === "warn").length, 1, "told once");
  assert.match(a.peers.health().reason!, /seed memory:\/\/b is unreachable/);
  assert.equal(a.peers.health().status, "degraded");
  const b = new FakeNode(net, "b");
  await net.host.until(() => a.linked("b"), 6000);
  assert.deepEqual(a.peers.health(), { status: "healthy" });
  await finish(net, a, b);
});

Deno.test("a kept link that breaks is back soon, and one that is withdrawn is left alone", async () => {
  const net = new FakeNet();
  const [a, b] = [new FakeNode(net, "a"), new FakeNode(net, "b")];
  const seed = a.keep("b");
  await net.host.until(() => a.linked("b"));
  await net.host.advance(10_000);
  net.open[0].dialer.cut();
  await net.host.until(() => !a.linked("b"));
  assert.equal(a.peers.get("b")?.state, "dead");
  await net.host.until(() => a.linked("b"), 200);
  assert.equal(a.peers.get("b")?.state, "alive");
  seed[Symbol.dispose]();
  const dials = net.dials.length;
  net.open[0].dialer.cut();
  await net.host.advance(30_000);
  assert.equal(net.dials.length, dials);
  await finish(net, a, b);
});

Deno.test("a seed that accepts and hangs up at once is not hammered", async () => {
  const net = new FakeNet();
  const [a, b] = [new FakeNode(net, "a"), new FakeNode(net, "b")];
  a.keep("b");
  b.host.on({ id: "peers.link_up" }, () => net.host.after(5, () => net.open[0]?.dialer.cut()));
  await net.host.advance(60_000);
  assert(net.dials.length < 60, `${net.dials.length} dials in a minute`);
  assert(net.dials.length > 10);
  await finish(net, a, b);
});

Deno.test("idle links are closed by whoever dialled them; kept ones stay", async () => {
  const net = new FakeNet();
  const config = { idleTimeout: "10s" };
  const [a, b, c] = ["a", "b", "c"].map((id) => new FakeNode(net, id, { config }));
  a.keep("c");
  await settled(net, a.peers.connect("memory://b"));
  await net.host.until(() => a.linked("c"));
  await net.host.advance(8000);
  a.peers.link("b")!.send(type, {}, empty);
  await net.host.advance(8000);
  assert(a.linked("b"), "it carried a message lately");
  await net.host.advance(10_000);
  assert(!a.linked("b") && !b.linked("a"));
  assert(a.linked("c") && c.linked("a"));
  // Idle is not dead.
  assert.equal(a.peers.get("b")?.state, "alive");
  assert.equal(b.peers.get("a")?.state, "alive");
  assert.equal(b.events.at(-1), "link down a");
  await finish(net, a, b, c);
});

Deno.test("a node that leaves is left, one that breaks off is dead", async () => {
  const net = new FakeNet();
  const [a, b, c] = ["a", "b", "c"].map((id) => new FakeNode(net, id));
  await settled(net, Promise.all([a.peers.connect("memory://b"), a.peers.connect("memory://c")]));
  await b.stop("leaving");
  await c.crash();
  await net.host.until(() => !a.linked("b") && !a.linked("c"));
  assert.equal(a.peers.get("b")?.state, "left");
  assert.equal(a.peers.get("c")?.state, "dead");
  assert.equal(a.peers.get("c")?.health, "unhealthy");
  assert(a.events.includes("peer down b left") && a.events.includes("peer down c"));
  assert(a.peers.get("b")!.lastSeen > 0);
  await finish(net, a);
});

Deno.test("a node that restarts its peers is joining, not gone, and is linked again at once", async () => {
  const net = new FakeNet();
  const [a, b] = [new FakeNode(net, "a"), new FakeNode(net, "b")];
  a.keep("b");
  await net.host.until(() => a.linked("b"));
  await net.host.advance(10_000);
  await b.stop("restarting");
  await net.host.until(() => !a.linked("b"));
  assert.equal(a.peers.get("b")?.state, "joining");
  assert(a.events.includes("peer down b") && !a.events.includes("peer down b left"));
  const again = new FakeNode(net, "b");
  const sinceMs = net.host.now();
  await net.host.until(() => a.linked("b"));
  assert(net.host.now() - sinceMs < 400, `${net.host.now() - sinceMs} ms`);
  await finish(net, a, again);
});

Deno.test("stopping finishes what is under way, within bounds, and closes every connection", async () => {
  const net = new FakeNet();
  const [a, b] = [new FakeNode(net, "a"), new FakeNode(net, "b")];
  const outcome: string[] = [];
  b.peers.handle(type, {
    request: (exchange, { route }) => {
      if (route === "quick") net.host.after(100, () => void exchange.respond(empty));
      return { item() {}, end() {}, writable() {}, closed() {} };
    },
  });
  const link = await settled(net, a.peers.connect("memory://b"));
  for (const route of ["quick", "never"]) {
    link.open(type, { route }, empty, false, {
      item() {},
      end() {},
      writable() {},
      response: () => void outcome.push(`${route} answered`),
      failure: () => {},
      closed: ({ code }) => void outcome.push(`${route} ${code}`),
    });
  }
  const startMs = net.host.now();
  await b.stop();
  assert(net.host.now() - startMs <= 5100, "drained no longer than its time");
  await net.host.until(() => outcome.length === 2);
  assert.deepEqual(outcome, ["quick answered", "never link_lost"]);
  await finish(net, a);
});

Deno.test("one handler a type; a second is refused", async () => {
  const net = new FakeNet();
  const a = new FakeNode(net, "a");
  const first = a.peers.handle(type, {});
  assert.throws(
    () => a.peers.handle(type, {}),
    (error) => codeOf(error) === "duplicate_handler",
  );
  first[Symbol.dispose]();
  a.peers.handle(type, {})[Symbol.dispose]();
  await finish(net, a);
});

Deno.test("the configuration has its documented defaults", () => {
  assert.deepEqual(configOf(), {
    idleTimeout: 300_000,
    drainTimeout: 5000,
    backoff: { initial: 100, factor: 1.5, cap: 5000 },
    compression: { enabled: true, threshold: 1024 },
    dialAttempts: 3,
    linksPerPeer: 4,
    link: {
      maxStreams: 100,
      maxExchanges: 4096,
      streamWindowBytes: 262_144,
      highWaterBytes: 1_048_576,
      maxOutputBytes: 41_943_040,
      maxFrameBytes: 16_777_216,
      batch: { maxBytes: 65_536, delay: 0 },
    },
    pool: { warm: 1, idleTimeout: 30_000, maxAge: 0 },
    maxPeers: 10_000,
    maxHandshakes: 256,
    maxHints: 10_000,
    maxKept: 128,
    healthCheck: { interval: 1000, activeInterval: 100, timeout: 500, failureThreshold: 3 },
  });
});
