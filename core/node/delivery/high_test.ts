// Messages of level high, over links in memory and virtual time.
import assert from "node:assert/strict";
import { encodeNotices } from "@mycnet/protocols/delivery";
import { messageTypes } from "@mycnet/protocols/frame";
import { FakeNet } from "../fake_net_test.ts";
import { bytes, DeliveryNode, end, hasCode, numbers, outcome } from "./fakes_test.ts";

/** Two nodes, `a` knowing where `b` is. */
function pair(config: Record<string, unknown> = {}) {
  const net = new FakeNet();
  const a = new DeliveryNode(net, "a", { delivery: config });
  const b = new DeliveryNode(net, "b");
  a.node.hint("b", "b");
  return { net, a, b };
}

Deno.test("a message resolves once the receiver has taken it, and arrives once and in order", async () => {
  const { net, a, b } = pair();
  const sends = numbers(1, 500).map((it) => a.send("b", it));
  assert.equal(await outcome(net, Promise.all(sends)), undefined);
  assert.deepEqual(b.arrived, numbers(1, 500));
  assert.deepEqual(a.delivery.waiting(), []);
  const { messages_acknowledged, messages_retransmitted } = a.delivery.metrics();
  assert.deepEqual([messages_acknowledged, messages_retransmitted], [500, 0]);
  await end(net, a, b);
});

Deno.test("what a broken link took with it is sent again over the next, once and in order", async () => {
  const { net, a, b } = pair();
  await outcome(net, a.send("b", "0"));
  const sends: Promise<void>[] = [];
  for (let round = 0; round < 20; round++) {
    for (let at = 0; at < 10; at++) sends.push(a.send("b", `${round * 10 + at + 1}`));
    await net.host.advance(round % 4);
    // In turn with messages still to be written, on their way, and acknowledged but not heard of.
    net.open[0]?.dialer.cut();
  }
  assert.equal(await outcome(net, Promise.all(sends)), undefined);
  assert.deepEqual(b.texts, numbers(0, 200));
  assert(b.arrived.some((it) => it.startsWith("again:")), "nothing was marked as sent before");
  assert(a.delivery.metrics().messages_retransmitted > 0);
  await end(net, a, b);
});

Deno.test("a receiver that does not take a message gets it three times more, then it is undelivered", async () => {
  const { net, a, b } = pair();
  let asked = 0;
  b.answer = () => {
    asked++;
    return "busy";
  };
  await outcome(net, a.send("b", "open").catch(() => {}));
  asked = 0;
  const startMs = net.host.now();
  const error = await outcome(net, a.send("b", "x"));
  hasCode(error, "undelivered");
  assert.match((error as Error).message, /node "b" did not acknowledge/);
  assert.equal(asked, 4);
  const tookMs = net.host.now() - startMs;
  assert(tookMs >= 3000 && tookMs <= 3000 * 1.3, `${tookMs} ms`);
  b.answer = () => "taken";
  assert.equal(await outcome(net, a.send("b", "y")), undefined);
  assert.deepEqual(b.texts, ["y"], "what was given up does not come later");
  assert.equal(a.delivery.metrics().messages_undelivered, 2);
  await end(net, a, b);
});

Deno.test("what a busy receiver did not take comes again before what follows it", async () => {
  const { net, a, b } = pair();
  await outcome(net, a.send("b", "0"));
  let refuse = 3;
  b.answer = () => refuse-- > 0 ? "busy" : "taken";
  const sends = numbers(1, 20).map((it) => a.send("b", it));
  assert.equal(await outcome(net, Promise.all(sends)), undefined);
  assert.deepEqual(b.texts, numbers(0, 20));
  await end(net, a, b);
});

Deno.test("a name that nobody handles fails its message at once, and no other", async () => {
  const { net, a, b } = pair();
  b.answer = ({ body }) => body[0] === "?".charCodeAt(0) ? "unhandled" : "taken";
  const startMs = net.host.now();
  const names = Array.from({ length: 200 }, (_, at) => at % 2 === 0 ? "?" : "!");
  const results = Promise.allSettled(names.map((it) => a.send("b", it)));
  await outcome(net, results);
  const settled = await results;
  settled.forEach((result, at) => {
    if (at % 2 === 1) assert.equal(result.status, "fulfilled");
    else hasCode((result as PromiseRejectedResult).reason, "unhandled");
  });
  assert(net.host.now() - startMs < 200, "it was not waited for");
  await end(net, a, b);
});

