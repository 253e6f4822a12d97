// The writer of a link over the frames of a link, however turns, writes and delays fall.
import assert from "node:assert/strict";
import fc from "fast-check";
import { noFields } from "@mycnet/protocols/frame";
import type { Connection } from "../../contracts/transport.ts";
import { kind, priorities } from "../../../protocols/frame/prefix.ts";
import { FrameReader } from "../../../protocols/frame/reader.ts";
import { queue, readAll } from "../../../protocols/frame/testing.ts";
import { FrameWriter } from "../../../protocols/frame/writer.ts";
import { FakeHost } from "../fakes_test.ts";
import { LinkWriter } from "./writer.ts";

const sliceBytes = 1024;
const delayMs = 5;

/** A link's way out, and a connection that takes a write when told. */
class Way {
  readonly host = new FakeHost();
  readonly frames: FrameWriter;
  readonly writer: LinkWriter;
  readonly outputs: Uint8Array[] = [];
  queued = 0;
  closed = false;
  #written: (() => void) | undefined;

  constructor(pieceBytes: number, delay: boolean) {
    const frames = this.frames = new FrameWriter(sliceBytes, pieceBytes);
    const source = {
      get outputBytes() {
        return frames.bytes;
      },
      get urgent() {
        return frames.urgent;
      },
      get lingers() {
        return frames.lingers;
      },
      takeOutput: () => frames.take(),
      giveBack: (buffer: Uint8Array) => frames.giveBack(buffer as Uint8Array<ArrayBuffer>),
    };
    const connection: Pick<Connection, "write" | "close"> = {
      write: (bytes, written) => {
        assert.equal(this.#written, undefined, "one write at a time");
        assert.equal(this.closed, false);
        this.outputs.push(bytes.slice());
        this.#written = written;
      },
      close: () => {
        assert.equal(this.closed, false);
        this.closed = true;
      },
    };
    this.writer = new LinkWriter({
      source,
      connection: connection as Connection,
      host: this.host,
      batch: { delayMs: delay ? delayMs : 0, maxBytes: 2000 },
      took: () => {},
    });
  }

  /** Bytes that have left of a frame whose end has not. */
  get unfinished(): number {
    const reader = new FrameReader({ frame: () => true }, 2 ** 24);
    for (const output of this.outputs) reader.push(output.slice());
    return reader.heldBytes;
  }

  get writing(): boolean {
    return this.#written !== undefined;
  }

  queue(lane: number, size: number): void {
    queue(this.frames, {
      type: 0x0301,
      kind: kind.message,
      stream: this.queued++,
      upload: false,
      fields: { ...noFields, priority: priorities[lane]! },
      body: new Uint8Array(size),
    });
    this.writer.schedule();
  }

  written(): void {
    const written = this.#written;
    this.#written = undefined;
    written?.();
  }
}

const steps = fc.array(
  fc.oneof(
    fc.record({
      lane: fc.nat(3),
      size: fc.oneof(fc.nat(200), fc.nat(3000), fc.integer({ min: 950, max: 1024 })),
      heard: fc.boolean(),
    }),
    fc.constantFrom("written", "written", "turn", "delay"),
  ),
  { maxLength: 30 },
);

Deno.test("everything leaves in the end, one write at a time; what is critical or has begun waits for no delay", async () => {
  const pieces = fc.constantFrom(500, 1000, 1024, 65_160);
  await fc.assert(
    fc.asyncProperty(steps, pieces, fc.boolean(), fc.boolean(), async (all, piece, delay, ends) => {
      const way = new Way(piece, delay);
      for (const step of all) {
        if (step === "written") way.written();
        else if (step === "turn") await way.host.advance(0);
        else if (step === "delay") await way.host.advance(delayMs);
        else {
          if (step.heard) way.writer.heard();
          way.queue(step.lane, step.size);
        }
        if (step !== "turn" || way.writing) continue;
        assert.equal(way.frames.lanes[0]!.empty, true, "something critical waits");
        assert.equal(way.unfinished, 0, "the end of a frame waits");
        if (!delay) assert.equal(way.frames.bytes, 0);
      }
      if (ends) way.writer.finish();
      for (let i = 0; i < 200 && (way.frames.bytes > 0 || way.writing); i++) {
        await way.host.advance(delayMs);
        way.written();
      }
      await way.host.advance(0);
      assert.equal(way.frames.bytes, 0);
      assert.equal(way.closed, ends);
      assert.equal(way.host.pendingTimers, 0);
      const output = new Uint8Array(await new Blob(way.outputs as BlobPart[]).arrayBuffer());
      assert.equal(readAll(output).length, way.queued);
    }),
    { numRuns: 1000 },
  );
});
