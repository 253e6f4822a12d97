import assert from "node:assert/strict";
import { z } from "zod";
import {
  type Client,
  defineService,
  type Handlers,
  isServiceError,
  type ServiceError,
  serviceError,
} from "./mod.ts";
import type { AnySchema } from "./define.ts";

const text = z.string();
const shop = defineService("shop", {
  version: 2,
  methods: {
    // Input and output types differ, so that a mix-up of the two does not compile.
    price: {
      input: z.object({ item: z.string(), amount: z.number().default(1) }),
      output: z.string().transform((it) => it.length),
      idempotent: true,
    },
    ping: { input: z.undefined(), output: z.void() },
    watch: { input: z.object({ item: z.string() }), stream: z.string().transform(Number) },
    load: {
      input: z.object({ into: z.string() }),
      upload: z.string().transform(Number),
      output: z.number(),
    },
    mirror: { input: z.void(), upload: z.number(), stream: z.number() },
  },
  errors: {
    SoldOut: z.object({ item: z.string() }),
    Closed: z.object({ until: z.number() }),
  },
});

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true
  : false;
function assertType<_T extends true>(): void {}

Deno.test("a client's types are what the schemas take and what they give", () => {
  type Shop = Client<typeof shop>;
  assertType<Equal<Parameters<Shop["price"]>[0], { item: string; amount?: number | undefined }>>();
  assertType<Equal<ReturnType<Shop["price"]>, Promise<number>>>();
  assertType<Equal<ReturnType<Shop["watch"]>, AsyncIterableIterator<number>>>();
  assertType<Equal<ReturnType<Shop["load"]>, Promise<number>>>();
  assertType<Equal<Parameters<Shop["load"]>[1], AsyncIterable<string> | Iterable<string>>>();
  assertType<Equal<ReturnType<Shop["mirror"]>, AsyncIterableIterator<number>>>();
  const use = (client: Shop) => {
    client.ping(); // An input that may be undefined may be left out.
    client.price({ item: "tea" }, { timeout: "1s" });
    // @ts-expect-error -- the input is missing.
    client.price();
    // @ts-expect-error -- the items are missing.
    client.load({ into: "a" });
    // @ts-expect-error -- there is no such method.
    client.buy({});
  };
  assert.equal(typeof use, "function");
});

Deno.test("a handler reads what the input's schema gives and writes what the output's takes", () => {
  type Given = Handlers<typeof shop>;
  assertType<Equal<Parameters<Given["price"]>[0], { item: string; amount: number }>>();
  assertType<Equal<ReturnType<Given["price"]>, string | Promise<string>>>();
  assertType<Equal<ReturnType<Given["watch"]>, AsyncIterable<string> | Iterable<string>>>();
  assertType<Equal<Parameters<Given["load"]>[1]["upload"], AsyncIterableIterator<number>>>();
  const handlers: Given = {
    price: ({ item, amount }) => item.repeat(amount),
    ping: () => {},
    async *watch({ item }, { signal }) {
      if (!signal.aborted) yield item;
    },
    async load(_input, { upload }) {
      let sum = 0;
      for await (const it of upload) sum += it;
      return sum;
    },
    mirror: (_input, { upload }) => upload,
  };
  // @ts-expect-error -- without upload there are no items to read.
  type None = Parameters<Given["price"]>[1]["upload"];
  assert.deepEqual(Object.keys(handlers), Object.keys(shop.methods));
});

Deno.test("declared errors are told apart by their name, which types their data", () => {
  const error: unknown = serviceError(shop, "SoldOut", { item: "tea" });
  assert.ok(isServiceError(shop, error));
  assertType<Equal<typeof error, ServiceError<typeof shop>>>();
  if (error.errorName === "SoldOut") {
    assertType<Equal<typeof error.data, { item: string }>>();
    assert.equal(error.data.item, "tea");
  } else {
    assertType<Equal<typeof error.data, { until: number }>>();
    assert.fail("the name is another");
  }
  const make = () => {
    // @ts-expect-error -- that is the other error's data.
    serviceError(shop, "SoldOut", { until: 5 });
    // @ts-expect-error -- there is no such error.
    serviceError(shop, "Rotten", {});
  };
  assert.equal(typeof make, "function");
  const foreign = defineService("stall", {
    version: 1,
    methods: shop.methods,
    errors: shop.errors,
  });
  assert.equal(isServiceError(foreign, error), false);
  assert.equal(isServiceError(shop, new Error("no")), false);
  assert.equal(isServiceError(shop, undefined), false);
});

Deno.test("a definition that cannot work is refused, naming the field", () => {
  const refused = (make: () => unknown, expected: RegExp) =>
    assert.throws(make, (error: Error & { code: string }) => {
      assert.equal(error.code, "invalid_argument");
      assert.match(error.message, expected);
      return true;
    });
  const unary = { input: text, output: text };
  const named = (name: string) => () =>
    defineService("s", { version: 1, methods: { [name]: unary } });
  for (const name of ["then", "constructor", "toString", "hasOwnProperty", "toJSON", "valueOf"]) {
    refused(named(name), new RegExp(`"${name}" means something to JavaScript`));
  }
  for (const name of ["", "a-b", "a/b", "1a", "__proto__x", "a".repeat(64), "ä"]) {
    refused(named(name), /method name/);
  }
  for (const name of ["", "a/b", "-a", "a b", "a".repeat(64)]) {
    refused(() => defineService(name, { version: 1, methods: { a: unary } }), /service name/);
  }
  for (const version of [0, -1, 1.5, NaN, 2 ** 60]) {
    refused(() => defineService("s", { version, methods: { a: unary } }), /version/);
  }
  refused(() => defineService("s", { version: 1, methods: {} }), /methods is empty/);
  const broken = (method: Record<string, unknown>) => () =>
    defineService("s", {
      version: 1,
      methods: { a: method as unknown as { input: AnySchema; output: AnySchema } },
    });
  refused(broken({ input: text }), /s\/a needs either output .* or stream/);
  refused(broken({ input: text, output: text, stream: text }), /and not both/);
  refused(broken({ output: text }), /s\/a: input is not a schema/);
  refused(broken({ input: text, output: {} }), /s\/a: output is not a schema/);
  refused(broken({ input: text, output: text, upload: 5 }), /s\/a: upload is not a schema/);
  refused(broken({ input: text, output: text, timeout: "soon" }), /s\/a: timeout/);
  refused(
    () => defineService("s", { version: 1, methods: { a: unary }, errors: { then: text } }),
    /error name/,
  );
});
