import assert from "node:assert/strict";
import memberlist from "../testdata/memberlist.json" with { type: "json" };
import serf from "../testdata/serf.json" with { type: "json" };
import { hex, messagesOf, toyCipher, unhex } from "../testing.ts";
import { encodeUtf8 } from "../../utf8.ts";
import { crc32 } from "./crc32.ts";
import {
  checkCrc,
  compress,
  crcOverhead,
  decompress,
  open,
  seal,
  sealStream,
  writeCompound,
} from "./envelope.ts";
import { GossipKeyring } from "./keyring.ts";
import { lzwDecode, lzwEncode } from "./lzw.ts";
import {
  AliveFields,
  messageType,
  PingFields,
  writeAck,
  writeAlive,
  writeIndirectPing,
  writeNack,
  writePing,
  writeVerdict,
} from "./messages.ts";
import { MsgpackReader, MsgpackWriter, WireError } from "./msgpack.ts";
import { StreamReader, UndecryptableError } from "./stream_reader.ts";

const vectors = new Map(memberlist.vectors.map(({ name, hex }) => [name, unhex(hex)]));
const key = encodeUtf8("0123456789abcdef");
const ip = Uint8Array.of(10, 0, 0, 5);
const versions = [1, 5, 2, 2, 5, 5];
const source = { ip, port: 7946, name: encodeUtf8("node-a") };
const maxBytes = 20 * 1024 * 1024;

function vector(name: string): Uint8Array<ArrayBuffer> {
  const bytes = vectors.get(name);
  assert.ok(bytes, name);
  return bytes;
}

/** What `write` writes is memberlist's own vector, byte for byte. */
function writes(name: string, write: (writer: MsgpackWriter) => void): void {
  const writer = new MsgpackWriter(1); // So that it must grow.
  write(writer);
  assert.equal(hex(writer.view()), hex(vector(name)), name);
}

Deno.test("what we write is what memberlist writes, byte for byte", () => {
  const b = encodeUtf8("node-b");
  const a = encodeUtf8("node-a");
  writes("ping", (w) => writePing(w, 7, b, source));
  writes(
    "indirect ping",
    (w) =>
      writeIndirectPing(w, 300, encodeUtf8("node-c"), ip, 7946, true, { ...source, port: 7947 }),
  );
  writes("ack without payload", (w) => writeAck(w, 7));
  writes("ack with payload", (w) => writeAck(w, 70000, Uint8Array.of(1, 2, 3)));
  writes("nack", (w) => writeNack(w, 128));
  writes("suspect", (w) => writeVerdict(w, messageType.suspect, 3, b, a));
  writes("dead", (w) => writeVerdict(w, messageType.dead, 65536, b, a));
  writes("leave", (w) => writeVerdict(w, messageType.dead, 4, b, b));
  writes("alive", (w) => writeAlive(w, 1, b, ip, 7946, Uint8Array.of(0xff, 0x80), versions));
  writes(
    "alive without meta",
    (w) => writeAlive(w, 200, b, ip, 80, new Uint8Array(0), [1, 5, 2, 0, 0, 0]),
  );
  writes("alive with 512 bytes of meta over IPv6", (w) =>
    writeAlive(
      w,
      70000,
      encodeUtf8("a-rather-long-name-of-a-node-that-exceeds-31"),
      new Uint8Array(16).fill(0xfd),
      65535,
      encodeUtf8("m".repeat(512)),
      versions,
    ));
  writes("compound", (w) => writeCompound(w, ["ping", "suspect", "alive"].map(vector)));
});

Deno.test("what memberlist writes is read as it was meant", () => {
  const read = (name: string) => messagesOf(vector(name));
  assert.deepEqual(read("ping"), [{ type: "ping", sequence: 7, node: "node-b" }]);
  assert.deepEqual(read("ping without source"), [
    { type: "ping", sequence: 4294967295, node: "node-b" },
  ]);
  assert.deepEqual(read("indirect ping"), [
    { type: "indirectPing", sequence: 300, node: "node-c", nack: true },
  ]);
  assert.deepEqual(read("ack with payload"), [{ type: "ack", sequence: 70000 }]);
  assert.deepEqual(read("nack"), [{ type: "nack", sequence: 128 }]);
  const suspect = { type: "suspect", node: "node-b", incarnation: 3, from: "node-a" };
  assert.deepEqual(read("suspect"), [suspect]);
  assert.deepEqual(read("dead"), [{ ...suspect, type: "dead", incarnation: 65536 }]);
  assert.deepEqual(read("suspect with crc"), [suspect]);
  assert.deepEqual(read("alive without meta"), [
    { type: "alive", node: "node-b", incarnation: 200, meta: "" },
  ]);
  assert.deepEqual(read("compound").map(({ type }) => type), ["ping", "suspect", "alive"]);
  assert.deepEqual(read("user message in a packet"), [{ type: "user", text: "hello" }]);
});

