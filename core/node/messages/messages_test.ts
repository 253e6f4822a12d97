import assert from "node:assert/strict";
import fc from "fast-check";
import { z } from "zod";
import type { MessageContext } from "../../contracts/messenger.ts";
import { codeOf } from "../../kernel/errors.ts";
import { encode } from "@mycnet/protocols/codec";
import { messageAliases, messageTypes, resolveMessageType } from "@mycnet/protocols/frame";
import { defineMessage, type MessageDefinition } from "./define.ts";
import { maxFieldBytes, messageNamed, messages } from "./registry.ts";
import { bytesHandler, replyOf, toBytes } from "./typed.ts";

const id = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
const data = Uint8Array.of(1, 2, 3);
const context = {} as MessageContext;

/** One good value of each member, and what one reads of it where that is not the same. */
const samples: Record<keyof typeof messages, [unknown, unknown?]> = {
  consensus: [
    { consensusType: "raft.append", deliveryGuarantee: "guaranteed" },
    { consensusType: "raft.append", deliveryGuarantee: "guaranteed", priority: "normal" },
  ],
  spore: [{ sporeType: "state", updateType: "delta", propagationStrategy: "flood" }],
  service: [{ serviceId: "greeter", operationType: "restart", routingHint: "nearest" }],
  resource: [
    { resourceType: "vm", allocationRequest: { cpu: 2, memoryBytes: 1e9 }, priority: "high" },
  ],
  health: [{ healthType: "node", monitoringLevel: "basic", aggregationPolicy: "worst" }],
  query: [{ id, sql: "select 1" }, { id, sql: "select 1", priority: "normal" }],
  queryResult: [{ id, result: data }],
  replicationLog: [{ lsn: 7, data }, { lsn: 7n, data }],
  heartbeat: [{ node: "n1", timestamp: 1_700_000_000_000 }],
  metadataSync: [{ data: { zone: data, empty: new Uint8Array(0) } }],
  transactionPrepare: [{ txnId: "t1", data }],
  transactionCommit: [{ txnId: "t1" }],
  transactionAbort: [{ txnId: "t1" }],
  custom: [{ msgType: "note", payload: data }],
};

/** Passes a message from hand to hand: what its handler reads. */
async function carried(definition: MessageDefinition, value: unknown): Promise<unknown> {
  let read: unknown;
  const handler = bytesHandler({ ...definition, reply: undefined }, (it) => {
    read = it;
  }, () => assert.fail("refused"));
  await handler(await toBytes(definition, value), context);
  return read;
}

Deno.test("every member of the registry says what its document names, and arrives as it was sent", async () => {
  for (
    const [key, definition] of Object.entries(messages) as [
      keyof typeof messages,
      MessageDefinition,
    ][]
  ) {
    const [value, read = value] = samples[key];
    assert.deepEqual(await carried(definition, value), read, key);
    assert.notEqual(resolveMessageType(definition.name), undefined, key);
  }
});

Deno.test("each message is found under each of its spellings", () => {
  for (const [alias, name] of Object.entries(messageAliases)) {
    assert.equal(messageNamed(alias)?.name, name, alias);
  }
  assert.equal(messageNamed("QueryRequest"), messages.query);
  assert.equal(messageNamed("PrepareTransaction"), messages.transactionPrepare);
  assert.equal(messageNamed("service.call"), undefined);
  assert.equal(messageNamed("constructor"), undefined);
  // All but the runtime's own have a schema.
  const own = /^(link|bulk)\.|^service\.(call|directory)$/;
  for (const name of Object.keys(messageTypes)) {
    if (!own.test(name)) assert(messageNamed(name) !== undefined, name);
  }
});

