import assert from "node:assert/strict";
import { noFields } from "./fields.ts";
import { headerBytes, readHeader, writeHeader } from "./header.ts";
import { writeMessage } from "./prefix.ts";
import { FrameReader } from "./reader.ts";
import { readAll, written } from "./testing.ts";
import { FrameWriter } from "./writer.ts";
import { encodeUtf8 } from "../utf8.ts";

const version = 0x0100;

Deno.test("a frame too large, or no frame at all, is an error from its header alone", () => {
  const reader = (max: number) => new FrameReader({ frame: () => true }, max);
  const header = new Uint8Array(headerBytes);
  writeHeader(header, 0, version, 1, 101);
  assert.throws(() => reader(100).push(header), /a frame of 101 bytes arrived where at most 100/);
  for (const size of [1, 5, 11]) {
    const cut = reader(100);
    cut.push(header.subarray(0, size));
    assert.throws(() => cut.push(header.subarray(size)), /a frame of 101 bytes/);
    assert(cut.capacityBytes <= 1024);
  }
  assert.throws(
    () => reader(100).push(encodeUtf8("GET / HTTP/1.1\r\n")),
    /0x47455420, not 0x4d59434e; it looks like text/,
  );
  assert.throws(
    () => reader(100).push(new Uint8Array([0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 0])),
    /looks like TLS/,
  );
  assert.throws(() => readHeader(new Uint8Array(12)), /0x00000000/);
});

Deno.test("memory grows with what arrives, not with what a header promises", () => {
  const reader = new FrameReader({ frame: () => true }, 2 ** 24);
  const header = new Uint8Array(headerBytes);
  writeHeader(header, 0, version, 1, 2 ** 24);
  reader.push(header);
  reader.push(new Uint8Array(1000));
  assert.equal(reader.heldBytes, 1012);
  assert(reader.capacityBytes <= 2048);
  reader.push(new Uint8Array(2 ** 24 - 1000));
  assert.equal(reader.heldBytes, 0);
  assert.equal(reader.capacityBytes, 0, "a large buffer is not kept");
  writeHeader(header, 0, version, 1, 2 ** 16);
  reader.push(header);
  reader.push(new Uint8Array(2 ** 16 - 1));
  reader.trim();
  assert(reader.capacityBytes >= 2 ** 16, "what is not all there stays");
  reader.push(new Uint8Array(1));
  assert(reader.capacityBytes <= 2 ** 17);
  reader.trim();
  assert.equal(reader.capacityBytes, 0, "an idle link keeps nothing");
});

Deno.test("reading stops when the sink has had enough", () => {
  const frame = written({
    type: 0x0301,
    kind: 0,
    stream: 0,
    upload: false,
    fields: noFields,
    body: new Uint8Array(3),
  });
  let frames = 0;
  const reader = new FrameReader({ frame: () => ++frames < 2 }, 100);
  reader.push(new Uint8Array([...frame, ...frame, ...frame]));
  assert.equal(frames, 2);
});

Deno.test("output leaves by priority, in order within one, and buffers are used again", () => {
  const writer = new FrameWriter();
  const queue = (lane: number, body: string) =>
    writeMessage(
      writer.lanes[lane]!,
      version,
      0x0301,
      0,
      lane,
      0,
      false,
      noFields,
      encodeUtf8(body),
      99,
    );
  const bodies = (output: Uint8Array) =>
    readAll(output).map(({ body }) => new TextDecoder().decode(body));
  queue(3, "d1");
  queue(2, "c1");
  queue(0, "a1");
  queue(2, "c2");
  queue(1, "b1");
  assert.equal(writer.bytes, 5 * 24);
  const first = writer.take()!;
  assert.deepEqual(bodies(first), ["a1", "b1", "c1", "c2", "d1"]);
  assert.equal(writer.take(), undefined);
  queue(1, "next");
  const second = writer.take()!;
  assert.notEqual(second.buffer, first.buffer);
  writer.giveBack(second);
  queue(1, "again");
  const third = writer.take()!;
  assert.equal(third.buffer, second.buffer);
  assert.deepEqual(bodies(third), ["again"]);
});
