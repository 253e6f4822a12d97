import assert from "node:assert/strict";
import { join } from "node:path";
import { GossipKeyring } from "@mycnet/protocols/swim";
import { codeOf } from "../../../core/kernel/errors.ts";
import { createHost } from "../../../core/kernel/real_host.ts";
import { testSettings } from "../../../tests/harness/settings.ts";
import { gcmCipher } from "./cipher.ts";
import { formatKey, loadKeys, parseKey } from "./keys.ts";

const lines: string[] = [];
const host = createHost({ log: (_level, message) => void lines.push(message) });
const cipher = gcmCipher((length) => host.randomBytes(length));
const key = (byte: number, length = 32) => new Uint8Array(length).fill(byte);

async function inFolder(body: (stateDir: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "mycnet-keys-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("AES-GCM agrees with NIST's vector, for each length of key, and refuses what was changed", () => {
  // NIST SP 800-38D test case 16 (AES-256, with additional data).
  const hex = (text: string) => Uint8Array.fromHex(text);
  const secret = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
  const plain = hex(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72" +
      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
  );
  const additional = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  const fixed = gcmCipher(() => hex("cafebabefacedbaddecaf888"));
  const sealed = fixed.seal(secret, plain, additional);
  assert.equal(
    sealed.toHex(),
    "cafebabefacedbaddecaf888" +
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa" +
      "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662" +
      "76fc6ece0f4e1768cddf8853bb2d551b",
  );
  // Test case 10: AES-192, with additional data.
  const shorter = fixed.seal(secret.subarray(0, 24), plain, additional);
  assert.equal(
    shorter.toHex(),
    "cafebabefacedbaddecaf888" +
      "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c" +
      "7d773d00c144c525ac619d18c84a3f4718e2448b2fe324d9ccda2710" +
      "2519498e80f1478f37ba55bd6d27618c",
  );
  for (const length of [16, 24, 32]) {
    const sent = cipher.seal(key(1, length), plain, additional);
    assert.equal(sent.length, plain.length + 28);
    const opened = cipher.open(key(1, length), sent, additional);
    assert.deepEqual([...opened!], [...plain]);
    assert.equal(cipher.open(key(2, length), sent, additional), undefined);
    assert.equal(cipher.open(key(1, length), sent, additional.subarray(1)), undefined);
    for (const at of [0, 12, sent.length - 1]) {
      const changed = sent.slice();
      changed[at]! ^= 1;
      assert.equal(cipher.open(key(1, length), changed, additional), undefined);
    }
    assert.equal(cipher.open(key(1, length), sent.subarray(0, 27), additional), undefined);
  }
});

Deno.test("keys come from the keyring file, and changes go back into it", () =>
  inFolder(async (stateDir) => {
    const settings = testSettings({ stateDir, baseDir: stateDir });
    const path = join(stateDir, "gossip.keyring");
    await Deno.writeTextFile(path, JSON.stringify([formatKey(key(1)), formatKey(key(2, 16))]));
    const source = await loadKeys({ insecure: false }, settings, host);
    assert.deepEqual(source.keys, [key(1), key(2, 16)]);
    const ring = new GossipKeyring(cipher, source.keys);
    ring.add(key(3));
    source.changed(ring);
    ring.use(key(3));
    source.changed(ring);
    ring.remove(key(1));
    source.changed(ring);
    await source.settled();
    assert.deepEqual(
      JSON.parse(await Deno.readTextFile(path)),
      [key(3), key(2, 16)].map(formatKey),
    );
    if (Deno.build.os !== "windows") {
      assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    }
    const again = await loadKeys(
      { insecure: false, keyringPath: "gossip.keyring" },
      settings,
      host,
    );
    assert.deepEqual(again.keys, [key(3), key(2, 16)]);
  }));

Deno.test("without a key, or with a damaged keyring, gossip does not begin; in plain text only when told", () =>
  inFolder(async (stateDir) => {
    const settings = testSettings({ stateDir, baseDir: stateDir });
    await assert.rejects(
      loadKeys({ insecure: false }, settings, host),
      (error) => codeOf(error) === "gossip_key_missing" && /gossip\.keyring/.test(String(error)),
    );
    const path = join(stateDir, "gossip.keyring");
    for (
      const damage of [
        "",
        "{}",
        "[]",
        '["short"]',
        "[7]",
        JSON.stringify(Array(17).fill(formatKey(key(1)))),
      ]
    ) {
      await Deno.writeTextFile(path, damage);
      await assert.rejects(
        loadKeys({ insecure: false }, settings, host),
        (error) => codeOf(error) === "config_invalid" && String(error).includes(path),
        damage,
      );
    }
    assert.deepEqual((await loadKeys({ insecure: true }, settings, host)).keys, []);
    assert.match(lines.at(-1)!, /plain text/);
    const given = await loadKeys(
      { insecure: false, encryptKey: formatKey(key(5)) },
      settings,
      host,
    );
    assert.deepEqual(given.keys, [key(5)]);
    given.changed(new GossipKeyring(cipher, [key(6)]));
    assert.match(lines.at(-1)!, /bring it up to date/);
  }));

Deno.test("only base64 of 16, 24 or 32 bytes is a key", () => {
  for (const length of [16, 24, 32]) {
    assert.deepEqual(parseKey(formatKey(key(7, length))), key(7, length));
  }
  for (const text of ["", "AA==", formatKey(key(1, 17)), "not base64!", formatKey(key(1, 33))]) {
    assert.equal(parseKey(text), undefined, text);
  }
});
