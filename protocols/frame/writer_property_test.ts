// The writer beside buffers that a connection holds, control frames and last frames.
import assert from "node:assert/strict";
import fc from "fast-check";
import { noFields } from "./fields.ts";
import { FragmentReader } from "./fragment.ts";
import { headerBytes, writeHeader } from "./header.ts";
import { kind, priorities } from "./prefix.ts";
import { PrefixReader } from "./prefix_reader.ts";
import { FrameReader } from "./reader.ts";
import { queue, runLength } from "./testing.ts";
import { messageTypes } from "./types.ts";
import { FrameWriter } from "./writer.ts";

const version = 0x0100;

/** A control frame whose payload is its number. */
function numbered(number: number): Uint8Array {
  const frame = new Uint8Array(headerBytes + 4);
  writeHeader(frame, 0, version, messageTypes["link.ping"], 4);
  new DataView(frame.buffer).setUint32(headerBytes, number);
  return frame;
}

/** The numbers of messages, and of control frames negated, in the order in which they were whole. */
function read(output: Uint8Array): number[] {
  const order: number[] = [];
  const prefix = new PrefixReader();
  const fragments = new FragmentReader(2 ** 24, runLength.decompress);
  const reader = new FrameReader({
    frame(_version, type, bytes, start, end) {
      if (type === messageTypes["link.ping"]) {
        order.push(-new DataView(bytes.buffer, bytes.byteOffset + start).getUint32(0));
      } else if (type !== messageTypes["link.fragment"]) {
        prefix.read(bytes, start, end);
        order.push(prefix.stream);
      } else {
        const message = fragments.push(bytes, start, end);
        if (message === undefined) return true;
        prefix.read(message.bytes, 0, message.end);
        order.push(prefix.stream);
      }
      return true;
    },
  }, 2 ** 24);
  reader.push(output);
  assert.equal(reader.heldBytes + fragments.heldBytes, 0);
  return order;
}

const scenario = fc.integer({ min: 1024, max: 8192 }).chain((sliceBytes) =>
  fc.record({
    sliceBytes: fc.constant(sliceBytes),
    pieceBytes: fc.oneof(
      fc.constantFrom(sliceBytes - 50, sliceBytes, sliceBytes + 50),
      fc.integer({ min: 100, max: 2 * sliceBytes }),
    ),
    compressing: fc.boolean(),
    steps: fc.array(
      fc.oneof(
        {
          weight: 6,
          arbitrary: fc.record({
            lane: fc.nat(3),
            size: fc.oneof(
              fc.nat(300),
              fc.nat(4 * sliceBytes),
              fc.integer({ min: sliceBytes - 80, max: sliceBytes + 80 }),
            ),
          }),
        },
        { weight: 5, arbitrary: fc.constant("take" as const) },
        { weight: 4, arbitrary: fc.constant("written" as const) },
        { weight: 1, arbitrary: fc.constantFrom("control" as const, "last" as const) },
        { weight: 1, arbitrary: fc.constant("trim" as const) },
      ),
      { maxLength: 50 },
    ),
  })
);

Deno.test("buffers are one's at a time, control frames are not overtaken, last frames are last, and bytes are what is left", () => {
  fc.assert(
    fc.property(scenario, ({ sliceBytes, pieceBytes, compressing, steps }) => {
      const writer = new FrameWriter(sliceBytes, pieceBytes);
      if (compressing) writer.compressor = runLength;
      const outputs: Uint8Array[] = [];
      const held: { buffer: Uint8Array<ArrayBuffer>; copy: Uint8Array }[] = [];
      /** By number, which messages were queued before: of a control frame or a last one. */
      const before = new Map<number, { readonly messages: number; readonly last: boolean }>();
      let messages = 0;
      const take = (): boolean => {
        const waiting = writer.bytes;
        const buffer = writer.take();
        assert.equal(buffer === undefined, waiting === 0);
        if (buffer === undefined) return false;
        assert(buffer.length > 0 && writer.bytes < waiting);
        // Fragments have headers that nobody could count before they were cut.
        if (!compressing) assert(buffer.length >= waiting - writer.bytes);
        assert(held.every((it) => it.buffer.buffer !== buffer.buffer), "handed out twice");
        const copy = buffer.slice();
        held.push({ buffer, copy });
        outputs.push(copy);
        return true;
      };
      const written = (): void => {
        const first = held.shift();
        if (first === undefined) return;
        assert.deepEqual(first.buffer, first.copy, "changed while the connection held it");
        writer.giveBack(first.buffer.fill(0xaa));
      };
      for (const step of steps) {
        if (step === "take") take();
        else if (step === "written") written();
        else if (step === "trim") writer.trim();
        else if (step === "control" || step === "last") {
          const number = before.size + 1;
          before.set(number, { messages, last: step === "last" });
          const frame = numbered(number);
          if (step === "last") writer.last(frame);
          else {
            const { control } = writer;
            control.reserve(frame.length);
            control.buffer.set(frame, control.length);
            control.length += frame.length;
          }
        } else {
          queue(writer, {
            type: 0x0301,
            kind: kind.message,
            stream: ++messages,
            upload: false,
            fields: { ...noFields, priority: priorities[step.lane]! },
            body: new Uint8Array(step.size).fill(messages),
          });
        }
      }
      while (take()) if (held.length > 3) written();
      while (held.length > 0) written();
      assert.equal(writer.bytes, 0);
      const order = read(new Uint8Array(outputs.flatMap((output) => [...output])));
      assert.equal(order.length, messages + before.size);
      for (const [at, number] of order.entries()) {
        if (number > 0) continue;
        const those = before.get(-number)!;
        const earlier = order.slice(0, at).filter((it) => it > 0);
        if (!those.last) assert(earlier.every((it) => it <= those.messages), "it was overtaken");
        else {
          const inTime = earlier.filter((it) => it <= those.messages);
          assert.equal(inTime.length, those.messages, "it did not wait");
        }
      }
    }),
    { numRuns: 200 },
  );
});