Deno.test("what is wrong is told by its field before anything is sent", async () => {
  const wrong: [MessageDefinition, unknown, RegExp][] = [
    [messages.query, { id: "1", sql: "" }, /^"query" is not sent: id: Invalid UUID$/],
    [messages.query, { id, sql: "x", priority: "urgent" }, /priority: /],
    [messages.queryResult, { id, result: [1] }, /result: expected a Uint8Array/],
    [messages.queryResult, { id, result: new Uint8Array(maxFieldBytes + 1) }, /result: /],
    [messages.replicationLog, { lsn: -1, data }, /lsn: expected a whole number from 0 to 2\^64-1/],
    [messages.replicationLog, { lsn: 2 ** 60, data }, /lsn: /],
    [messages.replicationLog, { lsn: 2n ** 64n, data }, /lsn: /],
    [messages.heartbeat, { node: "", timestamp: 1 }, /node: /],
    [messages.heartbeat, { node: "n" }, /timestamp: /],
    [messages.metadataSync, { data: { k: "text" } }, /data\.k: /],
    [
      messages.resource,
      { resourceType: "vm", allocationRequest: { cpu: -1 } },
      /allocationRequest\.cpu/,
    ],
    [messages.transactionCommit, undefined, /expected object/],
  ];
  for (const [definition, value, message] of wrong) {
    await assert.rejects(toBytes(definition, value), (error: Error) => {
      assert.equal(codeOf(error), "invalid_argument");
      assert.match(error.message, message);
      return true;
    });
  }
});

Deno.test("a position in a log is read as a bigint, over the whole of 64 bits", async () => {
  for (const lsn of [0, 2 ** 53 - 1, 2n ** 53n, 2n ** 64n - 1n]) {
    const read = await carried(messages.replicationLog, { lsn, data });
    assert.deepEqual(read, { lsn: BigInt(lsn), data });
  }
});

Deno.test("what arrives and is not what it should be is counted, refused, and never handled", async () => {
  let refused = 0;
  const handler = bytesHandler(messages.heartbeat, () => assert.fail("handled"), () => refused++);
  const bad = [
    new Uint8Array(0),
    Uint8Array.of(0xc1),
    encode({ node: 5, timestamp: 1 }),
    encode("text"),
    encode({ node: "n", timestamp: NaN }),
  ];
  for (const bytes of bad) {
    await assert.rejects(async () => await handler(bytes, context), (error: Error) => {
      assert.equal(codeOf(error), "invalid_argument");
      assert.match(error.message, /^"heartbeat" is refused: /);
      return true;
    });
  }
  assert.equal(refused, bad.length);
});

Deno.test("whatever bytes arrive, a handler gets what its schema wants or the sender an invalid_argument", async () => {
  const good = await toBytes(messages.metadataSync, samples.metadataSync[0]);
  const handler = bytesHandler(messages.metadataSync, ({ data }) => {
    for (const value of Object.values(data)) assert(value instanceof Uint8Array);
  }, () => {});
  const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 4 }), async (changes) => {
      const bytes = good.slice();
      for (const [at, byte] of changes) bytes[at] = byte;
      try {
        await handler(bytes, context);
      } catch (error) {
        assert.equal(codeOf(error), "invalid_argument", String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

Deno.test("large bytes arrive as a view of the message", async () => {
  const result = new Uint8Array(1_000_000).fill(7);
  const bytes = await toBytes(messages.queryResult, { id, result });
  let read: Uint8Array | undefined;
  bytesHandler(messages.queryResult, (it) => {
    read = it.result;
  }, () => {})(bytes, context);
  assert.deepEqual(read, result);
  assert.equal(read!.buffer, bytes.buffer);
});

Deno.test("fields that a schema does not name are dropped where they arrive", async () => {
  const value = { node: "n", timestamp: 1, later: true };
  assert.deepEqual(await carried(messages.heartbeat, value), { node: "n", timestamp: 1 });
});

Deno.test("an answer is checked on both sides", async () => {
  const ping = defineMessage("custom.ping", z.object({ n: z.int() }), z.object({ n: z.int() }));
  const bytes = await toBytes(ping, { n: 1 });
  const good = bytesHandler(ping, ({ n }) => ({ n: n + 1 }), () => {});
  assert.deepEqual(await replyOf(ping, await good(bytes, context) as Uint8Array), { n: 2 });
  const bad = bytesHandler(ping, () => ({ n: "x" }) as never, () => {});
  assert.throws(() => bad(bytes, context), /the handler of "custom\.ping" answered what/);
  await assert.rejects(
    replyOf(ping, encode({ n: "x" })),
    /the answer to "custom\.ping" is not one: n: /,
  );
});

Deno.test("messages of one's own are named custom, and defined with a schema", () => {
  assert.equal(defineMessage("custom.x", z.string()).name, "custom.x");
  for (const name of ["query", "custom.", `custom.${"x".repeat(256)}`, 5 as never]) {
    assert.throws(() => defineMessage(name, z.string()), { code: "invalid_argument" });
  }
  assert.throws(() => defineMessage("custom.x", {} as never), /custom\.x: schema is not a schema/);
});
