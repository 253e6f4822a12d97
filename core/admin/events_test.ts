import assert from "node:assert/strict";
import { memberEvent } from "../contracts/membership.ts";
import { peerDown, peerUp } from "../contracts/peers.ts";
import { codeOf } from "../kernel/errors.ts";
import { FakeHost } from "../node/fakes_test.ts";
import type { Context } from "hono";
import { eventsRoute, maxListeners } from "./events.ts";

const node = { cluster: "c", type: "sclerotia", id: "b", generation: 7, version: "1" } as const;
const ended = () => new AbortController();
const context = (): Context => ({ req: { raw: new Request("http://localhost/") } }) as Context;

/** The events that have come, as far as they fit one read. */
async function readOne(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<unknown> {
  const { value } = await reader.read();
  const line = new TextDecoder().decode(value).split("\n").find((it) => it.startsWith("data: "));
  return JSON.parse(line!.slice("data: ".length));
}

Deno.test("what happens to nodes is streamed, and a client that goes makes room for another", async () => {
  const host = new FakeHost();
  const stop = ended();
  const route = eventsRoute({ host, stateOf: () => undefined, signal: stop.signal });
  const answers: Response[] = [];
  for (let i = 0; i < maxListeners; i++) answers.push(await route.answer(context()));
  assert.equal(answers[0]!.headers.get("content-type"), "text/event-stream");
  assert.throws(() => route.answer(context()), (error) => codeOf(error) === "overloaded");
  host.emit(peerUp, node);
  const reader = answers[0]!.body!.getReader();
  assert.deepEqual(await readOne(reader), { at: host.wallTime(), type: "node_joined", node });
  await reader.cancel();
  await (await route.answer(context())).body!.cancel();
  stop.abort();
  for (const { body } of answers.slice(1)) {
    for await (const _ of body!) {
      // Up to the end, which the endpoint's end brings.
    }
  }
});

Deno.test("of a node that gossips membership tells, of another its links", async () => {
  const host = new FakeHost();
  const stop = ended();
  const known = new Map<string, "alive" | "dead">([["b", "alive"]]);
  const route = eventsRoute({ host, stateOf: (id) => known.get(id), signal: stop.signal });
  const reader = (await route.answer(context())).body!.getReader();
  const member = {
    id: "b",
    address: "10.0.0.2:7946",
    state: "alive",
    incarnation: 1,
    tags: {},
    node: { type: "sclerotia", cluster: "c", version: "1" },
    linkAddresses: [],
    since: 0,
    phi: undefined,
    distanceMs: undefined,
  } as const;
  host.emit(memberEvent, { type: "joined", member });
  host.emit(peerUp, node);
  host.emit(peerDown, { peer: node, reason: "idle", left: false });
  host.emit(memberEvent, { type: "suspected", member });
  host.emit(memberEvent, { type: "failed", member });
  host.emit(memberEvent, { type: "recovered", member });
  host.emit(memberEvent, { type: "left", member: { ...member, node: undefined } });
  host.emit(memberEvent, { type: "left", member });
  host.emit(peerUp, { ...node, id: "hyphae" });
  const seen: string[] = [];
  for (let i = 0; i < 6; i++) {
    const { type, node } = await readOne(reader) as { type: string; node: { id: string } };
    seen.push(`${type} ${node.id}`);
  }
  assert.deepEqual(seen, [
    "node_joined b",
    "node_suspected b",
    "node_failed b",
    "node_recovered b",
    "node_left b",
    "node_joined hyphae",
  ]);
  stop.abort();
  await reader.cancel();
});
