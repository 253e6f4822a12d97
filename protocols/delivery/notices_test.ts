import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeNotices, encodeNotices, lanes, maxNotices, type Notice } from "./mod.ts";

const notice = fc.record<Notice>({
  kind: fc.constantFrom("announce", "ack", "unhandled", "unable"),
  space: fc.constantFrom("volatile", "durable"),
  lane: fc.constantFrom(...lanes),
  epoch: fc.bigInt(0n, 2n ** 64n - 1n),
  sequence: fc.maxSafeNat(),
}, { noNullPrototype: true });

const hex = (bytes: Uint8Array) => bytes.toHex();

Deno.test("notices have these bytes", () => {
  const epoch = 0x0102030405060708n;
  const one = (kind: Notice["kind"], space: Notice["space"], lane: Notice["lane"], at: number) =>
    hex(encodeNotices([{ kind, space, lane, epoch, sequence: at }]));
  assert.equal(one("announce", "volatile", "critical", 1), "0001020304050607080000000000000001");
  assert.equal(one("ack", "volatile", "normal", 256), "1201020304050607080000000000000100");
  assert.equal(one("unhandled", "volatile", "high", 7), "2101020304050607080000000000000007");
  assert.equal(one("unable", "durable", "low", 9), "3701020304050607080000000000000009");
  assert.equal(
    one("ack", "durable", "critical", Number.MAX_SAFE_INTEGER),
    "140102030405060708001fffffffffffff",
  );
});

Deno.test("notices survive the wire, and sixty of them fit into 1 KiB", () => {
  fc.assert(fc.property(fc.array(notice, { minLength: 1, maxLength: maxNotices }), (notices) => {
    const bytes = encodeNotices(notices);
    assert(bytes.length <= 1024);
    assert.deepEqual(decodeNotices(bytes), notices);
  }));
});

Deno.test("what is no payload is refused, what later versions say is passed over, nothing throws", () => {
  assert.equal(decodeNotices(new Uint8Array(0)), undefined);
  assert.equal(decodeNotices(new Uint8Array(16)), undefined);
  assert.equal(decodeNotices(new Uint8Array(61 * 17)), undefined);
  const known = encodeNotices([
    { kind: "ack", space: "volatile", lane: "low", epoch: 1n, sequence: 2 },
  ]);
  const later = new Uint8Array(34);
  later[0] = 0x90;
  later.set(known, 17);
  assert.deepEqual(decodeNotices(later), decodeNotices(known));
  const reserved = known.slice();
  reserved[0] |= 0x08;
  assert.equal(decodeNotices(reserved), undefined);
  const huge = known.slice();
  huge[9] = 0x20;
  assert.equal(decodeNotices(huge), undefined);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const notices = decodeNotices(bytes);
      if (notices === undefined || notices.length === 0) return;
      assert.deepEqual(decodeNotices(encodeNotices(notices)), notices);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("notices that are no notices are mistakes of ours", () => {
  const sound: Notice = { kind: "ack", space: "durable", lane: "low", epoch: 1n, sequence: 2 };
  assert.throws(() => encodeNotices([]), RangeError);
  assert.throws(() => encodeNotices(new Array(61).fill(sound)), RangeError);
  for (const sequence of [-1, 1.5, 2 ** 53]) {
    assert.throws(() => encodeNotices([{ ...sound, sequence }]), RangeError);
  }
});
