/** Compression between two ends of a link, one of which may be hostile. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import type { MessageHandler } from "../../contracts/peers.ts";
import { noFields } from "@mycnet/protocols/frame";
import type { LinkCloseReason, LinkCompression, LinkLimits } from "@mycnet/protocols/link";
import { defaultCapabilities, type ProfileOverrides } from "@mycnet/protocols/negotiation";
import { connectionPair, type FakeConnection, FakeHost } from "../fakes_test.ts";
import { LatencyMeter } from "../latency/meter.ts";
import { newCompressionCounters } from "./compression.ts";
import { quiet, type } from "./ends_test.ts";
import { Link } from "./link.ts";

interface EndOptions {
  /** What its hello announces. Default zstd and none. */
  readonly compressions?: readonly string[];
  readonly profiles?: ProfileOverrides;
  readonly limits?: Partial<LinkLimits>;
  /** In place of the real one. */
  readonly hook?: LinkCompression;
}

class End {
  readonly counters = newCompressionCounters();
  readonly handlers = new Map<number, MessageHandler>();
  reason: LinkCloseReason | undefined;
  readonly link: Link;

  constructor(
    host: FakeHost,
    connection: FakeConnection,
    role: "dialer" | "acceptor",
    { compressions = ["zstd", "none"], profiles = {}, limits = {}, hook }: EndOptions,
  ) {
    this.link = Link.start({
      id: role,
      host,
      connection,
      handlers: this.handlers,
      latency: new LatencyMeter(),
      ...(hook === undefined ? { compression: this.counters } : {}),
      options: {
        role,
        self: { cluster: "test", type: "sclerotia", id: role, generation: 1, version: "0.1.0" },
        authentication: connection.authentication,
        encryption: connection.encryption,
        capabilities: { ...defaultCapabilities, compressions },
        profiles,
        addresses: [],
        nonce: host.randomBytes(16),
        digest: (input) => createHash("sha256").update(input).digest(),
        limits,
        ...(hook === undefined ? {} : { compression: () => hook }),
      },
      events: {
        up: () => {},
        draining: () => {},
        ack: () => {},
        health: () => {},
        down: (_link, reason) => void (this.reason = reason),
        gone: () => {},
      },
    });
  }
}

async function linked(a: EndOptions = {}, b: EndOptions = {}) {
  const host = new FakeHost();
  const pair = connectionPair(host);
  const ends = [
    new End(host, pair.dialer, "dialer", a),
    new End(host, pair.acceptor, "acceptor", b),
  ];
  await host.until(() => ends.every(({ link }) => link.usable));
  return {
    host,
    dialer: pair.dialer,
    a: ends[0],
    b: ends[1],
    /** Sends a body one way and gives what arrived, and how many bytes the wire carried for it. */
    async carry(body: Uint8Array): Promise<{ readonly got: Uint8Array; readonly wire: number }> {
      let got: Uint8Array | undefined;
      ends[1].handlers.set(type, { message: (_link, _fields, it) => void (got = it.slice()) });
      const before = ends[0].link.info.bytesSent;
      ends[0].link.send(type, noFields, body);
      await host.until(() => got !== undefined);
      return { got: got!, wire: ends[0].link.info.bytesSent - before };
    },
    async [Symbol.asyncDispose]() {
      for (const { link } of ends) link.destroy("the test is over");
      await host.advance(20);
      assert.equal(host.pendingTimers, 0);
    },
  };
}

const json = (rows: number) =>
  new TextEncoder().encode(
    JSON.stringify(Array.from({ length: rows }, (_, id) => ({ id, name: "node", alive: true }))),
  );

Deno.test("both have zstd: bodies travel smaller and arrive as they were, and the link shows it", async () => {
  await using t = await linked();
  assert.equal(t.a.link.info.profile.inForce.compression, "zstd");
  const body = json(20_000);
  const { got, wire } = await t.carry(body);
  assert.deepEqual(got, body);
  assert(wire < body.length / 4, `${wire} of ${body.length}`);
  const { level, bytesBefore, bytesAfter } = t.a.link.info.compression!;
  assert.deepEqual([level, bytesBefore], [1, body.length]);
  assert(bytesAfter <= wire && bytesAfter > wire / 2);
  assert.deepEqual(
    [t.b.counters.bytesReceived, t.b.counters.bytesExpanded],
    [bytesAfter, bytesBefore],
  );
  assert.equal(t.b.link.info.compression!.bytesBefore, 0, "it sent nothing that was compressed");
});

