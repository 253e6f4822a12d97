import assert from "node:assert/strict";
import { Bench, seeded, swimMember } from "./testing.ts";
import {
  SerfError,
  type SerfEvent,
  type SerfQuery,
  type SerfQueryListener,
  type SerfQueryRequest,
} from "./types.ts";
import { decodeQuery, decodeQueryResponse, decodeRelay } from "./wire/decode.ts";
import {
  encodeNodeFilter,
  encodeQuery,
  encodeQueryResponse,
  encodeRelay,
  encodeTagFilter,
  queryFlag,
  type QueryMessage,
  serfMessage,
} from "./wire/messages.ts";
import { SerfWriter } from "./wire/pack.ts";

const writer = new SerfWriter();
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (payload: Uint8Array) => new TextDecoder().decode(payload);
const a = swimMember("a", 2, { tags: { role: "web" } });
const b = swimMember("b", 3, { tags: { role: "db" } });

/** A query that member a sends, as it arrives. */
function query(overrides: Partial<QueryMessage> = {}): Uint8Array {
  return encodeQuery(writer, {
    time: 1,
    id: 7,
    ip: a.ip,
    port: a.port,
    source: "a",
    filters: [],
    flags: 0,
    relayFactor: 0,
    timeoutMs: 1000,
    name: "load",
    payload: bytes("hi"),
    ...overrides,
  });
}

/** The query that the machine told last. */
function asked(told: readonly SerfEvent[]): SerfQuery {
  const last = told.findLast((event) => event.type === "query");
  assert.ok(last !== undefined && last.type === "query");
  return last.query;
}

/** Writes down what a query heard. */
class Heard implements SerfQueryListener {
  readonly lines: string[] = [];
  ack = (from: string) => void this.lines.push(`ack ${from}`);
  response = (from: string, payload: Uint8Array) => {
    this.lines.push(`${from}: ${text(payload)}`);
  };
  done = ({ expected, acks, responses }: Parameters<Required<SerfQueryListener>["done"]>[0]) => {
    this.lines.push(`done ${expected} ${acks} ${responses}`);
  };
}

/** Sends a query and gives the message that went out. */
function ask(bench: Bench, request: SerfQueryRequest, listener: SerfQueryListener): QueryMessage {
  bench.serf.query(request, listener, bench.nowMs);
  const sent = bench.rumours().find((rumour) => rumour[0] === serfMessage.query);
  return decodeQuery(sent!);
}

function answer(bench: Bench, to: QueryMessage, from: string, payload: string, flags = 0): void {
  const { time, id } = to;
  bench.receive(
    encodeQueryResponse(writer, { time, id, from, flags, payload: bytes(payload) }),
  );
}

Deno.test("a query is told once, acknowledged, and its answer goes to who asks", () => {
  const bench = new Bench({}, [a]);
  bench.receive(query({ flags: queryFlag.ack }));
  bench.receive(query({ flags: queryFlag.ack }));
  const it = asked(bench.told);
  assert.deepEqual(bench.story(), ["query load"]);
  assert.deepEqual([it.name, text(it.payload), it.from, it.deadlineMs, it.time], [
    "load",
    "hi",
    "a",
    1000,
    1,
  ]);
  assert.equal(it.respond(bytes("fine"), 1000), "sent");
  assert.equal(it.respond(bytes("again"), 1000), "twice");
  const sent = bench.swim.sent.map(({ to, message }) => ({ to, ...decodeQueryResponse(message) }));
  assert.deepEqual(sent.map(({ to, from, flags, payload }) => [to, from, flags, text(payload)]), [
    [a.address, "self", queryFlag.ack, ""],
    [a.address, "self", 0, "fine"],
  ]);
  assert.deepEqual(bench.rumours().map((rumour) => rumour[0]), [serfMessage.query]);
});

Deno.test("an answer that is late or too large is not sent", () => {
  const bench = new Bench({}, [a]);
  bench.receive(query());
  const it = asked(bench.told);
  assert.equal(it.respond(new Uint8Array(1024), 5), "too_large");
  assert.equal(it.respond(bytes("x"), 1001), "late");
  assert.equal(bench.swim.sent.length, 0);
});

Deno.test("a query that is not to be passed on is not", () => {
  const bench = new Bench({}, [a]);
  bench.receive(query({ flags: queryFlag.noBroadcast }));
  assert.deepEqual(bench.story(), ["query load"]);
  assert.equal(bench.serf.queued, 0);
});

Deno.test("who asks from an address that is no member's gets nothing", () => {
  const bench = new Bench({}, [a]);
  const victim = Uint8Array.of(192, 0, 2, 1);
  bench.receive(query({ ip: victim, flags: queryFlag.ack }));
  assert.equal(asked(bench.told).respond(bytes("x"), 0), "refused");
  bench.receive(
    encodeRelay(writer, {
      ip: victim,
      port: 53,
      name: "a",
      message: Uint8Array.of(serfMessage.queryResponse, 0x80),
    }),
  );
  assert.equal(bench.swim.sent.length, 0);
  assert.equal(bench.serf.counters.strangers, 3);
});

