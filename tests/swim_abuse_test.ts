/**
 * What somebody may send who means harm, to a machine in virtual time: it is
 * refused, it is counted, and it changes nothing for anybody else.
 *
 * What stays possible without a key is what memberlist's protocol allows anybody
 * who can write a packet: to speak in others' names. A key is what keeps that out,
 * and under one none of this is even read.
 */
import assert from "node:assert/strict";
import { GossipKeyring } from "@mycnet/protocols/swim";
import {
  ack,
  alive,
  Bench,
  carry,
  indirect,
  nack,
  ping,
  seeded,
  toyCipher,
  verdict,
} from "../protocols/swim/testing.ts";
import { compress, seal, sealStream, writeCompound } from "../protocols/swim/wire/envelope.ts";
import { messageType, writeVersions } from "../protocols/swim/wire/messages.ts";
import { MsgpackWriter } from "../protocols/swim/wire/msgpack.ts";

const maxJump = 2 ** 16;
const key = new Uint8Array(32).fill(3);

/** The members as they should stay. */
const viewOf = ({ machine }: Bench) =>
  machine.members().map(({ name, address, state, incarnation, meta }) =>
    [name, address, state, incarnation, meta.length].join()
  ).sort();

/** What each counter has risen by while something ran, those that did not rise left out. */
function counted(bench: Bench, run: () => void): Record<string, number> {
  const before = { ...bench.machine.counters };
  run();
  return Object.fromEntries(
    Object.entries(bench.machine.counters)
      .map(([name, count]) => [name, count - before[name as keyof typeof before]] as const)
      .filter(([name, more]) => more !== 0 && !/^(packets|bytes|gossipMessages)/.test(name)),
  );
}

/** The bytes that leave while something runs. */
function bytesOut(bench: Bench, run: () => void): number {
  const before = bench.machine.counters.bytesSent;
  run();
  return bench.machine.counters.bytesSent - before;
}

/** Answers what the machine probes, so that its members stay alive, while time passes. */
function live(bench: Bench, ms: number): void {
  const end = bench.nowMs + ms;
  let seen = bench.packets.length;
  while (bench.nowMs < end) {
    const next = Math.min(end, bench.machine.nextTimerMs ?? end);
    bench.run(Math.max(0, next - bench.nowMs));
    for (; seen < bench.packets.length; seen++) {
      const { to, messages } = bench.packets[seen]!;
      for (const { type, sequence } of messages) {
        if (type === "ping") bench.machine.handlePacket(ack(sequence), to, bench.nowMs);
      }
    }
    if (bench.nowMs === end || bench.machine.nextTimerMs === undefined) return;
  }
}

/** A push/pull as somebody sends it who writes what he likes. */
function pushPull(
  members: readonly Record<string, unknown>[],
  { nodes = members.length, userBytes = 0, userState = 0 } = {},
): Uint8Array {
  const writer = new MsgpackWriter().byte(messageType.pushPull).map(3).key("Join").bool(true);
  writer.key("Nodes").uint(nodes).key("UserStateLen").uint(userBytes);
  for (const { name, host = 9, incarnation = 1, meta = 0, state = 0 } of members) {
    writer.map(7).key("Addr").raw(Uint8Array.of(10, 0, 0, host as number));
    writer.key("Incarnation").uint(incarnation as number);
    writer.key("Meta").raw(new Uint8Array(meta as number));
    writer.key("Name").raw(new TextEncoder().encode(name as string));
    writer.key("Port").uint(7946).key("State").uint(state as number).key("Vsn");
    writeVersions(writer, [1, 5, 2, 2, 5, 5]);
  }
  return writer.put(new Uint8Array(userState)).copy();
}

/** Sends bytes over a stream of a stranger's. What came back, as text. */
function stream(bench: Bench, bytes: Uint8Array, piece = 65_536): string {
  const served = bench.machine.accept("10.0.0.66:5000", bench.nowMs)!;
  for (let at = 0; at < bytes.length && !served.done; at += piece) {
    served.handleBytes(bytes.subarray(at, at + piece), bench.nowMs);
  }
  const back = served.takeOutput();
  if (!served.done) served.handleClosed(undefined, bench.nowMs);
  return back === undefined ? "" : new TextDecoder().decode(back);
}