Deno.test("when the receiver restarted, what may have left fails, and what had not is sent to the new start", async () => {
  const { net, a, b } = pair();
  await outcome(net, a.send("b", "0"));
  b.answer = () => "busy";
  const left = a.send("b", "left");
  await net.host.advance(5);
  const stopped = b.crash();
  await stopped;
  const after = new DeliveryNode(net, "b", { generation: 2 });
  const unsent = a.send("b", "unsent");
  const error = await outcome(net, left);
  hasCode(error, "undelivered");
  assert.match((error as Error).message, /restarted/);
  assert.equal(await outcome(net, unsent), undefined);
  assert.deepEqual(after.arrived, ["unsent"]);
  await end(net, a, after);
});

Deno.test("a restarted sender begins anew, and what it sends is no duplicate", async () => {
  const net = new FakeNet();
  const b = new DeliveryNode(net, "b");
  for (let generation = 1; generation <= 3; generation++) {
    const a = new DeliveryNode(net, "a", { generation });
    a.node.hint("b", "b");
    await outcome(net, Promise.all(numbers(1, 5).map((it) => a.send("b", `${generation}/${it}`))));
    await a.crash();
  }
  assert.equal(new Set(b.texts).size, 15);
  assert.equal(b.arrived.length, 15);
  await end(net, b);
});

Deno.test("a node that cannot be reached fails what was never sent, with the reason", async () => {
  const { net, a, b } = pair();
  hasCode(await outcome(net, a.send("nobody", "x")), "unknown_peer");
  hasCode(await outcome(net, a.send("a", "x")), "unknown_peer");
  net.listeners.delete("b");
  const sends = Promise.allSettled(numbers(1, 3).map((it) => a.send("b", it)));
  await outcome(net, sends);
  for (const result of await sends) {
    hasCode((result as PromiseRejectedResult).reason, "unreachable");
  }
  await end(net, a, b);
});

Deno.test("a node that is gone for long leaves what was sent undelivered", async () => {
  const { net, a, b } = pair();
  await outcome(net, a.send("b", "0"));
  net.open[0].dialer.blackhole();
  net.listeners.delete("b");
  hasCode(await outcome(net, a.send("b", "x")), "undelivered");
  assert.deepEqual(a.delivery.waiting(), []);
  await end(net, a, b);
});

Deno.test("senders wait in order while the window is full, or fail at once if they would rather not", async () => {
  const { net, a, b } = pair({ window: { messages: 4 } });
  await outcome(net, a.send("b", "0"));
  b.answer = () => "busy";
  const waiting = numbers(1, 10).map((it) => a.send("b", it));
  hasCode(await outcome(net, a.send("b", "x", "high", { wait: false })), "overloaded");
  assert.equal(a.delivery.waiting()[0].messages, 4);
  b.answer = () => "taken";
  assert.equal(await outcome(net, Promise.all(waiting)), undefined);
  assert.deepEqual(b.texts, numbers(0, 10));
  await end(net, a, b);
});

Deno.test("senders that wait may hold so much together, and the next is refused until there is room", async () => {
  const { net, a, b } = pair({ window: { messages: 1 }, waitingBytes: 2 * (512 + 1) });
  await outcome(net, a.send("b", "0"));
  b.answer = () => "busy";
  const waiting = ["1", "2", "3"].map((it) => a.send("b", it));
  hasCode(await outcome(net, a.send("b", "4")), "overloaded");
  b.answer = () => "taken";
  assert.equal(await outcome(net, Promise.all(waiting)), undefined);
  assert.equal(await outcome(net, a.send("b", "5")), undefined);
  assert.deepEqual(b.texts, ["0", "1", "2", "3", "5"]);
  await end(net, a, b);
});

Deno.test("a message whose sender gave up in time is never sent; one that had left may arrive", async () => {
  const { net, a, b } = pair({ window: { messages: 2 } });
  await outcome(net, a.send("b", "0"));
  b.answer = () => "busy";
  const [sent, waiting] = [new AbortController(), new AbortController()];
  const first = a.send("b", "1", "high", { signal: sent.signal });
  const second = a.send("b", "2");
  const third = a.send("b", "3", "high", { signal: waiting.signal });
  const fourth = a.send("b", "4");
  const ends = [outcome(net, first), outcome(net, third)];
  sent.abort();
  waiting.abort();
  for (const error of await Promise.all(ends)) hasCode(error, "aborted");
  hasCode(await outcome(net, a.send("b", "5", "high", { signal: sent.signal })), "aborted");
  b.answer = () => "taken";
  assert.equal(await outcome(net, Promise.all([second, fourth])), undefined);
  assert.deepEqual(b.texts, ["0", "1", "2", "4"]);
  await end(net, a, b);
});

