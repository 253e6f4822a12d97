import assert from "node:assert/strict";
import { Bench } from "./testing.ts";
import { SerfError } from "./types.ts";
import { encodeUserEvent } from "./wire/messages.ts";
import { SerfWriter } from "./wire/pack.ts";

const writer = new SerfWriter();
const bytes = (text: string) => new TextEncoder().encode(text);
const event = (name: string, time: number, coalesce = false, payload = "x") =>
  encodeUserEvent(writer, { name, time, coalesce, payload: bytes(payload) });

Deno.test("an event is told once and passed on once, however often it arrives", () => {
  const bench = new Bench();
  for (let i = 0; i < 3; i++) bench.receive(event("deploy", 4));
  bench.receive(event("deploy", 4, false, "other payload"));
  assert.deepEqual(bench.story(), ["event deploy", "event deploy"]);
  assert.equal(bench.serf.queued, 2);
  assert.equal(bench.serf.clocks.event, 4);
});

Deno.test("of events that may be coalesced, the newest of each name is told when it is quiet", () => {
  const bench = new Bench();
  bench.receive(event("deploy", 1, true, "one"));
  bench.receive(event("deploy", 3, true, "three"));
  bench.receive(event("deploy", 2, true, "two"));
  bench.receive(event("other", 2, true));
  bench.pass(999);
  assert.equal(bench.told.length, 0);
  bench.pass(1);
  const payloads = bench.told.map((it) => it.type === "user_event" ? [...it.payload] : []);
  assert.deepEqual(payloads, [[...bytes("three")], [...bytes("x")]]);
  assert.equal(bench.serf.queued, 4);
});

Deno.test("coalescing ends after three seconds though it never gets quiet", () => {
  const bench = new Bench();
  for (let i = 0; i < 8; i++) {
    bench.receive(event("deploy", i + 1, true, String(i)));
    bench.pass(500);
    if (bench.told.length > 0) break;
  }
  assert.deepEqual(bench.story(), ["event deploy"]);
  assert.equal(bench.nowMs, 3000);
});

Deno.test("an event above 512 bytes is refused, one of 512 is sent", () => {
  const bench = new Bench();
  bench.serf.event("ab", new Uint8Array(510), 0);
  assert.throws(
    () => bench.serf.event("ab", new Uint8Array(511), 0),
    (error: unknown) => error instanceof SerfError && error.code === "too_large",
  );
  assert.deepEqual(bench.story(), ["event ab"]);
});

Deno.test("a rumour that no packet could carry is told, and not passed on", () => {
  const bench = new Bench();
  bench.receive(event("big", 1, false, "x".repeat(2000)));
  assert.deepEqual(bench.story(), ["event big"]);
  assert.equal(bench.serf.queued, 0);
});

Deno.test("news from a time that was restored is not told again", () => {
  const bench = new Bench({ clocks: { member: 7, event: 9, query: 3 } });
  assert.deepEqual(bench.serf.clocks, { member: 7, event: 9, query: 3 });
  bench.receive(event("old", 9));
  bench.receive(event("new", 10));
  assert.deepEqual(bench.story(), ["event new"]);
  assert.equal(bench.serf.counters.old, 1);
});
