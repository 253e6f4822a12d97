/**
 * What every transport must do, as one suite. A transport's own test names its
 * plugin and, if need be, its configuration and needs:
 *
 *     transportConformance({ name: "memory", plugin: memory, nobody: () => "nobody" });
 *
 * Each test runs on real sockets and the real clock, waits for events only, and
 * fails if anything is left open.
 */
import assert from "node:assert/strict";
import type { Connection, Transport } from "../../core/contracts/transport.ts";
import type { Plugin } from "../../core/kernel/plugin.ts";
import { clusterTest } from "../harness/leaks.ts";
import { testSettings } from "../harness/settings.ts";
import { type StartedPlugin, startPlugin } from "../harness/start_plugin.ts";
import { assertSameBytes, echo, pattern, RecordingEnd } from "./ends.ts";

/** A transport under test. */
export interface TransportCase {
  readonly name: string;
  readonly plugin: Plugin<Transport>;
  /** As a user writes it. Default `{}`. */
  readonly config?: unknown;
  /** What it needs beside settings, by node id. */
  readonly needs?: (node: string) => Promise<Readonly<Record<string, unknown>>>;
  /** An address without a scheme where nobody listens. */
  readonly nobody: () => string;
  /** Configuration that makes it listen where the given address says. */
  readonly listenAt: (address: string) => unknown;
}

const mebibyte = 1 << 20;
const timeoutMs = 10_000;
/** The most that may be on its way to a reader that does not read: what sockets of both ends hold. */
const bufferBound = 32 * mebibyte;

