import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Connection } from "../../contracts/transport.ts";
import { FakeHost } from "../fakes_test.ts";
import { type Batch, LinkWriter, type OutputSource } from "./writer.ts";
import { noFields } from "@mycnet/protocols/frame";
import { bytes, linked, type } from "./ends_test.ts";

/** Microtasks have run; no turn of the event loop has. */
async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await undefined;
}

/** A source that hands out at most a slice at a time, and a connection that takes writes until told. */
class Bench implements OutputSource {
  readonly host = new FakeHost();
  readonly writes: number[] = [];
  readonly writer: LinkWriter;
  outputBytes = 0;
  urgent = false;
  lingers = false;
  closed = false;
  returned = 0;
  #written: (() => void) | undefined;

  constructor(batch?: Partial<Batch>) {
    const connection: Pick<Connection, "write" | "close"> = {
      write: (taken, written) => {
        assert.equal(this.#written, undefined, "one write at a time");
        this.writes.push(taken.length);
        this.#written = written;
      },
      close: () => {
        this.closed = true;
      },
    };
    this.writer = new LinkWriter({
      source: this,
      connection: connection as Connection,
      host: this.host,
      batch,
      took: () => {},
    });
  }

  takeOutput(): Uint8Array | undefined {
    if (this.outputBytes === 0) return undefined;
    const slice = new Uint8Array(Math.min(this.outputBytes, 1000));
    this.outputBytes -= slice.length;
    this.urgent = this.lingers = false;
    return slice;
  }

  giveBack(): void {
    this.returned++;
  }

  queue(count: number, urgent = false): void {
    this.outputBytes += count;
    this.urgent ||= urgent;
    this.writer.schedule();
  }

  written(): void {
    const written = this.#written!;
    this.#written = undefined;
    written();
  }

  /** The write is over, and has left the end of a frame behind. */
  writtenBut(left: number): void {
    this.outputBytes = left;
    this.lingers = true;
    this.written();
  }
}

Deno.test("the end of a frame that lingers goes with what the same turn queues, or after the turn", async () => {
  const bench = new Bench();
  bench.queue(300);
  await settled();
  bench.writtenBut(80);
  await settled();
  assert.deepEqual(bench.writes, [300]);
  bench.queue(200);
  await settled();
  assert.deepEqual(bench.writes, [300, 280], "company came");
  bench.writtenBut(80);
  await bench.host.advance(0);
  assert.deepEqual(bench.writes, [300, 280, 80], "none came");
  bench.written();
});

Deno.test("a link that finishes writes what lingers first", async () => {
  const bench = new Bench();
  bench.queue(300);
  await settled();
  bench.writer.finish();
  bench.writtenBut(80);
  await bench.host.advance(0);
  assert.deepEqual(bench.writes, [300, 80]);
  assert.equal(bench.closed, false);
  bench.written();
  await settled();
  assert.equal(bench.closed, true);
});

Deno.test("of what a read brings, the first 12 KiB of answers do not wait for the rest; once a read", async () => {
  const bench = new Bench();
  bench.writer.heard();
  bench.queue(12 * 1024 - 1);
  assert.deepEqual(bench.writes, []);
  bench.queue(1);
  assert.deepEqual(bench.writes, [1000]);
  bench.outputBytes = 0;
  bench.written();
  bench.queue(20_000);
  assert.deepEqual(bench.writes, [1000], "the rest waits for the end of the turn");
  await undefined;
  assert.deepEqual(bench.writes, [1000, 1000]);
});

Deno.test("where company is waited for, a read hurries nothing", async () => {
  const bench = new Bench({ delayMs: 5 });
  bench.writer.heard();
  bench.queue(20_000);
  await undefined;
  assert.deepEqual(bench.writes, []);
  await bench.host.advance(5);
  assert.deepEqual(bench.writes, [1000]);
});

Deno.test("what is queued in one turn is written at its end, in slices, one write at a time", async () => {
  const bench = new Bench();
  bench.queue(600);
  bench.queue(900);
  assert.deepEqual(bench.writes, []);
  await undefined;
  assert.deepEqual(bench.writes, [1000]);
  bench.queue(100);
  await undefined;
  assert.deepEqual(bench.writes, [1000]);
  bench.written();
  assert.deepEqual(bench.writes, [1000, 600]);
  bench.written();
  assert.equal(bench.returned, 2);
  assert.equal(bench.host.timersSet, 0);
});

Deno.test("a full batch does not wait for the end of the turn", () => {
  const bench = new Bench({ maxBytes: 1000 });
  bench.queue(999);
  assert.deepEqual(bench.writes, []);
  bench.queue(1);
  assert.deepEqual(bench.writes, [1000]);
});

Deno.test("with a delay little waits for company, but no longer, and not once there is enough", async () => {
  const bench = new Bench({ maxBytes: 1000, delayMs: 5 });
  bench.queue(10);
  bench.queue(10);
  await undefined;
  assert.deepEqual(bench.writes, []);
  await bench.host.advance(5);
  assert.deepEqual(bench.writes, [20]);
  // What came meanwhile waits for its own delay.
  bench.queue(30);
  bench.written();
  assert.deepEqual(bench.writes, [20]);
  bench.queue(970);
  assert.deepEqual(bench.writes, [20, 1000]);
  bench.written();
  await bench.host.advance(50);
  assert.deepEqual(bench.writes, [20, 1000]);
  assert.equal(bench.host.pendingTimers, 0);
});

Deno.test("what is critical waits for no delay, and takes the rest along", async () => {
  const bench = new Bench({ delayMs: 1000 });
  bench.queue(10);
  bench.queue(5, true);
  await undefined;
  assert.deepEqual(bench.writes, [15]);
  assert.equal(bench.host.pendingTimers, 0);
});

Deno.test("an end writes the rest at once, whatever the delay, and closes behind it", async () => {
  const bench = new Bench({ delayMs: 1000 });
  bench.queue(1500);
  bench.writer.finish();
  assert.deepEqual(bench.writes, [], "not within the call");
  await undefined;
  bench.written();
  assert.deepEqual(bench.writes, [1000, 500]);
  assert.equal(bench.closed, false);
  bench.written();
  assert.equal(bench.closed, true);
});

Deno.test("a connection that takes every write at once leaves others their turn after eight", async () => {
  const bench = new Bench();
  bench.queue(64 * 1024);
  for (let turn = 1; turn <= 3; turn++) {
    for (let i = 0; i < 8; i++) {
      assert.equal(bench.writes.length, 8 * (turn - 1) + i + 1);
      bench.written();
    }
    await settled();
    assert.equal(bench.writes.length, 8 * turn, "nothing is written before the turn is over");
    await bench.host.barrier();
  }
  // A row ends where nothing is left to write: whoever sends now and then never waits.
  const idle = new Bench();
  for (let i = 1; i <= 20; i++) {
    idle.queue(100);
    await settled();
    assert.equal(idle.writes.length, i);
    idle.written();
  }
});

Deno.test("a connection that is gone leaves no timer behind", () => {
  const bench = new Bench({ delayMs: 1000 });
  bench.queue(10);
  assert.equal(bench.host.pendingTimers, 1);
  bench.writer.stop();
  bench.queue(10);
  assert.equal(bench.host.pendingTimers, 0);
});

Deno.test("bytes are the sender's to change once they are sent, unless it gave them away", async () => {
  const own = () => new Uint8Array(300_000);
  const buffer = () => Buffer.alloc(300_000); // Its own slice is no copy.
  for (const [made, given] of [[own, false], [buffer, false], [own, true]] as const) {
    await using t = await linked();
    const body = made().fill(1);
    let arrived: Uint8Array | undefined;
    t.b.handlers.set(type, { message: (_link, _fields, body) => arrived = body.slice() });
    t.a.link.send(type, noFields, body, given);
    // Kept apart by the promise about bytes that were given: nobody may do this to those.
    if (!given) body.fill(2);
    await t.host.until(() => arrived !== undefined);
    assert.ok(arrived!.length === 300_000 && arrived!.every((byte) => byte === 1));
  }
});

Deno.test("a large message lets small ones of higher priority through between its slices", async () => {
  await using t = await linked();
  const order: number[] = [];
  t.b.handlers.set(type, { message: (_link, _fields, { length }) => void order.push(length) });
  t.a.link.send(type, { priority: "low" }, new Uint8Array(1_000_000));
  t.a.link.send(type, { priority: "critical" }, bytes("now"));
  await t.host.until(() => order.length === 2);
  assert.deepEqual(order, [3, 1_000_000]);
});
