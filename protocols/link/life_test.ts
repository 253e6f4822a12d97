import assert from "node:assert/strict";
import { noFields } from "../frame/fields.ts";
import { messageTypes } from "../frame/types.ts";
import { Liveness } from "./liveness.ts";
import { bytes, Pair } from "./testing.ts";
import { defaultLimits } from "./types.ts";

const call = messageTypes["service.call"];
const none = new Uint8Array(0);

/** When the dialer's pings leave during `ms`, relative to now. */
function pings(pair: Pair, ms: number): number[] {
  const start = pair.nowMs;
  const times: number[] = [];
  const end = start + ms;
  while (pair.dialer.nextTimerMs! <= end) {
    const before = pair.dialer.outputBytes;
    pair.nowMs = pair.dialer.nextTimerMs!;
    pair.dialer.handleTimer(pair.nowMs);
    if (pair.dialer.outputBytes > before) times.push(pair.nowMs - start);
    pair.flush();
  }
  pair.nowMs = end;
  return times;
}

Deno.test("an idle link is checked at once and then every second", () => {
  const pair = Pair.up();
  assert.deepEqual(pings(pair, 3500), [0, 1000, 2000, 3000]);
  assert.equal(pair.dialer.health, "healthy");
});

Deno.test("a link with traffic is checked every 100 ms until a second after it", () => {
  const pair = Pair.up();
  pings(pair, 1500);
  pair.dialer.open(call, noFields, none, false, pair.nowMs);
  const times = pings(pair, 2500);
  assert.deepEqual(times, [100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100, 2100]);
});

Deno.test("traffic that arrives, or is sent without a time, counts as well", () => {
  const pair = Pair.up();
  pings(pair, 1500);
  pair.acceptor.send(call, noFields, none);
  pair.flush();
  assert.equal(pings(pair, 1000).length, 10);
  pings(pair, 3000);
  pair.dialer.send(call, noFields, none);
  assert(pings(pair, 2000).length > 8);
});

Deno.test("what a link writes its pings from is small again soon after a large message", () => {
  const pair = Pair.up();
  const held = () => {
    const output = pair.dialer.takeOutput()!;
    pair.dialer.giveBack(output);
    return output.buffer.byteLength;
  };
  pings(pair, 1500);
  pair.dialer.send(call, noFields, new Uint8Array(60_000));
  assert(held() >= 60_000);
  pings(pair, 300);
  pair.dialer.send(call, noFields, none);
  assert(held() <= 4096, "while there is traffic");
  pings(pair, 3000);
  pair.nowMs = pair.dialer.nextTimerMs!;
  pair.dialer.handleTimer(pair.nowMs);
  assert(held() <= 512, "and once there is none");
});

Deno.test("round trips are smoothed as RFC 6298 smooths them", () => {
  const live = new Liveness(defaultLimits, 0);
  let nowMs = 0;
  const measure = (ms: number) => {
    nowMs = live.nextMs;
    assert.equal(live.timer(nowMs, false), "ping");
    nowMs += ms;
    live.heard();
    assert(live.pong(live.pingId, nowMs));
  };
  measure(40);
  assert.equal(live.roundTripMs, 40);
  measure(80);
  assert.equal(live.roundTripMs, 45);
  measure(45);
  assert.equal(live.roundTripMs, 45);
  assert(!live.pong(live.pingId, nowMs), "a pong counts once");
  assert(!live.pong(live.pingId + 1, nowMs), "a pong of a ping that was never sent");
  assert(!live.pong(live.pingId - 8, nowMs), "a pong from long ago");
  assert(!live.pong(0xffffffff, nowMs));
});

Deno.test("a slow link is degraded above the limit and well again clearly below it", () => {
  const pair = Pair.up();
  pair.dialerEvents.hook = undefined;
  const ping = (ms: number) => {
    pair.nowMs = pair.dialer.nextTimerMs!;
    pair.dialer.handleTimer(pair.nowMs);
    pair.nowMs += ms;
    pair.flush();
  };
  ping(101);
  assert.equal(pair.dialer.health, "degraded");
  assert.deepEqual(pair.dialerEvents.take(), [["health", "degraded"]]);
  for (let i = 0; i < 30; i++) ping(76);
  assert(pair.dialer.roundTripMs! < 77);
  assert.deepEqual(pair.dialerEvents.take(), [], "not yet: it would flap");
  ping(50);
  assert.deepEqual(pair.dialerEvents.take(), [["health", "healthy"]]);
});