Deno.test("relays carry answers to members and nothing else", () => {
  const bench = new Bench({}, [a]);
  const message = Uint8Array.of(serfMessage.queryResponse, 0x80);
  bench.receive(encodeRelay(writer, { ip: a.ip, port: a.port, name: "a", message }));
  assert.deepEqual(bench.swim.sent, [{ to: a.address, message }]);
  for (const type of [serfMessage.query, serfMessage.relay, serfMessage.leave]) {
    const other = Uint8Array.of(type, 0x80);
    bench.receive(encodeRelay(writer, { ip: a.ip, port: a.port, name: "a", message: other }));
  }
  bench.receive(encodeRelay(writer, { ip: a.ip, port: a.port, name: "a", message: bytes("") }));
  assert.equal(bench.swim.sent.length, 1);
  assert.equal(bench.serf.counters.malformed, 4);
});

Deno.test("a relay factor sends the answer once more through others", () => {
  const others = [4, 5, 6].map((i) => swimMember(`m${i}`, i));
  const bench = new Bench({}, [a, ...others]);
  bench.receive(query({ relayFactor: 2 }));
  asked(bench.told).respond(bytes("x"), 0);
  const [direct, ...relayed] = bench.swim.sent;
  assert.equal(direct!.to, a.address);
  assert.equal(new Set(relayed.map(({ to }) => to)).size, 2);
  for (const { to, message } of relayed) {
    assert.ok(others.some(({ address }) => address === to));
    const relay = decodeRelay(message);
    assert.deepEqual([[...relay.ip], relay.port, relay.name], [[...a.ip], a.port, "a"]);
    assert.deepEqual(relay.message, direct!.message);
  }
  const few = new Bench({}, [a]);
  few.receive(query({ relayFactor: 2 }));
  asked(few.told).respond(bytes("x"), 0);
  assert.equal(few.swim.sent.length, 1);
});

Deno.test("packets that others make us send are bounded by a rate", () => {
  const bench = new Bench({ config: { maxFavoursPerSecond: 10 } }, [a]);
  const flood = (from: number) => {
    for (let id = from; id < from + 50; id++) bench.receive(query({ id, flags: queryFlag.ack }));
  };
  flood(0);
  assert.equal(bench.swim.sent.length, 10);
  assert.equal(bench.serf.counters.limited, 40);
  bench.nowMs = 500;
  flood(100);
  assert.equal(bench.swim.sent.length, 15);
});

Deno.test("filters choose by name and by tags; all must match", () => {
  const bench = new Bench({ tags: { role: "web", zone: "eu-1" } }, [a]);
  const nodes = (...names: string[]) => encodeNodeFilter(writer, names);
  const tag = (name: string, expression: string) => encodeTagFilter(writer, name, expression);
  const table: [Uint8Array[], boolean][] = [
    [[nodes("x", "self")], true],
    [[nodes("x")], false],
    [[nodes()], false],
    [[tag("role", "^w")], true],
    [[tag("role", "^w"), tag("zone", "^us")], false],
    [[nodes("self"), tag("zone", "^eu-\\d$")], true],
    [[tag("missing", "^$")], true],
    [[tag("missing", ".")], false],
  ];
  table.forEach(([filters, wanted], id) => {
    bench.receive(query({ id, filters, flags: queryFlag.ack }));
    assert.deepEqual(bench.story(), wanted ? ["query load"] : [], `filters ${id}`);
  });
  assert.equal(bench.swim.sent.length, table.filter(([, wanted]) => wanted).length);
  assert.equal(bench.rumours().length, table.length); // Passed on in any case.
  assert.equal(bench.serf.counters.filtersRefused, 0);
});

Deno.test("filters that are wrong or too expensive are refused, and so is their query", () => {
  const bench = new Bench({ tags: { role: "a".repeat(400) }, config: { maxFilterSteps: 20_000 } });
  const refused = [
    encodeTagFilter(writer, "role", "("),
    encodeTagFilter(writer, "role", "(a{100}){100}"),
    encodeTagFilter(writer, "role", "a{60}"),
    encodeTagFilter(writer, "role", "x".repeat(300)),
    Uint8Array.of(9, 0x80),
    Uint8Array.of(1, 0xc1),
    new Uint8Array(0),
  ];
  refused.forEach((filter, id) => bench.receive(query({ id, filters: [filter] })));
  assert.equal(bench.serf.counters.filtersRefused, refused.length);
  assert.deepEqual(bench.story(), []);
});

