import assert from "node:assert/strict";
import { fragmentFlag, FragmentReader } from "./fragment.ts";
import { FrameError, writeU16, writeU32 } from "./header.ts";
import { runLength } from "./testing.ts";

const { first, last, compressed } = fragmentFlag;

/** The payload of a fragment. */
function fragment(
  lane: number,
  flags: number,
  bytes: Uint8Array,
  { type = 0x0301, total = 0, original = 0 } = {},
): Uint8Array {
  const head = new Uint8Array(12);
  head[0] = lane;
  head[1] = flags;
  let at = 2;
  if (flags & first) {
    writeU16(head, at, type);
    writeU32(head, at + 2, total);
    at += 6;
  }
  if (flags & compressed) {
    writeU32(head, at, original);
    at += 4;
  }
  return new Uint8Array([...head.subarray(0, at), ...bytes]);
}

const some = (length: number, value = 1) => new Uint8Array(length).fill(value);
const reader = () => new FragmentReader(1000, runLength.decompress);
const push = (to: FragmentReader, payload: Uint8Array) => to.push(payload, 0, payload.length);

Deno.test("fragments come together to the message that was cut, lane by lane", () => {
  const all = reader();
  assert.equal(push(all, fragment(1, first, some(300), { total: 500 })), undefined);
  assert.equal(push(all, fragment(3, first, some(10, 9), { total: 60, type: 0x0601 })), undefined);
  assert.equal(push(all, fragment(1, 0, some(100, 2))), undefined);
  assert.equal(all.heldBytes, 410);
  const bulk = push(all, fragment(3, last | compressed, some(1, 8), { original: 50 }))!;
  assert.equal(bulk.type, 0x0601);
  assert.deepEqual(bulk.bytes.slice(0, bulk.end), new Uint8Array([...some(10, 9), ...some(50, 8)]));
  const message = push(all, fragment(1, last, some(100, 3)))!;
  assert.equal(message.type, 0x0301);
  assert.deepEqual(
    message.bytes.slice(0, message.end),
    new Uint8Array([...some(300), ...some(100, 2), ...some(100, 3)]),
  );
  assert.equal(all.heldBytes, 0);
});

Deno.test("one fragment may be first, last and compressed at once", () => {
  const flags = first | last | compressed;
  const payload = fragment(0, flags, some(1, 7), { total: 400, original: 400 });
  const message = push(reader(), payload)!;
  assert.deepEqual(message.bytes.slice(0, message.end), some(400, 7));
});

Deno.test("fragments that do not add up are the peer's fault, and say what is wrong", () => {
  const begun = fragment(2, first, some(100), { total: 300 });
  const cases: [Uint8Array[], RegExp][] = [
    [[some(1, 0)], /shorter than its fixed part/],
    [[fragment(4, first, some(5), { total: 9 })], /of lane 4/],
    [[fragment(2, 0, some(5))], /of a message that never began/],
    [[begun, fragment(1, last, some(200))], /of a message that never began/],
    [[begun, begun], /inside another/],
    [[new Uint8Array([0, first, 3])], /without a type and a total/],
    [[fragment(0, first, some(5), { total: 1001 })], /1001 bytes arrived where at most 1000/],
    [[fragment(0, first, some(5), { type: 0x0004, total: 9 })], /of a control frame/],
    [[begun, fragment(2, 0, some(0))], /without bytes/],
    [[begun, fragment(2, compressed, some(1), { original: 0 })], /without bytes/],
    [[begun, new Uint8Array([2, compressed, 0, 0])], /without its original size/],
    [[begun, fragment(2, last, some(201))], /beyond the end/],
    [[begun, fragment(2, last | compressed, some(1), { original: 201 })], /beyond the end/],
    [[begun, fragment(2, compressed, some(1), { original: 2 ** 18 + 1 })], /before compression/],
    [[begun, fragment(2, last, some(199))], /ends its message too early/],
    [[begun, fragment(2, 0, some(200))], /does not end its message/],
  ];
  for (const [payloads, message] of cases) {
    const to = reader();
    for (const payload of payloads.slice(0, -1)) push(to, payload);
    assert.throws(
      () => push(to, payloads.at(-1)!),
      (error) =>
        error instanceof FrameError && error.fault === "peer" && message.test(error.message),
      String(message),
    );
  }
});

Deno.test("memory grows with the fragments that arrive, not with the total they announce", () => {
  const all = new FragmentReader(2 ** 24, runLength.decompress);
  for (let lane = 0; lane < 4; lane++) {
    push(all, fragment(lane, first, some(1), { total: 2 ** 24 }));
  }
  assert.equal(all.heldBytes, 4);
  assert(all.capacityBytes <= 4 * 64 * 1024);
  push(all, fragment(0, 0, some(100_000)));
  assert(all.capacityBytes <= 4 * 100_001 + 3 * 64 * 1024);
  all.clear();
  assert.equal(all.heldBytes, 0);
});
