import assert from "node:assert/strict";
import { noFields } from "../frame/fields.ts";
import { messageTypes } from "../frame/types.ts";
import { control, Pair } from "./testing.ts";

const type = messageTypes.custom;
/** Ten times three checks of half a second. */
const patienceMs = 15_000;

/** Lets time pass in steps, with what `step` does at each, until the dialler's end is over or the time is. */
function passes(pair: Pair, ms: number, stepMs: number, step: () => void): number {
  const begun = pair.nowMs;
  const end = begun + ms;
  const closed = () => pair.dialer.state === "closed";
  while (pair.nowMs < end && !closed()) {
    const next = Math.min(pair.nowMs + stepMs, end);
    while (pair.dialer.nextTimerMs! <= next) {
      pair.nowMs = Math.max(pair.nowMs, pair.dialer.nextTimerMs!);
      pair.dialer.handleTimer(pair.nowMs);
      if (closed()) return pair.nowMs - begun;
    }
    pair.nowMs = next;
    step();
  }
  return pair.nowMs - begun;
}

Deno.test("a frame that trickles for ever ends the link, and keeps no more than arrived", () => {
  const pair = Pair.up();
  pair.acceptor.send(type, noFields, new Uint8Array(60_000));
  const frame = pair.acceptor.takeOutput()!;
  let at = 0;
  const lasted = passes(pair, 60_000, 400, () => {
    pair.dialer.handleBytes(frame.subarray(at, ++at), pair.nowMs);
    assert.equal(pair.dialer.inputBytes, at);
  });
  assert.ok(lasted >= patienceMs && lasted < patienceMs + 2000, `${lasted} ms`);
  const reason = pair.dialerEvents.closedBecause!;
  assert.deepEqual([reason.kind, reason.by], ["unhealthy", "us"]);
  assert.match(reason.message, /finishes no frame/);
});

Deno.test("a slice that a slow line takes seconds to carry does not end it, one after the other", () => {
  const pair = Pair.up();
  const slice = 64 * 1024;
  for (let i = 0; i < 5; i++) {
    pair.acceptor.send(type, noFields, new Uint8Array(slice - 100));
    const frame = pair.acceptor.takeOutput()!;
    const piece = Math.ceil(frame.length / 30);
    let at = 0;
    const lasted = passes(pair, 12_000, 400, () => {
      pair.dialer.handleBytes(frame.subarray(at, at += piece), pair.nowMs);
    });
    assert.equal(lasted, 12_000);
    assert.equal(pair.dialer.state, "up");
    pair.acceptor.giveBack(frame);
  }
});

Deno.test("a peer that talks and reads nothing ends its link; one that reads now and then does not", () => {
  const ping = control("link.ping", new Uint8Array(4));
  const deaf = Pair.up();
  deaf.dialer.send(type, noFields, new Uint8Array(100));
  const outstanding = deaf.dialer.takeOutput();
  assert.ok(outstanding !== undefined);
  const lasted = passes(deaf, 60_000, 200, () => deaf.dialer.handleBytes(ping, deaf.nowMs));
  assert.ok(lasted >= patienceMs && lasted < patienceMs + 2000, `${lasted} ms`);
  assert.match(deaf.dialerEvents.closedBecause!.message, /does not read/);

  const slow = Pair.up();
  slow.dialer.send(type, noFields, new Uint8Array(100));
  let writing = slow.dialer.takeOutput()!;
  let steps = 0;
  passes(slow, 60_000, 200, () => {
    slow.dialer.handleBytes(ping, slow.nowMs);
    if (++steps % 70 !== 0) return;
    // The write took 14 seconds, and the next one begins.
    slow.dialer.giveBack(writing);
    writing = slow.dialer.takeOutput()!;
  });
  assert.equal(slow.dialer.state, "up");
});

Deno.test("checks that are far apart, and a pause of this process, are no lack of progress", () => {
  const limits = { pingIntervalMs: 60_000, activePingIntervalMs: 60_000 };
  const pair = Pair.up({ limits }, { limits });
  for (let i = 0; i < 5; i++) {
    pair.advance(59_990);
    // A write that begins just before the look is not taken for one since the last.
    pair.dialer.send(type, noFields, new Uint8Array(10));
    const output = pair.dialer.takeOutput()!;
    pair.advance(20, false);
    pair.acceptor.handleBytes(output, pair.nowMs);
    pair.dialer.giveBack(output);
    pair.flush();
  }
  assert.equal(pair.dialer.state, "up");

  const paused = Pair.up();
  paused.advance(1000);
  paused.dialer.send(type, noFields, new Uint8Array(10));
  const output = paused.dialer.takeOutput()!;
  paused.nowMs += 40_000;
  paused.dialer.handleTimer(paused.nowMs);
  assert.equal(paused.dialer.state, "up", "what was missed in the pause may still come");
  paused.dialer.giveBack(output);
  paused.flush();
  paused.advance(5000);
  assert.equal(paused.dialer.state, "up");
});