Deno.test("every field of a ping and of an alive arrives", () => {
  const bytes = vector("indirect ping");
  const ping = new PingFields().read(new MsgpackReader().reset(bytes, 1));
  assert.equal(ping.port, 7946);
  assert.equal(ping.sourcePort, 7947);
  assert.deepEqual(bytes.slice(ping.target.start, ping.target.end), ip);
  const long = vector("alive with 512 bytes of meta over IPv6");
  const alive = new AliveFields().read(new MsgpackReader().reset(long, 1));
  assert.equal(alive.incarnation, 70000);
  assert.equal(alive.port, 65535);
  assert.equal(alive.meta.length, 512);
  assert.equal(alive.ip.length, 16);
  assert.deepEqual([...long.subarray(alive.versions.start, alive.versions.end)], versions);
});

Deno.test("fields are read in any order, unknown ones are passed over, and new families of bytes are taken", () => {
  const writer = new MsgpackWriter().map(4);
  writer.key("Zone").map(1).key("a").byte(0x92).uint(1).byte(0xcb).u32(0).u32(0);
  writer.key("Node").byte(0xd9).byte(2).put(encodeUtf8("nö").subarray(0, 2));
  writer.key("Vsn").byte(0xc4).byte(6).put(Uint8Array.from(versions));
  writer.key("Incarnation").byte(0xcf).u32(0).u32(9);
  const fields = new AliveFields().read(new MsgpackReader().reset(writer.view()));
  assert.equal(fields.incarnation, 9);
  assert.equal(fields.node.length, 2);
  assert.equal(fields.versions.length, 6);
});

Deno.test("LZW agrees with Go's in both directions", () => {
  for (const [name, bytes] of vectors) {
    if (!name.includes("compressed")) continue;
    const plain = decompress(new MsgpackReader().reset(bytes, 1), maxBytes);
    assert.equal(hex(compress(plain)), hex(bytes), name);
  }
  const plain = decompress(new MsgpackReader().reset(vector("lcg compressed"), 1), maxBytes);
  assert.equal(plain.length, 30000);
  const [a, b, c, d] = vector("lcg input crc");
  assert.equal(crc32(plain), (a! << 24 | b! << 16 | c! << 8 | d!) >>> 0);
});

Deno.test("LZW restores whatever it packs", () => {
  const inputs = [new Uint8Array(0), Uint8Array.of(7), new Uint8Array(100_000)];
  for (const input of inputs) assert.deepEqual(lzwDecode(lzwEncode(input), maxBytes), input);
});

Deno.test("LZW unfolds to no more than was allowed", () => {
  const bomb = lzwEncode(new Uint8Array(1_000_000));
  assert.ok(bomb.length < 4000);
  assert.throws(() => lzwDecode(bomb, 65_536), /more than 65536 bytes unpacked/);
  assert.equal(lzwDecode(bomb, 1_000_000).length, 1_000_000);
});

Deno.test("the checksum of IEEE 802.3, on every length", () => {
  assert.equal(crc32(encodeUtf8("123456789")), 0xcbf43926);
  const bytes = Uint8Array.from({ length: 40 }, (_, i) => i * 37);
  for (let end = 0; end <= 40; end++) {
    let slow = -1;
    for (let i = 0; i < end; i++) {
      slow ^= bytes[i]!;
      for (let bit = 0; bit < 8; bit++) slow = slow & 1 ? slow >>> 1 ^ 0xedb88320 : slow >>> 1;
    }
    assert.equal(crc32(bytes, 0, end), ~slow >>> 0);
  }
});

Deno.test("a wrong checksum is noticed", () => {
  const bytes = vector("suspect with crc");
  assert.equal(checkCrc(bytes), true);
  assert.equal(checkCrc(bytes.subarray(crcOverhead)), false);
  bytes[bytes.length - 1]! ^= 1;
  assert.throws(() => checkCrc(bytes), /checksum does not match/);
  bytes[bytes.length - 1]! ^= 1;
});

