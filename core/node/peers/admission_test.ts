import assert from "node:assert/strict";
import { FakeNet, FakeNode } from "../fake_net_test.ts";
import { connectionPair } from "../fakes_test.ts";

/** Runs until a promise settles; its error, or undefined. */
async function outcome(net: FakeNet, promise: Promise<unknown>) {
  let error: (Error & { code: string; refusal?: string }) | undefined;
  let done = false;
  promise.then(() => done = true, (reason) => {
    error = reason;
    done = true;
  });
  await net.host.until(() => done);
  return error;
}

async function finish(net: FakeNet, ...nodes: FakeNode[]): Promise<void> {
  for (const node of nodes) await node.stop();
  await net.host.advance(50);
  assert.equal(net.open.length, 0, "a connection was left open");
  assert.equal(net.host.pendingTimers, 0, "a timer was left behind");
}

Deno.test("another cluster is refused with its remedy, dialled at the cap only, logged once", async () => {
  const net = new FakeNet();
  const a = new FakeNode(net, "a");
  const b = new FakeNode(net, "b", { cluster: "other" });
  a.keep("b");
  await net.host.advance(60_000);
  assert(net.dials.length >= 10 && net.dials.length <= 14, `${net.dials.length} dials`);
  assert(!a.linked("b") && !b.linked("a"));
  const lines = a.host.lines.filter(({ message }) => message === "A link was refused.");
  assert.equal(lines.length, 1);
  assert.equal(lines[0].fields.code, "cluster");
  assert.match(String(lines[0].fields.remedy), /cluster/);
  assert.equal(lines[0].fields.address, "memory://b");
  assert.match(a.peers.health().reason!, /cluster/);
  const error = await outcome(net, a.peers.connect("memory://b"));
  assert.equal(error?.code, "refused");
  assert.equal(error?.refusal, "cluster");
  assert(b.events.some((event) => event.startsWith("refused cluster")));
  await finish(net, a, b);
});

Deno.test("a node that dials itself finds out once and leaves that address alone", async () => {
  const net = new FakeNet();
  const a = new FakeNode(net, "a");
  // The same listener under another name, as a load balancer or a second interface is.
  net.listeners.set("alias", (connection) => net.listeners.get("a")!(connection));
  a.keep("alias");
  a.keep("a");
  await net.host.advance(60_000);
  assert.deepEqual(net.dials.map(({ address }) => address), ["alias"]);
  assert.deepEqual(a.peers.health(), { status: "healthy" });
  assert.equal(a.host.lines.filter(({ level }) => level === "warn").length, 0);
  const error = await outcome(net, a.peers.connect("memory://alias"));
  assert.equal(error?.refusal, "self");
  await finish(net, a);
});

Deno.test("another node than the expected one is refused as the wrong one", async () => {
  const net = new FakeNet();
  const [a, b] = [new FakeNode(net, "a"), new FakeNode(net, "b")];
  a.hint("b", "c");
  const error = await outcome(net, a.peers.connect("c"));
  assert.equal(error?.refusal, "wrong_node");
  assert(!a.linked("b"));
  await finish(net, a, b);
});

Deno.test("a second process under this node's id is refused as a duplicate", async () => {
  const net = new FakeNet();
  const a = new FakeNode(net, "a");
  const twin = new FakeNode(net, "a", { generation: 2, address: "twin" });
  const error = await outcome(net, twin.peers.connect("memory://a"));
  assert.equal(error?.refusal, "duplicate");
  assert.match(error!.message, /another node calls itself a/);
  await finish(net, a, twin);
});

