/** Encrypted gossip against what HashiCorp's own programs sealed. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { gcmCipher } from "../../plugins/membership/swim/cipher.ts";
import memberlist from "../../protocols/swim/testdata/memberlist.json" with { type: "json" };
import serf from "../../protocols/swim/testdata/serf.json" with { type: "json" };
import { hex, messagesOf, unhex } from "../../protocols/swim/testing.ts";
import {
  checkCrc,
  crcOverhead,
  decompress,
  open,
  seal,
  sealStream,
} from "../../protocols/swim/wire/envelope.ts";
import { messageType } from "../../protocols/swim/wire/messages.ts";
import { MsgpackReader } from "../../protocols/swim/wire/msgpack.ts";
import { StreamReader } from "../../protocols/swim/wire/stream_reader.ts";
import { GossipKeyring } from "@mycnet/protocols/swim";

const cipher = gcmCipher((length) => randomBytes(length));
const bytesOf = (text: string) => new TextEncoder().encode(text);
const key = bytesOf("0123456789abcdef");
const maxBytes = 1 << 20;

function vector(name: string): Uint8Array<ArrayBuffer> {
  const found = memberlist.vectors.find((vector) => vector.name === name);
  assert.ok(found, name);
  return unhex(found.hex);
}

Deno.test("what memberlist encrypts is opened, in both versions and with authenticated data", () => {
  const keyring = new GossipKeyring(cipher, [key]);
  const plain = hex(vector("suspect"));
  assert.equal(hex(open(keyring, vector("suspect encrypted 0"))!), plain);
  assert.equal(hex(open(keyring, vector("suspect encrypted 1"))!), plain);
  const second = new GossipKeyring(cipher, [key, bytesOf("0123456789abcdef".repeat(2))]);
  const labelled = vector("suspect encrypted with data");
  assert.equal(hex(open(second, labelled, bytesOf("label"))!), plain);
  assert.equal(open(second, labelled), undefined);
  const reader = new StreamReader(keyring, false, maxBytes);
  assert.equal(reader.push(vector("push/pull encrypted"))?.type, "push_pull");
});

Deno.test("what we encrypt under keys of every length is opened again, and only unaltered", () => {
  for (const length of [16, 24, 32]) {
    const keyring = new GossipKeyring(cipher, [new Uint8Array(length).fill(length)]);
    for (const version of [0, 1] as const) {
      const plain = vector("suspect");
      const sealed = seal(keyring, version, plain);
      assert.equal(sealed.length, vector(`suspect encrypted ${version}`).length);
      assert.equal(hex(open(keyring, sealed)!), hex(plain));
      for (let i = 0; i < sealed.length; i++) {
        const altered = sealed.slice();
        altered[i]! ^= 0x40;
        assert.equal(open(keyring, altered), undefined, `byte ${i}`);
      }
      const stream = sealStream(keyring, version, vector("push/pull"));
      assert.equal(new StreamReader(keyring, false, maxBytes).push(stream)?.type, "push_pull");
    }
  }
});

Deno.test("everything that Serf agents sent encrypted is understood", () => {
  const keyring = new GossipKeyring(cipher, [key]);
  const seen = new Set<string>();
  for (const { via, hex } of serf.encrypted) {
    if (via === "stream") {
      seen.add(`stream ${new StreamReader(keyring, false, maxBytes).push(unhex(hex))?.type}`);
      continue;
    }
    let bytes = Uint8Array.from(open(keyring, unhex(hex))!);
    if (checkCrc(bytes)) bytes = bytes.slice(crcOverhead);
    if (bytes[0] === messageType.compressed) {
      bytes = decompress(new MsgpackReader().reset(bytes, 1), maxBytes);
    }
    for (const { type } of messagesOf(bytes)) seen.add(type);
  }
  for (const type of ["ping", "ack", "alive", "suspect", "user", "stream push_pull"]) {
    assert.ok(seen.has(type), `${type} was captured`);
  }
  assert.ok(![...seen].some((type) => type.startsWith("unknown")), [...seen].join());
});