Deno.test("what we encrypt has memberlist's form", () => {
  const keyring = new GossipKeyring(toyCipher, [key]);
  for (const version of [0, 1] as const) {
    const plain = vector("suspect");
    const sealed = seal(keyring, version, plain);
    assert.equal(sealed[0], version);
    assert.equal(sealed.length, vector(`suspect encrypted ${version}`).length);
    assert.deepEqual(Uint8Array.from(open(keyring, sealed)!), plain);
  }
  const stream = sealStream(keyring, 1, vector("push/pull"));
  const theirs = vector("push/pull encrypted");
  assert.equal(hex(stream.subarray(0, 6)), hex(theirs.subarray(0, 6)));
  assert.equal(stream.length, theirs.length);
});

Deno.test("a packet under another key, cut off or altered is not opened", () => {
  const other = new GossipKeyring(toyCipher, [encodeUtf8("another key here")]);
  const right = new GossipKeyring(toyCipher, [encodeUtf8("the second key..")]);
  right.add(key);
  for (const version of [0, 1] as const) {
    const sealed = seal(new GossipKeyring(toyCipher, [key]), version, vector("suspect"));
    assert.equal(hex(open(right, sealed)!), hex(vector("suspect")), "under any key of the ring");
    assert.equal(open(other, sealed), undefined);
    assert.equal(open(right, sealed, Uint8Array.of(1)), undefined);
    for (let end = 0; end < sealed.length; end++) {
      assert.equal(open(right, sealed.subarray(0, end)), undefined);
    }
    for (let i = 0; i < sealed.length; i++) {
      const altered = sealed.slice();
      altered[i]! ^= 0x40;
      assert.equal(open(right, altered), undefined, `byte ${i}`);
    }
  }
});

Deno.test("padding that cannot be is not taken off", () => {
  const keyring = new GossipKeyring({
    seal: (_key, plain) => Uint8Array.of(...new Uint8Array(12), ...plain, ...new Uint8Array(16)),
    open: (_key, sealed) => sealed.slice(12, -16),
  }, [key]);
  for (const last of [0, 17, 255]) {
    const packet = new Uint8Array(1 + 12 + 16 + 16);
    packet[28] = last;
    assert.equal(open(keyring, packet), undefined);
  }
});

Deno.test("keys are added, used and removed, and the primary one stays", () => {
  const [a, b] = [new Uint8Array(16).fill(1), new Uint8Array(32).fill(2)];
  const keyring = new GossipKeyring(toyCipher);
  assert.equal(keyring.primary, undefined);
  assert.equal(keyring.add(a), true);
  assert.equal(keyring.add(b), true);
  assert.equal(keyring.add(b), false);
  assert.deepEqual(keyring.primary, a);
  assert.equal(keyring.remove(a), false);
  assert.equal(keyring.use(b), true);
  assert.deepEqual(keyring.primary, b);
  assert.equal(keyring.remove(a), true);
  assert.equal(keyring.use(a), false);
  assert.throws(() => keyring.add(new Uint8Array(15)), /16, 24 or 32 bytes, not 15/);
  for (let i = 0; i < 15; i++) keyring.add(new Uint8Array(24).fill(i + 3));
  assert.throws(() => keyring.add(new Uint8Array(24).fill(99)), /at most 16/);
});

Deno.test("a push/pull is read from pieces of any size, plain, compressed and encrypted", () => {
  const plain = vector("push/pull");
  const keyring = new GossipKeyring(toyCipher, [key]);
  const forms: [Uint8Array, GossipKeyring | undefined][] = [
    [plain, undefined],
    [compress(plain), undefined],
    [sealStream(keyring, 1, plain), keyring],
    [sealStream(keyring, 0, compress(plain)), keyring],
  ];
  for (const [bytes, ring] of forms) {
    for (const piece of [1, 2, 3, 7, 64, 1000]) {
      const reader = new StreamReader(ring, false, maxBytes);
      let message;
      for (let at = 0; at < bytes.length; at += piece) {
        assert.equal(message, undefined, "whole before its end");
        message = reader.push(bytes.subarray(at, at + piece));
      }
      assert.equal(message?.type, "push_pull");
      assert.ok(message?.type === "push_pull");
      assert.equal(message.join, true);
      assert.equal(message.count, 2);
      assert.equal(new TextDecoder().decode(message.userState), "user state");
      const states = new MsgpackReader().reset(message.bytes, message.start, message.end);
      assert.equal(new AliveFields().read(states).state, 0);
      const second = new AliveFields().read(states);
      assert.deepEqual([second.state, second.incarnation, second.port], [3, 9, 7947]);
      assert.equal(states.at, message.end);
    }
  }
});