Deno.test("a certificate that is not of this cluster is refused with the reason that TLS alone hides", async () => {
  const net = new FakeNet();
  const [a, b] = [new FakeNode(net, "a"), new FakeNode(net, "b")];
  net.authenticate = (node) =>
    node === "b"
      ? { kind: "rejected", reason: "the certificate expired yesterday" }
      : { kind: "fiat" };
  const error = await outcome(net, b.peers.connect("memory://a"));
  assert.equal(error?.refusal, "unauthenticated");
  assert.match(error!.message, /expired yesterday/);
  assert(!a.linked("b"));
  assert(a.host.lines.some(({ fields }) => fields.code === "unauthenticated"));
  await finish(net, a, b);
});

Deno.test("a hello that says other than the certificate is refused", async () => {
  const net = new FakeNet();
  const [a, liar] = [new FakeNode(net, "a"), new FakeNode(net, "liar")];
  const names = (id: string) => ({ cluster: "test", type: "sclerotia" as const, id });
  net.authenticate = (node) => ({
    kind: "verified",
    principal: names(node === "liar" ? "honest" : node),
    expiresAt: Infinity,
  });
  const error = await outcome(net, liar.peers.connect("memory://a"));
  assert.equal(error?.refusal, "identity");
  assert.match(error!.message, /honest/);
  assert.deepEqual(a.peers.list(), [], "nothing of it is believed");
  await finish(net, a, liar);
});

Deno.test("a node that stops tells those who are still shaking hands", async () => {
  const net = new FakeNet();
  net.delayMs = 20;
  const [a, b] = [new FakeNode(net, "a"), new FakeNode(net, "b")];
  const connecting = outcome(net, b.peers.connect("memory://a", { timeoutMs: 200 }));
  await net.host.advance(30);
  await a.stop();
  await connecting;
  assert(b.events.some((event) => event.startsWith("refused shutting_down")), String(b.events));
  await finish(net, b);
});

Deno.test("a restarted node takes over once its old links are dead", async () => {
  const net = new FakeNet();
  const [a, old] = [new FakeNode(net, "a"), new FakeNode(net, "b")];
  a.keep("b");
  await net.host.until(() => a.linked("b"));
  await old.crash();
  const restarted = new FakeNode(net, "b", { generation: 2 });
  await net.host.until(() => a.linked("b"), 1000);
  assert.equal(a.peers.get("b")?.generation, 2);
  assert.deepEqual(a.events, [
    "link up b",
    "peer up b",
    "link down b",
    "peer down b",
    "link up b",
    "peer up b",
  ]);
  await finish(net, a, restarted);
});

Deno.test("a newer start is refused while the older answers, and the older keeps its place", async () => {
  const net = new FakeNet();
  const [a, first] = [new FakeNode(net, "a"), new FakeNode(net, "b")];
  await outcome(net, first.peers.connect("memory://a"));
  const second = new FakeNode(net, "b", { generation: 2, address: "second" });
  second.keep("a");
  await net.host.advance(20_000);
  assert.equal(a.peers.get("b")?.generation, 1);
  assert(a.linked("b") && first.linked("a") && !second.linked("a"));
  assert(second.events.some((event) => event.startsWith("refused duplicate")));
  assert.match(second.peers.health().reason!, /older start/);
  // Once the first is gone, the second gets in.
  await first.stop();
  await net.host.until(() => second.linked("a"), 6000);
  assert.equal(a.peers.get("b")?.generation, 2);
  await finish(net, a, second);
});

Deno.test("a newer start replaces an older one that is silent, without waiting for its links to die", async () => {
  const net = new FakeNet();
  // Slow to notice dead links by itself.
  const config = { healthCheck: { failureThreshold: 100 } };
  const a = new FakeNode(net, "a", { config });
  const first = new FakeNode(net, "b", { config });
  await outcome(net, first.peers.connect("memory://a"));
  await net.host.until(() => a.linked("b"));
  net.open[0].dialer.blackhole();
  const second = new FakeNode(net, "b", { generation: 2, address: "second" });
  second.keep("a");
  const startMs = net.host.now();
  await net.host.until(() => a.peers.get("b")?.generation === 2, 5000);
  assert(net.host.now() - startMs >= 1500, "the old links had their time to answer");
  await net.host.until(() => second.linked("a"));
  net.wires[0].dialer.resume();
  net.wires[0].acceptor.resume();
  await finish(net, a, first, second);
});