Deno.test("a query is over when all have acknowledged and answered", () => {
  const bench = new Bench({}, [a, b]);
  const heard = new Heard();
  const sent = ask(bench, { name: "load", payload: bytes("?"), ack: true }, heard);
  assert.deepEqual([sent.source, sent.flags, sent.timeoutMs, text(sent.payload)], [
    "self",
    queryFlag.ack,
    200 * 16,
    "?",
  ]);
  assert.equal(asked(bench.told).respond(bytes("me"), 0), "sent");
  answer(bench, sent, "a", "", queryFlag.ack);
  answer(bench, sent, "a", "one");
  answer(bench, sent, "a", "one");
  answer(bench, sent, "b", "two");
  assert.equal(bench.serf.openQueries, 1);
  answer(bench, sent, "b", "", queryFlag.ack);
  assert.equal(bench.serf.openQueries, 0);
  answer(bench, sent, "late", "x");
  assert.deepEqual(heard.lines, [
    "ack self",
    "self: me",
    "ack a",
    "a: one",
    "b: two",
    "ack b",
    "done 3 3 3",
  ]);
  assert.equal(bench.serf.counters.strayReplies, 2);
});

Deno.test("a query ends when its time is up, and a closed one says nothing more", () => {
  const bench = new Bench({}, [a, b]);
  const heard = new Heard(), closed = new Heard();
  const sent = ask(bench, { name: "x", timeoutMs: 500, nodes: ["a", "b"] }, heard);
  const handle = bench.serf.query({ name: "y", nodes: ["a"], timeoutMs: 400 }, closed, 0);
  assert.equal(handle.deadlineMs, 400);
  handle.close();
  answer(bench, { ...sent, id: sent.id + 1 }, "a", "wrong number");
  answer(bench, sent, "a", "ok");
  bench.pass(499);
  assert.deepEqual(heard.lines, ["a: ok"]);
  bench.pass(1);
  assert.deepEqual(heard.lines, ["a: ok", "done 2 0 1"]);
  assert.deepEqual(closed.lines, []);
  assert.deepEqual(bench.story(), []); // Neither was for this node.
});

Deno.test("who is expected to answer follows from names, tags and who is there", () => {
  const bench = new Bench({ tags: { role: "web" } }, [a, b]);
  const expected = (request: Omit<SerfQueryRequest, "name">) => {
    const heard = new Heard();
    bench.serf.query({ name: "x", timeoutMs: 1, ...request }, heard, bench.nowMs);
    bench.pass(1);
    return heard.lines.at(-1);
  };
  assert.equal(expected({}), "done 3 0 0");
  assert.equal(expected({ tags: { role: "^web$" } }), "done 2 0 0");
  assert.equal(expected({ nodes: ["b", "c"] }), "done 1 0 0");
  assert.equal(expected({ nodes: ["b"], tags: { role: "web" } }), "done 0 0 0");
  bench.hear({ type: "failed", member: b, by: "a" });
  assert.equal(expected({}), "done 2 0 0");
});

Deno.test("the default time of a query grows with the logarithm of the cluster", () => {
  const times = [1, 9, 10, 100].map((members) => {
    const others = Array.from({ length: members - 1 }, (_, i) => swimMember(`m${i}`, i + 2));
    return ask(new Bench({}, others), { name: "x" }, {}).timeoutMs;
  });
  assert.deepEqual(times, [3200, 3200, 6400, 9600]);
});

Deno.test("a query that cannot be sent is refused with what to do, and changes nothing", () => {
  const bench = new Bench({ config: { maxOpenQueries: 1 } });
  const refused = (request: SerfQueryRequest, code: SerfError["code"], message: RegExp) => {
    assert.throws(
      () => bench.serf.query(request, {}, 0),
      (error: unknown) =>
        error instanceof SerfError && error.code === code && message.test(error.message),
    );
  };
  refused({ name: "x", payload: new Uint8Array(1024) }, "too_large", /at most 1024/);
  refused({ name: "x", tags: { role: "(" } }, "bad_filter", /tag "role"/);
  assert.equal(bench.serf.clocks.query, 0);
  assert.equal(bench.serf.openQueries, 0);
  bench.serf.query({ name: "x", nodes: ["a"], timeoutMs: 5 }, {}, 0);
  refused({ name: "x" }, "too_many_queries", /at most 1/);
});

Deno.test("answers to one query are bounded, whoever makes them up", () => {
  const bench = new Bench({}, [a]);
  let responses = 0;
  const sent = ask(bench, { name: "x", nodes: ["a", "b"] }, { response: () => void responses++ });
  answer(bench, { ...sent, time: sent.time + 1 }, "a", "other time");
  for (let i = 0; i < 500; i++) answer(bench, sent, `forged${i}`, "x");
  assert.equal(responses, 65);
});

Deno.test("two queries at once are told apart by their time and number", () => {
  const bench = new Bench({ random: seeded(3) }, [a]);
  const one = new Heard(), two = new Heard();
  const first = ask(bench, { name: "1", nodes: ["a"] }, one);
  bench.serf.query({ name: "2", nodes: ["a"] }, two, 0);
  const second = bench.rumours().map(decodeQuery).find(({ name }) => name === "2")!;
  answer(bench, second, "a", "second");
  answer(bench, first, "a", "first");
  assert.deepEqual(one.lines, ["a: first", "done 1 0 1"]);
  assert.deepEqual(two.lines, ["a: second", "done 1 0 1"]);
});
