import assert from "node:assert/strict";
import fc from "fast-check";
import { noFields } from "./fields.ts";
import { headerBytes } from "./header.ts";
import { kind, priorities } from "./prefix.ts";
import { type Message, queue, readAll, runLength } from "./testing.ts";
import { criticalRun, laneWeights } from "./turns.ts";
import { FrameWriter } from "./writer.ts";

const sliceBytes = 1024;
// What a slice may have besides: the prefix and the headers of its last frame.
const overheadBytes = 200;

/** A message whose stream is its number, filled with one byte, or with many. */
function message(lane: number, number: number, size: number, plain = false): Message {
  return {
    type: 0x0301,
    kind: kind.message,
    stream: number,
    upload: false,
    fields: { ...noFields, priority: priorities[lane]! },
    body: Uint8Array.from({ length: size }, (_, i) => plain ? number : (number + i * 7) & 0xff),
  };
}

/** Takes everything out. */
function drain(writer: FrameWriter): Uint8Array[] {
  const outputs: Uint8Array[] = [];
  for (let output; (output = writer.take()) !== undefined;) {
    outputs.push(output.slice());
    writer.giveBack(output);
  }
  return outputs;
}

const join = (outputs: readonly Uint8Array[]) =>
  new Uint8Array(outputs.flatMap((output) => [...output]));

/** Queue a message of a size in a lane, or take a slice. */
type Step = { readonly lane: number; readonly size: number; readonly plain: boolean } | "take";

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.constant("take" as const),
    fc.record({
      lane: fc.nat(3),
      size: fc.oneof(fc.nat(200), fc.nat(2000), fc.nat(9000)),
      plain: fc.boolean(),
    }),
  ),
  { maxLength: 40 },
);

Deno.test("whatever is queued and taken when, each lane's messages come out whole and in order", () => {
  const pieceBytes = fc.constantFrom(undefined, 300, sliceBytes - 20, sliceBytes, sliceBytes + 20);
  fc.assert(
    fc.property(steps, fc.boolean(), pieceBytes, (all, compressing, piece) => {
      const writer = new FrameWriter(sliceBytes, piece);
      if (compressing) writer.compressor = runLength;
      const queued: Message[] = [];
      const outputs: Uint8Array[] = [];
      for (const [number, step] of all.entries()) {
        if (step !== "take") {
          const next = message(step.lane, number, step.size, step.plain);
          queued.push(next);
          queue(writer, next);
          continue;
        }
        const before = writer.bytes;
        const output = writer.take();
        assert.equal(output === undefined, before === 0);
        if (output === undefined) continue;
        assert(output.length <= sliceBytes + overheadBytes, `a slice of ${output.length}`);
        assert(before - writer.bytes <= sliceBytes + overheadBytes, "a long turn");
        outputs.push(output.slice());
        writer.giveBack(output);
      }
      const read = readAll(join([...outputs, ...drain(writer)]));
      assert.equal(writer.bytes, 0);
      for (const priority of priorities) {
        const of = (list: Message[]) => list.filter(({ fields }) => fields.priority === priority);
        assert.deepEqual(of(read), of(queued));
      }
      for (const lane of writer.lanes) assert.equal(lane.taken, lane.position);
    }),
    { numRuns: 500 },
  );
});

Deno.test("what is critical stands in the next slice, however much waits", () => {
  const writer = new FrameWriter(sliceBytes);
  for (let lane = 1; lane < 4; lane++) {
    for (let i = 0; i < 20; i++) queue(writer, message(lane, 1000 + i, 3000));
  }
  for (let number = 0; number < 30; number++) {
    queue(writer, message(0, number, 50));
    const next = writer.take()!;
    assert.equal(next[headerBytes + 5], 0, "it is critical");
    assert.deepEqual(readAll(next).map(({ stream }) => stream), [number]);
    assert.equal(writer.take()![headerBytes] !== 0, true, "and the next slice another's");
  }
});

Deno.test("no message overtakes a control frame that was queued before it", () => {
  const writer = new FrameWriter(sliceBytes);
  for (let number = 0; number < 40; number++) {
    queue(writer, message(0, number, 900));
    queue(writer, message(3, number, 900));
  }
  for (let turn = 0; writer.bytes > 0; turn++) {
    const frame = new Uint8Array(20).fill(0xee);
    writer.control.reserve(frame.length);
    writer.control.buffer.set(frame, writer.control.length);
    writer.control.length += frame.length;
    queue(writer, message(turn % 4, 99, 10));
    const next = writer.take()!;
    assert.deepEqual(next.subarray(0, 20), frame);
    writer.take();
  }
});