Deno.test("an older start is told that a newer one is known, even when that one is gone", async () => {
  const net = new FakeNet();
  const a = new FakeNode(net, "a");
  const newer = new FakeNode(net, "b", { generation: 5 });
  await outcome(net, newer.peers.connect("memory://a"));
  const older = new FakeNode(net, "b", { generation: 4, address: "older" });
  const error = await outcome(net, older.peers.connect("memory://a"));
  assert.equal(error?.refusal, "duplicate");
  assert.match(error!.message, /newer start/);
  await newer.stop();
  const again = await outcome(net, older.peers.connect("memory://a"));
  assert.equal(again?.refusal, "duplicate");
  assert.equal(a.peers.get("b")?.generation, 5);
  await finish(net, a, older);
});

Deno.test("links in all are bounded: one more is refused as full, and dials fail as overloaded", async () => {
  const net = new FakeNet();
  const a = new FakeNode(net, "a", { maxConnections: 3 });
  const others = ["b", "c", "d", "e"].map((id) => new FakeNode(net, id));
  for (const other of others.slice(0, 3)) {
    assert.equal(await outcome(net, other.peers.connect("memory://a")), undefined);
  }
  const full = await outcome(net, others[3].peers.connect("memory://a"));
  assert.equal(full?.refusal, "full");
  assert.match(full!.message, /maxConnections/);
  const overloaded = await outcome(net, a.peers.connect("memory://e"));
  assert.equal(overloaded?.code, "overloaded");
  await others[0].stop();
  assert.equal(await outcome(net, a.peers.connect("memory://e")), undefined);
  await finish(net, a, ...others);
});

Deno.test("handshakes in progress are bounded: connections beyond are closed unheard", async () => {
  const net = new FakeNet();
  const a = new FakeNode(net, "a", { config: { maxHandshakes: 4 } });
  const b = new FakeNode(net, "b");
  const accept = net.listeners.get("a")!;
  const knocks = Array.from({ length: 10 }, (_, i) => {
    const pair = connectionPair(net.host, { dialer: `x:${i}` });
    pair.dialer.open({ data: () => {}, closed: () => {} });
    accept(pair.acceptor);
    return pair;
  });
  await net.host.barrier();
  assert.equal(knocks.filter(({ acceptor }) => acceptor.ended).length, 6);
  const refused = await outcome(net, b.peers.connect("memory://a", { timeoutMs: 200 }));
  assert.notEqual(refused, undefined);
  assert(a.peers.metrics().connection_errors >= 6);
  // Those who say nothing are given up, and there is room again.
  await net.host.advance(8000);
  assert.equal(await outcome(net, b.peers.connect("memory://a")), undefined);
  await finish(net, a, b);
});

Deno.test("peers remembered are bounded: the one seen longest ago is forgotten, linked ones never", async () => {
  const net = new FakeNet();
  const a = new FakeNode(net, "a", { config: { maxPeers: 3 } });
  const nodes = ["b", "c", "d", "e", "f"].map((id) => new FakeNode(net, id));
  const [b, c, d, e, f] = nodes;
  for (const node of [b, c, d]) {
    await outcome(net, node.peers.connect("memory://a"));
    await net.host.advance(100);
  }
  const full = await outcome(net, e.peers.connect("memory://a"));
  assert.equal(full?.refusal, "full");
  await c.stop();
  await b.stop();
  await net.host.advance(100);
  assert.equal(await outcome(net, e.peers.connect("memory://a")), undefined);
  assert.deepEqual(a.peers.list().map(({ id }) => id).sort(), ["b", "d", "e"]);
  assert.equal(await outcome(net, f.peers.connect("memory://a")), undefined);
  assert.deepEqual(a.peers.list().map(({ id }) => id).sort(), ["d", "e", "f"]);
  await finish(net, a, d, e, f);
});

