import assert from "node:assert/strict";
import type { IncomingExchange } from "../../contracts/peers.ts";
import { noFields } from "@mycnet/protocols/frame";
import { bytes, empty, linked, noting, quiet, type } from "./ends_test.ts";

Deno.test("the time of a request runs from its turn to the reading of its answer, in virtual time", async () => {
  await using t = await linked();
  let asked!: IncomingExchange;
  t.b.handlers.set(type, { request: (exchange) => (asked = exchange, quiet) });
  t.a.link.open(type, noFields, empty, false, noting([]));
  await t.host.barrier();
  await t.host.advance(40);
  asked.respond(bytes("late"));
  await t.host.barrier();
  const [[name, { count, sum }]] = t.a.latency.byType();
  assert.equal(name, "custom");
  assert.equal(count, 1);
  assert.ok(Math.abs(sum - 0.04) < 1e-9, `${sum} s`);
  assert.deepEqual(t.b.latency.byType(), [], "whoever answers waits for nothing");
});

Deno.test("streams and requests that are given up say nothing of how long answers take", async () => {
  await using t = await linked();
  t.b.handlers.set(type, {
    request: (exchange, { route }) => {
      if (route === "reset") exchange.reset("overloaded");
      else {
        exchange.item(bytes("item"));
        exchange.respond(empty);
      }
      return quiet;
    },
  });
  t.a.link.open(type, { route: "reset" }, empty, false, noting([]));
  t.a.link.open(type, { route: "stream" }, empty, false, noting([]));
  t.a.link.open(type, { route: "upload" }, empty, true, noting([]));
  await t.host.barrier();
  assert.equal(t.a.link.info.exchanges, 0);
  assert.deepEqual(t.a.latency.byType(), []);
});

Deno.test("messages are counted by type, both ways", async () => {
  await using t = await linked();
  t.b.handlers.set(type, {
    message: () => {},
    request: (exchange) => (exchange.respond(empty), undefined),
  });
  const sent = () => new Map(t.a.link.counters.types.counts("sent")).get("custom") ?? 0;
  const received = () => new Map(t.a.link.counters.types.counts("received")).get("custom") ?? 0;
  for (let i = 0; i < 3; i++) t.a.link.send(type, noFields, empty);
  t.a.link.open(type, noFields, empty, false, noting([]));
  await t.host.barrier();
  assert.equal(sent(), 4);
  assert.equal(received(), 1);
  assert.equal(sent(), t.a.link.counters.messagesSent);
});