Deno.test("metadata of 513 bytes is refused by rumour and by state; 512 are taken", () => {
  const bench = new Bench();
  bench.meet("b", "c");
  const before = viewOf(bench);
  const refused = counted(bench, () => {
    bench.hear(alive("d", 4, 1, "m".repeat(513)));
    bench.hear(alive("b", 2, 2, "m".repeat(513)));
    stream(bench, pushPull([{ name: "e", host: 5, meta: 513 }]));
    stream(bench, pushPull([{ name: "c", host: 3, incarnation: 2, meta: 513, state: 1 }]));
  });
  assert.equal(refused.refused, 4);
  assert.deepEqual(
    viewOf(bench).map((it) => it.replace("c,10.0.0.3:7946,suspect,2", "c,10.0.0.3:7946,alive,1")),
    before,
    "the suspicion counts, the metadata beside it does not",
  );
  bench.hear(alive("d", 4, 1, "m".repeat(512)));
  assert.equal(bench.machine.member("d")!.meta.length, 512);
});

Deno.test("a million forged packets of every kind are counted and harm nobody, while probing goes on", () => {
  const bench = new Bench({ maxFavoursPerSecond: 100, pushPullIntervalMs: 0 });
  bench.meet("b", "c", "d");
  const before = viewOf(bench);
  const random = seeded(99);
  const noise = Uint8Array.from({ length: 300 }, () => 14 + Math.floor(random() * 200));
  const kinds: readonly (readonly [keyof typeof bench.machine.counters, Uint8Array])[] = [
    ["unmatchedAcks", ack(12345)],
    ["unmatchedAcks", nack(54321)],
    ["strangers", ping("somebody else", 5, 66)],
    ["strangers", indirect("nobody", 99, 66)],
    ["strangers", indirect("b", 2, 66)],
    ["refused", alive("e", 5, 1, "m".repeat(513))],
    ["refused", alive("e", 5, 1, "", [1, 5, 2, 0, 0, 0])],
    ["refused", alive("b", 66, 9)],
    ["incarnationJumps", alive("b", 2, 2 + maxJump)],
    ["incarnationJumps", verdict("suspect", "c", "b", 2 + maxJump)],
    ["incarnationJumps", verdict("dead", "d", "b", 0xffffffff)],
    ["incarnationJumps", verdict("dead", "self", "b", 0xffffffff)],
    ["malformed", noise],
    ["malformed", alive("f", 6).subarray(0, 40)],
  ];
  const wanted: Record<string, number> = {};
  const rounds = Math.ceil(1_000_000 / kinds.length);
  const began = bench.nowMs;
  let bytes = 0;
  const risen = counted(bench, () => {
    for (let round = 0; round < rounds; round++) {
      for (const [counter, packet] of kinds) {
        bytes += packet.length;
        wanted[counter] = (wanted[counter] ?? 0) + 1;
        bench.hear(packet, 66);
      }
      if (round % 2000 === 0) live(bench, 1000);
      bench.raw.length = bench.events.length = 0;
      if (round % 2000 === 1) bench.packets.length = 0;
    }
  });
  for (const [counter, count] of Object.entries(wanted)) {
    assert.equal(risen[counter], count, counter);
  }
  assert.deepEqual(viewOf(bench), before);
  assert.equal(risen.failedPingCount, undefined, "every probe of the time was answered");
  assert.equal(risen.suspectCount, undefined);
  assert.ok(risen.ackCount! >= 30, `${risen.ackCount} probes`);
  assert.equal(bench.machine.healthScore, 0);
  assert.ok(bench.machine.queued <= 4, "there is nothing to pass on");
  const seconds = (bench.nowMs - began) / 1000;
  const { bytesSent } = bench.machine.counters;
  assert.ok(bytesSent < seconds * 200, `${bytesSent} bytes out in ${seconds} s, ${bytes} in`);
});

Deno.test("a packet under the wrong key, or under none, is not even read", () => {
  const ring = (byte: number) => new GossipKeyring(toyCipher, [new Uint8Array(32).fill(byte)]);
  const bench = new Bench({}, { keyring: new GossipKeyring(toyCipher, [key]) }, {}, true);
  const forged = alive("evil", 66);
  const packets = [
    forged,
    seal(ring(4), 1, forged),
    seal(ring(4), 0, forged),
    seal(ring(3), 1, forged).subarray(0, 40),
    seal(ring(3), 1, forged).map((byte, at) => at === 30 ? byte ^ 1 : byte),
    Uint8Array.of(1),
    Uint8Array.of(),
  ];
  const risen = counted(bench, () => {
    for (const packet of packets) bench.hear(packet, 66);
  });
  assert.deepEqual(risen, { undecryptable: packets.length });
  for (const bytes of [pushPull([{ name: "evil" }]), sealStream(ring(4), 1, forged)]) {
    assert.match(
      JSON.stringify(counted(bench, () => void stream(bench, bytes))),
      /^{"undecryptable":1}$/,
    );
  }
  assert.equal(bench.machine.size, 1);
  bench.hear(seal(ring(3), 1, alive("friend", 7)));
  assert.equal(bench.state("friend"), "alive");
});