Deno.test("one side has none, or wants none: nothing is compressed either way", async () => {
  const wantsNone = { profiles: { "sclerotia-sclerotia": { compression: "none" } } } as const;
  const sides: [EndOptions, EndOptions][] = [
    [{}, { compressions: ["none"] }],
    [{ compressions: ["none"] }, {}],
    [wantsNone, {}],
    [{}, wantsNone],
  ];
  for (const [a, b] of sides) {
    await using t = await linked(a, b);
    assert.equal(t.a.link.info.profile.inForce.compression, "none");
    const body = json(2000);
    const { got, wire } = await t.carry(body);
    assert.deepEqual(got, body);
    assert(wire > body.length);
    assert.equal(t.a.link.info.compression, undefined);
  }
});

Deno.test("the threshold is kept, and what does not shrink travels as it is", async () => {
  await using t = await linked({ limits: { compressionThresholdBytes: 4096 } });
  const small = json(100);
  assert(small.length > 1024 && small.length < 4096);
  assert((await t.carry(small)).wire > small.length);
  assert.equal(t.a.counters.leftAlone, 0, "it was not even tried");
  const noise = new Uint8Array(randomBytes(200_000));
  const { got, wire } = await t.carry(noise);
  assert.deepEqual(got, noise);
  assert(wire > noise.length && wire < noise.length * 1.01);
  assert(t.a.counters.leftAlone > 0);
});

Deno.test("any mixture of bodies arrives as it was", async () => {
  await using t = await linked();
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 3000 }),
    fc.nat(3000).map(json),
    fc.nat(150_000).map((length) => new Uint8Array(randomBytes(length))),
    fc.nat(300_000).map((length) => new Uint8Array(length).fill(length)),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(body, { maxLength: 5 }), async (bodies) => {
      for (const it of bodies) {
        assert((await t.carry(it)).got.toHex() === it.toHex(), "it changed on the way");
      }
    }),
    { numRuns: 60 },
  );
  assert(t.a.counters.bytesAfter > 0 && t.a.counters.leftAlone > 0);
});

Deno.test("a bomb, a lie about the size, or garbage ends the link as the peer's fault, and nobody else's", async () => {
  const bomb = zstdCompressSync(new Uint8Array(32 * 1024 * 1024));
  const lies: Record<string, (bytes: Uint8Array) => Uint8Array> = {
    bomb: () => bomb,
    "too little": (bytes) => zstdCompressSync(bytes.subarray(1)),
    garbage: () => new Uint8Array(50).fill(7),
    nothing: () => new Uint8Array(0),
  };
  for (const [what, lie] of Object.entries(lies)) {
    const hook: LinkCompression = { compress: (bytes) => lie(bytes), decompress: (bytes) => bytes };
    await using t = await linked({ hook });
    const seen: number[] = [];
    t.b.handlers.set(type, {
      message: (_link, _fields, body) => void seen.push(body.length),
      request: () => quiet,
    });
    t.a.link.send(type, noFields, new Uint8Array(100_000));
    await t.host.until(() => t.b.reason !== undefined);
    assert.equal(t.b.reason!.kind, "protocol", what);
    assert.equal(t.b.reason!.by, "us", what);
    assert.match(t.b.reason!.message, /compressed/, what);
    assert.deepEqual(seen, [], what);
    assert.equal(t.b.counters.bytesExpanded < 100_000, true, what);
  }
});

Deno.test("16 MiB that compress well are compressed slice by slice, a write for each", async () => {
  await using t = await linked();
  const body = new Uint8Array(16 * 1024 * 1024 - 1024);
  for (let at = 0; at < body.length; at += 64) body.set(json(1), at);
  let longest = 0;
  let before = 0;
  const write = t.dialer.write.bind(t.dialer);
  t.dialer.write = (bytes, written) => {
    longest = Math.max(longest, t.a.counters.bytesBefore - before);
    before = t.a.counters.bytesBefore;
    write(bytes, written);
  };
  const { got, wire } = await t.carry(body);
  assert.equal(got.length, body.length);
  assert(wire < body.length / 10);
  assert.equal(t.a.counters.bytesBefore, body.length);
  // What a turn of the event loop compresses is what one write takes: 0.1 ms of work, not 20.
  assert(longest > 0 && longest <= 64 * 1024, `${longest} bytes at once`);
});