Deno.test("critical without end lets every other lane through, by weight", () => {
  const writer = new FrameWriter(sliceBytes);
  const bytes = [0, 0, 0, 0];
  const gaps = [0, 0, 0, 0];
  let number = 0;
  for (let turn = 0; turn < 2000; turn++) {
    for (const [lane, { length, line }] of writer.lanes.entries()) {
      if (length + line.length === 0) {
        for (let i = 0; i < 8; i++) queue(writer, message(lane, number++ & 0xff, 100 * i));
      }
    }
    const taken = writer.lanes.map((lane) => lane.taken);
    writer.giveBack(writer.take()!);
    for (const [lane, { taken: now }] of writer.lanes.entries()) {
      bytes[lane]! += now - taken[lane]!;
      gaps[lane] = now > taken[lane]! ? 0 : gaps[lane]! + 1;
      // One round, at one slice in five, each lane having its weight in slices and one overdrawn.
      assert(gaps[lane]! <= 2 * (8 + 4 + 1 + 3) * (criticalRun + 1), `lane ${lane} starves`);
    }
  }
  const [critical, high, normal, low] = bytes as [number, number, number, number];
  const close = (ratio: number, wanted: number) =>
    assert(Math.abs(ratio / wanted - 1) < 0.15, `${ratio} for ${wanted}`);
  close(high / low, laneWeights[1]! / laneWeights[3]!);
  close(normal / low, laneWeights[2]! / laneWeights[3]!);
  assert(critical > 2 * (high + normal + low));
});

Deno.test("a last frame leaves behind everything queued before it, in whatever lane", () => {
  fc.assert(fc.property(steps, fc.nat(40), fc.constantFrom(undefined, 1000), (all, at, piece) => {
    const writer = new FrameWriter(sliceBytes, piece);
    const before = new Set<number>();
    const farewell = new Uint8Array(20).fill(0xee);
    const outputs: Uint8Array[] = [];
    for (const [number, step] of all.entries()) {
      if (number === at) writer.last(farewell);
      if (step === "take") {
        const output = writer.take();
        if (output !== undefined) outputs.push(output.slice());
      } else {
        if (number < at) before.add(number);
        queue(writer, message(step.lane, number, step.size));
      }
    }
    if (at >= all.length) writer.last(farewell);
    outputs.push(...drain(writer));
    assert.equal(writer.bytes, 0);
    const output = join(outputs);
    let end = -1;
    for (let i = 0; i + 20 <= output.length; i++) {
      if (output.subarray(i, i + 20).every((byte) => byte === 0xee)) end = i;
    }
    assert(end >= 0, "it left");
    const read = readAll(output.slice(0, end), [], false);
    for (const number of before) assert(read.some(({ stream }) => stream === number));
  }));
});

Deno.test("a large body is neither copied when it is queued nor cut in one go", () => {
  const writer = new FrameWriter();
  const body = new Uint8Array(16 * 1024 * 1024 - 100);
  queue(writer, { ...message(2, 1, 0), body });
  body.fill(5);
  assert.equal(writer.bytes, headerBytes + 10 + body.length);
  const outputs = drain(writer);
  assert.equal(outputs.length, 257);
  for (const output of outputs) assert(output.length <= 68 * 1024 + overheadBytes);
  const reader = outputs.reduce((sum, output) => sum + output.length, 0);
  assert(reader < body.length + 256 * 40);
  assert(outputs.every((output) => output.at(-1) === 5), "it was read when it left");
});

Deno.test("what a slice has beyond what TCP sends as one piece leaves with the next one, and little of it", () => {
  const pieceBytes = 65_160;
  const writer = new FrameWriter();
  for (let i = 0; i < 40; i++) queue(writer, message(2, i, 64 * 1024));
  const outputs = drain(writer);
  const pieces = outputs.slice(0, -1);
  const overhang = pieces.filter((output) => output.length !== pieceBytes);
  assert(overhang.length <= 4, `${overhang.length} slices are two pieces`);
  for (const { length } of overhang) {
    assert(length > pieceBytes + 4096 && length < pieceBytes + 5120);
  }
  assert(outputs.at(-1)!.length <= 4096, "a rest that nothing follows leaves by itself");
  assert.equal(readAll(join(outputs)).length, 40);
});

