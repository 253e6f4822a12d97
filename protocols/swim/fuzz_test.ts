import assert from "node:assert/strict";
import memberlist from "./testdata/memberlist.json" with { type: "json" };
import serf from "./testdata/serf.json" with { type: "json" };
import { alive, Bench, seeded, toyCipher, unhex } from "./testing.ts";
import { GossipKeyring } from "./wire/keyring.ts";
import { lzwDecode, lzwEncode } from "./wire/lzw.ts";
import { WireError } from "./wire/msgpack.ts";
import { StreamReader } from "./wire/stream_reader.ts";

const samples = [
  ...memberlist.vectors.map(({ hex }) => unhex(hex)).filter(({ length }) => length < 2000),
  ...serf.plain.map(({ hex }) => unhex(hex)),
];

/** One of the samples with some bytes changed, cut out or put in, or nothing but noise. */
function mutated(random: () => number): Uint8Array {
  const below = (bound: number) => Math.floor(random() * bound);
  if (random() < 0.05) return Uint8Array.from({ length: below(300) }, () => below(256));
  let bytes = samples[below(samples.length)]!.slice();
  for (let changes = below(6); changes > 0; changes--) {
    const at = below(bytes.length);
    switch (below(5)) {
      case 0:
        bytes[at] = below(256);
        break;
      case 1:
        bytes[at]! ^= 1 << below(8);
        break;
      case 2:
        bytes = bytes.slice(0, at);
        break;
      case 3: {
        const other = samples[below(samples.length)]!;
        bytes = Uint8Array.of(...bytes.subarray(0, at), ...other.subarray(below(other.length)));
        break;
      }
      case 4:
        bytes = Uint8Array.of(...bytes.subarray(0, at), below(256), ...bytes.subarray(at));
    }
  }
  return bytes.subarray(0, 65_507);
}

Deno.test("thousands of broken packets harm nothing, whoever seems to send them", () => {
  const seed = 20_040;
  const random = seeded(seed);
  const bench = new Bench({ maxMembers: 200 });
  bench.meet("b", "c", "node-a", "node-b");
  for (let i = 0; i < 20_000; i++) {
    bench.hear(mutated(random), 2 + Math.floor(random() * 8));
    if (i % 50 === 0) bench.run(random() * 400);
    bench.packets.length =
      bench.raw.length =
      bench.events.length =
      bench.streams.length =
        0;
  }
  const { counters } = bench.machine;
  assert.ok(counters.malformed > 5000, `${counters.malformed}`);
  assert.equal(bench.machine.self.state, "alive");
  assert.ok(bench.machine.size <= 200);
  assert.ok(bench.machine.queued <= 200);
  bench.hear(alive("after", 30));
  assert.ok(bench.state("after") === "alive" || bench.machine.size === 200);
});

Deno.test("thousands of broken streams end in an error or wait for more, and hold no more than allowed", () => {
  const random = seeded(7);
  const keyring = new GossipKeyring(toyCipher, [new Uint8Array(16).fill(3)]);
  const outcomes = { whole: 0, waits: 0, refused: 0 };
  for (let i = 0; i < 20_000; i++) {
    const reader = new StreamReader(random() < 0.2 ? keyring : undefined, random() < 0.5, 10_000);
    const bytes = mutated(random);
    let outcome: keyof typeof outcomes = "waits";
    try {
      for (let at = 0; at < bytes.length && outcome === "waits";) {
        const piece = 1 + Math.floor(random() * 200);
        if (reader.push(bytes.subarray(at, at + piece)) !== undefined) outcome = "whole";
        at += piece;
      }
    } catch (error) {
      assert.ok(error instanceof WireError, String(error));
      outcome = "refused";
    }
    outcomes[outcome]++;
    assert.ok(reader.heldBytes <= 10_005);
  }
  assert.ok(
    outcomes.whole > 500 && outcomes.waits > 100 && outcomes.refused > 5000,
    JSON.stringify(outcomes),
  );
});

Deno.test("thousands of broken streams leave the machine that serves them as it was", () => {
  const random = seeded(11);
  const bench = new Bench({ maxMembers: 200, maxStreams: 4 });
  for (let i = 0; i < 5000; i++) {
    const stream = bench.machine.accept("10.0.0.66:1", bench.nowMs);
    assert.ok(stream, "every one before has ended");
    stream.handleBytes(mutated(random), bench.nowMs);
    stream.takeOutput();
    if (!stream.done) stream.handleClosed(undefined, bench.nowMs);
    assert.ok(stream.done);
  }
  assert.equal(bench.machine.self.state, "alive");
  assert.ok(bench.machine.size <= 200);
});

Deno.test("a million forged packets change nothing and cost nobody else anything", () => {
  const bench = new Bench(
    { pushPullIntervalMs: 0 },
    {
      keyring: new GossipKeyring(toyCipher, [new Uint8Array(16).fill(3)]),
    },
    {},
    true,
  );
  const forged = alive("evil", 66, 1, "m".repeat(100));
  const packet = new Uint8Array(200);
  packet.set(forged.subarray(0, 190));
  for (let i = 0; i < 1_000_000; i++) {
    packet[0] = i; // All kinds of first bytes; 0 and 1 reach the cipher, briefly.
    if (packet[0]! <= 1 && i > 100_000) packet[0] = 2;
    bench.hear(packet, 66);
  }
  assert.equal(bench.machine.counters.undecryptable, 1_000_000);
  assert.equal(bench.machine.size, 1);
  assert.equal(bench.raw.length, 0);
});

Deno.test("LZW of noise restores it, and noise as LZW ends in an error or in bounded bytes", () => {
  const random = seeded(5);
  for (let i = 0; i < 3000; i++) {
    const spread = 1 + Math.floor(random() * 255);
    const input = Uint8Array.from(
      { length: Math.floor(random() * (i % 100 === 0 ? 20_000 : 300)) },
      () => Math.floor(random() * spread),
    );
    const packed = lzwEncode(input);
    assert.deepEqual(lzwDecode(packed, 20_000), input);
    if (packed.length > 2) packed[Math.floor(random() * packed.length)]! ^= 1 << i % 8;
    try {
      assert.ok(lzwDecode(packed, 20_000).length <= 20_000);
    } catch (error) {
      assert.ok(error instanceof WireError);
    }
  }
});