Deno.test("hints and kept seeds are bounded", async () => {
  const net = new FakeNet();
  const a = new FakeNode(net, "a", { config: { maxHints: 5, maxKept: 2 } });
  for (const id of ["b", "c", "d", "e", "f"]) a.keep(id);
  assert.throws(() => a.keep("g"), /5 hints/);
  await net.host.advance(100);
  assert.deepEqual(new Set(net.dials.map(({ address }) => address)), new Set(["b", "c"]));
  assert.equal(a.host.lines.filter(({ message }) => /Too many seeds/.test(message)).length, 1);
  await finish(net, a);
});

/** Other ways to a node, which whoever dials them cannot know for such. */
function aliases(net: FakeNet, id: string, count: number): string[] {
  const names = Array.from({ length: count }, (_, at) => `${id}-${at}`);
  for (const name of names) {
    net.listeners.set(name, (connection) => net.listeners.get(id)!(connection));
  }
  return names.map((name) => `memory://${name}`);
}

Deno.test("links between two nodes are bounded: one more is refused as full", async () => {
  const net = new FakeNet();
  const a = new FakeNode(net, "a", { config: { linksPerPeer: 2 } });
  const b = new FakeNode(net, "b");
  const [first, second, third] = aliases(net, "a", 3);
  for (const way of [first, second]) {
    assert.equal(await outcome(net, b.peers.connect(way)), undefined);
  }
  const refused = await outcome(net, b.peers.connect(third));
  assert.equal(refused?.refusal, "full");
  assert.match(refused!.message, /there are 2 links between us already/);
  await net.host.advance(2000);
  assert.equal(a.peers.get("b")?.links.length, 1, "and of the two, one stays");
  await finish(net, a, b);
});

Deno.test("the bounds of links and peers hold though all shake hands at once", async () => {
  const net = new FakeNet();
  const a = new FakeNode(net, "a", { config: { linksPerPeer: 2, maxPeers: 3 } });
  const others = ["b", "c", "d", "e", "f"].map((id) => new FakeNode(net, id));
  const ways = aliases(net, "a", 5);
  await Promise.all(
    others.flatMap((node) => ways.map((way) => outcome(net, node.peers.connect(way)))),
  );
  const ups = (id: string) => a.events.filter((it) => it === `link up ${id}`).length;
  const linked = others.filter(({ self }) => ups(self.id) > 0);
  assert.equal(linked.length, 3);
  for (const { self } of linked) assert.equal(ups(self.id), 2);
  await finish(net, a, ...others);
});

Deno.test("a hello tells where its sender gossips by then, and the last one counts", async () => {
  const net = new FakeNet();
  const where: { now?: string } = {};
  const a = new FakeNode(net, "a", { gossip: () => "10.0.0.1:7946" });
  const b = new FakeNode(net, "b", { gossip: () => where.now });
  const link = async () => {
    assert.equal(await outcome(net, b.peers.connect("memory://a")), undefined);
    await net.host.until(() => a.linked("b"));
  };
  const unlink = async () => {
    await outcome(net, b.peers.disconnect("a", "for the test"));
    await net.host.until(() => !a.linked("b") && !b.linked("a"));
  };
  await link();
  assert.equal(b.peers.get("a")?.gossipAddress, "10.0.0.1:7946");
  assert.ok(!("gossipAddress" in a.peers.get("b")!), "it did not gossip yet");
  await unlink();
  where.now = "10.0.0.2:9000";
  await link();
  assert.equal(a.peers.get("b")?.gossipAddress, "10.0.0.2:9000");
  await unlink();
  delete where.now;
  await link();
  assert.ok(!("gossipAddress" in a.peers.get("b")!));
  await finish(net, a, b);
});