Deno.test("silence degrades a link after one miss and ends it after three", () => {
  const pair = Pair.up();
  pings(pair, 1500);
  const start = pair.nowMs;
  pair.dialerEvents.take();
  while (pair.dialer.state === "up") {
    pair.nowMs = pair.dialer.nextTimerMs!;
    pair.dialer.handleTimer(pair.nowMs);
  }
  assert.deepEqual(pair.dialerEvents.take(), [
    ["health", "degraded"],
    ["health", "unhealthy"],
    ["closed", "unhealthy", "unhealthy", "us"],
  ]);
  assert.equal(pair.nowMs - start, 500 + 3 * 500);
  assert.equal(pair.dialer.counters.missedPings, 3);
  assert.equal(pair.dialer.health, "unhealthy");
  pair.flush();
  assert.equal(pair.acceptorEvents.take()[0]![0], "goodbye", "a peer that hears us is told");
});

Deno.test("any byte counts as life, even part of a frame that takes long", () => {
  const pair = Pair.up();
  pair.advance(0);
  pair.acceptor.send(call, noFields, new Uint8Array(200));
  const frame = pair.acceptor.takeOutput()!;
  for (let i = 0; i < 30; i++) {
    const due = pair.nowMs + 450;
    while (pair.dialer.nextTimerMs! <= due) {
      pair.nowMs = pair.dialer.nextTimerMs!;
      pair.dialer.handleTimer(pair.nowMs);
    }
    pair.nowMs = due;
    pair.dialer.handleBytes(frame.subarray(i, i + 1), pair.nowMs);
  }
  assert.equal(pair.dialer.state, "up");
  assert.equal(pair.dialer.health, "healthy");
});

Deno.test("one answer in time ends a row of misses", () => {
  const pair = Pair.up();
  pair.advance(1500);
  pair.dialerEvents.take();
  for (let i = 0; i < 3; i++) {
    pair.nowMs = pair.dialer.nextTimerMs!;
    pair.dialer.handleTimer(pair.nowMs);
  }
  assert.deepEqual(pair.dialerEvents.take(), [["health", "degraded"]]);
  pair.dialer.takeOutput();
  pair.acceptor.send(call, noFields, none);
  pair.flush();
  assert.deepEqual(pair.dialerEvents.take(), [
    ["message", call, ""],
    ["health", "healthy"],
  ]);
  pair.advance(5000);
  assert.equal(pair.dialer.state, "up");
});

Deno.test("a path slower than the time-out gets a longer one once it is measured", () => {
  const live = new Liveness(defaultLimits, 0);
  let nowMs = 0;
  live.timer(nowMs, false);
  nowMs = live.nextMs;
  assert.equal(nowMs, 500);
  assert.equal(live.timer(nowMs, false), "ping", "a miss, and another ping at once");
  nowMs = 600;
  live.heard();
  assert(live.pong(1, nowMs));
  assert.equal(live.roundTripMs, 600);
  assert.equal(live.misses, 0);
  assert.equal(live.nextMs, 500 + 600 + 4 * 300);
});

Deno.test("a pause of our own does not count against the peer", () => {
  const pair = Pair.up();
  pair.advance(1500);
  pair.nowMs = pair.dialer.nextTimerMs!;
  pair.dialer.handleTimer(pair.nowMs);
  const taken = pair.dialer.takeOutput()!;
  // The process stands still for ten seconds; the answer waits in the socket meanwhile.
  pair.nowMs += 10_000;
  pair.dialer.handleTimer(pair.nowMs);
  assert.equal(pair.dialer.counters.missedPings, 0);
  assert.equal(pair.dialer.health, "healthy");
  pair.acceptor.handleBytes(taken, pair.nowMs);
  pair.flush();
  assert.equal(pair.dialer.state, "up");
});

