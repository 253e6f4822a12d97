import assert from "node:assert/strict";
import fc from "fast-check";
import { pattern, readAll } from "./fakes_test.ts";
import { chunkBytes, Inflow } from "./inflow.ts";

/** An inflow whose turns are taken when told, and what it said. */
class Bench {
  readonly inflow: Inflow;
  read = 0;
  asked = 0;
  cancelled = 0;
  #turns: (() => void)[] = [];

  constructor() {
    this.inflow = new Inflow({
      read: (bytes) => void (this.read += bytes),
      asked: () => void this.asked++,
      cancelled: () => void this.cancelled++,
      turn: () => new Promise((resolve) => this.#turns.push(resolve)),
    });
  }

  /** A turn of the event loop passes, and what waits for it runs. */
  async turn(): Promise<void> {
    for (const resolve of this.#turns.splice(0)) resolve();
    await settled();
  }
}

/** Microtasks have run. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

Deno.test("whatever the pieces and the readers' buffers, all bytes come out in order", async () => {
  const size = fc.integer({ min: 1, max: 150_000 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ size, turn: fc.boolean() }), { maxLength: 20 }),
      fc.option(fc.array(size, { minLength: 1, maxLength: 5 }), { nil: undefined }),
      async (pieces, buffers) => {
        const bench = new Bench();
        const total = pieces.reduce((sum, piece) => sum + piece.size, 0);
        const reading = buffers === undefined
          ? readAll(bench.inflow.stream)
          : readInto(bench.inflow.stream, buffers);
        await settled();
        let at = 0;
        for (const piece of pieces) {
          const bytes = pattern(piece.size, at);
          bench.inflow.push(bytes);
          bytes.fill(0); // The socket's buffer is used again.
          at += piece.size;
          if (piece.turn) await bench.turn();
        }
        bench.inflow.end();
        assert.deepEqual(await reading, pattern(total));
        assert.equal(bench.read, total);
        assert.equal(bench.inflow.waits, false);
      },
    ),
    { numRuns: 60 },
  );
});

/** Reads with buffers of these sizes, each used again and again. */
async function readInto(stream: ReadableStream<Uint8Array>, sizes: number[]): Promise<Uint8Array> {
  const reader = stream.getReader({ mode: "byob" });
  const buffers: ArrayBufferLike[] = sizes.map((it) => new ArrayBuffer(it));
  const all: number[] = [];
  for (let i = 0;; i = (i + 1) % sizes.length) {
    const { done, value } = await reader.read(new Uint8Array(buffers[i]));
    if (done) return Uint8Array.from(all);
    for (const byte of value) all.push(byte);
    buffers[i] = value.buffer;
  }
}

Deno.test("a reader's own buffer is filled in place, and comes back when it is full", async () => {
  const bench = new Bench();
  const reader = bench.inflow.stream.getReader({ mode: "byob" });
  const reading = reader.read(new Uint8Array(100_000));
  await settled();
  bench.inflow.push(pattern(60_000));
  assert.deepEqual([bench.read, bench.inflow.waits], [60_000, false]);
  bench.inflow.push(pattern(60_000, 60_000));
  const { value } = await reading;
  assert.deepEqual(value, pattern(100_000));
  assert.deepEqual([bench.read, bench.inflow.waits], [100_000, true]);
  await reader.cancel();
});

Deno.test("bytes that come in one turn come in one chunk, and the next turn hands over what there is", async () => {
  const bench = new Bench();
  const reader = bench.inflow.stream.getReader();
  let got: number | undefined;
  const reading = reader.read().then(({ value }) => got = value!.length);
  await settled();
  for (let i = 0; i < 10; i++) bench.inflow.push(new Uint8Array(1000));
  await settled();
  assert.equal(got, undefined, "the turn is not over");
  await bench.turn();
  assert.equal(await reading, 10_000);
  // Nobody asks: it waits, without more memory than it takes.
  for (let i = 0; i < 200; i++) bench.inflow.push(new Uint8Array(1000));
  assert.deepEqual([bench.read, bench.inflow.waits], [10_000, true]);
  assert.equal((await reader.read()).value!.length, chunkBytes);
  await reader.cancel();
});

Deno.test("what comes in bursts of a whole window costs no memory beyond the first", async () => {
  const item = pattern(64 * 1024);
  const items = 24;
  const bench = new Bench();
  const reader = bench.inflow.stream.getReader({ mode: "byob" });
  let buffer = new Uint8Array(items * item.length);
  const burst = async () => {
    for (let i = 0; i < items; i++) bench.inflow.push(item);
    const { value } = await reader.read(buffer);
    assert.equal(value!.length, items * item.length);
    buffer = new Uint8Array(value!.buffer);
  };
  await burst();
  const before = Deno.memoryUsage().external;
  for (let i = 0; i < 20; i++) await burst();
  // A window that is never used again would come to 30 MiB, less than what makes the collector run.
  assert.ok(Deno.memoryUsage().external - before < 4 * 1024 * 1024);
  await reader.cancel();
});

Deno.test("the end reaches a reader that has asked more than once, with and without memory of its own", async () => {
  for (const mode of [undefined, "byob"] as const) {
    const bench = new Bench();
    const reader = bench.inflow.stream.getReader({ mode } as { mode: "byob" });
    const asked = [1, 2, 3].map(() => reader.read(new Uint8Array(100)));
    await settled();
    bench.inflow.push(pattern(10));
    bench.inflow.end();
    const [first, ...others] = await Promise.all(asked);
    assert.deepEqual(first!.value, pattern(10));
    for (const { done } of others) assert.equal(done, true);
    assert.equal(bench.read, 10);
  }
});

Deno.test("half of what a reader of larger elements asks for fails that reader, and nobody else", async () => {
  for (const turns of [false, true]) {
    const bench = new Bench();
    const reader = bench.inflow.stream.getReader({ mode: "byob" });
    const reading = reader.read(new Uint16Array(4));
    await settled();
    bench.inflow.push(pattern(1));
    if (turns) await bench.turn();
    bench.inflow.end();
    await assert.rejects(reading, TypeError);
  }
});

Deno.test("the end comes behind the bytes; an error instead of those that were not handed over", async () => {
  const ended = new Bench();
  ended.inflow.push(pattern(10));
  ended.inflow.end();
  assert.deepEqual(await readAll(ended.inflow.stream), pattern(10));

  const empty = new Bench();
  const reader = empty.inflow.stream.getReader({ mode: "byob" });
  const last = reader.read(new Uint8Array(5));
  await settled();
  empty.inflow.end();
  const { done, value } = await last;
  assert.equal(done, true);
  assert.equal(value!.buffer.byteLength, 5, "the reader has its memory back");

  const failed = new Bench();
  const reading = failed.inflow.stream.getReader().read();
  await settled();
  failed.inflow.push(pattern(10));
  failed.inflow.fail(new Error("lost"));
  await assert.rejects(reading, { message: "lost" });
  await failed.turn(); // What was to be handed over then is gone.
  failed.inflow.push(pattern(10));
  failed.inflow.end();
});

Deno.test("a reader that cancels is told on once, and nothing more is kept for it", async () => {
  const bench = new Bench();
  const reader = bench.inflow.stream.getReader();
  const reading = reader.read();
  await settled();
  bench.inflow.push(pattern(10));
  await reader.cancel();
  assert.equal((await reading).done, true);
  await bench.turn();
  bench.inflow.push(pattern(10));
  bench.inflow.end();
  assert.deepEqual([bench.cancelled, bench.inflow.waits], [1, false]);
});