Deno.test("incarnations may rise by 2^16 and not by one more, whoever they are of and however they come", () => {
  const types = ["suspect", "dead"] as const;
  for (const name of ["b", "self"]) {
    const host = name === "b" ? 2 : 1;
    const ways = [
      ...types.map((type) => (at: number, bench: Bench) =>
        bench.hear(verdict(type, name, "c", at))
      ),
      (at: number, bench: Bench) => bench.hear(alive(name, host, at, "other")),
      ...[0, 1, 2, 3].map((state) => (at: number, bench: Bench) =>
        void stream(bench, pushPull([{ name, host, incarnation: at, state, meta: 3 }]))
      ),
    ];
    for (const way of ways) {
      const bench = new Bench();
      bench.meet("b", "c");
      const before = viewOf(bench);
      assert.ok(counted(bench, () => way(2 + maxJump, bench)).incarnationJumps! >= 1);
      assert.ok(counted(bench, () => way(0xffffffff, bench)).incarnationJumps! >= 1);
      assert.deepEqual(viewOf(bench), before, String(way));
      way(1 + maxJump, bench);
      assert.notDeepEqual(viewOf(bench), before);
    }
  }
});

Deno.test("nobody is pinged at another's wish who is no member, nor for who is none", () => {
  const bench = new Bench();
  bench.meet("b", "c");
  const out = bytesOut(bench, () => {
    const risen = counted(bench, () => {
      bench.hear(indirect("victim", 200), 2);
      bench.hear(indirect("", 200), 2);
      bench.hear(indirect("b", 2, 66), 66);
      bench.hear(indirect("self", 1), 2);
    });
    assert.deepEqual(risen, { strangers: 4 });
  });
  assert.equal(out, 0);
  // The address in the request counts for nothing: a member is pinged where it is known to be.
  bench.hear(indirect("c", 200), 2);
  assert.deepEqual(bench.packets.map(({ to }) => to), ["10.0.0.3:7946"]);
});

/** Packets that ask for as many answers as possible. */
function greedy(): Record<string, Uint8Array> {
  const small = new MsgpackWriter().byte(messageType.ping).map(1).key("SeqNo").uint(1).copy();
  const compound = (message: Uint8Array, count: number) => {
    const writer = new MsgpackWriter(1 << 17);
    writeCompound(writer, Array.from({ length: count }, () => message));
    return writer.copy();
  };
  return {
    "a ping": small,
    "a ping by name": ping("self"),
    "255 pings": compound(small, 255),
    "thousands of pings, compressed": compress(compound(compound(small, 255), 40)),
    "255 requests": compound(indirect("c", 3), 255),
    "thousands of requests, compressed": compress(compound(compound(indirect("c", 3), 100), 10)),
  };
}

for (
  const [from, host] of [["a stranger", 66], ["a member whose address was forged", 2]] as const
) {
  Deno.test(`no packet of ${from} draws out much more than it brings in`, () => {
    for (const [what, packet] of Object.entries(greedy())) {
      const bench = new Bench({ pushPullIntervalMs: 0 });
      bench.meet("b", "c");
      const out = bytesOut(bench, () => bench.hear(packet, host));
      assert.ok(out <= 2 * packet.length + 64, `${what}: ${packet.length} in, ${out} out`);
      assert.ok(bench.raw.length <= 16, `${what}: ${bench.raw.length} packets out`);
    }
  });
}

Deno.test("what strangers draw out in a second is bounded, whatever they bring in", () => {
  const bench = new Bench({ pushPullIntervalMs: 0 });
  bench.meet("b", "c");
  const began = bench.nowMs;
  const out = bytesOut(bench, () => {
    for (let i = 0; i < 20_000; i++) {
      for (const packet of [ping("self", i), ping("", i)]) bench.hear(packet, 60 + i % 30);
      if (i % 1000 === 999) live(bench, 100);
    }
  });
  const seconds = (bench.nowMs - began) / 1000;
  assert.ok(out < (seconds + 1) * 512 * 40, `${out} bytes in ${seconds} s`);
  assert.ok(bench.machine.counters.limited > 30_000);
});

