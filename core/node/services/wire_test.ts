import assert from "node:assert/strict";
import fc from "fast-check";
import { z } from "zod";
import { encode } from "@mycnet/protocols/codec";
import { messageTypes } from "@mycnet/protocols/frame";
import { FakeNetwork } from "./fakes_test.ts";
import { defineService } from "./mod.ts";
import { decodeFailure, decodeMetadata, encodeFailure, encodeMetadata } from "./wire.ts";

Deno.test("metadata comes out as it went in, with the depth that users cannot write", () => {
  fc.assert(fc.property(
    fc.dictionary(
      fc.string({ minLength: 1, maxLength: 20 }).filter((it) => !it.startsWith(":")),
      fc.string({ maxLength: 50 }),
      { maxKeys: 64, noNullPrototype: true },
    ),
    fc.integer({ min: 1, max: 100 }),
    (metadata, depth) => {
      const bytes = encodeMetadata(metadata, depth)!;
      const decoded = decodeMetadata(bytes);
      if (Object.hasOwn(metadata, "__proto__")) return; // Refused, by the codec or here.
      assert.deepEqual(decoded, { metadata, depth });
    },
  ));
});

Deno.test("metadata that is not a map of few and short strings is refused", () => {
  const refused = (value: unknown) => assert.equal(decodeMetadata(encode(value)), undefined);
  refused(5);
  refused(null);
  refused([["a", "b"]]);
  refused({ a: 1 });
  refused({ ":depth": "deep" });
  refused({ ":depth": "-1" });
  refused(Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, ""])));
  refused({ a: "x".repeat(9000) });
  assert.equal(decodeMetadata(new Uint8Array([0xc1])), undefined);
});

Deno.test("a failure comes out as it went in, without what cannot be sent", () => {
  const failure = {
    code: "application" as const,
    message: "no",
    mayHaveRun: true,
    details: [{ path: "a", message: "b" }],
    errorName: "Broken",
    data: { x: 1 },
  };
  assert.deepEqual(decodeFailure(encodeFailure(failure)), failure);
  const unsendable = decodeFailure(encodeFailure({ ...failure, details: () => {} }));
  assert.deepEqual([unsendable.code, unsendable.details], ["application", undefined]);
});

Deno.test("a failure that cannot be read counts as one that may have run", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
    const failure = decodeFailure(bytes);
    assert.equal(failure.code, "internal");
    assert.equal(failure.mayHaveRun, true);
  }));
  const future = encode({ code: "code_of_a_newer_version", message: "m", mayHaveRun: false });
  assert.equal(decodeFailure(future).code, "internal");
  assert.equal(decodeFailure(future).mayHaveRun, false);
});

Deno.test("whatever bytes a call carries, the server answers it once and keeps no place taken", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const [a, b] = ["a", "b"].map((id) => network.add(id));
  const link = network.link("a", "b");
  const box = defineService("box", {
    version: 1,
    methods: {
      get: { input: z.string(), output: z.string() },
      list: { input: z.string(), stream: z.string() },
      load: { input: z.string(), upload: z.string(), output: z.number() },
    },
  });
  b.layer.serve(box, {
    get: (it) => it,
    list: (it) => [it],
    load: async (_, { upload }) => (await Array.fromAsync(upload)).length,
  });
  await network.settle();
  await fc.assert(fc.asyncProperty(
    fc.constantFrom("box/get", "box/list", "box/load", "box/none", "box", "", "/", "x/y"),
    fc.uint8Array({ maxLength: 40 }),
    fc.option(fc.uint8Array({ maxLength: 40 }), { nil: undefined }),
    fc.boolean(),
    fc.array(fc.uint8Array({ maxLength: 10 }), { maxLength: 3 }),
    async (route, body, metadata, upload, items) => {
      let ends = 0;
      const exchange = link.open(
        messageTypes["service.call"],
        { route, metadata, deadlineMs: 1000 },
        body,
        upload,
        {
          item: () => {},
          end: () => {},
          writable: () => {},
          response: () => ends++,
          failure: () => ends++,
          closed: () => ends++,
        },
      );
      for (const item of items) exchange.item(item);
      exchange.end();
      await network.settle();
      assert.equal(ends, 1);
      assert.equal(b.layer.metrics("communication").calls_being_served, 0);
    },
  ));
  assert.equal(await a.layer.client(box).get("still"), "still");
});
