/** A peer that does not keep to wire.ts, as a sender and as a receiver. */
import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import type { Exchange, ExchangeHandlers, IncomingExchange } from "../../contracts/peers.ts";
import { codeOf } from "../../kernel/errors.ts";
import { encode } from "@mycnet/protocols/codec";
import { messageTypes } from "@mycnet/protocols/frame";
import { FakeNet, FakeNode } from "../fake_net_test.ts";
import { NodeBulk } from "./bulk.ts";
import { readAll, Source } from "./fakes_test.ts";
import { decodeFailure, decodeHead, decodeOffset, decodeTrailer, encodeOffset } from "./wire.ts";

const type = messageTypes["bulk.data"];
const empty = new Uint8Array();

/** `a` speaks raw exchanges, `b` has transfers. */
class Pair implements AsyncDisposable {
  readonly net = new FakeNet();
  readonly a = new FakeNode(this.net, "a");
  readonly b = new FakeNode(this.net, "b");
  readonly bulk = new NodeBulk(this.b.host, this.b.peers, () => ({
    idleTimeout: 1000,
    maxTransfers: 8,
  }));

  async link() {
    this.a.hint("b", "b");
    this.b.hint("a", "a");
    let link: Awaited<ReturnType<typeof this.a.peers.connect>> | undefined;
    this.a.peers.connect("b").then((it) => link = it);
    await this.net.host.until(() => link !== undefined);
    return link!;
  }

  async [Symbol.asyncDispose]() {
    this.bulk[Symbol.dispose]();
    await this.a.stop();
    await this.b.stop();
    assert.equal(this.net.host.pendingTimers, 0);
  }
}

/** Sends items as they come, and tells how `b` ended it. */
async function sendRaw(
  pair: Pair,
  head: Uint8Array,
  items: readonly (Uint8Array | "end")[],
): Promise<string> {
  const link = await pair.link();
  let outcome: string | undefined;
  const handlers: ExchangeHandlers = {
    item: () => {
      for (const item of items) {
        if (item === "end") exchange.end();
        else exchange.item(item);
      }
    },
    end: () => {},
    writable: () => {},
    response: (_, body) => outcome = `receipt ${decodeTrailer(body)?.bytes}`,
    failure: (_, body) => outcome = decodeFailure(body, "it").code,
    closed: ({ code }) => outcome = `closed ${code}`,
  };
  const exchange: Exchange = link.open(type, { route: "sink" }, head, true, handlers);
  await pair.net.host.until(() => outcome !== undefined);
  return outcome!;
}

Deno.test("a sender that does not keep to the rules is failed, and its reader sees no end", async () => {
  await using pair = new Pair();
  const reads: string[] = [];
  pair.bulk.handle("sink", async (transfer) => {
    try {
      reads.push(`${(await readAll(transfer.accept())).length}`);
    } catch (error) {
      reads.push(String(codeOf(error)));
      throw error;
    }
  });
  const head = encode({ metadata: {} });
  const bytes = new Uint8Array([1, 2, 3]);
  const good = encode({ bytes: 3, crc32: crc32(bytes) });
  const outcomes: [string, Uint8Array, (Uint8Array | "end")[], string][] = [
    ["all is well", head, [bytes, empty, good, "end"], "receipt 3"],
    ["no trailer", head, [bytes, "end"], "corrupted"],
    ["half a trailer", head, [bytes, empty, "end"], "corrupted"],
    ["another count", head, [bytes, empty, encode({ bytes: 2, crc32: 0 }), "end"], "corrupted"],
    ["another checksum", head, [bytes, empty, encode({ bytes: 3, crc32: 1 }), "end"], "corrupted"],
    ["a trailer of noise", head, [bytes, empty, new Uint8Array([0xc1]), "end"], "corrupted"],
    ["bytes after the trailer", head, [bytes, empty, good, bytes, "end"], "corrupted"],
    ["more than announced", encode({ total: 2 }), [bytes, empty, good, "end"], "corrupted"],
    [
      "a SHA-256 that was announced and is not there",
      encode({ sha256: true }),
      [bytes, empty, good, "end"],
      "corrupted",
    ],
  ];
  for (const [what, head, items, outcome] of outcomes) {
    assert.equal(await sendRaw(pair, head, items), outcome, what);
  }
  await pair.net.host.advance(10);
  assert.deepEqual(reads, ["3", ...Array(outcomes.length - 1).fill("corrupted")]);
  for (const bad of [empty, encode(7), encode({ total: -1 }), encode({ metadata: [1] })]) {
    assert.equal(await sendRaw(pair, bad, []), "invalid_argument");
  }
  assert.equal(pair.bulk.metrics().bulk_active, 0);
});