Deno.test("a rest that waits says that it lingers, and what is critical stands right behind it", () => {
  const writer = new FrameWriter();
  queue(writer, message(2, 1, 64 * 1024));
  assert.equal(writer.lingers, false);
  const first = writer.take()!.slice();
  assert.equal(writer.lingers, true);
  assert.equal(writer.urgent, true, "its beginning has left, and it may be critical");
  const rest = writer.bytes;
  assert(rest > 0 && rest < 1000);
  queue(writer, message(2, 2, 64 * 1024));
  queue(writer, message(0, 3, 50));
  assert.equal(writer.lingers, false);
  const second = writer.take()!.slice();
  assert.deepEqual(readAll(join([first, second])).map(({ stream }) => stream), [1, 3]);
});

Deno.test("messages of up to a slice share slices, and a smaller one waits for nobody", () => {
  const writer = new FrameWriter();
  for (let i = 0; i < 8; i++) queue(writer, message(2, i, 20_000));
  const outputs = drain(writer);
  assert.deepEqual(outputs.map((output) => readAll(output).length), [3, 3, 2]);
});

Deno.test("compressed slices stay slices: a body that shrinks to nothing is no long turn", () => {
  const writer = new FrameWriter();
  writer.compressor = runLength;
  queue(writer, message(2, 7, 1024 * 1024, true));
  const outputs = drain(writer);
  assert.equal(outputs.length, 16);
  assert(join(outputs).length < 1000);
  assert.deepEqual(readAll(join(outputs))[0]!.body, new Uint8Array(1024 * 1024).fill(7));
});

Deno.test("few buffers are kept, none of an idle link", () => {
  const writer = new FrameWriter();
  const outputs: Uint8Array<ArrayBuffer>[] = [];
  for (let i = 0; i < 100; i++) queue(writer, message(2, i, 15_000));
  for (let output; (output = writer.take()) !== undefined;) outputs.push(output);
  assert(outputs.length > 20);
  for (const output of outputs) writer.giveBack(output);
  const known = new Set(outputs.map(({ buffer }) => buffer));
  const again = (): number => {
    for (let i = 0; i < 100; i++) queue(writer, message(2, i, 15_000));
    let count = 0;
    for (let output; (output = writer.take()) !== undefined;) {
      if (known.has(output.buffer)) count++;
    }
    return count;
  };
  const kept = again();
  assert(kept > 0 && kept <= 5, `${kept} kept`);
  for (const output of outputs) writer.giveBack(output);
  writer.trim();
  assert.equal(again(), 0);
});

Deno.test("buffers far larger than what leaves are let go, and those that are needed are not", () => {
  const writer = new FrameWriter();
  const leaves = (size: number) => {
    queue(writer, message(2, 1, size));
    const output = writer.take()!;
    writer.giveBack(output);
    return output.buffer;
  };
  leaves(10_000);
  const large = leaves(10_000);
  writer.settle();
  assert.equal(leaves(100), large, "what was needed of late is kept");
  leaves(5000);
  writer.settle();
  assert.equal(leaves(100), large, "and so is what is not far larger");
  writer.settle();
  assert(leaves(100).byteLength <= 4096);
});

Deno.test("an open buffer far larger than what leaves is let go, too, unless bytes wait in it", () => {
  const writer = new FrameWriter();
  const wait = (lane: number, size: number) => queue(writer, message(lane, 1, size));
  // Of two lanes one leaves as it stands, and the other is copied and stays open.
  wait(0, 10);
  wait(2, 10_000);
  assert(writer.take()!.length > 10_000);
  const open = writer.lanes[2]!.buffer;
  assert(open.length > 10_000);
  wait(2, 10);
  writer.settle();
  assert.equal(writer.lanes[2]!.buffer, open, "bytes wait in it");
  writer.giveBack(writer.take()!);
  wait(0, 10);
  wait(2, 10_000);
  writer.take();
  writer.settle();
  assert.equal(writer.lanes[2]!.buffer.length, 0);
});
