import assert from "node:assert/strict";
import { noFields } from "../frame/fields.ts";
import { kind } from "../frame/prefix.ts";
import { messageTypes } from "../frame/types.ts";
import { bytes, forged, Pair } from "./testing.ts";
import { LinkError } from "./types.ts";

const call = messageTypes["service.call"];
const none = new Uint8Array(0);

const overloaded = (error: unknown) =>
  error instanceof LinkError && error.code === "overloaded" &&
  /^maxStreams: 3 /.test(error.message);

Deno.test("uploads are bounded by the smaller of what both accept, requests beside them are not", () => {
  const pair = Pair.up({ limits: { maxStreams: 5 } }, { limits: { maxStreams: 3 } });
  const upload = () => pair.dialer.open(call, noFields, none, true, 0);
  const streams = [1, 2, 3].map(upload);
  assert.throws(upload, overloaded);
  for (let i = 0; i < 50; i++) pair.dialer.open(call, noFields, none, false, 0);
  pair.flush();
  // The other direction of opening has its own.
  for (let i = 0; i < 3; i++) pair.acceptor.open(call, noFields, none, true, 0);
  pair.acceptor.respond(streams[1]!, noFields, none);
  assert.throws(upload, overloaded);
  pair.flush();
  upload();
  assert.throws(upload, overloaded);
});

Deno.test("an answer becomes a stream with its first item; past the bound it is reset as overloaded", () => {
  const pair = Pair.up({ limits: { maxStreams: 3 } });
  const streams = Array.from({ length: 4 }, () => pair.dialer.open(call, noFields, none, false, 0));
  pair.flush();
  pair.dialerEvents.take();
  pair.acceptorEvents.take();
  for (const stream of streams) assert.equal(pair.acceptor.item(stream, bytes("x")), true);
  const [last] = streams.slice(-1);
  const message = "maxStreams: 3 streams are under way already";
  assert.deepEqual(pair.acceptorEvents.take(), [["reset", last, "overloaded", message]]);
  pair.flush();
  assert.deepEqual(pair.dialerEvents.take(), [
    ...streams.slice(0, 3).map((stream) => ["item", stream, "x"]),
    ["reset", last, "overloaded", message],
  ]);
  assert.equal(pair.acceptor.item(last!, bytes("late")), true, "it is over, and that is no error");
  // One that ends makes room for another.
  pair.acceptor.respond(streams[0]!, noFields, none);
  const next = pair.dialer.open(call, noFields, none, false, 0);
  pair.flush();
  pair.acceptor.item(next, bytes("y"));
  assert.equal(pair.acceptor.exchanges, 3);
});

Deno.test("a peer that streams more than it may is reset as overloaded, and its others go on", () => {
  const pair = Pair.up({ limits: { maxStreams: 2 } });
  const streams = [1, 2, 3].map(() => pair.dialer.open(call, noFields, none, false, 0));
  pair.flush();
  pair.dialerEvents.take();
  for (const stream of streams) pair.dialer.handleBytes(forged(kind.item, stream, bytes("i")), 0);
  assert.deepEqual(pair.dialerEvents.take().map(([name, stream]) => [name, stream]), [
    ["item", streams[0]],
    ["item", streams[1]],
    ["reset", streams[2]],
  ]);
  for (const stream of [101, 103, 105]) {
    pair.acceptor.handleBytes(forged(kind.request, stream, none, true), 0);
  }
  const requests = pair.acceptorEvents.take().filter(([name, , , , upload]) =>
    name === "request" && upload
  );
  assert.deepEqual(requests.map(([, stream]) => stream), [101, 103]);
  assert.equal(pair.dialer.state, "up");
  assert.equal(pair.acceptor.state, "up");
});

Deno.test("of a hundred streams, one whose reader never reads stops itself and nothing else", () => {
  const windowBytes = 10_000;
  const limits = { streamWindowBytes: windowBytes };
  const pair = Pair.up({ limits }, { limits });
  const streams = Array.from(
    { length: 100 },
    () => pair.dialer.open(call, noFields, none, true, 0),
  );
  pair.flush();
  const stuck = streams[50]!;
  const received = new Map<number, number>();
  pair.acceptorEvents.hook = ([name, stream], body) => {
    if (name !== "item") return;
    received.set(stream as number, (received.get(stream as number) ?? 0) + body!.length);
    if (stream !== stuck) pair.acceptor.grant(stream as number, body!.length);
  };
  const waiting = new Set<number>();
  pair.dialerEvents.hook = ([name, stream]) => {
    if (name === "writable") waiting.delete(stream as number);
  };
  const item = new Uint8Array(1000);
  let most = 0;
  for (let round = 0; round < 100; round++) {
    for (const stream of streams) {
      if (!waiting.has(stream) && !pair.dialer.item(stream, item)) waiting.add(stream);
    }
    most = Math.max(most, pair.dialer.outputBytes);
    pair.flush();
  }
  for (const stream of streams) {
    const all = received.get(stream)!;
    if (stream === stuck) assert(all <= windowBytes + item.length, `${all} of the stuck one`);
    else assert.equal(all, 100_000);
  }
  assert.deepEqual([...waiting], [stuck]);
  assert(most < 120_000, "nothing of the stuck one piles up");
  pair.acceptor.grant(stuck, windowBytes);
  pair.flush();
  assert.deepEqual([...waiting], [], "and it goes on when it is read");
});

Deno.test("the machine carries an owner for each exchange and hands it back with every event", () => {
  const pair = Pair.up();
  const seen: unknown[] = [];
  // The recorder does not look at owners: this one does.
  const { dialerEvents: events } = pair;
  const note = (name: "item" | "end" | "response" | "failure" | "reset" | "lost") => {
    const method = events[name].bind(events) as (...args: unknown[]) => void;
    Object.assign(events, {
      [name]: (...args: unknown[]) => {
        seen.push([name, args.at(-1)]);
        method(...args);
      },
    });
  };
  for (const name of ["item", "end", "response", "failure", "reset", "lost"] as const) note(name);
  const open = (owner: string) =>
    pair.dialer.open(call, noFields, none, false, 0, owner as unknown as undefined);
  const [one, two, three] = [open("one"), open("two"), open("three")];
  open("four");
  pair.flush();
  pair.acceptor.item(one, none);
  pair.acceptor.end(one);
  pair.acceptor.respond(one, noFields, none);
  pair.acceptor.fail(two, noFields, none);
  pair.acceptor.reset(three, "cancelled");
  pair.flush();
  pair.dialer.handleTransportClosed(undefined, 0);
  assert.deepEqual(seen, [
    ["item", "one"],
    ["end", "one"],
    ["response", "one"],
    ["failure", "two"],
    ["reset", "three"],
    ["lost", "four"],
  ]);
});