Deno.test("bytes before anybody asked for them fail the transfer", async () => {
  await using pair = new Pair();
  pair.bulk.handle("sink", () => new Promise(() => {}));
  const link = await pair.link();
  let outcome = "";
  const exchange = link.open(type, { route: "sink" }, encode({}), true, {
    item: () => {},
    end: () => {},
    writable: () => {},
    response: () => {},
    failure: (_, body) => outcome = decodeFailure(body, "it").code,
    closed: ({ code }) => outcome = code,
  });
  exchange.item(new Uint8Array(10));
  await pair.net.host.until(() => outcome !== "");
  assert.equal(outcome, "corrupted");
});

Deno.test("a receiver that does not keep to the rules fails the send, and the source is let go", async () => {
  await using pair = new Pair();
  await pair.link();
  let act: (exchange: IncomingExchange) => void = () => {};
  const trailers: number[] = [];
  pair.a.peers.handle(type, {
    request: (exchange) => {
      act(exchange);
      return {
        item: (body) => exchange.grant(body.length),
        end: () => void exchange.respond(encode({ bytes: trailers[0] ?? 0, crc32: 0 })),
        writable: () => {},
        closed: () => {},
      };
    },
  });
  const send = async () => {
    const source = new Source(1000);
    let error: unknown;
    let done = false;
    pair.bulk.send("a", "x", source.from, { total: 1000 })
      .catch((it) => error = it).finally(() => done = true);
    await pair.net.host.until(() => done);
    return codeOf(error);
  };
  const cases: [string, (exchange: IncomingExchange) => void, string][] = [
    ["answers at once", (it) => void it.respond(encode({ bytes: 0, crc32: 0 })), "corrupted"],
    ["asks for noise", (it) => void it.item(new Uint8Array([0xc1])), "internal"],
    ["asks beyond the end", (it) => void it.item(encodeOffset(1001)), "internal"],
    ["asks twice", (it) => (it.item(encodeOffset(0)), void it.item(encodeOffset(0))), "internal"],
    ["ends", (it) => it.end(), "internal"],
    ["receipt of something else", (it) => void it.item(encodeOffset(0)), "corrupted"],
    ["says nothing", () => {}, "deadline_exceeded"],
  ];
  for (const [what, does, code] of cases) {
    act = does;
    assert.equal(await send(), code, what);
  }
  trailers.push(1000);
  act = (it) => void it.item(encodeOffset(0));
  assert.equal(await send(), undefined);
});

Deno.test("whatever bytes arrive as control values, reading them never throws", () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.anything().map(lossy)), (bytes) => {
      const head = decodeHead(bytes);
      if (head !== undefined) assert.equal(typeof head.metadata, "object");
      const offset = decodeOffset(bytes);
      assert(offset === undefined || Number.isSafeInteger(offset));
      const trailer = decodeTrailer(bytes);
      assert(trailer === undefined || Number.isSafeInteger(trailer.bytes));
      assert.match(decodeFailure(bytes, "it").message, /^it failed: /);
    }),
    { numRuns: 2000 },
  );
});

function lossy(value: unknown): Uint8Array {
  try {
    return encode(value);
  } catch {
    return empty;
  }
}