Deno.test("states that are too large, or lie about their size, are refused by name", () => {
  const limit = 100_000;
  const bench = new Bench({ maxStreamBytes: limit, compressStreams: false });
  bench.meet("b");
  const before = viewOf(bench);
  const long = Array.from({ length: 1000 }, (_, i) => ({ name: `m${i}`, meta: 200 }));
  const bomb = compress(pushPull([], { userBytes: 90_000_000, userState: 9_000_000 }));
  assert.ok(bomb.length < limit, `the bomb has ${bomb.length} bytes`);
  const cases: readonly (readonly [Uint8Array, RegExp])[] = [
    [pushPull(long), /more than 100000 bytes/],
    [pushPull([], { nodes: 100_000_000 }), /100000000 members announced/],
    [pushPull([], { userBytes: 4_000_000_000 }), /4000000000 bytes/],
    [bomb, /bytes/],
    [
      Uint8Array.of(
        messageType.user,
        0x81,
        0xaa,
        ...new TextEncoder().encode("UserMsgLen"),
        0xce,
        255,
        255,
        255,
        255,
      ),
      /4294967295 bytes/,
    ],
    [Uint8Array.of(messageType.compound, 1, 0, 1, 0), /cannot begin with/],
  ];
  for (const [bytes, reason] of cases) {
    const risen = counted(bench, () => assert.match(stream(bench, bytes), reason));
    assert.deepEqual(risen, { malformed: 1 }, String(reason));
  }
  assert.deepEqual(viewOf(bench), before);
});

Deno.test("a packet that unfolds without end is refused, and the next one is read", () => {
  const bench = new Bench();
  bench.meet("b");
  const before = viewOf(bench);
  let nested = compress(new Uint8Array(3_000_000).fill(7));
  assert.ok(nested.length < 65_507, `${nested.length}`);
  bench.hear(nested);
  nested = compress(alive("deep", 7));
  for (let depth = 0; depth < 10; depth++) nested = compress(nested);
  bench.hear(nested);
  assert.equal(bench.machine.counters.malformed, 2);
  assert.deepEqual(viewOf(bench), before);
  bench.hear(alive("c", 3));
  assert.equal(bench.state("c"), "alive");
});

Deno.test("streams that never end hold no more than a few states' worth of bytes between them", () => {
  const mebibyte = 2 ** 20;
  const bench = new Bench(
    { maxStreamBytes: 4 * mebibyte },
    { keyring: new GossipKeyring(toyCipher, [key]) },
    {},
    true,
  );
  // An encrypted message is kept until it is whole, by whomever it is.
  const head = Uint8Array.of(messageType.encrypted, 0, 0x3f, 0xff, 0xff);
  const piece = new Uint8Array(mebibyte);
  const streams = Array.from({ length: 128 }, (_, i) => {
    const stream = bench.machine.accept(`10.0.0.66:${i}`, bench.nowMs)!;
    stream.handleBytes(head, bench.nowMs);
    return stream;
  });
  const held = new Map(streams.map((stream) => [stream, 0]));
  let most = 0;
  for (let round = 0; round < 3; round++) {
    for (const [stream, bytes] of held) {
      if (stream.done) continue;
      stream.handleBytes(piece, bench.nowMs);
      held.set(stream, stream.done ? 0 : bytes + piece.length);
      most = Math.max(most, [...held.values()].reduce((sum, it) => sum + it));
    }
  }
  assert.ok(most <= 4 * 4 * mebibyte, `${most / mebibyte} MiB were held`);
  assert.ok(most > 8 * mebibyte, `${most / mebibyte} MiB are allowed`);
  assert.ok(bench.machine.counters.limited > 100, "the others are refused and counted");
  for (const stream of streams) stream.handleClosed("gone", bench.nowMs);
  // Then there is room again.
  const ring = new GossipKeyring(toyCipher, [key]);
  const large = pushPull([{ name: "friend" }], {
    userBytes: 2 * mebibyte,
    userState: 2 * mebibyte,
  });
  stream(bench, sealStream(ring, 1, large));
  assert.equal(bench.state("friend"), "alive");
});

Deno.test("too many streams are refused and counted, and packets go on beside them", () => {
  const bench = new Bench({ maxStreams: 8 });
  bench.meet("b");
  const other = new Bench({}, { self: { name: "z", ip: Uint8Array.of(10, 0, 0, 26), port: 7946 } });
  const held = Array.from({ length: 100 }, () => bench.machine.accept("10.0.0.66:1", bench.nowMs))
    .filter((it) => it !== undefined);
  assert.equal(held.length, 8);
  assert.equal(bench.machine.counters.limited, 92);
  other.machine.join(["10.0.0.1:7946"], other.nowMs);
  assert.equal(carry(other.streams[0]!, bench), undefined);
  const acks = bench.machine.counters.ackCount;
  live(bench, 5000);
  assert.ok(bench.machine.counters.ackCount > acks);
  for (const stream of held) stream.handleClosed("timed out", bench.nowMs);
  other.machine.join(["10.0.0.1:7946"], other.nowMs);
  carry(other.streams[1]!, bench);
  assert.equal(bench.state("z"), "alive");
});
