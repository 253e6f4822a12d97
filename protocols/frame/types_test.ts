import assert from "node:assert/strict";
import {
  messageAliases,
  messageClasses,
  messageClassOf,
  messageTypeName,
  messageTypes,
  resolveMessageType,
} from "./types.ts";

Deno.test("every number is given once, in the class that its name or kind belongs to", () => {
  const numbers = Object.values(messageTypes);
  assert.equal(new Set(numbers).size, numbers.length);
  for (const type of numbers) assert(messageClassOf(type) !== undefined);
  for (const [name, type] of Object.entries(messageTypes)) {
    if (name.startsWith("link.")) assert.equal(type >> 8, messageClasses.link);
    else assert(type >= 0x0100);
  }
});

Deno.test("the numbers on the wire are these", () => {
  assert.deepEqual(
    Object.entries(messageTypes).map(([name, type]) => `${type.toString(16)} ${name}`).join("\n"),
    `1 link.hello
2 link.accept
3 link.refuse
4 link.ping
5 link.pong
6 link.ack
7 link.credit
8 link.reset
9 link.goodbye
a link.fragment
101 consensus.message
102 replication.log
103 transaction.prepare
104 transaction.commit
105 transaction.abort
201 spore.exchange
202 metadata.sync
301 service.call
302 query
303 query.result
304 service.directory
305 service.message
3ff custom
401 resource.allocation
501 health.report
502 heartbeat
601 bulk.data`,
  );
});

Deno.test("names resolve to numbers and back", () => {
  for (const [name, type] of Object.entries(messageTypes)) {
    assert.deepEqual(resolveMessageType(name), { type });
    assert.equal(messageTypeName(type), name);
  }
});

Deno.test("custom names carry the rest as their route", () => {
  assert.deepEqual(resolveMessageType("custom.note"), { type: messageTypes.custom, route: "note" });
  assert.deepEqual(resolveMessageType("custom.a.b"), { type: messageTypes.custom, route: "a.b" });
  assert.equal(messageTypeName(messageTypes.custom, "a.b"), "custom.a.b");
  assert.equal(messageTypeName(messageTypes.custom), "custom");
  assert.equal(messageTypeName(messageTypes.query, "ignored"), "query");
});

Deno.test("the spellings of the older enumerations are aliases", () => {
  assert.deepEqual(resolveMessageType("HeartBeat"), resolveMessageType("Heartbeat"));
  assert.deepEqual(resolveMessageType("QueryRequest"), { type: messageTypes.query });
  assert.deepEqual(resolveMessageType("PrepareTransaction"), {
    type: messageTypes["transaction.prepare"],
  });
  for (const name of Object.values(messageAliases)) assert(name in messageTypes);
});

Deno.test("what is not registered is told apart", () => {
  for (const name of ["", "note", "custom.", "toString", "__proto__", "constructor"]) {
    assert.equal(resolveMessageType(name), undefined);
  }
  assert.equal(messageTypeName(0x0a0b), "0x0a0b");
  assert.equal(messageClassOf(0x0a0b), undefined);
  assert.equal(messageClassOf(0x0601), "bulk");
});
