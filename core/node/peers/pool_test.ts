import assert from "node:assert/strict";
import { noFields } from "@mycnet/protocols/frame";
import type { PeerLink } from "../../contracts/peers.ts";
import { FakeNet, FakeNode } from "../fake_net_test.ts";

const type = 0x03ff;

/** Two nodes with one link, dialled by `a`. */
async function linked(config: Record<string, unknown> = {}) {
  const net = new FakeNet();
  const [a, b] = [new FakeNode(net, "a", { config }), new FakeNode(net, "b", { config })];
  a.hint("b", "b");
  await settled(net, a.peers.connect("b"));
  await net.host.until(() => b.linked("a"));
  return {
    net,
    a,
    b,
    links: (node: FakeNode, other: string) => node.peers.get(other)!.links,
    async finish() {
      for (const node of [a, b]) await node.stop();
      await net.host.advance(50);
      assert.equal(net.open.length, 0, "a connection was left open");
      assert.equal(net.host.pendingTimers, 0, "a timer was left behind");
    },
  };
}

async function settled<T>(net: FakeNet, promise: Promise<T>): Promise<T> {
  let done = false;
  const finished = () => void (done = true);
  promise.then(finished, finished);
  await net.host.until(() => done);
  return await promise;
}

Deno.test("a link is enough until somebody wants another", async () => {
  const t = await linked();
  t.a.peers.link("b", "ordered");
  t.a.peers.link("b", "spread");
  await t.net.host.advance(2000);
  assert.equal(t.net.dials.length, 1);
  await t.finish();
});

Deno.test("a stream of bytes gets a link apart, and messages stay where they were", async () => {
  const t = await linked();
  const first = t.a.peers.link("b");
  const bulk = await settled(t.net, t.a.peers.connect("b", { use: "bulk" }));
  assert.notEqual(bulk, first);
  assert.equal(t.a.peers.link("b"), first);
  assert.equal(t.a.peers.link("b", "bulk"), bulk);
  await t.net.host.advance(2000);
  assert.equal(t.links(t.a, "b").length, 2, "both stay: they have slots of their own");
  assert.equal(t.links(t.b, "a").length, 2);
  await t.finish();
});

Deno.test("both ends that want a link apart at once end up with one", async () => {
  const t = await linked();
  t.b.hint("a", "a");
  const [one, two] = await settled(
    t.net,
    Promise.all([
      t.a.peers.connect("b", { use: "bulk" }),
      t.b.peers.connect("a", { use: "bulk" }),
    ]),
  );
  assert(one.usable && two.usable);
  await t.net.host.advance(6000);
  assert.equal(t.links(t.a, "b").length, 2);
  assert.equal(t.links(t.b, "a").length, 2);
  await t.finish();
});

Deno.test("requests go where the least is under way, and a link more is dialled when all are full", async () => {
  const t = await linked();
  const body = new Uint8Array(1024);
  const fill = (link: PeerLink) => {
    while (!link.full) link.send(type, noFields, body);
  };
  // Nothing leaves within one turn, so the link stays full.
  fill(t.a.peers.link("b")!);
  t.a.peers.link("b", "spread");
  await t.net.host.until(() => t.links(t.a, "b").length === 2);
  const first = t.a.peers.link("b")!;
  fill(first);
  assert.notEqual(t.a.peers.link("b", "spread"), first);
  await t.finish();
});

Deno.test("links that were asked to be warm are there as soon as the first is", async () => {
  const t = await linked({ pool: { warm: 3 } });
  await t.net.host.until(() => t.links(t.a, "b").length === 3);
  await t.net.host.advance(120_000);
  assert.equal(t.links(t.a, "b").length, 3, "and they stay, idle or not");
  assert.equal(t.net.dials.length, 3);
  await t.finish();
});

Deno.test("warm links that broke are made good by the next sweep, if not before", async () => {
  const t = await linked({ linksPerPeer: 3, pool: { warm: 3 } });
  await t.net.host.until(() => t.links(t.a, "b").length === 3);
  for (const { dialer } of t.net.open.slice(0, 2)) dialer.cut();
  await t.net.host.advance(100);
  assert.equal(t.links(t.a, "b").length, 1, "one is enough for now");
  await t.net.host.advance(8000);
  assert.equal(t.links(t.a, "b").length, 3);
  await t.finish();
});