Deno.test("an event loop that is always late still notices a dead peer", () => {
  const pair = Pair.up();
  for (let i = 0; pair.dialer.state === "up"; i++) {
    pair.nowMs = pair.dialer.nextTimerMs! + 300;
    pair.dialer.handleTimer(pair.nowMs);
    assert(i < 20);
  }
  assert.equal(pair.dialerEvents.closedBecause?.kind, "unhealthy");
});

Deno.test("a timer that fires early or twice does nothing", () => {
  const pair = Pair.up();
  pair.advance(1500);
  const due = pair.dialer.nextTimerMs!;
  pair.dialer.handleTimer(due - 1);
  pair.dialer.handleTimer(due - 1);
  assert.equal(pair.dialer.outputBytes, 0);
  assert.equal(pair.dialer.nextTimerMs, due);
});

Deno.test("a goodbye with nothing under way ends both ends", () => {
  const pair = Pair.up();
  pair.dialer.goodbye("leaving", "the node stops", pair.nowMs);
  assert.equal(pair.dialer.state, "draining");
  pair.flush();
  assert.deepEqual(pair.acceptorEvents.take(), [
    ["goodbye", "leaving", "the node stops"],
    ["closed", "goodbye", "leaving", "peer"],
  ]);
  assert.deepEqual(pair.dialerEvents.take(), [
    ["goodbye", "leaving", ""],
    ["closed", "goodbye", "leaving", "us"],
  ]);
});

Deno.test("a goodbye waits for what is under way, in both directions", () => {
  const pair = Pair.up();
  const ours = pair.dialer.open(call, noFields, none, false, 0);
  const theirs = pair.acceptor.open(call, noFields, none, true, 0);
  pair.flush();
  pair.dialer.goodbye("restarting", "", pair.nowMs);
  pair.flush();
  assert.deepEqual([pair.dialer.state, pair.acceptor.state], ["draining", "draining"]);
  assert.throws(() => pair.acceptor.open(call, noFields, none, false, 0), /the link is draining/);
  pair.acceptor.item(theirs, bytes("still"));
  pair.acceptor.respond(ours, noFields, bytes("answer"));
  pair.flush();
  assert.equal(pair.dialer.state, "draining");
  pair.dialer.respond(theirs, noFields, bytes("last"));
  pair.flush();
  assert.deepEqual(pair.dialerEvents.take().slice(1), [
    ["goodbye", "restarting", ""],
    ["item", theirs, "still"],
    ["response", ours, "answer"],
    ["closed", "goodbye", "restarting", "us"],
  ]);
  assert.deepEqual(pair.acceptorEvents.take().at(-1), ["closed", "goodbye", "restarting", "peer"]);
});

Deno.test("requests that crossed our goodbye are still served", () => {
  const pair = Pair.up();
  const stream = pair.acceptor.open(call, noFields, bytes("late"), false, 0);
  pair.dialer.goodbye("leaving", "", pair.nowMs);
  pair.flush();
  assert.deepEqual(pair.dialerEvents.take(), [
    ["request", stream, call, "late", false],
    ["goodbye", "leaving", ""],
  ]);
  pair.dialer.respond(stream, noFields, bytes("served"));
  pair.flush();
  assert.deepEqual(pair.acceptorEvents.take().slice(1), [
    ["response", stream, "served"],
    ["closed", "goodbye", "leaving", "peer"],
  ]);
});

Deno.test("two goodbyes that cross end both ends once", () => {
  const pair = Pair.up();
  pair.dialer.goodbye("leaving", "", pair.nowMs);
  pair.acceptor.goodbye("idle", "", pair.nowMs);
  pair.flush();
  assert.equal(pair.dialerEvents.closedBecause?.code, "leaving");
  assert.equal(pair.acceptorEvents.closedBecause?.code, "idle");
});

Deno.test("draining ends at its time-out, whatever is under way", () => {
  const pair = Pair.up();
  pair.dialer.open(call, noFields, none, false, 0);
  pair.flush();
  pair.dialer.goodbye("leaving", "", pair.nowMs);
  pair.flush();
  pair.advance(4999);
  assert.equal(pair.dialer.state, "draining");
  pair.advance(1);
  assert.deepEqual(pair.dialerEvents.take().at(-1), ["closed", "goodbye", "leaving", "us"]);
  assert.equal(pair.acceptorEvents.closedBecause?.by, "peer");
});