Deno.test("a message too large for the peer fails alone", async () => {
  const { net, a, b } = pair({ window: { bytes: 64 * 1024 * 1024 } });
  await outcome(net, a.send("b", "0"));
  const huge = a.delivery.send(
    "b",
    "high",
    messageTypes.custom,
    { route: "test" },
    new Uint8Array(17 * 1024 * 1024),
    {},
  );
  const after = a.send("b", "1");
  hasCode(await outcome(net, huge), "too_large");
  assert.equal(await outcome(net, after), undefined);
  assert.deepEqual(b.texts, ["0", "1"]);
  await end(net, a, b);
});

Deno.test("a node that stops fails what it still held, and acknowledges what it took", async () => {
  const { net, a, b } = pair();
  await outcome(net, a.send("b", "0"));
  b.answer = () => "busy";
  const held = a.send("b", "1");
  await net.host.advance(3);
  const failed = outcome(net, held);
  a.delivery[Symbol.dispose]();
  hasCode(await failed, "closed");
  hasCode(await outcome(net, a.send("b", "2")), "closed");
  await a.node.stop();
  await end(net, b);
});

Deno.test("messages of different priorities do not wait for each other", async () => {
  const { net, a, b } = pair();
  await outcome(net, a.send("b", "0"));
  b.answer = ({ fields }) => fields.priority === "low" ? "busy" : "taken";
  const low = a.send("b", "low", "high", { priority: "low" });
  const rest = Promise.all(
    (["critical", "high", "normal"] as const).map((priority) =>
      a.send("b", priority, "high", { priority })
    ),
  );
  assert.equal(await outcome(net, rest), undefined);
  assert.deepEqual(new Set(b.texts), new Set(["0", "critical", "high", "normal"]));
  hasCode(await outcome(net, low), "undelivered");
  await end(net, a, b);
});

Deno.test("sequences that were not announced, lie ahead or were seen are refused and counted", async () => {
  const { net, a, b } = pair();
  const link = a.node.peers.link("b") ?? await (async () => {
    const connecting = a.node.peers.connect("b");
    await outcome(net, connecting);
    return await connecting;
  })();
  const raw = (sequence: number) =>
    link.send(messageTypes.custom, { route: "test", sequence }, bytes(`${sequence}`));
  const announce = (sequence: number) =>
    link.ack(
      encodeNotices([{ kind: "announce", space: "volatile", lane: "normal", epoch: 5n, sequence }]),
    );
  raw(1);
  await net.host.advance(5);
  assert.equal(b.delivery.metrics().messages_refused, 1);
  announce(1);
  for (const sequence of [1, 3, 2 ** 53 - 1, 2, 1, 2]) raw(sequence);
  await net.host.advance(5);
  assert.deepEqual(b.texts, ["1", "2"]);
  assert.equal(b.delivery.metrics().messages_refused, 3);
  assert.equal(b.delivery.metrics().messages_duplicate, 2);
  link.ack(new Uint8Array(5));
  link.ack(
    encodeNotices([{ kind: "ack", space: "volatile", lane: "low", epoch: 5n, sequence: 9 }]),
  );
  await net.host.advance(5);
  assert.equal(b.delivery.metrics().messages_refused, 4, "a payload that cannot be read");
  await end(net, a, b);
});

Deno.test("an acknowledgement of what was never sent is refused and changes nothing", async () => {
  const { net, a, b } = pair();
  await outcome(net, a.send("b", "0"));
  b.answer = () => "busy";
  const held = a.send("b", "1");
  await net.host.advance(3);
  const link = b.node.peers.link("a")!;
  const before = a.delivery.metrics().messages_refused;
  for (const [epoch, sequence] of [[1n, 5], [0n, 2 ** 53 - 1]] as const) {
    link.ack(
      encodeNotices([{ kind: "ack", space: "volatile", lane: "normal", epoch, sequence }]),
    );
  }
  await net.host.advance(3);
  assert.equal(a.delivery.metrics().messages_refused, before + 2);
  b.answer = () => "taken";
  assert.equal(await outcome(net, held), undefined);
  await end(net, a, b);
});