/** Declares the suite's tests. */
export function transportConformance(subject: TransportCase): void {
  const test = (behaviour: string, body: () => Promise<void>) =>
    clusterTest(`${subject.name} ${behaviour}`, body);
  const start = async (
    id: string,
    { listens = true, config = {} }: { listens?: boolean; config?: unknown } = {},
  ): Promise<StartedPlugin<Transport>> =>
    await startPlugin(subject.plugin, {
      config: { ...subject.config as object, ...config as object },
      needs: {
        settings: testSettings({ id, bindAddress: listens ? "127.0.0.1:0" : undefined }),
        ...await subject.needs?.(id),
      },
    });
  const dial = (from: Transport, to: Transport | string, signal = new AbortController().signal) =>
    from.dial(typeof to === "string" ? to : targetOf(to), { signal, timeoutMs });
  /** Two connected ends, the dialler's first. */
  const pair = async (from: Transport, to: Transport): Promise<[Connection, Connection]> => {
    const { promise, resolve } = Promise.withResolvers<Connection>();
    const accepting = to.accept(resolve);
    const near = await dial(from, to);
    const far = await promise;
    accepting[Symbol.dispose]();
    return [near, far];
  };

  test("carries writes of any size in order, from a buffer that is reused", async () => {
    await using a = await start("node-a");
    await using b = await start("node-b", { listens: false });
    const [near, far] = await pair(b.value, a.value);
    echo(far);
    const end = new RecordingEnd(near);
    const sizes = [1, 2, 3, 1000, 65_535, 65_536, 65_537, 1, 300_000, 5 * mebibyte, 1];
    const sent = pattern(sizes.reduce((sum, size) => sum + size, 0));
    const buffer = new Uint8Array(5 * mebibyte);
    let at = 0;
    for (const size of sizes) {
      const piece = buffer.subarray(0, size);
      piece.set(sent.subarray(at, at + size));
      at += size;
      await end.write(piece);
      piece.fill(0);
    }
    await end.received(sent.length);
    assertSameBytes(end.bytes, sent);
  });

  test("hands over plain bytes, so that a slice of them is a copy", async () => {
    await using a = await start("node-a");
    await using b = await start("node-b");
    const [near, far] = await pair(b.value, a.value);
    const slices: Uint8Array[] = [];
    const kinds = new Set<unknown>();
    const reader = new RecordingEnd(far, (bytes) => {
      kinds.add(Object.getPrototypeOf(bytes));
      slices.push(bytes.slice());
      bytes.fill(0); // What becomes of a buffer that is reused.
    });
    const sent = pattern(300_000);
    await new RecordingEnd(near).write(sent);
    await reader.received(sent.length);
    assertSameBytes(joined(slices), pattern(sent.length));
    assert.deepEqual(
      [...kinds],
      [Uint8Array.prototype],
      "nothing that acts otherwise, as a Buffer",
    );
  });

  test("calls written after write has returned, and takes one write at a time", async () => {
    await using a = await start("node-a");
    await using b = await start("node-b");
    const [near, far] = await pair(b.value, a.value);
    const reader = new RecordingEnd(far);
    const end = new RecordingEnd(near);
    let inside = true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    near.write(pattern(10), () => resolve(inside));
    assert.throws(() => near.write(pattern(10), () => {}), /one write at a time/);
    inside = false;
    assert.equal(await promise, false);
    await end.write(pattern(5));
    await reader.received(15);
    assert.equal(reader.length, 15);
  });

  test("lets a paused reader stop the writer, and goes on when it resumes", async () => {
    await using a = await start("node-a");
    await using b = await start("node-b");
    const [near, far] = await pair(b.value, a.value);
    const reader = new RecordingEnd(far, () => {});
    far.pause();
    const flood = new Flood(near, 64 * mebibyte);
    await flood.stalled();
    assert.ok(flood.written <= bufferBound, `${flood.written} bytes left for a paused reader`);
    far.resume();
    await flood.done;
    await reader.received(flood.total);
    assert.equal(reader.length, flood.total);
  });

  test("lets a writer wait for a reader that is not open yet", async () => {
    await using a = await start("node-a");
    await using b = await start("node-b");
    const near = await dial(b.value, a.value); // Nobody accepts.
    const flood = new Flood(near, 64 * mebibyte);
    await flood.stalled();
    assert.ok(flood.written <= bufferBound, `${flood.written} bytes left for nobody`);
    const far = await new Promise<Connection>((resolve) => void a.value.accept(resolve));
    await flood.stalled();
    assert.ok(flood.written <= bufferBound, `${flood.written} bytes left for a closed end`);
    const reader = new RecordingEnd(far, () => {});
    await reader.received(flood.total);
    assert.equal(reader.length, flood.total);
  });

  test("sends what was written before it closes, and closes both ends once", async () => {
    await using a = await start("node-a");
    await using b = await start("node-b");
    const [near, far] = await pair(b.value, a.value);
    const reader = new RecordingEnd(far);
    const end = new RecordingEnd(near);
    const sent = pattern(3 * mebibyte);
    near.write(sent, () => {});
    near.close();
    near.close();
    await Promise.all([reader.closed, end.closed]);
    assertSameBytes(reader.bytes, sent);
    assert.deepEqual([reader.error, end.error], [undefined, undefined]);
    near.destroy();
    far.close();
    near.write(sent, () => assert.fail("a closed connection writes nothing"));
    await turn();
    assert.deepEqual([reader.closedCount, end.closedCount], [1, 1]);
  });

  test("closes once when both ends close at the same time", async () => {
    await using a = await start("node-a");
    await using b = await start("node-b");
    const [near, far] = await pair(b.value, a.value);
    const ends = [new RecordingEnd(near), new RecordingEnd(far)];
    near.close();
    far.close();
    await Promise.all(ends.map((it) => it.closed));
    await turn();
    assert.deepEqual(ends.map((it) => it.closedCount), [1, 1]);
  });

  test("destroys at once, without the rest and without a second closed", async () => {
    await using a = await start("node-a");
    await using b = await start("node-b");
    const [near, far] = await pair(b.value, a.value);
    const reader = new RecordingEnd(far);
    far.pause();
    const end = new RecordingEnd(near);
    near.write(pattern(48 * mebibyte), () => assert.fail("it was not written"));
    near.destroy();
    assert.equal(end.closedCount, 0, "closed never runs inside destroy");
    await end.closed;
    far.resume();
    await reader.closed;
    assert.ok(reader.length < 48 * mebibyte);
    near.destroy();
    await turn();
    assert.deepEqual([reader.closedCount, end.closedCount], [1, 1]);
  });

  test("tells an end that is opened late that the other has gone", async () => {
    await using a = await start("node-a");
    await using b = await start("node-b");
    const [near, far] = await pair(b.value, a.value);
    const end = new RecordingEnd(near);
    near.destroy();
    await end.closed;
    const late = new RecordingEnd(far);
    await late.closed;
    assert.equal(late.closedCount, 1);
  });

  test("says unreachable, with the address, where nobody listens", async () => {
    await using a = await start("node-a");
    const address = subject.nobody();
    await assert.rejects(dial(a.value, address), (error: Error & { code?: string }) => {
      assert.equal(error.code, "unreachable");
      assert.ok(error.message.includes(address), error.message);
      return true;
    });
  });

  test("stops dialling when the caller aborts, before and after it began", async () => {
    await using a = await start("node-a");
    await using b = await start("node-b");
    await assert.rejects(dial(a.value, b.value, AbortSignal.abort()), { code: "aborted" });
    const abort = new AbortController();
    const dialling = dial(a.value, b.value, abort.signal);
    abort.abort();
    await assert.rejects(dialling, { code: "aborted" });
  });

  test("holds 128 inbound connections until someone accepts, and closes the rest", async () => {
    await using a = await start("node-a");
    await using b = await start("node-b");
    const tries = await Promise.allSettled(
      Array.from({ length: 136 }, () => dial(b.value, a.value)),
    );
    const ends = tries.flatMap((it) =>
      it.status === "fulfilled" ? [new RecordingEnd(it.value)] : []
    );
    const refused = () =>
      tries.filter((it) => it.status === "rejected").length +
      ends.filter((it) => it.closedCount > 0).length;
    while (refused() < 8) {
      await Promise.race(ends.filter((it) => it.closedCount === 0).map((it) => it.closed));
    }
    const accepted: Connection[] = [];
    using _ = a.value.accept((connection) => accepted.push(connection));
    assert.equal(accepted.length, 128);
    const local = new Set(
      ends.filter((it) => it.closedCount === 0).map((it) => it.connection.localAddress),
    );
    assert.deepEqual(new Set(accepted.map((it) => it.remoteAddress)), local);
  });

  test("has one subscriber at a time, and holds again when it has left", async () => {
    await using a = await start("node-a");
    await using b = await start("node-b");
    const first = a.value.accept(() => assert.fail("it has left"));
    assert.throws(() => a.value.accept(() => {}), { code: "duplicate_handler" });
    first[Symbol.dispose]();
    const near = await dial(b.value, a.value);
    const [far] = await new Promise<Connection[]>((resolve) => {
      a.value.accept((connection) => resolve([connection]));
    });
    const reader = new RecordingEnd(far!);
    await new RecordingEnd(near).write(pattern(100));
    await reader.received(100);
    assertSameBytes(reader.bytes, pattern(100));
  });

  test("carries many connections at once without mixing them", async () => {
    await using a = await start("node-a");
    await using b = await start("node-b");
    using _ = a.value.accept((connection) => void echo(connection));
    await Promise.all(Array.from({ length: 64 }, async (_, i) => {
      const end = new RecordingEnd(await dial(b.value, a.value));
      const sent = pattern(40_000 + i, i + 1);
      await end.write(sent);
      await end.received(sent.length);
      assertSameBytes(end.bytes, sent);
    }));
  });

  test("closes every connection when it stops, and dials no more", async () => {
    await using b = await start("node-b");
    const a = await start("node-a");
    const [near, far] = await pair(b.value, a.value);
    const [there, here] = await pair(a.value, b.value);
    const ends = [near, far, there, here].map((it) => new RecordingEnd(it));
    const held = new RecordingEnd(await dial(b.value, a.value));
    const address = targetOf(a.value);
    await a[Symbol.asyncDispose]();
    await Promise.all([...ends, held].map((it) => it.closed));
    assert.deepEqual(ends.map((it) => it.closedCount), [1, 1, 1, 1]);
    await assert.rejects(dial(b.value, address), { code: "unreachable" });
    await assert.rejects(dial(a.value, b.value), { code: "unreachable" });
  });

  test("says address_in_use, with the address, for one that is taken", async () => {
    await using a = await start("node-a");
    const address = targetOf(a.value);
    const config = subject.listenAt(address);
    await assert.rejects(start("node-b", { config }), (error: Error & { code?: string }) => {
      assert.equal(error.code, "address_in_use");
      assert.ok(error.message.includes(address), error.message);
      return true;
    });
  });

  test("announces where it listens, and nothing if it does not", async () => {
    await using a = await start("node-a");
    await using quiet = await start("node-b", { listens: false });
    const { scheme, addresses, id } = a.value;
    assert.equal(id, subject.plugin.name);
    assert.equal(addresses.length, 1);
    assert.match(addresses[0]!, new RegExp(`^${scheme}://[^/]+$`));
    assert.deepEqual(quiet.value.addresses, []);
    const [near, far] = await pair(quiet.value, a.value);
    assert.equal(near.transport, id);
    assert.equal(near.remoteAddress, targetOf(a.value));
    assert.equal(far.localAddress, near.remoteAddress);
    assert.equal(far.remoteAddress, near.localAddress);
    assert.equal(near.encryption, far.encryption);
  });
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** Writes as much and as fast as it may. */
class Flood {
  readonly total: number;
  readonly done: Promise<void>;
  written = 0;
  #lastMs = performance.now();

  constructor(connection: Connection, total: number) {
    new RecordingEnd(connection);
    this.total = total;
    const chunk = pattern(256 * 1024);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.done = promise;
    const next = (): void => {
      this.#lastMs = performance.now();
      if (this.written >= total) return resolve();
      connection.write(chunk, () => {
        this.written += chunk.length;
        next();
      });
    };
    next();
  }

  /** Resolves when it has not come on for a while. There is no event for "nothing happens any more". */
  async stalled(): Promise<void> {
    while (performance.now() - this.#lastMs < 150) await turn();
  }
}

/** What to dial: a transport's address without its scheme. */
function targetOf({ addresses: [address] }: Transport): string {
  assert.ok(address !== undefined, "it listens");
  return address.slice(address.indexOf("://") + 3);
}

/** One turn of the event loop. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}