Deno.test("links beyond the first close when idle", async () => {
  const t = await linked();
  await settled(t.net, t.a.peers.connect("b", { use: "bulk" }));
  const first = t.a.peers.link("b");
  await t.net.host.advance(60_000);
  assert.equal(t.links(t.a, "b").length, 1);
  assert.equal(t.a.peers.link("b"), first);
  await t.finish();
});

Deno.test("an old link is replaced before it goes, and what is under way on it is answered", async () => {
  const t = await linked({ pool: { maxAge: "10s" } });
  const answers: string[] = [];
  let answer = () => {};
  t.b.peers.handle(type, {
    request(exchange) {
      answer = () => void exchange.respond(new Uint8Array(1));
      return { item() {}, end() {}, writable() {}, closed() {} };
    },
  });
  const first = t.a.peers.link("b")!;
  await t.net.host.advance(7900);
  first.open(type, noFields, new Uint8Array(0), false, {
    item() {},
    end() {},
    writable() {},
    response: () => void answers.push("answered"),
    failure: () => void answers.push("failed"),
    closed: ({ code }) => void answers.push(code),
  });
  let gap = false;
  await t.net.host.until(() => {
    gap ||= t.a.peers.link("b") === undefined;
    return !first.usable;
  }, 10_000);
  assert(!gap, "there was a usable link at all times");
  answer();
  await t.net.host.until(() => answers.length > 0);
  assert.deepEqual(answers, ["answered"]);
  await t.net.host.advance(1000);
  assert.equal(t.links(t.a, "b").length, 1);
  await t.finish();
});

Deno.test("there are never more links to a peer than there may be", async () => {
  const t = await linked({ linksPerPeer: 2 });
  for (let i = 0; i < 5; i++) {
    await settled(t.net, t.a.peers.connect("b", { use: "bulk" }));
    for (const link of [t.a.peers.link("b")!, t.a.peers.link("b", "bulk")!]) {
      while (!link.full) link.send(type, noFields, new Uint8Array(4096));
    }
    t.a.peers.link("b", "spread");
    await t.net.host.advance(20);
  }
  assert.equal(t.links(t.a, "b").length, 2);
  assert.equal(t.net.dials.length, 2);
  await t.finish();
});

for (const linksPerPeer of [1, 3]) {
  Deno.test(`all of ${linksPerPeer} links lost unnoticed by the other side: a new one is had at the first try`, async () => {
    const t = await linked({ linksPerPeer, pool: { warm: linksPerPeer } });
    await t.net.host.until(() => t.links(t.b, "a").length === linksPerPeer);
    for (const { acceptor } of t.net.open) acceptor.reading = false;
    for (const link of [...t.links(t.a, "b")]) {
      assert.equal(link.state, "up");
      void t.a.peers.link("b")!.destroy("lost");
    }
    assert.equal(t.links(t.a, "b").length, 0);
    const link = await settled(t.net, t.a.peers.connect("b"));
    assert.equal(t.links(t.b, "a").length, linksPerPeer + 1, "one more, for a while");
    await t.net.host.advance(10_000);
    assert.ok(link.usable);
    // The pool was refused the others, rested, and makes them good with a sweep.
    await t.net.host.until(() => t.links(t.b, "a").length === linksPerPeer, 20_000);
    await t.finish();
  });
}

Deno.test("a peer that takes no further link is not asked again at once", async () => {
  const net = new FakeNet();
  const a = new FakeNode(net, "a");
  const b = new FakeNode(net, "b", { config: { linksPerPeer: 1 } });
  a.hint("b", "b");
  await settled(net, a.peers.connect("b"));
  for (let i = 0; i < 20; i++) {
    const link = await settled(net, a.peers.connect("b", { use: "bulk" }));
    assert.equal(link, a.peers.link("b"));
    await net.host.advance(100);
  }
  assert.equal(net.dials.length, 2, "one refusal in two seconds");
  await net.host.advance(10_000);
  await settled(net, a.peers.connect("b", { use: "bulk" }));
  assert.equal(net.dials.length, 3);
  for (const node of [a, b]) await node.stop();
});

Deno.test("one of several links that dies is made good by the others at once", async () => {
  const t = await linked({ pool: { warm: 3 } });
  await t.net.host.until(() => t.links(t.a, "b").length === 3);
  const first = t.a.peers.link("b")!;
  t.net.open[0].dialer.cut();
  await t.net.host.until(() => !first.usable);
  assert(t.a.linked("b") && t.b.linked("a"));
  assert.deepEqual(t.a.events.filter((event) => event.startsWith("peer down")), []);
  await t.finish();
});
