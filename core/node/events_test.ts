import assert from "node:assert/strict";
import { peerDown, peerUp } from "../contracts/peers.ts";
import { createHost } from "../kernel/real_host.ts";
import type { NodeDescription } from "@mycnet/protocols/identity";
import { type NodeEvent, NodeEvents } from "./events.ts";

const node = (id: string): NodeDescription => ({
  cluster: "c",
  type: "sclerotia",
  id,
  generation: 1,
  version: "0",
});

Deno.test("a peer that failed and returns is told as recovered, one that left as joined", async () => {
  const host = createHost();
  using events = new NodeEvents(host);
  const seen = events.subscribe();
  host.emit(peerUp, node("a"));
  host.emit(peerDown, { peer: node("a"), reason: "lost", left: false });
  host.emit(peerUp, node("a"));
  host.emit(peerDown, { peer: node("a"), reason: "bye", left: true });
  host.emit(peerUp, node("a"));
  const types: string[] = [];
  for (let i = 0; i < 5; i++) types.push((await seen.next()).value!.type);
  assert.deepEqual(types, [
    "node_joined",
    "node_failed",
    "node_recovered",
    "node_left",
    "node_joined",
  ]);
});

Deno.test("a subscriber that falls behind loses the oldest events and is told how many", async () => {
  const host = createHost();
  using events = new NodeEvents(host);
  const seen = events.subscribe({ capacity: 2 });
  for (const id of ["a", "b", "c", "d", "e"]) host.emit(peerUp, node(id));
  const first = (await seen.next()).value as NodeEvent & { dropped: number };
  assert.equal(first.type, "lagged");
  assert.equal(first.dropped, 3);
  const ids = [(await seen.next()).value, (await seen.next()).value].map((it) =>
    (it as { node: NodeDescription }).node.id
  );
  assert.deepEqual(ids, ["d", "e"]);
});

Deno.test("an aborted signal, a break and the node's end all end the stream", async () => {
  const host = createHost();
  const events = new NodeEvents(host);
  const abort = new AbortController();
  const aborted = events.subscribe({ signal: abort.signal });
  const pending = aborted.next();
  abort.abort();
  assert.equal((await pending).done, true);

  const broken = events.subscribe();
  await broken.return!();
  assert.equal((await broken.next()).done, true);

  const ended = events.subscribe();
  const last = ended.next();
  events[Symbol.dispose]();
  assert.equal((await last).done, true);
  assert.equal((await events.subscribe().next()).done, true, "nothing follows after the end");
});

Deno.test("nodes remembered as failed are bounded: one that failed long ago returns as a new one", async () => {
  const host = createHost();
  using events = new NodeEvents(host);
  const down = (id: string) => host.emit(peerDown, { peer: node(id), reason: "lost", left: false });
  for (let at = 0; at <= 10_000; at++) down(`n${at}`);
  const seen = events.subscribe();
  for (const id of ["n0", "n1", "n10000"]) host.emit(peerUp, node(id));
  const types = [await seen.next(), await seen.next(), await seen.next()].map((it) =>
    it.value.type
  );
  assert.deepEqual(types, ["node_joined", "node_recovered", "node_recovered"]);
});