Deno.test("user messages, acks and errors are read from streams", () => {
  const read = (bytes: Uint8Array) => new StreamReader(undefined, false, maxBytes).push(bytes);
  const user = read(vector("user message over a stream"));
  assert.ok(user?.type === "user");
  assert.equal(new TextDecoder().decode(user.bytes), "hello");
  assert.deepEqual(read(vector("ack without payload")), { type: "ack", sequence: 7 });
  assert.deepEqual(read(vector("error")), { type: "error", message: "something failed" });
});

Deno.test("a stream that announces too much is refused before it is read", () => {
  const announce = (nodes: number, user: number) =>
    new MsgpackWriter().byte(messageType.pushPull).map(3).key("Join").bool(false)
      .key("Nodes").uint(nodes).key("UserStateLen").uint(user).copy();
  const read = (bytes: Uint8Array, max = maxBytes, ring?: GossipKeyring) =>
    new StreamReader(ring, false, max).push(bytes);
  assert.throws(() => read(announce(0xffffffff, 0)), /members announced/);
  assert.throws(() => read(announce(1, 0xffffffff)), /user state announced/);
  assert.throws(
    () => read(new Uint8Array(2000).fill(messageType.pushPull), 1000),
    /more than 1000/,
  );
  const keyring = new GossipKeyring(toyCipher, [key]);
  const head = new MsgpackWriter().byte(messageType.encrypted).u32(0xffffffff).copy();
  assert.throws(() => read(head, maxBytes, keyring), /4294967295 bytes announced/);
  const packed = new MsgpackWriter().byte(messageType.compressed).map(2).key("Algo").uint(0)
    .key("Buf").byte(0xdb).u32(0xffffffff).copy();
  assert.throws(() => read(packed), /bytes announced/);
});

Deno.test("plain streams are refused where gossip is encrypted, and the other way round", () => {
  const keyring = new GossipKeyring(toyCipher, [key]);
  const plain = vector("push/pull");
  assert.throws(
    () => new StreamReader(keyring, false, maxBytes).push(plain),
    UndecryptableError,
  );
  assert.equal(new StreamReader(keyring, true, maxBytes).push(plain)?.type, "push_pull");
  const sealed = sealStream(keyring, 1, plain);
  assert.throws(() => new StreamReader(undefined, false, maxBytes).push(sealed), /no gossip key/);
  const other = new GossipKeyring(toyCipher, [new Uint8Array(16)]);
  assert.throws(() => new StreamReader(other, true, maxBytes).push(sealed), /no gossip key opens/);
});

Deno.test("everything that Serf agents sent is understood", () => {
  const seen = new Set<string>();
  for (const { via, hex } of serf.plain) {
    let bytes: Uint8Array = unhex(hex);
    if (via === "stream") {
      const message = new StreamReader(undefined, false, maxBytes).push(bytes);
      assert.ok(message, "the stream is whole");
      seen.add(`stream ${message.type}`);
      continue;
    }
    if (checkCrc(bytes)) bytes = bytes.slice(crcOverhead);
    if (bytes[0] === messageType.compressed) {
      bytes = decompress(new MsgpackReader().reset(bytes, 1), 65_536);
    }
    for (const { type } of messagesOf(bytes)) seen.add(type);
  }
  for (
    const type of "ping,ack,alive,suspect,nack,indirectPing,user,stream push_pull".split(",")
  ) assert.ok(seen.has(type), `${type} was captured`);
  assert.ok(![...seen].some((type) => type.startsWith("unknown")), [...seen].join());
});

Deno.test("an error of the wire says whether more bytes could help", () => {
  const bytes = vector("alive");
  for (let end = 1; end < bytes.length; end++) {
    assert.throws(
      () => new AliveFields().read(new MsgpackReader().reset(bytes, 1, end)),
      (error) => error instanceof WireError && error.incomplete,
    );
  }
  assert.throws(
    () => new AliveFields().read(new MsgpackReader().reset(Uint8Array.of(0xc1))),
    (error) => error instanceof WireError && !error.incomplete,
  );
});