Deno.test("a goodbye goes behind everything that is queued", () => {
  const pair = Pair.up();
  pair.dialer.goodbye("leaving", "", pair.nowMs);
  const early = Pair.up();
  early.dialer.send(call, { priority: "low" }, bytes("queued"));
  early.dialer.goodbye("leaving", "", early.nowMs);
  early.flush();
  assert.deepEqual(early.acceptorEvents.take().map(([name]) => name), [
    "message",
    "goodbye",
    "closed",
  ]);
});

Deno.test("closing at once tells the peer why and forgets what is under way", () => {
  const pair = Pair.up();
  pair.dialer.open(call, noFields, none, false, 0);
  pair.dialer.close("superseded", "the other link wins");
  assert.deepEqual(pair.dialerEvents.take(), [["closed", "goodbye", "superseded", "us"]]);
  assert.equal(pair.dialer.exchanges, 0);
  assert.equal(pair.dialer.nextTimerMs, undefined);
  pair.flush();
  pair.acceptor.handleTransportClosed(undefined, pair.nowMs);
  assert.deepEqual(pair.acceptorEvents.take().slice(1), [
    ["goodbye", "superseded", "the other link wins"],
    ["closed", "goodbye", "superseded", "peer"],
  ]);
});

Deno.test("a connection that breaks is told as transport, one that ends after a goodbye is not", () => {
  const broken = Pair.up();
  broken.dialer.handleTransportClosed("connection reset", 0);
  assert.deepEqual(broken.dialerEvents.closedBecause, {
    kind: "transport",
    code: "transport",
    message: "connection reset",
    by: "peer",
  });
  broken.dialer.handleTransportClosed("again", 0);
  const early = new Pair();
  early.dialer.handleTransportClosed(undefined, 0);
  assert.equal(early.dialerEvents.closedBecause?.message, "the peer closed the connection");
});

Deno.test("after the end nothing moves", () => {
  const pair = Pair.up();
  pair.dialer.close("idle", "");
  pair.flush();
  pair.dialerEvents.take();
  pair.dialer.handleTimer(1e9);
  pair.dialer.handleBytes(bytes("anything"), 1e9);
  pair.dialer.goodbye("idle", "", 1e9);
  pair.dialer.close("idle", "");
  pair.dialer.respond(2, noFields, none);
  pair.dialer.reset(1, "cancelled");
  assert.equal(pair.dialer.item(1, none), true);
  assert.deepEqual(pair.dialerEvents.take(), []);
  assert.equal(pair.dialer.takeOutput(), undefined);
});

Deno.test("a handler may close the link out of any event, and hears no more", () => {
  const pair = Pair.up();
  pair.acceptorEvents.hook = ([name]) => {
    if (name === "message") pair.acceptor.close("removed", "you are not welcome");
  };
  for (let i = 0; i < 3; i++) pair.dialer.send(call, noFields, bytes(String(i)));
  pair.flush();
  assert.deepEqual(pair.acceptorEvents.take(), [
    ["message", call, "0"],
    ["closed", "goodbye", "removed", "us"],
  ]);
});

Deno.test("counters add up on both ends", () => {
  const pair = Pair.up();
  for (let i = 0; i < 10; i++) {
    const stream = pair.dialer.open(call, noFields, new Uint8Array(i * 100), false, 0);
    pair.flush();
    pair.acceptor.respond(stream, noFields, none);
  }
  pair.flush();
  const { dialer, acceptor } = pair;
  assert.equal(dialer.counters.bytesSent, acceptor.counters.bytesReceived);
  assert.equal(acceptor.counters.bytesSent, dialer.counters.bytesReceived);
  assert.deepEqual([dialer.counters.messagesSent, dialer.counters.messagesReceived], [10, 10]);
  assert.deepEqual([acceptor.counters.messagesSent, acceptor.counters.messagesReceived], [10, 10]);
});
